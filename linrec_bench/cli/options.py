"""Arguments and options that several verbs share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

SuiteName = Annotated[str, typer.Argument(help="A suite file, or the name of one that ships with the tool.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to measure.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Cases to take, such as 'attention=linrec|softmax seq_len<=4096'."),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key of the suite, such as rounds=1.")
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", help="A Python file with the SPEC of a mechanism of your own."),
]
ResultsRoot = Annotated[Path, typer.Option("--results", help="Folder that holds the runs.")]
Margin = Annotated[
    float | None,
    typer.Option(help="Ratios of times may differ by this share; by default what `calibrate` found.", min=0),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]

RESULTS = Path("results")
CALIBRATION = "calibration.json"
"""In the folder of the runs: what `calibrate` writes and `check` reads."""
