"""`linrec-bench calibrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from linrec_bench.cli.options import CALIBRATION, RESULTS, Device, Json, ResultsRoot


def command(
    rounds: Annotated[int, typer.Option(metavar="N", help="Processes per case.", min=2)] = 30,
    device: Device = "auto",
    results: ResultsRoot = RESULTS,
    as_json: Json = False,
) -> None:
    """Measure the noise of timed checks here.

    Prints how often a timed check would raise a false alarm on this machine, and how large a slowdown it
    detects. Writes the recommended margin to `calibration.json` in the results folder, where `check` and
    `compare` read it. Takes about three minutes.

    Example: `linrec-bench calibrate`
    """
    from linrec_bench import terminal
    from linrec_bench.commands.calibrate import calibrate

    path = results / CALIBRATION
    with terminal.counter("calibrating") as on_trial:
        found = calibrate(path, device=device, rounds=rounds, on_trial=on_trial)
    if as_json:
        print(found.to_json())
    else:
        terminal.show_entries(found.entries())
        terminal.say(f"margin for timed ratios: {found.margins['time']}; written to {path}")
