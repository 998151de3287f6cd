"""What a terminal shows: the help of every verb, by typer's own generator, and the output in the README."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rich.text import Text

from linrec_bench.results.store import Run
from linrec_bench.suite.load import parse
from linrec_bench.terminal import out, show_summary

QUICK = Path(__file__).parents[2] / "results" / "reference" / "cpu" / "quick"
WIDTH = 80
TASKS = ("core", "recommend")
"""Tasks of the suite that the README shows."""


def verbs() -> str:
    """A section for each verb, without the title of the page."""
    command = [sys.executable, "-m", "typer", "linrec_bench.cli", "utils", "docs", "--name", "linrec-bench"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return page[page.index("\n**Usage**") :].rstrip() + "\n\n"


def quick() -> str:
    """The end of `linrec-bench run quick` as a block of text, made from the summary of the reference run."""
    run = Run(QUICK)
    suite = parse(run.suite_text(), name="suite.yaml", stem="quick", device=run.device())
    summary = run.summary()
    width, out.width = out.width, WIDTH
    try:
        with out.capture() as captured:
            show_summary(summary[summary["task"].isin(TASKS)], suite)
    finally:
        out.width = width
    lines = Text.from_ansi(captured.get()).plain.splitlines()
    return "\n" + "\n".join(f"    {line}".rstrip() for line in lines) + "\n\n"
