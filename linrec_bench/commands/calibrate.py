"""`linrec-bench calibrate`, without its printing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from linrec_bench.execution import executors
from linrec_bench.execution.devices import locate
from linrec_bench.execution.executors.local import STEADY_ALLOCATOR
from linrec_bench.gate import calibration
from linrec_bench.results import environment


def calibrate(
    path: Path, *, device: str, rounds: int, on_trial: Callable[[int, int], None]
) -> calibration.Calibration:
    """Calibrate the timed gate on this machine and write the margins to `path`."""
    located = locate(device)
    described = environment.describe(
        device=located.facts, device_state=located.state, allocator=STEADY_ALLOCATOR
    )
    with closing(executors.start(devices=located.names)) as executor:
        measured = calibration.calibrate(
            executor,
            device=located.kind,
            environment=described,
            now=datetime.now(),
            rounds=rounds,
            rounds_a_side=max(1, min(5, rounds // 2)),
            on_trial=on_trial,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    calibration.write(path, measured)
    return measured
