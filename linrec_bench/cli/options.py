"""Arguments and options that several verbs share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

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
        metavar="DEVICE",
        help="Device to measure on: `cpu`, `cuda`, `cuda:1`, or several such as `cuda:0,cuda:1`, with one "
        "trial on each at a time; `auto` is the accelerator where there is one, else the CPU.",
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
        metavar="SHARE",
        help="Allowed relative change of time ratios, such as 0.1 (default: as recommended by `calibrate`).",
        min=0,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout, in place of tables.")]


class Verb(TyperCommand):
    """A verb whose help shows no Python types: flags have none, and arguments are told by their names."""

    # Any: types of typer's own.
    def get_params(self, ctx: Any) -> list[Any]:
        """As typer makes them."""
        params = super().get_params(ctx)
        for param in params:
            if isinstance(param, TyperOption) and param.is_flag:
                param.metavar = ""
            elif isinstance(param, TyperArgument):
                vars(param)["display_type_rich"] = lambda **_: None
        return params


RESULTS = Path("results")
CALIBRATION = "calibration.json"
"""File name inside the results folder; written by `calibrate`, read by `check` and `compare`."""
