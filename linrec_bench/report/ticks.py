"""Ticks of the charts: the numbers of the figures, with texts in one unit where the range is short. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from linrec_bench.presentation.numbers import duration_tick, memory_tick
from linrec_bench.report.charts import Linear, Log, Tick

SHORT = 8.0
"""A range up to this factor is told in one unit."""

Texts = Callable[[Sequence[float]], list[str]]


def ticks(values: Sequence[float], axis: Log | Linear, texts: Texts) -> tuple[Tick, ...]:
    """A tick at each value of an axis."""
    return tuple(Tick(axis(value), text) for value, text in zip(values, texts(values), strict=True))


def second_ticks(values: Sequence[float]) -> list[str]:
    """`10 ms`, `1 s`."""
    return [duration_tick(value) for value in values]


def byte_ticks(values: Sequence[float]) -> list[str]:
    """`64 KiB`, `2 GiB`; a short range in the unit of its least value: `1,000 MiB`, `1,200 MiB`."""
    if not values or max(values) / min(values) > SHORT:
        return [memory_tick(value) for value in values]
    power = max(power for power in range(5) if power == 0 or min(values) >= 1024**power * 0.999)
    unit = ("B", "KiB", "MiB", "GiB", "TiB")[power]
    return [f"{round(value / 1024**power, 3):,.10g} {unit}" for value in values]


def metric_ticks(values: Sequence[float]) -> list[str]:
    """With as many decimals as tell neighbours apart: `0.15`, `0.16`."""
    decimals = next((n for n in range(2, 6) if len({f"{v:.{n}f}" for v in values}) == len(values)), 5)
    exact = next((n for n in range(decimals, 6) if all(abs(round(v, n) - v) < 1e-9 for v in values)), 5)
    return [f"{value:.{exact}f}" for value in values]
