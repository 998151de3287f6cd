"""`linrec-bench list`."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import Json, Plugins

Kind = Literal["attention", "models", "data", "suites", "measures"]


def _names(context: typer.Context, incomplete: str) -> list[str]:
    kind = context.params.get("what")
    return {
        "attention": completion.mechanisms,
        "suites": completion.suites,
        "data": completion.data_sets,
    }.get(str(kind), lambda _: [])(incomplete)


def command(
    what: Annotated[Kind, typer.Argument(help="Kind of names to list.", metavar="KIND")],
    name: Annotated[
        str | None,
        typer.Argument(help="Show everything about this name.", metavar="NAME", autocompletion=_names),
    ] = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """List the names that a suite can use.

    KIND is `attention`, `models`, `data`, `suites` or `measures`.

    Example: `linrec-bench list attention`

    Example: `linrec-bench list attention linrec`
    """
    from linrec_bench import terminal
    from linrec_bench.commands import catalogue

    entries = catalogue.entries(what, plugins=plugin or [])
    if name is not None:
        entries = [catalogue.entry(entries, name, kind=what)]
    if as_json:
        print(json.dumps(entries, indent=2))
    elif name is not None:
        terminal.show_entry(entries[0])
    elif what == "attention":
        terminal.show_lines(entries, ("name", "time", "memory", "causal", "title"))
    else:
        terminal.show_entries(entries)
