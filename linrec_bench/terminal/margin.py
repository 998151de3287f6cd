"""Which margin timed ratios get, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linrec_bench.execution.executors.local import STEADY_ALLOCATOR
from linrec_bench.gate import calibration
from linrec_bench.results import environment
from linrec_bench.terminal.streams import say

DEFAULT_MARGIN = 0.25
"""For timed ratios where nothing was calibrated."""


def margin_for(given: float | None, path: Path, device: Mapping[str, object]) -> float:
    """The margin for timed ratios on a device of these facts: as given, as calibrated in `path`, or the
    default where nothing was calibrated; says which.

    Raises `ValueError` where the calibration found no margin at which unchanged code holds.
    """
    if given is not None:
        return given
    if not path.is_file():
        say(f"timed ratios: margin {DEFAULT_MARGIN:.0%}; `linrec-bench calibrate` finds that of this machine")
        return DEFAULT_MARGIN
    found = calibration.read(path)
    differs = found.differs(environment.describe(device=device, allocator=STEADY_ALLOCATOR))
    if differs:
        say(f"{path}: calibrated elsewhere ({', '.join(differs)} differ); margins may not hold here")
    margin = found.margins["time"]
    if margin is None:
        raise ValueError(
            f"{path}: unchanged code held at no margin that was tried, so that timed ratios decide nothing; "
            "calibrate again on a quieter machine, or give --margin"
        )
    return margin
