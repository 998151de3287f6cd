"""`linrec-bench data`: list, fetch, prepare and describe."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import Json, Verb

command = typer.Typer(
    help="List, download and describe data sets.",
    no_args_is_help=True,
)

Name = Annotated[
    str, typer.Argument(help="Name of a data set.", metavar="NAME", autocompletion=completion.data_sets)
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Set a parameter of the data set, such as `path=events.csv`; repeatable.",
        metavar="KEY=VALUE",
    ),
]


@command.command("list", cls=Verb)
def list_sources(as_json: Json = False) -> None:
    """List data sets and their download state.

    Example: `linrec-bench data list`
    """
    from linrec_bench import terminal
    from linrec_bench.commands import catalogue

    entries = catalogue.entries("data")
    if as_json:
        print(json.dumps(entries, indent=2))
    else:
        terminal.show_entries(entries)


@command.command(cls=Verb)
def fetch(
    name: Annotated[str, typer.Argument(help="Data set to download, such as ml-1m.", metavar="NAME")],
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder to download to (default: the cache).")
    ] = None,
) -> None:
    """Download a data set and check its hash.

    The same command resumes an interrupted download, where the server supports it.

    Example: `linrec-bench data fetch ml-1m`
    """
    from linrec_bench import data, terminal

    with terminal.download(name) as on_bytes:
        path = data.fetch(name, folder=folder, progress=on_bytes)
    print(path)


@command.command(cls=Verb)
def prepare(name: Name, settings: Params = None) -> None:
    """Convert a data set to arrays in the cache.

    Later runs read the arrays; a run that finds none prepares them itself.

    Example: `linrec-bench data prepare csv --set path=events.csv --set min_interactions=1`
    """
    from linrec_bench import data, terminal

    with terminal.counter("reading", of_bytes=True) as on_bytes, data.watched(on_bytes):
        made = data.prepare(name, **_params(settings))
    if made.reused:
        terminal.say("prepared before with these settings")
    print(made.folder)


@command.command(cls=Verb)
def describe(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a data set, or path of your log.",
            metavar="NAME|PATH",
            autocompletion=completion.data_sets,
        ),
    ],
    settings: Params = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the history lengths to this PNG file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print size and history lengths of a data set.

    For a file of your log, detects separator, columns and form of times, and prints the lines of `dataset:`
    that a suite needs; `--set` overrides what it detects.

    Example: `linrec-bench data describe events.csv --set min_interactions=1 --plot lengths.png`
    """
    from linrec_bench import data, terminal
    from linrec_bench.commands.describe_log import dataset_lines, described, is_path

    if plot is not None and plot.suffix != ".png":
        raise ValueError(f"--plot {plot}: expected a name that ends in .png")
    params = _params(settings)
    sniffed = data.sniff(name, params) if is_path(name) else None
    if sniffed and not as_json:
        terminal.show_first_rows(sniffed)
    with terminal.counter("reading", of_bytes=True) as on_bytes, data.watched(on_bytes):
        found = described(name, params, sniffed=sniffed)
    if as_json:
        content = found.counts | {
            "dropped": found.sequences.dropped,
            "lengths": [asdict(part) for part in found.bins],
        }
        log: dict[str, object] = (
            {"first_rows": sniffed.rows, "dataset": {"name": found.source, **found.params}} if sniffed else {}
        )
        print(json.dumps({**log, **content}, indent=2))
    else:
        terminal.show_data(found.counts, found.bins, dropped=found.sequences.dropped)
    if sniffed and not as_json:
        terminal.out.print(f"\n{dataset_lines(found.source, found.params)}", soft_wrap=True)
    if plot is not None:
        from linrec_bench.figures import lengths

        lengths.save(name, found.sequences.lengths, plot)
        terminal.say(f"drawn: {plot}")


def _params(settings: list[str] | None) -> dict[str, object]:
    from linrec_bench.suite.source_map import assignment

    return dict(assignment(text, flag="--set") for text in settings or [])
