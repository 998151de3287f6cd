"""Numbers as a person reads them: three significant digits and a unit. Pure."""

from __future__ import annotations

import math

from linrec_bench.presentation.units import byte_unit, time_unit


def seconds(value: float) -> str:
    """Three significant digits with a unit: `812 µs`, `1.2 ms`, `3.4 min`; `-` for NaN."""
    return _scaled(value, *time_unit(value))


def time_left(value: float) -> str:
    """A wait, no finer than anybody plans by: `under 1 s`, `42 s`, `3.4 min`."""
    return "under 1 s" if value < 1 else seconds(round(value) if value < 120 else value)


def amount(value: float) -> str:
    """Bytes with a binary unit, three significant digits; `-` for NaN."""
    return _scaled(value, *byte_unit(value))


def _scaled(value: float, factor: float, unit: str) -> str:
    if math.isnan(value):
        return "-"
    scaled = value / factor
    return f"{scaled:.3g} {unit}" if scaled < 999.5 else f"{scaled:.0f} {unit}"
