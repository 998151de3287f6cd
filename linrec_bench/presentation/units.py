"""The unit that a time or an amount is told in: the one in which it has at most three digits. Pure."""

from __future__ import annotations

_TIMES = ((1e-6, 1e-9, "ns"), (1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min"))
"""Below each bound in seconds, the seconds of one unit and its name."""

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def time_unit(value_s: float) -> tuple[float, str]:
    """The seconds of one unit, and its name; what would round up to a bound has the unit beyond it."""
    for bound, factor, unit in _TIMES:
        if value_s < bound * 0.9995:
            return factor, unit
    return 3600.0, "h"


def byte_unit(value_bytes: float) -> tuple[float, str]:
    """The bytes of one binary unit, and its name."""
    for power, unit in enumerate(_BYTES):
        if value_bytes < 999.5 * 1024**power:
            return 1024.0**power, unit
    return 1024.0 ** (len(_BYTES) - 1), _BYTES[-1]
