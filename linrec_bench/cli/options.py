"""Arguments and options that several verbs share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli import completion

SuiteName = Annotated[
    str,
    typer.Argument(
        help="Suite file, or name of a suite that ships with linrec-bench.",
        metavar="SUITE",
        autocompletion=completion.suites,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Device to measure on: `cpu`, `cuda`, `cuda:1`, or several such as `cuda:0,cuda:1`, with one "
        "trial on each at a time; `auto` is the accelerator where there is one, else the CPU."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        help="Select cases, such as `attention=linrec|softmax seq_len<=4096`; repeatable, all must hold.",
        metavar="CONDITIONS",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Override a key of the suite, such as `rounds=1`; repeatable.", metavar="KEY=VALUE"
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", help="Load a Python file that defines a mechanism's SPEC; repeatable.", metavar="FILE"
    ),
]
ResultsRoot = Annotated[Path, typer.Option("--results", help="Folder that holds the runs.", metavar="FOLDER")]
Margin = Annotated[
    float | None,
    typer.Option(
        help="Allowed relative change of time ratios, such as 0.1 (default: as recommended by `calibrate`).",
        min=0,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout, in place of tables.")]

RESULTS = Path("results")
CALIBRATION = "calibration.json"
"""File name inside the results folder; written by `calibrate`, read by `check` and `compare`."""
