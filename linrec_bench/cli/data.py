"""`linrec-bench data`: fetch and describe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli.options import Json

command = typer.Typer(help="Data sets: what there is, where it comes from, fetch it.", no_args_is_help=True)


@command.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A data set that can be downloaded, such as ml-1m.")],
    folder: Annotated[Path | None, typer.Option(help="Where to put it; by default the cache.")] = None,
) -> None:
    """Download a data set and check its hash.

    Example: linrec-bench data fetch ml-1m
    """
    from linrec_bench import console, data

    with console.download(name) as on_bytes:
        path = data.fetch(name, folder=folder, progress=on_bytes)
    print(path)


@command.command()
def describe(
    name: Annotated[str, typer.Argument(help="A data set by name.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", help="A parameter of the source: path=events.csv.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count users, items and events, and tell how long the histories are.

    Example: linrec-bench data describe csv --param path=events.csv
    """
    from linrec_bench import console, data
    from linrec_bench.suite.load import assignment

    params = dict(assignment(text, flag="--param") for text in param or [])
    found = data.describe(data.load(name, **params))
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        console.show_mapping(found)
