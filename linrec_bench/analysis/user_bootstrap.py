"""A mean difference with users and seeds as two crossed factors: bootstrap interval and p-value.

Each difference belongs to one user and one seed. The pigeonhole bootstrap (Owen 2007, "The pigeonhole
bootstrap", Annals of Applied Statistics) draws users and seeds, each with replacement, and crosses what was
drawn. Over three seeds it is too narrow, as every bootstrap of few values is: it keeps its shape and gets the
half width

    h = sqrt(t(users - 1)^2 V_users + t(seeds - 1)^2 V_seeds)

where V_users is the variance of the mean of the means of users, V_seeds likewise, and t(n) the quantile of
Student's t with n degrees of freedom. Their interaction counts twice, and each factor has a quantile of its
own, as in the test of Cochran and Cox for unlike variances: the interval covers at least what it says, with
two seeds too, where the degrees of Welch and Satterthwaite cover 90 % in place of 95. The p-value is the
level at which h is the mean. One seed has an interval over users alone, which compares two trained models,
and no p-value: seeds of one mechanism differ as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from linrec_bench.analysis.intervals import LEVEL, RESAMPLES, Array

_MOST_UNITS = 20_000
"""More users than that are drawn in so many random groups, whose sums say the same."""

_BLOCK = 2**22
"""So many weights are drawn at once."""

_LEAST_P = 1e-30
"""Smaller p-values are told as this one."""

Factors = Sequence[tuple[float, int]]
"""The variance that each factor contributes to that of the mean, and its degrees of freedom."""


@dataclass(frozen=True)
class UserDifference:
    """The mean over users and seeds, its 95 % interval and its p-value before any correction.

    `over` says what the interval resamples; it is NaN over nothing, which is fewer than two users. The
    p-value is NaN for one seed. `factors` are those of `reach`.
    """

    mean: float
    low: float
    high: float
    p: float
    users: int
    seeds: int
    over: Literal["users and seeds", "users", "nothing"]
    factors: Factors = ()

    def reach(self, risk: float) -> float:
        """Half of the width of the interval at the level 1 - `risk`; NaN for one seed."""
        return _half_width(self.factors, 1 - risk / 2) if self.seeds > 1 and self.factors else math.nan

    def p_outside(self, margin: float) -> float:
        """As `significance.Effect.p_outside`; NaN for one seed."""
        if self.seeds < 2 or not self.factors:
            return math.nan
        return _p_value(max(abs(self.mean) - margin, 0.0), self.factors)


def crossed(
    differences: Array, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> UserDifference:
    """The mean of differences of [seeds, users]; raises `ValueError` where there are none."""
    seeds, users = differences.shape
    if not differences.size:
        raise ValueError(f"differences of {seeds} seeds and {users} users; expected at least one of each")
    mean = float(differences.mean())
    if users < 2:
        return UserDifference(mean, math.nan, math.nan, math.nan, users, seeds, "nothing")
    of_users = float(differences.mean(axis=0).var(ddof=1)) / users
    of_seeds = float(differences.mean(axis=1).var(ddof=1)) / seeds if seeds > 1 else 0.0
    over: Literal["users and seeds", "users"] = "users and seeds" if seeds > 1 else "users"
    factors = [(of_users, users - 1)] + [(of_seeds, seeds - 1)] * (seeds > 1)
    p = _p_value(mean, factors) if seeds > 1 else math.nan
    if of_users + of_seeds == 0:
        return UserDifference(mean, mean, mean, p, users, seeds, over, factors)
    tail = (1 + level) / 2
    deviations = _draws(differences, resamples, np.random.default_rng(seed)) - mean
    low, high = np.quantile(deviations, [1 - tail, tail])
    wider = 2 * _half_width(factors, 1 - tail) / (high - low)
    low, high = (float(mean + wider * end) for end in (low, high))
    return UserDifference(mean, min(low, mean), max(high, mean), p, users, seeds, over, factors)


def _half_width(factors: Factors, tail: float) -> float:
    """Of the interval that leaves `tail` out on each side."""
    return math.sqrt(sum(float(stdtrit(degrees, tail)) ** 2 * variance for variance, degrees in factors))


def _p_value(mean: float, factors: Factors) -> float:
    """Twice the tail whose half width is the mean; at least `_LEAST_P`, and 0 where nothing varies."""
    if mean == 0 or abs(mean) <= _half_width(factors, 0.5):
        return 1.0
    if not any(variance for variance, _ in factors):
        return 0.0
    if abs(mean) >= _half_width(factors, _LEAST_P / 2):
        return _LEAST_P
    from scipy.optimize import brentq

    log_tail = brentq(
        lambda at: _half_width(factors, math.exp(at)) - abs(mean), math.log(_LEAST_P / 2), math.log(0.5)
    )
    return min(1.0, 2 * math.exp(log_tail))


def _draws(differences: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Means of resamples of users and seeds, independent of each other."""
    seeds, users = differences.shape
    sums = differences
    if users > _MOST_UNITS:
        starts = np.linspace(0, users, _MOST_UNITS, endpoint=False).astype(np.intp)
        sums = np.add.reduceat(differences[:, rng.permutation(users)], starts, axis=1)
    units = sums.shape[1]
    weight_of_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    means = np.empty(resamples)
    step = max(1, _BLOCK // units)
    for start in range(0, resamples, step):
        drawn = slice(start, min(start + step, resamples))
        size = drawn.stop - drawn.start
        weight = rng.multinomial(units, np.full(units, 1 / units), size=size).astype(np.float64)
        means[drawn] = np.einsum("rs,sr->r", weight_of_seed[drawn], sums @ weight.T)
    means /= seeds * users
    return means
