"""Does a claim hold? Three answers (holds, broken, undecided) from exact counts or from intervals.

A claim is undecided when the interval of what was measured reaches over its bound: then the data allow both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from linrec_bench.analysis.intervals import Array, ratio_interval
from linrec_bench.analysis.polynomial import polynomial
from linrec_bench.analysis.scaling import exact_exponent, fit_scaling
from linrec_bench.analysis.seeds import mean_and_half_width
from linrec_bench.analysis.trials import CASE_COLUMNS, base_name, by_round, measured, outcomes

Answer = Literal["holds", "broken", "undecided"]
Quantity = Literal["exponent", "value", "ratio", "difference"]

EXACT_MEASURES = ("flops", "operations", "peak_live_bytes", "saved_bytes", "minimum_bytes", "state_bytes")
"""Counts: the same on every run, so that they need no interval."""

COLUMN_OF = {"peak_memory": ("peak_live_bytes", "peak_allocated_bytes"), "saved_memory": ("saved_bytes",)}
"""The words of a suite that stand for a row measure; the first that was measured counts."""

_LENGTHLESS = [c for c in CASE_COLUMNS if c not in ("run_id", "suite", "case_id", "seq_len", "seed")]
_POINT = [c for c in CASE_COLUMNS if c not in ("run_id", "suite", "case_id", "attention", "seed")]


@dataclass(frozen=True)
class Bound:
    """The values that satisfy a claim: low <= x <= high."""

    low: float
    high: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`quantity` of `measure` for `attention` lies within `bound`; ratios and differences refer to `to`."""

    attention: str
    measure: str
    quantity: Quantity
    bound: Bound
    to: str = ""
    source: str = "suite"

    def __str__(self) -> str:
        of = f" to {self.to}" if self.to else ""
        return f"{self.attention}: {self.quantity}{of} of {self.measure} {self.bound.text}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer to one claim at one place, with what was found there."""

    claim: str
    place: str
    answer: Answer
    found: float
    low: float
    high: float
    detail: str = ""

    @property
    def name(self) -> str:
        return f"{self.claim} [{self.place}]"


def answer(bound: Bound, low: float, high: float) -> Answer:
    """Where the interval low..high lies with respect to the bound; undecided when it is unknown."""
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    if bound.low <= low and high <= bound.high:
        return "holds"
    return "broken" if high < bound.low or bound.high < low else "undecided"


def judge(claim: Claim, samples: pd.DataFrame) -> list[Verdict]:
    """One verdict for each place that the samples hold: a curve, or a grid point. Empty when they hold none.

    `samples` are tidy rows, measured ones or exact counts; the claim's mechanism matches by label or name.
    """
    cases = outcomes(samples)
    # What a mechanism cannot do is said in its row; no claim is made about it.
    cases = cases[cases["status"] != "unsupported"]
    own = cases[_named(cases, claim.attention)]
    rows = measured(samples, status=None if claim.measure in EXACT_MEASURES else "ok")
    measure = next(
        (m for m in COLUMN_OF.get(claim.measure, ()) if (rows["measure"] == m).any()), claim.measure
    )
    values = by_round(rows, measure, unit=None)
    if claim.quantity == "exponent":
        return [_exponent(claim, measure, curve, values) for _, curve in _groups(own, _LENGTHLESS)]
    if claim.quantity == "value":
        return [_value(claim, case, values) for _, case in own.iterrows()]
    other = cases[_named(cases, claim.to)]
    compare = _ratio if claim.quantity == "ratio" else _difference
    found = []
    for point, group in _groups(own, _POINT):
        beside = other[np.logical_and.reduce([other[c] == v for c, v in zip(_POINT, point, strict=True)])]
        found.append(compare(claim, measure, group, beside, values))
    return found


Values = Mapping[tuple[str, str], dict[int, Array]]


def _groups(cases: pd.DataFrame, columns: list[str]):  # type: ignore[no-untyped-def]
    return cases.groupby(columns, sort=False, dropna=False)


def _named(cases: pd.DataFrame, attention: str) -> pd.Series[bool]:
    return (cases["attention"] == attention) | (cases["attention"].map(base_name) == attention)


def _verdict(claim: Claim, place: str, found: float, low: float, high: float, detail: str = "") -> Verdict:
    return Verdict(
        claim=str(claim),
        place=place,
        answer=answer(claim.bound, low, high),
        found=found,
        low=low,
        high=high,
        detail=detail,
    )


