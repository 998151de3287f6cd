"""`linrec-bench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli.options import RESULTS, ResultsRoot


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Runs to report; without any, the newest of every suite.", metavar="RUN"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The HTML file; by default `report.html` inside the run, or beside several."),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write a short summary in Markdown, for a pull request.")
    ] = None,
    results: ResultsRoot = RESULTS,
) -> None:
    """Write one self-contained HTML page about stored runs; nothing is measured again.

    Runs that cannot be read are named and left out; exit 2 when none is left.

    Example: linrec-bench report results/long_seq/20260101-120000-ab12 --markdown summary.md
    """
    from linrec_bench import report, terminal

    sources, notes = report.gather(folders) if folders else report.newest(results)
    for note in [*notes, *(f"{source.run.folder}: {note}" for source in sources for note in source.notes)]:
        terminal.say(note)
    if not sources:
        raise ValueError(f"{'no run is' if folders else f'{results}: no runs'} left to report")
    target = out or (sources[0].run.folder if len(sources) == 1 else results) / "report.html"
    files = {target: report.html(sources, notes)}
    if markdown is not None:
        files[markdown] = report.markdown(sources, notes)
    for path, text in files.items():
        report.write_whole(path, text)
        print(path)
