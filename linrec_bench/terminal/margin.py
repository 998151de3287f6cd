"""Which margin timed ratios get, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linrec_bench.execution.server import STEADY_ALLOCATOR
from linrec_bench.gate import calibration
from linrec_bench.results import environment
from linrec_bench.terminal.streams import say


def margin_for(given: float | None, path: Path, device: Mapping[str, object], *, suite: str) -> float:
    """The margin for timed ratios of `suite` on a device of these facts: as given, or as calibrated in
    `path`; says where it was calibrated otherwise.

    Raises `ValueError` where nothing was calibrated, and where the calibration found no margin.
    """
    if given is not None:
        return given
    if not path.is_file():
        raise ValueError(
            f"--timed: {path} does not exist, so that no margin of this machine is known; make it with "
            f"`linrec-bench calibrate {suite}`, or give --margin"
        )
    found = calibration.read(path)
    differs = found.differs(environment.describe(device=device, allocator=STEADY_ALLOCATOR))
    if differs:
        say(f"{path}: calibrated elsewhere ({', '.join(differs)} differ); margins may not hold here")
    if found.suite != suite:
        lines = f"the lines of {found.suite}" if found.suite else "lines of its own"
        say(f"{path}: calibrated with {lines}; `linrec-bench calibrate {suite}` does with those of {suite}")
    margin = found.margins["time"]
    if margin is None:
        raise ValueError(
            f"{path}: unchanged code held at no margin that was tried, so that timed ratios decide nothing; "
            "calibrate again on a quieter machine, or give --margin"
        )
    return margin
