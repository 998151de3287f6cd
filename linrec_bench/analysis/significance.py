"""Is a difference real? Student's t over few replicates, and Holm's correction over a family of tests.

A replicate is a process (a round) or a seed, never a sample inside one. What varies by factors (times) is
tested in logarithms. With n replicates the t distribution has n - 1 degrees of freedom, so that two or three
of them need a large effect. Across two runs, whose replicates are not paired, n is that of the smaller side:
a lower bound of Welch's degrees, with which the test never errs too often, however the variances differ
(Mickey and Brown 1966, "Bounds on the distribution functions of the Behrens-Fisher statistic"); Welch's own
reach 9 % instead of 5 with three rounds a side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import stdtr, stdtrit

from linrec_bench.analysis.intervals import Array


@dataclass(frozen=True)
class Effect:
    """An estimated difference, its standard error and the degrees of freedom of its t distribution.

    All are NaN where a side has fewer than two replicates: the error is then unknown.
    """

    estimate: float
    error: float
    degrees: float

    def p_outside(self, margin: float) -> float:
        """Two-sided p-value of "the true difference lies within -margin .. margin".

        Twice the smaller tail beyond either end: exact for a margin of 0, an upper bound for a wider one.
        NaN where the error is unknown. Raises `ValueError` for a margin below 0.
        """
        if not margin >= 0:
            raise ValueError(f"margin {margin}; expected 0 or more")
        if math.isnan(self.error):
            return math.nan
        beyond = abs(self.estimate) - margin
        if self.error == 0:
            return 0.0 if beyond > 0 else 1.0
        return min(1.0, 2 * float(stdtr(self.degrees, -beyond / self.error)))

    def reach(self, risk: float) -> float:
        """Half of the width of the interval at the level 1 - `risk`; NaN where the error is unknown."""
        return math.nan if math.isnan(self.error) else -float(stdtrit(self.degrees, risk / 2)) * self.error


class Difference(Protocol):
    """What is judged against a margin: an `Effect`, or a `user_bootstrap.UserDifference`."""

    def p_outside(self, margin: float) -> float: ...

    def reach(self, risk: float) -> float: ...


UNKNOWN = Effect(math.nan, math.nan, math.nan)


def paired(differences: Array) -> Effect:
    """The mean of differences that were each taken side by side."""
    count = len(differences)
    if count < 2:
        return UNKNOWN
    error = float(np.std(differences, ddof=1)) / math.sqrt(count)
    return Effect(float(np.mean(differences)), error, count - 1)


def independent(before: Array, after: Array) -> Effect:
    """The mean of `after` minus that of `before`, measured apart; their variances may differ."""
    if min(len(before), len(after)) < 2:
        return UNKNOWN
    sides = (before, after)
    error = math.sqrt(sum(float(np.var(side, ddof=1)) / len(side) for side in sides))
    return Effect(float(np.mean(after) - np.mean(before)), error, min(map(len, sides)) - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: those up to 0.05 may all be called findings, with 5 % risk of any false one.

    Holm (1979, "A simple sequentially rejective multiple test procedure"), which holds whatever the tests
    have in common. NaN (nothing was tested) stays NaN and does not count as a member of the family.
    """
    adjusted = [math.nan] * len(p_values)
    order = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = largest
    return adjusted
