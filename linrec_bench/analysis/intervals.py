"""Medians and ratios with bootstrap intervals over processes: a round is a process, its samples are not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

Array = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A number with its interval, all in the unit of the samples.

    `over` says what was resampled: `rounds` (processes, then samples inside each), `samples` (one round only,
    so that the difference between processes is not in it) or `nothing` (a single sample: low and high are
    NaN, and so is the value where there was no sample at all).
    """

    value: float
    low: float
    high: float
    rounds: int
    over: Literal["rounds", "samples", "nothing"]


def median_interval(
    rounds: Sequence[ArrayLike], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The median over rounds of each round's median, with its interval.

    Hierarchical bootstrap (rounds, then samples inside each), percentile interval of the logarithm, widened
    for few rounds by `widening`. The samples must be positive (`ValueError`).
    """
    arrays = [_positive(samples) for samples in rounds if np.size(samples)]
    if not arrays:
        return Interval(math.nan, math.nan, math.nan, 0, "nothing")
    value = float(np.median([np.median(samples) for samples in arrays]))
    rng = np.random.default_rng(seed)
    chosen = choose_rounds(len(arrays), resamples, rng)
    draws = np.median(resampled_medians(arrays, chosen, rng), axis=1)
    return _interval(value, draws, [len(samples) for samples in arrays], level)


def ratio_interval(
    numerator: Mapping[int, ArrayLike],
    denominator: Mapping[int, ArrayLike],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The median over shared rounds of the ratio of the two medians of a round, with its interval.

    Both arguments map a round to its samples. Rounds are paired: what slows both cases of a round (clocks,
    neighbours) cancels. Rounds that only one side has are left out.
    """
    shared = sorted(set(numerator) & set(denominator))
    above = [_positive(numerator[round]) for round in shared]
    below = [_positive(denominator[round]) for round in shared]
    if not shared:
        return Interval(math.nan, math.nan, math.nan, 0, "nothing")
    value = float(np.median([np.median(a) / np.median(b) for a, b in zip(above, below, strict=True)]))
    rng = np.random.default_rng(seed)
    chosen = choose_rounds(len(shared), resamples, rng)
    ratios = resampled_medians(above, chosen, rng) / resampled_medians(below, chosen, rng)
    sizes = [max(len(a), len(b)) for a, b in zip(above, below, strict=True)]
    return _interval(value, np.median(ratios, axis=1), sizes, level)


def choose_rounds(rounds: int, resamples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices of rounds drawn with replacement: [resamples, rounds]."""
    return rng.integers(rounds, size=(resamples, rounds))


def resampled_medians(rounds: Sequence[Array], chosen: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """The median of a resample of the samples of each chosen round: an array of the shape of `chosen`.

    The k-th smallest of n samples drawn with replacement is `sorted[floor(n U)]` where U, the k-th smallest
    of n uniform numbers, follows Beta(k, n - k + 1). So a median costs one draw (two for even n), whatever n.
    """
    medians = np.empty(chosen.shape)
    for index, samples in enumerate(rounds):
        slots = chosen == index
        count, size = int(slots.sum()), len(samples)
        ordered = np.sort(samples)
        k = (size + 1) // 2
        lower = rng.beta(k, size - k + 1, count)
        upper = lower
        if size % 2 == 0:
            # The next order statistic is the least of the size - k uniforms left above the lower one.
            upper = lower + (1 - lower) * rng.beta(1, size - k, count)
        at_lower, at_upper = (np.minimum((size * u).astype(np.intp), size - 1) for u in (lower, upper))
        medians[slots] = (ordered[at_lower] + ordered[at_upper]) / 2
    return medians


def widening(rounds: int, *, degrees: int | None = None, level: float = LEVEL) -> float:
    """The factor that widens a percentile interval over few rounds to its nominal coverage.

    A bootstrap over R values underestimates their spread by sqrt((R - 1) / R) and uses normal quantiles
    where few values ask for Student's (Hesterberg 2015, "What Teachers Should Know About the Bootstrap",
    section 3.2): with three processes the plain 95 % interval covers about 75 %. One round is left as is.
    `degrees` of freedom are rounds - 1 unless rounds of several points are pooled.
    """
    if rounds < 2:
        return 1.0
    tail = (1 + level) / 2
    student = float(stdtrit(degrees if degrees is not None else rounds - 1, tail))
    return math.sqrt(rounds / (rounds - 1)) * student / float(ndtri(tail))


def _interval(value: float, draws: Array, sizes: list[int], level: float) -> Interval:
    rounds = len(sizes)
    if rounds == 1 and sizes[0] == 1:
        return Interval(value, math.nan, math.nan, 1, "nothing")
    deviations = np.quantile(np.log(draws / value), [(1 - level) / 2, (1 + level) / 2])
    # An end beyond all numbers is infinite.
    with np.errstate(over="ignore"):
        low, high = value * np.exp(widening(rounds, level=level) * deviations)
    # The point lies in its interval even where all draws fall on one side of it.
    return Interval(
        value, min(float(low), value), max(float(high), value), rounds, "rounds" if rounds > 1 else "samples"
    )


def _positive(samples: ArrayLike) -> Array:
    array = np.asarray(samples, dtype=np.float64).ravel()
    if not np.all(array > 0):
        raise ValueError(f"samples reach {array.min()}; expected positive finite values (times, ratios)")
    return array
