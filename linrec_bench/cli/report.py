"""`linrec-bench report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import RESULTS, Json, ResultsRoot
from linrec_bench.whole_file import replaced


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
            metavar="FILE",
            help="HTML file (default: `report.html` in the folder that is given, or in `--results`).",
        ),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a short summary as Markdown, for a pull request."),
    ] = None,
    results: ResultsRoot = RESULTS,
    as_json: Json = False,
) -> None:
    """Write one HTML page about stored runs.

    The page is one self-contained file. Reads stored results; measures nothing. Skips runs that cannot be
    read, with a message; exit 2 if none remains. With `--json`, prints findings and tables; writes the page
    only if `--out` is given.

    Example: `linrec-bench report results/long_seq/20260101-120000-ab12 --markdown summary.md`
    """
    from linrec_bench import report, terminal
    from linrec_bench.commands.run_json import run_record

    sources, notes = report.gather(folders) if folders else report.newest(results)
    for note in [*notes, *(f"{source.run.folder}: {note}" for source in sources for note in source.notes)]:
        terminal.say(note)
    if not sources:
        raise ValueError(f"{'no run is' if folders else f'{results}: no runs'} left to report")
    if as_json:
        records = [
            run_record(
                source.run.folder, source.summary, reference=source.reference, differences=source.quality
            )
            for source in sources
        ]
        print(json.dumps(records, indent=2))
    files: dict[Path, str] = {}
    if out is not None or not as_json:
        several = folders[0] if folders and len(folders) == 1 else results
        target = out or (sources[0].run.folder if len(sources) == 1 else several) / "report.html"
        files[target] = report.html(sources, notes)
    if markdown is not None:
        files[markdown] = report.markdown(sources, notes)
    for path, text in files.items():
        with replaced(path, make_folder=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
        if as_json:
            terminal.say(str(path))
        else:
            print(path)
