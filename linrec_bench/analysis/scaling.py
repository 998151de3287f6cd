"""Growth with sequence length: t = a + b N^p with an interval for p, and exponents of exact counts.

A straight line through log t against log N mistakes the constant floor a (launches, Python) for slow growth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from linrec_bench.analysis.intervals import (
    LEVEL,
    Array,
    choose_rounds,
    resampled_medians,
    widening,
)

EXPONENTS = (0.05, 4.0)
"""Exponents searched; below, N^p cannot be told from the floor."""
WIDEST_HALF_INTERVAL = 0.25
FEWEST_LENGTHS = 4

UNKNOWNS = {"constant": 1, "linear": 2, "quadratic": 2, "power": 3}
"""The nested forms and how many numbers each fits."""

EVIDENCE = 2.0
"""How much lower the criterion of a richer form must be (Kass and Raftery 1995, section 3.2: positive)."""


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """The fit t = floor_s + coefficient N^p over the measured lengths.

    `exponent` is p, None when the data do not determine it (`reason` says why); low and high are the ends of
    its interval either way. `form` is the simplest adequate of the nested forms `constant`, `linear`
    (p = 1), `quadratic` (p = 2) and `power` (p free) by their Bayesian information criterion (`bic`).
    """

    exponent: float | None
    low: float
    high: float
    floor_s: float
    coefficient: float
    form: str
    bic: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


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
        return _undetermined(f"range too short: {len(lengths)} lengths, at least {FEWEST_LENGTHS} are needed")
    if min(map(len, rounds)) < 2:
        return _undetermined("one process at some length: its spread between processes is unknown")
    x = np.asarray(lengths, dtype=np.float64)
    medians = [np.array([np.median(r) for r in at_length]) for at_length in rounds]
    times = np.array([np.median(m) for m in medians])

    p, floor, slope = (float(values[0]) for values in _fit_power(x, times[None, :]))
    draws = _resampled_times(rounds, times, level=level, resamples=resamples, seed=seed)
    low, high = np.quantile(_fit_power(x, draws)[0], [(1 - level) / 2, (1 + level) / 2])
    low, high = min(float(low), p), max(float(high), p)
    bic = _criteria(np.repeat(x, [len(m) for m in medians]), np.concatenate(medians))

    wide = max(high - p, p - low) > WIDEST_HALF_INTERVAL
    return Scaling(
        exponent=None if wide else p,
        low=low,
        high=high,
        floor_s=floor,
        coefficient=slope,
        form=_simplest(bic),
        bic=bic,
        reason=f"range too short: p = {p:.2f} [{low:.2f}, {high:.2f}]" if wide else "",
    )


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


def _undetermined(reason: str) -> Scaling:
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


def _simplest(bic: Mapping[str, float]) -> str:
    """The form with the fewest unknowns that none beats by more than `EVIDENCE`."""
    adequate = [form for form in bic if bic[form] <= min(bic.values()) + EVIDENCE]
    return min(adequate, key=lambda form: (UNKNOWNS[form], bic[form]))


def _criteria(x: Array, times: Array) -> dict[str, float]:
    """The Bayesian information criterion of each nested form on all rounds, relative residuals."""
    n = len(times)
    u = 1 / times
    loss = {"constant": float(((1 - u * u.sum() / (u**2).sum()) ** 2).sum())}
    free = float(_fit_power(x, times[None, :])[0][0])
    for form, p in (("linear", 1.0), ("quadratic", 2.0), ("power", free)):
        loss[form] = float(_floor_and_slope(x, times[None, :], np.array([[p]]))[2][0, 0])
    # Without noise a loss of rounding errors would decide; below 1e-12 forms count as equally exact.
    return {form: n * math.log(max(loss[form] / n, 1e-12)) + UNKNOWNS[form] * math.log(n) for form in loss}
