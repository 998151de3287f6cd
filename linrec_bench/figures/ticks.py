"""Ticks of log axes: round numbers, in the unit that a person would say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.ticker import FuncFormatter, MaxNLocator


def log_ticks(low: float, high: float, *, base: int, least: int = 3) -> list[float]:
    """Round numbers between low and high for a log axis: the sparsest choice that has at least `least`.

    Every eighth to every power of the base, then round multiples, in a short range evenly spaced numbers.
    """
    exponents = range(math.floor(math.log(low, base)) - 4, math.ceil(math.log(high, base)) + 1)
    multiples = ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)) if base == 10 else ((1.0, 1.5),)
    choices = [*((step, (1.0,)) for step in range(8, 0, -1)), *((1, factors) for factors in multiples)]
    for step, factors in choices:
        powers = [float(base) ** k for k in exponents if k % step == 0]
        ticks = [factor * power for power in powers for factor in factors if low <= factor * power <= high]
        if len(ticks) >= least:
            return ticks
    unit = 1.0 if base == 10 else 1024.0 ** math.floor(math.log(low, 1024))
    even = MaxNLocator(4).tick_values(low / unit, high / unit)
    return [float(tick) * unit for tick in even if low <= tick * unit <= high]


def few(ticks: Sequence[float], most: int = 5) -> list[float]:
    """At most `most` of the ticks, evenly chosen, so that their words stand clear of each other."""
    return list(ticks[:: -(-len(ticks) // most)])


def seconds(value: float) -> str:
    """`50 µs`, `2 ms`, `30 s`: a tick of a time axis."""
    if value == 0:
        return "0 s"
    for bound, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1, 1e3, "ms")):
        # A tick that should be 1 ms may arrive as 0.9999999 ms.
        if value < bound * 0.999:
            return f"{value * factor:.3g} {unit}"
    return f"{value:,.3g} s" if value < 1000 else f"{value:,.0f} s"


def amount(value: float) -> str:
    """`64 KiB`, `2 GiB`: a tick of a memory axis."""
    for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB")):
        if value < 1024 ** (power + 1) * 0.999 or unit == "TiB":
            return f"{value / 1024**power:.3g} {unit}"
    raise AssertionError("unreachable")


def joules(value: float) -> str:
    """`20 mJ`, `5 J`, `2 kJ`: a tick of an axis of energy."""
    for bound, factor, unit in ((1e-3, 1e6, "µJ"), (1, 1e3, "mJ"), (1e3, 1, "J"), (1e6, 1e-3, "kJ")):
        if value < bound * 0.999:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e-6:,.3g} MJ"


def formatter(form: Callable[[float], str]) -> FuncFormatter:
    """A tick formatter of a function of the value alone."""
    return FuncFormatter(lambda value, _: form(value))
