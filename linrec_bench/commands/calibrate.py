"""`linrec-bench calibrate`, without its printing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from linrec_bench.commands import run
from linrec_bench.execution import executors
from linrec_bench.execution.devices import locate
from linrec_bench.execution.server import STEADY_ALLOCATOR
from linrec_bench.gate import calibration
from linrec_bench.gate.baseline_verdicts import timed_pairs
from linrec_bench.results import environment


def calibrate(
    path: Path,
    suite: str | None,
    *,
    device: str,
    rounds: int,
    on_trial: Callable[[int, int], None],
    on_note: Callable[[str], None] = lambda _: None,
) -> calibration.Calibration:
    """Calibrate the timed gate on this machine, with the timed ratios of `suite` where one is named, and
    write the margins to `path`; `on_note` as in `run.prepare`. Raises `ValueError` (one line) for a suite
    without such ratios."""
    planned = run.prepare(suite, device=device, on_note=on_note) if suite else None
    located = planned.located if planned else locate(device)
    pairs = calibration.own_pairs(located.kind)
    if planned:
        pairs = timed_pairs(planned.suite, planned.jobs)
        if not pairs:
            raise ValueError(
                f"{suite}: no case measures time beside its reference mechanism; nothing to calibrate"
            )
    described = environment.describe(
        device=located.facts, device_state=located.state, allocator=STEADY_ALLOCATOR
    )
    with closing(executors.start(devices=located.names)) as executor:
        measured = calibration.calibrate(
            executor,
            pairs,
            suite=planned.suite.name if planned else "",
            environment=described,
            now=datetime.now(),
            rounds=rounds,
            on_trial=on_trial,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    calibration.write(path, measured)
    return measured
