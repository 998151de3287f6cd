"""`linrec-bench plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli.options import RESULTS, ResultsRoot


def command(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Runs to draw; without any, the latest of every suite.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures; by default `figures` inside each run.")
    ] = None,
    results: ResultsRoot = RESULTS,
) -> None:
    """Draw the figures of stored runs as PNG and SVG; nothing is measured again.

    Example: linrec-bench plot results/long_seq/20260101-120000-ab12
    """
    from linrec_bench import console, figures
    from linrec_bench.results import store

    runs = [store.open_run(folder) for folder in folders or []] or store.latest_runs(results)
    if not runs:
        raise ValueError(f"{results}: no runs to draw; make one with `linrec-bench run quick`")
    for stored in runs:
        target = out or stored.folder / "figures"
        console.show_figures(stored, figures.draw_all(stored.samples(), stored.summary(), target))
