"""Forms of growth with sequence length, fitted to times, and whether a form fits at all.

A form fits where its distance from the mean of each length is no larger than processes of one length differ
(the F test of lack of fit; Draper and Smith 1998, "Applied Regression Analysis", section 2.1). Times vary by
factors, so that all is done in logarithms or relative to the time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, stdtrit

from linrec_bench.analysis.intervals import LEVEL, Array

EXPONENTS = (0.05, 4.0)
"""Exponents searched; below, N^p cannot be told from the floor."""

LACK_OF_FIT = 0.01
"""A form is rejected where its F test has a p-value below it."""

EVIDENCE = 2.0
"""How much lower the criterion of a richer form must be (Kass and Raftery 1995, section 3.2: positive)."""

UNKNOWNS = {"constant": 1, "linear": 2, "n_log_n": 2, "quadratic": 2, "power": 3, "linear_quadratic": 3}
"""The forms and how many numbers each fits."""


@dataclass(frozen=True)
class Slope:
    """d log t / d log N between two neighbouring lengths, with its 95 % interval."""

    shorter: int
    longer: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Replicates:
    """Logarithms of times at ascending lengths, a value a process."""

    lengths: Array
    logs: Sequence[Array]

    @property
    def means(self) -> Array:
        return np.array([float(values.mean()) for values in self.logs])

    @property
    def counts(self) -> Array:
        return np.array([float(len(values)) for values in self.logs])

    @property
    def degrees(self) -> int:
        """Of freedom of the spread between processes, pooled over the lengths."""
        return int(self.counts.sum()) - len(self.lengths)

    @property
    def variance(self) -> float:
        """Between processes of one length, pooled."""
        squares = sum(float(((values - values.mean()) ** 2).sum()) for values in self.logs)
        return squares / max(self.degrees, 1)

    def t_quantile(self) -> float:
        return float(stdtrit(max(self.degrees, 1), (1 + LEVEL) / 2))


def fitted(x: Array, times: Array, *, power: float) -> dict[str, Array]:
    """Times of each form at the lengths, least relative squares with no negative term; `power` is that of
    the form `power`."""
    columns: Mapping[str, list[Array]] = {
        "constant": [],
        "linear": [x],
        "n_log_n": [x * np.log(x)],
        "quadratic": [x**2],
        "power": [x**power],
        "linear_quadratic": [x, x**2],
    }
    return {form: _least_squares([np.ones_like(x), *terms], times) for form, terms in columns.items()}


def _least_squares(terms: Sequence[Array], times: Array) -> Array:
    from scipy.optimize import nnls

    relative = np.column_stack([term / times for term in terms])
    scale = np.abs(relative).max(axis=0)
    weights, _ = nnls(relative / scale, np.ones_like(times))
    found: Array = (relative / scale) @ weights * times
    return found


def lack_of_fit(replicates: Replicates, times: Array, *, unknowns: int) -> float:
    """The p-value of the F test that `times`, fitted with so many unknowns, are those of the processes.

    NaN where there are no more lengths than unknowns. Exact times (no spread) fit where they are met to a
    millionth.
    """
    spare = len(replicates.lengths) - unknowns
    if spare < 1:
        return math.nan
    distance = float((replicates.counts * (replicates.means - np.log(times)) ** 2).sum()) / spare
    variance = max(replicates.variance, 1e-12)
    return float(fdtrc(spare, replicates.degrees, distance / variance))


def criteria(replicates: Replicates, forms: Mapping[str, Array]) -> dict[str, float]:
    """The Bayesian information criterion of each form on all processes."""
    n = replicates.counts.sum()
    within = replicates.variance * replicates.degrees
    found = {}
    for form, times in forms.items():
        loss = within + float((replicates.counts * (replicates.means - np.log(times)) ** 2).sum())
        # Without noise a loss of rounding errors would decide; below 1e-12 forms count as equally exact.
        found[form] = n * math.log(max(loss / n, 1e-12)) + UNKNOWNS[form] * math.log(n)
    return found


def simplest(bic: Mapping[str, float]) -> str:
    """The form with the fewest unknowns that none beats by more than `EVIDENCE`."""
    adequate = [form for form in bic if bic[form] <= min(bic.values()) + EVIDENCE]
    return min(adequate, key=lambda form: (UNKNOWNS[form], bic[form]))


def local_slopes(replicates: Replicates) -> tuple[Slope, ...]:
    """Between neighbouring lengths; their intervals pool the spread between processes over all lengths."""
    x, means, counts = replicates.lengths, replicates.means, replicates.counts
    steps = np.diff(np.log(x))
    values = np.diff(means) / steps
    errors = np.sqrt(replicates.variance * (1 / counts[:-1] + 1 / counts[1:])) / steps
    reach = replicates.t_quantile() * errors
    return tuple(
        Slope(int(shorter), int(longer), float(value), float(value - half), float(value + half))
        for shorter, longer, value, half in zip(x[:-1], x[1:], values, reach, strict=True)
    )


def overall_slope(replicates: Replicates) -> tuple[float, float]:
    """The slope of a straight line through log t against log N, and the half width of its interval."""
    logs, counts = np.log(replicates.lengths), replicates.counts
    centred = logs - np.average(logs, weights=counts)
    spread = float((counts * centred**2).sum())
    slope = float((counts * centred * replicates.means).sum()) / spread
    return slope, replicates.t_quantile() * math.sqrt(replicates.variance / spread)
