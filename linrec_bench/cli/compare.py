"""`linrec-bench compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import CALIBRATION, Json, Margin

Before = Annotated[
    Path,
    typer.Argument(
        help="Baseline run, or folder of a suite, whose newest run counts.",
        metavar="A",
        autocompletion=completion.runs,
    ),
]
After = Annotated[
    Path | None,
    typer.Argument(
        help="Run to compare with A (default: compare two mechanisms of A).",
        metavar="B",
        autocompletion=completion.runs,
    ),
]
Mechanism = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Mechanism to compare; with two runs, compare only this one.",
        autocompletion=completion.mechanisms,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="With one run: the mechanism to compare `--attention` with."),
]
QualityMargin = Annotated[
    float,
    typer.Option(
        metavar="DIFFERENCE", help="Allowed absolute change of test metrics such as NDCG@10.", min=0
    ),
]
Target = Annotated[
    float | None,
    typer.Option(
        metavar="NDCG",
        help="Report the training cost of reaching this validation NDCG@10 (default: the lowest best value).",
    ),
]


def command(
    a: Before,
    b: After = None,
    attention: Mechanism = None,
    against: Against = None,
    margin: Margin = None,
    quality_margin: QualityMargin = 0.005,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Compare two runs, or two mechanisms of one.

    Reads stored results; measures nothing. Exit 0: nothing is worse in B. 1: something is worse. 2: usage
    error. 3: undecided. 4: nothing to compare.

    Example: `linrec-bench compare results/quick/20260101-120000-ab12 results/quick/20260102-120000-cd34`

    Example: `linrec-bench compare results/quick/20260101-120000-ab12 --attention linrec --against softmax`
    """
    if b is not None and against is not None:
        raise ValueError("--against is for one run; with two, --attention alone keeps one mechanism")
    if b is None and (attention is None or against is None):
        raise ValueError("one run: expected a second, or --attention NAME --against NAME")
    from linrec_bench import terminal
    from linrec_bench.commands import compare
    from linrec_bench.terminal.comparison_table import show_comparison

    a, b = compare.newest(a, terminal.say), b and compare.newest(b, terminal.say)
    allowed, source = margin, "as given"
    if allowed is None:
        allowed, source = compare.margin_of(b or a, CALIBRATION)
    if b is not None:
        found = compare.runs(
            a, b, attention=attention, margin=allowed, quality_margin=quality_margin, target=target
        )
    else:
        assert attention is not None
        assert against is not None
        found = compare.mechanisms(
            a,
            attention=attention,
            against=against,
            margin=allowed,
            quality_margin=quality_margin,
            target=target,
        )
    for note in found.notes:
        terminal.say(note)
    if as_json:
        print(json.dumps(found.as_record(), indent=2))
    else:
        terminal.say(f"times within {allowed:.0%} count as no difference ({source})")
        show_comparison(found)
    raise typer.Exit(compare.exit_code(found.comparison))
