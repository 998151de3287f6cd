"""`linrec-bench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    folder: Annotated[
        Path, typer.Argument(help="Folder of one run, of a suite, or of all results.", metavar="FOLDER")
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="File to write; its suffix, .parquet or .csv, sets the format."),
    ],
    table: Annotated[
        Literal["samples", "summary"] | None,
        typer.Option(
            help="Raw samples, or medians and intervals per case (default: samples, where a run holds them)."
        ),
    ] = None,
    escape_formulas: Annotated[
        bool,
        typer.Option(
            "--escape-formulas",
            help="For spreadsheets: begin texts such as `=1+1` with an apostrophe, so that none is computed.",
        ),
    ] = False,
) -> None:
    """Write stored rows to one file.

    Reads stored results; measures nothing. Skips runs that cannot be read, with a message.

    Example: `linrec-bench export results/long_seq --out long_seq.parquet`
    """
    import pandas as pd

    from linrec_bench import terminal
    from linrec_bench.results import stored_runs
    from linrec_bench.results.export import export
    from linrec_bench.results.load_results import tables

    if table is None:
        table = "samples" if any(run.has_samples() for run in stored_runs.at(folder)[0]) else "summary"
        terminal.say(f"table: {table}")
    frames, reasons = tables(folder, table)
    runs, rows = len(frames), sum(map(len, frames))
    # Summaries have columns of their own: those of what was measured.
    parts = frames if table == "samples" else [pd.concat(frames, ignore_index=True)]
    export(parts, out, escape_formulas=escape_formulas)
    for reason in reasons:
        terminal.say(f"left out: {reason}")
    terminal.say(f"{rows} rows of {runs} {'run' if runs == 1 else 'runs'}: {out}")
