"""Numbers as a reader wants them: three significant digits, one unit for a number and its interval. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from linrec_bench.presentation.units import byte_unit, time_unit

MISSING = "–"
"""Stands where nothing was measured."""


def number(row: Mapping[str, object], column: str) -> float:
    """The number in a row of a summary; NaN where the column or its value is missing."""
    value = row.get(column)
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return math.nan
    return float(value)  # type: ignore[arg-type]


def three(value: float) -> str:
    """`1.50`, `12.3`, `1,234`: three significant digits, or whole."""
    if value != 0 and abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


def seconds(value: float) -> str:
    """`812 µs`, `1.50 ms`, `9.84 min`."""
    return _scaled(value, *time_unit(value))


def amount(value: float) -> str:
    """Bytes with a binary unit: `640 KiB`, `1.44 GiB`."""
    return _scaled(value, *byte_unit(value))


def seconds_interval(value: float, low: float, high: float) -> str:
    """`[0.918, 1.60]` in the unit of the value; empty without an interval."""
    return _interval(low, high, time_unit(value)[0])


def amount_interval(value: float, low: float, high: float) -> str:
    """`[1.40, 1.50]` in the unit of the value; empty without an interval."""
    return _interval(low, high, byte_unit(value)[0])


def ratio(value: float) -> str:
    """`0.312 ×`."""
    return MISSING if math.isnan(value) else f"{three(value)} ×"


def interval(low: float, high: float) -> str:
    """`[0.654, 2.63]`; empty without an interval."""
    return _interval(low, high, 1.0)


def percent(value: float) -> str:
    """A share as `12 %`, small ones as `0.85 %`."""
    return (
        MISSING
        if math.isnan(value)
        else f"{100 * value:.{0 if value >= 0.1 else 1 if value >= 0.01 else 2}f} %"
    )


def whole(value: float) -> str:
    """`16,384`."""
    return MISSING if math.isnan(value) else f"{value:,.0f}"


def metric(value: float) -> str:
    """A ranking metric with four decimals."""
    return MISSING if math.isnan(value) else f"{value:.4f}"


def metric_interval(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"[{low:.4f}, {high:.4f}]"


def _scaled(value: float, factor: float, unit: str) -> str:
    if math.isnan(value):
        return MISSING
    exact = unit == "B" and float(value).is_integer()
    return f"{value:,.0f} B" if exact else f"{three(value / factor)} {unit}"


def _interval(low: float, high: float, factor: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{three(low / factor)}, {three(high / factor)}]"
