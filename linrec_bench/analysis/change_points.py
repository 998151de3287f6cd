"""Where a series of noisy numbers changes its level: the split of its ranks that chance does not make.

Of all splits the one is taken whose two sides differ most in mean rank, in units of the standard deviation
that chance gives it (CUSUM of ranks; for one split it is the test of Mann and Whitney). Its p-value is the
share of permutations of the series whose own best split differs as much, so that the choice among splits is
paid for. Sides that are long enough are split again, as E-divisive does (Matteson and James 2014, "A
Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from linrec_bench.analysis.intervals import Array, widening

FEWEST = 5
"""Numbers on either side of a change: four and four cannot be told from chance at 5 % and many series."""

LEVEL = 0.05
RESAMPLES = 2000


@dataclass(frozen=True)
class ChangePoint:
    """Between the numbers `at - 1` and `at` of a series. `ratio` is the median after over the median before,
    of the numbers up to the neighbouring changes, with a 95 % interval."""

    at: int
    ratio: float
    low: float
    high: float
    p_value: float


def change_points(series: Sequence[float], *, level: float = LEVEL, seed: int = 0) -> list[ChangePoint]:
    """The changes of positive numbers, in order; each split has at most the risk `level` of a false one."""
    values = np.asarray(series, dtype=np.float64)
    rng = np.random.default_rng(seed)
    splits: dict[int, float] = {}
    segments = [(0, len(values))]
    while segments:
        start, end = segments.pop()
        at, p_value = _best_split(values[start:end], level, rng)
        if p_value <= level:
            splits[start + at] = p_value
            segments += [(start, start + at), (start + at, end)]
    edges = [0, *sorted(splits), len(values)]
    return [
        _change(values[before:at], values[at:after], at, splits[at], rng)
        for before, at, after in zip(edges, edges[1:], edges[2:], strict=False)
    ]


def _best_split(values: Array, level: float, rng: np.random.Generator) -> tuple[int, float]:
    """A split, and the share of permutations with one as good; 1 where the series is too short."""
    count = len(values)
    if count < 2 * FEWEST:
        return 0, 1.0
    ranks = rankdata(values) - (count + 1) / 2
    # Enough of them that the smallest p-value is far below the level.
    permuted = rng.permuted(np.tile(ranks, (math.ceil(20 / level), 1)), axis=1)
    found, by_chance = _differences(ranks[None])[0], _differences(permuted).max(axis=1)
    at = int(found.argmax())
    return at + FEWEST, float((1 + (by_chance >= found[at]).sum()) / (1 + len(by_chance)))


def _differences(ranks: Array) -> Array:
    """For each split of each row: how far the sum of centred ranks lies from 0, in standard deviations."""
    count = ranks.shape[1]
    before = np.arange(FEWEST, count - FEWEST + 1)
    sums = np.abs(ranks.cumsum(axis=1)[:, before - 1])
    return np.asarray(np.round(sums / np.sqrt(before * (count - before)), 12))


def _change(before: Array, after: Array, at: int, p_value: float, rng: np.random.Generator) -> ChangePoint:
    ratio = float(np.median(after) / np.median(before))
    medians = [
        np.median(side[rng.integers(len(side), size=(RESAMPLES, len(side)))], axis=1)
        for side in (before, after)
    ]
    deviations = np.quantile(np.log(medians[1] / medians[0] / ratio), [0.025, 0.975])
    low, high = ratio * np.exp(widening(min(len(before), len(after))) * deviations)
    return ChangePoint(at, ratio, min(float(low), ratio), max(float(high), ratio), p_value)
