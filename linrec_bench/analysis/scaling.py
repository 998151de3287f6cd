"""Growth with sequence length: t = a + b N^p with an interval for p, and exponents of exact counts.

A straight line through log t against log N mistakes the constant floor a (launches, Python) for slow growth.
A power is stated only where it fits as well as processes agree (`growth_forms.lack_of_fit`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from linrec_bench.analysis import growth_forms
from linrec_bench.analysis.growth_forms import EXPONENTS, LACK_OF_FIT, UNKNOWNS, Replicates, Slope
from linrec_bench.analysis.intervals import (
    LEVEL,
    Array,
    choose_rounds,
    resampled_medians,
    widening,
)

WIDEST_HALF_INTERVAL = 0.25
FEWEST_LENGTHS = 4

Reason = Literal["", "few_lengths", "one_process", "short_range", "no_single_power", "flat", "n_log_n"]


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """The fit t = floor_s + coefficient N^p over the measured lengths.

    `exponent` is p, None when the data do not determine it; low and high are the ends of its interval either
    way. `form` is the simplest adequate form (`growth_forms.UNKNOWNS`) by its Bayesian information criterion
    (`bic`). `slopes` are the local slopes. `reason` says what else there is to know:

        few_lengths      fewer than `FEWEST_LENGTHS`: nothing is fitted
        one_process      at some length; the spread between processes is unknown: nothing is fitted
        short_range      the interval is too wide for a number
        no_single_power  a + b N^p does not fit; low and high are the least and the greatest end of the
                         intervals of the local slopes
        flat             the time does not grow: p = 0, high is that of a straight line in log-log
        n_log_n          a + b N log N fits, of which no power is one; the interval reaches down to 1
    """

    exponent: float | None
    low: float
    high: float
    floor_s: float
    coefficient: float
    form: str
    bic: Mapping[str, float] = field(default_factory=dict)
    slopes: tuple[Slope, ...] = ()
    reason: Reason = ""


def fit_scaling(
    samples: Mapping[int, Sequence[ArrayLike]], *, level: float = LEVEL, resamples: int = 400, seed: int = 0
) -> Scaling:
    """Fit t = a + b N^p, a >= 0, b >= 0, to `samples`: length N -> one array of times in seconds a round.

    Residuals are relative to the measured time, so that each length weighs the same; lengths are best spaced
    geometrically. The interval resamples processes (and samples inside them) at each length and fits again.
    """
    lengths = sorted(samples)
    rounds = [[np.asarray(r, dtype=np.float64).ravel() for r in samples[n]] for n in lengths]
    if len(lengths) < FEWEST_LENGTHS:
        return _undetermined("few_lengths")
    if min(map(len, rounds)) < 2:
        return _undetermined("one_process")
    x = np.asarray(lengths, dtype=np.float64)
    medians = [np.array([np.median(r) for r in at_length]) for at_length in rounds]
    times = np.array([np.median(m) for m in medians])
    replicates = Replicates(x, [np.log(m) for m in medians])

    p, floor, slope = (float(values[0]) for values in _fit_power(x, times[None, :]))
    draws = _resampled_times(rounds, times, level=level, resamples=resamples, seed=seed)
    low, high = np.quantile(_fit_power(x, draws)[0], [(1 - level) / 2, (1 + level) / 2])
    found = Scaling(
        exponent=p,
        low=min(float(low), p),
        high=max(float(high), p),
        floor_s=floor,
        coefficient=slope,
        form="",
        slopes=growth_forms.local_slopes(replicates),
    )
    return _told(found, p, replicates)


def _told(found: Scaling, p: float, replicates: Replicates) -> Scaling:
    """The fit with its form, and with no number where there is none."""
    means = np.exp(replicates.means)
    own = float(_fit_power(replicates.lengths, means[None, :])[0][0])
    forms = growth_forms.fitted(replicates.lengths, means, power=own)
    bic = growth_forms.criteria(replicates, forms)
    found = replace(found, form=growth_forms.simplest(bic), bic=bic)
    if found.form == "constant":
        slope, reach = growth_forms.overall_slope(replicates)
        floor = float(forms["constant"].mean())
        return replace(
            found,
            exponent=0.0,
            low=0.0,
            high=max(slope + reach, 0.0),
            floor_s=floor,
            coefficient=0.0,
            reason="flat",
        )
    if found.low > 1 and _fits("n_log_n", forms, replicates):
        return replace(found, exponent=None, low=1.0, reason="n_log_n")
    if not _fits("power", forms, replicates):
        low, high = (min(s.low for s in found.slopes), max(s.high for s in found.slopes))
        return replace(found, exponent=None, low=low, high=high, reason="no_single_power")
    if max(found.high - p, p - found.low) > WIDEST_HALF_INTERVAL:
        return replace(found, exponent=None, reason="short_range")
    return found


def _fits(form: str, forms: Mapping[str, Array], replicates: Replicates) -> bool:
    return not growth_forms.lack_of_fit(replicates, forms[form], unknowns=UNKNOWNS[form]) < LACK_OF_FIT


def exact_exponent(counts: Mapping[int, float]) -> float:
    """The growth exponent of exact counts between the two largest lengths: log2 ratio of both.

    Raises `ValueError` for fewer than two lengths or counts that are not positive.
    """
    if len(counts) < 2:
        raise ValueError(f"counts at {len(counts)} length(s); expected at least two for an exponent")
    before, last = sorted(counts)[-2:]
    if counts[before] <= 0 or counts[last] <= 0:
        raise ValueError(f"counts {counts[before]} and {counts[last]}; expected positive counts")
    return math.log(counts[last] / counts[before]) / math.log(last / before)


def _undetermined(reason: Reason) -> Scaling:
    nan = math.nan
    return Scaling(exponent=None, low=nan, high=nan, floor_s=nan, coefficient=nan, form="", reason=reason)


def _resampled_times(
    rounds: Sequence[Sequence[Array]], times: Array, *, level: float, resamples: int, seed: int
) -> Array:
    """Bootstrap medians at each length, widened for few rounds: [resamples, lengths].

    The degrees of freedom of all lengths are pooled, because one p is estimated from them all.
    """
    rng = np.random.default_rng(seed)
    degrees = sum(len(at_length) - 1 for at_length in rounds)
    draws = np.empty((resamples, len(rounds)))
    for column, at_length in enumerate(rounds):
        chosen = choose_rounds(len(at_length), resamples, rng)
        medians = np.median(resampled_medians(at_length, chosen, rng), axis=1)
        factor = widening(len(at_length), degrees=degrees, level=level)
        draws[:, column] = times[column] * (medians / times[column]) ** factor
    return draws


def _fit_power(x: Array, times: Array) -> tuple[Array, Array, Array]:
    """p, a, b of each row of `times` [fits, lengths]: a search over p, each with its closed-form a and b."""
    fits = len(times)
    coarse = np.broadcast_to(np.arange(EXPONENTS[0], EXPONENTS[1] + 1e-9, 0.05), (fits, 80))
    _, _, loss = _floor_and_slope(x, times, coarse)
    best = np.take_along_axis(coarse, loss.argmin(axis=1)[:, None], axis=1)
    fine = np.clip(best + np.linspace(-0.05, 0.05, 41), *EXPONENTS)
    floor, slope, loss = _floor_and_slope(x, times, fine)
    at = loss.argmin(axis=1)[:, None]
    p, a, b = (np.take_along_axis(values, at, axis=1)[:, 0] for values in (fine, floor, slope))
    return p, a, b


def _floor_and_slope(x: Array, times: Array, p: Array) -> tuple[Array, Array, Array]:
    """Least relative squares for a, b >= 0 at given exponents p [fits, tries]: a, b and the loss."""
    scale = np.exp(np.log(x).mean())
    u = 1 / times
    v = (x / scale) ** p[:, :, None] * u[:, None, :]
    uu, u1 = (u**2).sum(axis=1)[:, None], u.sum(axis=1)[:, None]
    uv, vv, v1 = (u[:, None, :] * v).sum(axis=2), (v**2).sum(axis=2), v.sum(axis=2)
    determinant = uu * vv - uv**2
    a, b = (u1 * vv - v1 * uv) / determinant, (v1 * uu - u1 * uv) / determinant
    # Two non-negative unknowns: where one would be negative, it is zero and the other stands alone.
    a, b = np.where(b < 0, u1 / uu, a), np.where(b < 0, 0, b)
    a, b = np.where(a < 0, 0, a), np.where(a < 0, v1 / vv, b)
    loss = ((1 - a[:, :, None] * u[:, None, :] - b[:, :, None] * v) ** 2).sum(axis=2)
    return a, b / scale**p, loss
