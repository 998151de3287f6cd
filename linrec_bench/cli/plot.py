"""`linrec-bench plot`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from linrec_bench.cli.options import RESULTS, ResultsRoot


class Format(StrEnum):
    """A kind of file, as typer wants a choice that may be given several times."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


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
    format_: Annotated[
        list[Format] | None,
        typer.Option("--format", help="Kind of file to write; may be given several times. By default all."),
    ] = None,
    results: ResultsRoot = RESULTS,
) -> None:
    """Draw the figures of stored runs as PNG, SVG and PDF; nothing is measured again.

    Runs that cannot be read are named and left out; exit 2 when none is left. Where only a summary is stored,
    the figures that need raw samples are named and left out.

    Example: linrec-bench plot results/long_seq/20260101-120000-ab12 --style slides --theme dark
    """
    from linrec_bench import figures, report, terminal

    sources, notes = report.gather(folders) if folders else report.newest(results)
    if len(notes) == 1 and not sources:
        raise ValueError(notes[0])
    for note in [*notes, *(f"{source.run.folder}: {note}" for source in sources for note in source.notes)]:
        terminal.say(note)
    if not sources:
        raise ValueError(
            "no run is left to draw"
            if folders
            else f"{results}: no runs to draw; make one with `linrec-bench run quick`"
        )
    looks = figures.style_of(style, theme)
    for source in sources:
        target = out or source.run.folder / "figures"
        drawn = figures.draw_all(
            source.rows, source.summary, target, style=looks, formats=format_ or figures.FORMATS
        )
        terminal.show_figures(source.run, drawn)
