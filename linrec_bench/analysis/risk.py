"""How the risk of a false finding in a run is shared among its findings, and intervals at a stricter level.

A run that compares identical things tells any difference with a probability of at most 5 %. Each family of
findings has a fixed share of that. Inside a family every comparison of costs has an equal part (Bonferroni);
differences of quality share theirs by Holm's correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, polygamma, stdtrit

from linrec_bench.analysis.intervals import LEVEL, Array

COSTS, QUALITY, TIME_TO_QUALITY = 0.015, 0.03, 0.005
"""The share of each family of findings; together 5 %. Quality has most of it, because seeds are few."""


def widened(reach: Array, rounds: Array, risk: float) -> Array:
    """How far intervals of 95 % over `rounds` reach (in log) at the level 1 - `risk`.

    Intervals over R processes have the width of Student's t with R - 1 degrees of freedom
    (`intervals.widening`), so that they scale with its quantiles. One process shows no spread between
    processes: its reach is infinite.
    """
    degrees = np.maximum(rounds - 1, 1)
    factor = stdtrit(degrees, risk / 2) / stdtrit(degrees, (1 - LEVEL) / 2)
    return np.where((rounds > 1) & ~np.isnan(reach), reach * factor, math.inf)


@dataclass(frozen=True)
class Spread:
    """What the cases of one line say of how much processes differ: a variance (of logarithms) and the degrees
    of freedom that it is worth, infinite where all cases vary alike."""

    variance: float
    degrees: float


NO_SPREAD = Spread(0.0, 0.0)
"""Where too few cases are known: every case has its own spread alone."""

OWN_RISK = 0.02
"""Of the spread of a case alone."""

FEWEST_CASES = 3
"""With a spread of their own, before they say anything of another."""


def common_spread(reaches: Array, rounds: Array) -> Spread:
    """The distribution of spreads over cases whose 95 % intervals have these reaches.

    Empirical Bayes after Smyth (2004, "Linear models and empirical Bayes methods for assessing differential
    expression", sections 3 and 6.2): variances follow a scaled inverse chi-squared distribution, of which
    the mean and the variance of their logarithms give both numbers.
    """
    known = (rounds > 1) & (reaches > 0)
    if known.sum() < FEWEST_CASES:
        return NO_SPREAD
    degrees = rounds[known] - 1
    logs = 2 * np.log(_errors(reaches[known], rounds[known])) + np.log(rounds[known])
    centred = logs - digamma(degrees / 2) + np.log(degrees / 2)
    excess = float(centred.var(ddof=1) - polygamma(1, degrees / 2).mean())
    if excess <= 0:
        return Spread(math.exp(float(centred.mean())), math.inf)
    worth = 2 * _inverse_trigamma(excess)
    shift = float(digamma(worth / 2)) - math.log(worth / 2)
    return Spread(math.exp(float(centred.mean()) + shift), worth)


def _inverse_trigamma(value: float) -> float:
    """x > 0 with trigamma(x) = `value` > 0, by Newton's method on 1 / trigamma, which is nearly linear
    (Smyth 2004, "Linear models and empirical Bayes methods", appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-12 * x:
            break
    return x


def strict(reaches: Sequence[Array], rounds: Array, risk: float, spread: Spread) -> list[Array]:
    """How far intervals of 95 % reach (down and up) at the level 1 - `risk`.

    Few processes know their spread so badly that a strict level shows nothing (`widened`). So the spread of a
    case is weighed with that of its line, and t has the degrees of freedom of both. A case that spreads more
    than its line is held to its own spread as well, at the level 1 - `OWN_RISK`.
    """
    known = (rounds > 1) & ~np.isnan(reaches).any(axis=0)
    own = np.maximum(rounds - 1, 1)
    of_line = spread.variance / np.maximum(rounds, 1)
    if math.isinf(spread.degrees):
        variances = [of_line for _ in reaches]
    else:
        variances = [
            (spread.degrees * of_line + own * _errors(reach, rounds) ** 2) / (spread.degrees + own)
            for reach in reaches
        ]
    factor = -stdtrit(own + min(spread.degrees, 1e9), risk / 2)
    return [
        np.where(
            known,
            np.maximum(factor * np.sqrt(variance), widened(reach, rounds, max(risk, OWN_RISK))),
            math.inf,
        )
        for variance, reach in zip(variances, reaches, strict=True)
    ]


def _errors(reaches: Array, rounds: Array) -> Array:
    """The standard errors that intervals of 95 % are made of."""
    found: Array = reaches / -stdtrit(np.maximum(rounds - 1, 1), (1 - LEVEL) / 2)
    return found
