"""Numbers as a person reads them: three significant digits and a unit. Pure."""

from __future__ import annotations

import math


def seconds(value: float) -> str:
    """Three significant digits with a unit: `812 µs`, `1.2 ms`, `3.4 min`; `-` for NaN."""
    if math.isnan(value):
        return "-"
    for bound, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if value < bound:
            return f"{_three(value * factor)} {unit}"
    return f"{_three(value / 3600)} h"


def time_left(value: float) -> str:
    """A wait, no finer than anybody plans by: `under 1 s`, `42 s`, `3.4 min`."""
    return "under 1 s" if value < 1 else seconds(round(value) if value < 120 else value)


def amount(value: float) -> str:
    """Bytes with a binary unit, three significant digits; `-` for NaN."""
    if math.isnan(value):
        return "-"
    for power, unit in ((0, "B"), (1, "KiB"), (2, "MiB")):
        if value < 1000 * 1024**power:
            return f"{_three(value / 1024**power)} {unit}"
    return f"{_three(value / 1024**3)} GiB"


def _three(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"
