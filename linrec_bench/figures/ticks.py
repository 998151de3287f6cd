"""Where log axes have their ticks: at round numbers."""

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


def formatter(form: Callable[[float], str]) -> FuncFormatter:
    """A tick formatter of a function of the value alone."""
    return FuncFormatter(lambda value, _: form(value))
