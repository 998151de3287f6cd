"""`linrec-bench plot`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import RESULTS, ResultsRoot
from linrec_bench.whole_file import inside

if TYPE_CHECKING:
    from linrec_bench.report import Source


class Format(StrEnum):
    """Output formats; an enum, because typer accepts no list of literals."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of runs, suites or results (default: the newest run of every suite).",
            metavar="RUN",
            autocompletion=completion.runs,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the figures, with one for each of several runs (default: `figures` in each run).",
        ),
    ] = None,
    style: Annotated[Literal["paper", "slides"], typer.Option(help="Text and line size.")] = "paper",
    theme: Annotated[Literal["light", "dark"], typer.Option(help="Figure background.")] = "light",
    format_: Annotated[
        list[Format] | None,
        typer.Option("--format", metavar="png|svg|pdf", help="Output format; repeatable (default: all)."),
    ] = None,
    results: ResultsRoot = RESULTS,
) -> None:
    """Draw the figures of stored runs.

    Reads stored results; measures nothing. Skips runs that cannot be read, with a message; exit 2 if none
    remains. Where a run holds only its summary, skips the figures that need raw samples, with a message.

    Example: `linrec-bench plot results/long_seq/20260101-120000-ab12 --style slides --theme dark`
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
        # Figures of two runs have the same names.
        own = out if out is None or len(sources) == 1 else out / _name(source, sources)
        target = own or inside(source.run.folder, "figures")
        drawn = figures.draw_all(
            source.rows, source.summary, target, style=looks, formats=format_ or figures.FORMATS
        )
        terminal.show_figures(source.run, drawn)


def _name(source: Source, sources: Sequence[Source]) -> str:
    """That of the run's folder, after the suite's where several have the same."""
    folder = source.run.folder.resolve()
    same = [other for other in sources if other.run.folder.resolve().name == folder.name]
    return folder.name if len(same) == 1 else f"{folder.parent.name}-{folder.name}"
