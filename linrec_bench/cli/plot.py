"""`linrec-bench plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from linrec_bench.cli.options import RESULTS, ResultsRoot


def command(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Runs to draw; without any, the latest of every suite.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures; by default `figures` inside each run.")
    ] = None,
    style: Annotated[
        Literal["paper", "slides"], typer.Option(help="Size of words and lines; slides are read from afar.")
    ] = "paper",
    theme: Annotated[
        Literal["light", "dark"], typer.Option(help="The ground that figures stand on.")
    ] = "light",
    results: ResultsRoot = RESULTS,
) -> None:
    """Draw the figures of stored runs as PNG, SVG and PDF; nothing is measured again.

    Example: linrec-bench plot results/long_seq/20260101-120000-ab12 --style slides --theme dark
    """
    from linrec_bench import console, figures
    from linrec_bench.results import store

    runs = [store.open_run(folder) for folder in folders or []] or store.latest_runs(results)
    if not runs:
        raise ValueError(f"{results}: no runs to draw; make one with `linrec-bench run quick`")
    looks = figures.style_of(style, theme)
    for stored in runs:
        target = out or stored.folder / "figures"
        drawn = figures.draw_all(stored.samples(), stored.summary(), target, style=looks)
        console.show_figures(stored, drawn)
