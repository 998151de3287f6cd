"""Numbers with units, as a person reads them. Pure.

What was measured has three significant digits (`1.50 ms`), and its interval stands in the same unit
(`[1.42, 1.61]`); a ranking metric has four decimals (`0.1720`); a count has all its digits (`16,384`). A tick
of an axis is a round number and has the digits that it needs (`2 ms`). `MISSING` stands for NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable

MISSING = "-"

_DURATIONS = (
    (1e-6, 1e-9, "ns"),
    (1e-3, 1e-6, "µs"),
    (1.0, 1e-3, "ms"),
    (120.0, 1.0, "s"),
    (7200.0, 60.0, "min"),
    (math.inf, 3600.0, "h"),
)
_MEMORY = (
    (1e3, 1.0, "B"),
    (1e3 * 2.0**10, 2.0**10, "KiB"),
    (1e3 * 2.0**20, 2.0**20, "MiB"),
    (1e3 * 2.0**30, 2.0**30, "GiB"),
    (math.inf, 2.0**40, "TiB"),
)
_ENERGIES = (
    (1e-3, 1e-6, "µJ"),
    (1.0, 1e-3, "mJ"),
    (1e3, 1.0, "J"),
    (1e6, 1e3, "kJ"),
    (math.inf, 1e6, "MJ"),
)
"""Below each bound, the size of one unit and its name."""

Units = tuple[tuple[float, float, str], ...]


def three_digits(value: float) -> str:
    """`1.50`, `12.3`, `1,234`: three significant digits, or whole."""
    if math.isnan(value):
        return MISSING
    if value != 0 and abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


def two_digits(value: float) -> str:
    """`0.42`, `3.1`, `120`: two significant digits, or whole."""
    if math.isnan(value):
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 9.95 else f"{value:#.2g}"


def interval(low: float, high: float, form: Callable[[float], str] = three_digits) -> str:
    """`[0.654, 2.63]`; empty without an interval."""
    return "" if math.isnan(low) or math.isnan(high) else f"[{form(low)}, {form(high)}]"


def duration(value_s: float) -> str:
    """`812 µs`, `1.50 ms`, `9.84 min`."""
    return _scaled(value_s, _DURATIONS)


def duration_interval(value_s: float, low_s: float, high_s: float) -> str:
    """`[0.918, 1.60]` in the unit of the value; empty without an interval."""
    factor, _ = _unit(value_s, _DURATIONS)
    return interval(low_s / factor, high_s / factor)


def time_left(value_s: float) -> str:
    """A wait, no finer than anybody plans by: `under 1 s`, `42 s`, `3.4 min`."""
    if value_s < 1:
        return "under 1 s"
    if value_s < 120:
        return f"{value_s:.0f} s"
    factor, unit = _unit(value_s, _DURATIONS)
    return f"{two_digits(value_s / factor)} {unit}"


def memory(value_bytes: float) -> str:
    """Bytes with a binary unit: `160 B`, `640 KiB`, `1.44 GiB`."""
    if abs(value_bytes) < _MEMORY[0][0] and float(value_bytes).is_integer():
        return f"{value_bytes:,.0f} B"
    return _scaled(value_bytes, _MEMORY)


def memory_interval(value_bytes: float, low_bytes: float, high_bytes: float) -> str:
    """`[1.40, 1.50]` in the unit of the value; empty without an interval."""
    factor, _ = _unit(value_bytes, _MEMORY)
    return interval(low_bytes / factor, high_bytes / factor)


def energy(value_j: float) -> str:
    """`20.1 mJ`, `5.00 J`, `2.31 kJ`."""
    return _scaled(value_j, _ENERGIES)


def ratio(value: float) -> str:
    """`0.312x`."""
    return MISSING if math.isnan(value) else f"{three_digits(value)}x"


def short_ratio(value: float) -> str:
    """`0.31x`, `2.5x`, `120x`: for sentences."""
    return MISSING if math.isnan(value) else f"{two_digits(value)}x"


def percent(value: float) -> str:
    """A share as `12%`, small ones as `2.4%` and `0.85%`."""
    if math.isnan(value):
        return MISSING
    decimals = 0 if abs(value) >= 0.1 or value == 0 else 1 if abs(value) >= 0.01 else 2
    return f"{value:.{decimals}%}"


def whole(value: float) -> str:
    """`16,384`."""
    return MISSING if math.isnan(value) else f"{value:,.0f}"


def length(value: float) -> str:
    """A sequence length that was estimated, `?` where it is unknown: to tens, from 10,000 on to three
    significant digits, since a crossing is not known better."""
    if math.isnan(value):
        return "?"
    digits = max(1, math.floor(math.log10(value)) - 2)
    return f"{round(value, -digits):,.0f}"


def metric(value: float) -> str:
    """A ranking metric: `0.1720`."""
    return MISSING if math.isnan(value) else f"{value:.4f}"


def signed_metric(value: float) -> str:
    """A difference of a ranking metric: `+0.0123`, `-0.0056`."""
    return MISSING if math.isnan(value) else f"{value:+.4f}"


def p_value(value: float) -> str:
    """`0.0123`, `<0.0001`."""
    return "<0.0001" if value < 0.0001 else metric(value)


def p_equals(value: float) -> str:
    """`p = 0.0123`, `p < 0.0001`."""
    text = p_value(value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def counted(number: int, word: str) -> str:
    """`1 seed`, `1,024 cases`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def duration_tick(value_s: float) -> str:
    """`50 µs`, `2 ms`, `30 s`, `1,200 s`: axes of time have no minutes, so that their steps are round."""
    if value_s == 0:
        return "0 s"
    return _tick(value_s, (*_DURATIONS[:3], (math.inf, 1.0, "s")))


def memory_tick(value_bytes: float) -> str:
    """`64 KiB`, `2 GiB`."""
    return _tick(value_bytes, tuple((factor * 1024, factor, unit) for _, factor, unit in _MEMORY))


def energy_tick(value_j: float) -> str:
    """`20 mJ`, `5 J`, `2 kJ`."""
    return _tick(value_j, _ENERGIES)


def _unit(value: float, units: Units) -> tuple[float, str]:
    """The size of the unit in which a value has at most three digits, and its name; what would round up to a
    bound has the unit beyond it."""
    return next(
        ((factor, unit) for bound, factor, unit in units if abs(value) < bound * 0.9995), units[-1][1:]
    )


def _scaled(value: float, units: Units) -> str:
    if math.isnan(value):
        return MISSING
    factor, unit = _unit(value, units)
    return f"{three_digits(value / factor)} {unit}"


def _tick(value: float, units: Units) -> str:
    # A tick that should be 1 ms may arrive as 0.9999999 ms.
    factor, unit = next((each[1:] for each in units if value < each[0] * 0.999), units[-1][1:])
    scaled = value / factor
    return f"{scaled:.3g} {unit}" if scaled < 999.5 else f"{scaled:,.0f} {unit}"
