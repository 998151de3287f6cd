"""`linrec-bench list`."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from linrec_bench.cli.options import Json

Kind = Literal["attention", "models", "data", "suites", "measures"]


def command(
    what: Annotated[Kind, typer.Argument(help="Kind of names to list.", metavar="KIND")],
    as_json: Json = False,
) -> None:
    """List the names that a suite can use.

    KIND is `attention`, `models`, `data`, `suites` or `measures`.

    Example: `linrec-bench list attention`
    """
    from linrec_bench import terminal
    from linrec_bench.commands import catalogue

    entries = catalogue.entries(what)
    if as_json:
        print(json.dumps(entries, indent=2))
    else:
        terminal.show_entries(entries)
