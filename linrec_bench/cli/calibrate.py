"""`linrec-bench calibrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import CALIBRATION, RESULTS, Device, Json, ResultsRoot

SuiteLines = Annotated[
    str | None,
    typer.Argument(
        help="Suite whose timed ratios are calibrated (default: LinRec and softmax at four lengths).",
        metavar="[SUITE]",
        show_default=False,
        autocompletion=completion.suites,
    ),
]


def command(
    suite: SuiteLines = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Processes per case.", min=2)] = 30,
    device: Device = "auto",
    results: ResultsRoot = RESULTS,
    as_json: Json = False,
) -> None:
    """Measure the noise of timed checks here.

    Prints how often a timed check would raise a false alarm on this machine, and how large a slowdown it
    detects. Writes the least margin at which unchanged code passes in 90 % of checks to `calibration.json` in
    the results folder, where `check` and `compare` read it. Takes some minutes.

    Example: `linrec-bench calibrate`
    """
    from linrec_bench import terminal
    from linrec_bench.commands.calibrate import calibrate

    path = results / CALIBRATION
    with terminal.counter("calibrating") as on_trial:
        found = calibrate(path, suite, device=device, rounds=rounds, on_trial=on_trial, on_note=terminal.say)
    if as_json:
        print(found.to_json())
        return
    terminal.show_entries(found.entries())
    margin = found.margins["time"]
    told = "unchanged code held at no margin" if margin is None else f"margin for timed ratios: {margin:.0%}"
    terminal.say(f"{told}; written to {path}")
