"""What a cost chart shows upward: time or peak memory, and which rows hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from linrec_bench.presentation import numbers, words
from linrec_bench.report.ticks import byte_ticks, second_ticks


@dataclass(frozen=True)
class Cost:
    """A cost of the summary; `interval` says whether the columns `_low` and `_high` are there."""

    column: str
    ratio: str
    name: str
    cheaper: str
    interval: bool
    base: int
    ticks: Callable[[Sequence[float]], list[str]]
    said: Callable[[float], str]


COSTS = (
    Cost(
        "time_s",
        "time_ratio",
        words.COST["time_s"],
        words.CHEAPER["time_s"],
        True,
        10,
        second_ticks,
        numbers.duration,
    ),
    Cost(
        "memory_bytes",
        "memory_ratio",
        words.COST["memory_bytes"],
        words.CHEAPER["memory_bytes"],
        False,
        2,
        byte_ticks,
        numbers.memory,
    ),
)


def measured(rows: pd.DataFrame, cost: Cost) -> pd.Series[bool]:
    """Which rows ended ok with a value."""
    return (rows["status"] == "ok") & (rows[cost.column].astype("float64") > 0)


def unmeasured(rows: pd.DataFrame) -> list[str]:
    """The mechanisms with a case that did not end ok, in order: each has its own row of hollow marks."""
    return [str(name) for name in rows.loc[rows["status"] != "ok", "attention"].unique()]
