"""`linrec-bench verify`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from linrec_bench.cli.options import Json, Plugins


def command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Mechanisms to probe; without any, every one.")
    ] = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Probe what mechanisms really do and compare it with what they declare; exit 1 on a contradiction.

    Example: linrec-bench verify linrec "linrec(padding=ignore)"
    """
    from linrec_bench import console
    from linrec_bench.verify import cards

    found = cards(names or [], plugins=plugin or [])
    if as_json:
        print(json.dumps([card.as_record() for card in found], indent=2))
    else:
        console.show_cards(found)
    if any(card.contradictions for card in found):
        raise typer.Exit(1)
