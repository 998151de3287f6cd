"""`linrec-bench data`: list, fetch, prepare and describe."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli.options import Json

command = typer.Typer(
    help="Data sets: what there is, where it comes from, fetch it, prepare it, describe it.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="A data set by name.")]
Params = Annotated[
    list[str] | None, typer.Option("--set", help="A parameter of the source, such as path=events.csv.")
]


@command.command("list")
def list_sources(as_json: Json = False) -> None:
    """List the data sets that a suite can name, and whether their downloads are here.

    Example: linrec-bench data list
    """
    from linrec_bench import terminal
    from linrec_bench.commands import catalogue

    entries = catalogue.entries("data")
    if as_json:
        print(json.dumps(entries, indent=2))
    else:
        terminal.show_entries(entries)


@command.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A data set that can be downloaded, such as ml-1m.")],
    folder: Annotated[Path | None, typer.Option(help="Where to put it; by default the cache.")] = None,
) -> None:
    """Download a data set and check its hash; what was cut goes on where it was.

    Example: linrec-bench data fetch ml-1m
    """
    from linrec_bench import data, terminal

    with terminal.download(name) as on_bytes:
        path = data.fetch(name, folder=folder, progress=on_bytes)
    print(path)


@command.command()
def prepare(name: Name, settings: Params = None) -> None:
    """Read a data set once and keep its histories in the cache, from where every run maps them.

    Example: linrec-bench data prepare csv --set path=events.csv --set min_interactions=1
    """
    from linrec_bench import data, terminal

    made = data.prepare(name, **_params(settings))
    if made.was_there:
        terminal.say("prepared before with these settings")
    print(made.folder)


@command.command()
def describe(
    name: Name,
    settings: Params = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the lengths into this PNG file.")] = None,
    as_json: Json = False,
) -> None:
    """Count users, items and events, and show how long the histories are.

    Example: linrec-bench data describe csv --set path=events.csv --plot lengths.png
    """
    from linrec_bench import data, terminal

    if plot is not None and plot.suffix != ".png":
        raise ValueError(f"--plot {plot}: expected a name that ends in .png")
    sequences = data.load(name, **_params(settings))
    found = data.describe(sequences)
    bins = data.length_bins(sequences.lengths)
    if as_json:
        print(json.dumps(found | {"lengths": [asdict(part) for part in bins]}, indent=2))
    else:
        terminal.show_data(found, bins)
    if plot is not None:
        from linrec_bench.figures import lengths

        lengths.save(name, sequences.lengths, plot)
        terminal.say(f"drawn: {plot}")


def _params(settings: list[str] | None) -> dict[str, object]:
    from linrec_bench.suite.load import assignment

    return dict(assignment(text, flag="--set") for text in settings or [])
