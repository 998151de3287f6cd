"""Quality against a cost: which mechanisms none other beats in both, and what the seeds can say of it."""

from __future__ import annotations

import math

import pandas as pd

from linrec_bench.analysis.seeds import VARIANT

SETTING = tuple(column for column in VARIANT if column != "attention")
"""What mechanisms share that compete with each other."""

COSTS = ("train_time_s", "memory_bytes", "peak_process_bytes", "energy_j")

STANDINGS = ("front", "undecided", "dominated")


def pareto(variants: pd.DataFrame, *, cost: str = "train_time_s", quality: str = "ndcg@10") -> pd.DataFrame:
    """The rows of `seeds.across_seeds` that have both numbers, with `standing` and `dominated_by`.

    `front`: no other mechanism of the setting has a mean quality at least as high for a mean cost at most as
    high, one of them strictly. `dominated`: another one has, and the intervals over seeds say so on both
    axes: the lower end of its quality is not below the upper end here, nor the upper end of its cost above
    the lower end here. `undecided`: the means are dominated, but intervals overlap, or there are none (a
    single seed). Two 95 % intervals that do not overlap are stricter than a test of the difference at 5 %.
    `dominated_by` names the mechanism with the best quality among those that dominate.

    Raises `ValueError` when the table lacks one of the columns.
    """
    for column in (quality, cost):
        if column not in variants:
            raise ValueError(
                f"no column {column!r} among the variants; expected a metric and a cost of theirs"
            )
    known = variants[variants[quality].notna() & variants[cost].notna()]
    standings: dict[object, tuple[str, str]] = {}
    for _, rows in known.groupby(list(SETTING), sort=False, dropna=False):
        points = {index: _Point(row, quality, cost) for index, row in rows.iterrows()}
        standings |= {index: _standing(point, list(points.values())) for index, point in points.items()}
    found = [standings[index] for index in known.index]
    return known.assign(
        standing=[standing for standing, _ in found], dominated_by=[other for _, other in found]
    )


class _Point:
    """Mean and interval of quality and cost of one variant."""

    def __init__(self, row: pd.Series, quality: str, cost: str) -> None:
        self.label = str(row["system"])
        self.quality, self.quality_low, self.quality_high = _three(row, quality)
        self.cost, self.cost_low, self.cost_high = _three(row, cost)

    def beats(self, other: _Point) -> bool:
        """Whether the means say so."""
        no_worse = self.quality >= other.quality and self.cost <= other.cost
        return no_worse and (self.quality > other.quality or self.cost < other.cost)

    def surely_beats(self, other: _Point) -> bool:
        """Whether the intervals say so; comparisons with a missing end are False."""
        return (
            self.quality_low >= other.quality_high and self.cost_high <= other.cost_low and self.beats(other)
        )


def _three(row: pd.Series, column: str) -> tuple[float, float, float]:
    value, low, high = (float(row.get(f"{column}{end}", math.nan)) for end in ("", "_low", "_high"))
    return value, low, high


def _standing(point: _Point, points: list[_Point]) -> tuple[str, str]:
    better = sorted((other for other in points if other.beats(point)), key=lambda other: -other.quality)
    sure = [other for other in better if other.surely_beats(point)]
    if sure:
        return "dominated", sure[0].label
    return ("undecided", better[0].label) if better else ("front", "")
