"""`linrec-bench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    folder: Annotated[Path, typer.Argument(help="A run's folder, a suite's (all its runs) or all results.")],
    out: Annotated[Path, typer.Option(help="File to write: .parquet or .csv.")],
    table: Annotated[
        Literal["samples", "summary"],
        typer.Option(help="Every raw sample, or a row a case and phase with medians and intervals."),
    ] = "samples",
) -> None:
    """Write stored rows as one file for other tools; nothing is measured.

    Runs that cannot be read are named and left out.

    Example: linrec-bench export results/long_seq --out long_seq.parquet
    """
    import warnings

    from linrec_bench import terminal
    from linrec_bench.results.export import export
    from linrec_bench.results.load_results import NotLoaded, load_results

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NotLoaded)
        frame = load_results(folder, table=table)
    export(frame, out)
    for warning in caught:
        terminal.say(f"left out: {warning.message}")
    runs = frame["run_id"].nunique()
    terminal.say(f"{len(frame)} rows of {runs} {'run' if runs == 1 else 'runs'}: {out}")