def _key(case: pd.Series) -> tuple[str, str]:
    return str(case["run_id"]), str(case["case_id"])


def _place(case: pd.Series, *, length: bool) -> str:
    direction = "causal" if case["causal"] else "bidirectional"
    at = f", N {case['seq_len']}" if length else ""
    return f"{case['task']} {case['phase']}, {direction}{at}, B {case['batch_size']}, D {case['hidden_size']}"


def _missing(claim: Claim, place: str, why: str) -> Verdict:
    return _verdict(claim, place, math.nan, math.nan, math.nan, why)


def _exponent(claim: Claim, measure: str, curve: pd.DataFrame, values: Values) -> Verdict:
    place = _place(curve.iloc[0], length=False)
    found = {int(c["seq_len"]): values[_key(c)] for _, c in curve.iterrows() if _key(c) in values}
    if len(found) < 2:
        return _missing(claim, place, f"{measure} is known at {len(found)} lengths; two are needed")
    if measure in EXACT_MEASURES:
        counts = {n: int(np.median(np.concatenate(list(rounds.values())))) for n, rounds in found.items()}
        if not any(counts.values()) and claim.bound.high >= 0:
            # Nothing, at every length, grows no faster than what is allowed.
            return replace(_verdict(claim, place, 0.0, 0.0, 0.0, "0 at every length"), answer="holds")
        followed = polynomial(counts)
        if followed is not None:
            p = float(followed.degree)
            return _verdict(claim, place, p, p, p, str(followed))
        p = exact_exponent(counts)
        verdict = _verdict(claim, place, p, p, p, "between the two largest lengths")
        if claim.source == "SPEC" and p < claim.bound.low:
            # A SPEC speaks of large N. Counts that follow no polynomial yet may still grow up to it.
            return replace(verdict, answer="holds")
        return verdict
    fit = fit_scaling({n: list(rounds.values()) for n, rounds in found.items()})
    if fit.exponent is None:
        return _missing(claim, place, fit.reason)
    return _verdict(claim, place, fit.exponent, fit.low, fit.high, f"best form: {fit.form}")


def _value(claim: Claim, case: pd.Series, values: Values) -> Verdict:
    place = _place(case, length=True)
    if _key(case) not in values:
        return _missing(claim, place, f"no {claim.measure}: {case['status']} {case['detail']}".strip())
    value = float(np.median(np.concatenate(list(values[_key(case)].values()))))
    return _verdict(claim, place, value, value, value)


def _ratio(claim: Claim, measure: str, own: pd.DataFrame, other: pd.DataFrame, values: Values) -> Verdict:
    place = _place(own.iloc[0], length=True)
    pair = [values.get(_key(side.iloc[0])) if len(side) == 1 else None for side in (own, other)]
    if pair[0] is None or pair[1] is None:
        lacking = claim.attention if pair[0] is None else claim.to
        return _missing(claim, place, f"no {measure} of {lacking} there")
    if measure in EXACT_MEASURES:
        above, below = (float(np.median(np.concatenate(list(side.values())))) for side in pair)  # type: ignore[union-attr]
        quotient = above / below if below else math.nan
        return _verdict(claim, place, quotient, quotient, quotient)
    ratio = ratio_interval(pair[0], pair[1])
    return _verdict(claim, place, ratio.value, ratio.low, ratio.high, f"{ratio.rounds} rounds side by side")


def _difference(
    claim: Claim, measure: str, own: pd.DataFrame, other: pd.DataFrame, values: Values
) -> Verdict:
    """Paired over seeds: the same seed draws the same order and initial weights for both."""
    place = _place(own.iloc[0], length=True)

    def by_seed(side: pd.DataFrame) -> dict[int, float]:
        return {
            int(c["seed"]): float(np.median(np.concatenate(list(values[_key(c)].values()))))
            for _, c in side.iterrows()
            if _key(c) in values
        }

    mine, theirs = by_seed(own), by_seed(other)
    differences = np.array([mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys())])
    mean, half = mean_and_half_width(differences)
    if len(differences) < 2:
        return _verdict(claim, place, mean, math.nan, math.nan, f"{measure}: two seeds or more are needed")
    return _verdict(claim, place, mean, mean - half, mean + half, f"{len(differences)} seeds, paired")
