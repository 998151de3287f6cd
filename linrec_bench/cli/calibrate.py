"""`linrec-bench calibrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from linrec_bench.cli.options import CALIBRATION, RESULTS, Device, Json, ResultsRoot


def command(
    rounds: Annotated[int, typer.Option(help="Fresh processes of each case.", min=2)] = 30,
    device: Device = "auto",
    results: ResultsRoot = RESULTS,
    as_json: Json = False,
) -> None:
    """Measure how often timed checks would cry wolf on this machine, and what they would catch.

    The recommended margin goes to RESULTS/calibration.json, where `check` finds it. About three minutes.

    Example: linrec-bench calibrate
    """
    from linrec_bench import terminal
    from linrec_bench.commands import run

    path = results / CALIBRATION
    with terminal.counter("calibrating") as on_trial:
        found = run.calibrate(path, device=device, rounds=rounds, on_trial=on_trial)
    if as_json:
        print(found.to_json())
    else:
        terminal.show_entries(found.entries())
        terminal.say(f"margin for timed ratios: {found.margins['time']}; written to {path}")
