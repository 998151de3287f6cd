"""`linrec-bench merge`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import RESULTS, ResultsRoot


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs, parts of one suite.", metavar="RUN...", autocompletion=completion.runs
        ),
    ],
    results: ResultsRoot = RESULTS,
) -> None:
    """Join runs of parts of a suite into one run.

    For `run --shard` on several machines of one kind, measured with the same code. Writes a new run; the
    parts stay as they are. Exit 2 when a trial stands in two of them, or suite, code or machine differ.

    Example: `linrec-bench merge part1/long_seq/* part2/long_seq/*`
    """
    from linrec_bench import terminal
    from linrec_bench.commands.merge import merge

    merged, missing = merge(runs, results, now=datetime.now())
    if missing:
        terminal.say(f"{missing} trials of the suite are in none of the {len(runs)} runs")
    print(merged.folder)
