"""`linrec-bench convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs to convert.", metavar="RUN...")],
) -> None:
    """Convert stored runs to the current format.

    For runs of an older version. Rewrites each in place, completely or not at all; numbers do not change.

    Example: `linrec-bench convert results/long_seq/20261125-090635-9e27`
    """
    from linrec_bench import terminal
    from linrec_bench.commands.convert import convert

    for run in runs:
        convert(run)
        terminal.say(f"converted: {run}")
