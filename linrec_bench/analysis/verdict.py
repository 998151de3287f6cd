"""Claims and the verdicts on them, as plain data. `presentation.verdicts` makes sentences of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Answer = Literal["holds", "broken", "undecided"]
Quantity = Literal["exponent", "slope", "value", "ratio", "difference", "crossover", "baseline"]
Ruling = Literal["reproduced", "not reproduced", "undecided", "not testable on this device"]

SPEC = "SPEC"
"""The source of a claim that a mechanism declares."""

Facts = Mapping[str, str | int | float | tuple[float, ...]]
BasisKind = Literal[
    "",
    # What a number follows from.
    "zeros",
    "of_declared",
    "polynomial",
    "two_largest",
    "fit",
    "seeds",
    "paired_seeds",
    "paired_users",
    "rounds",
    "paired_rounds",
    "never_crosses",
    "always_crosses",
    "crosses_by",
    "no_order_shown",
    # Why there is no number, or none with an interval.
    "few_lengths",
    "one_process",
    "short_range",
    "no_single_power",
    "flat",
    "n_log_n",
    "missing",
    "not_positive",
    "few_seeds",
    "several_cases",
    # Against a baseline.
    "changed",
    "changed_ratio",
    "not_in_baseline",
    "not_in_suite",
    "not_counted",
    # Why a claim of a paper is not tested.
    "other_device",
    "no_case_matches",
    "cannot_run",
    "needs_samples",
    "no_such_case",
    "no_run",
]


@dataclass(frozen=True)
class Basis:
    """What a number rests on, or why there is none: a kind, and the facts that its sentence needs."""

    kind: BasisKind = ""
    facts: Facts = field(default_factory=dict)


NO_BASIS = Basis()


@dataclass(frozen=True)
class Found:
    """A number and its interval. Ends are NaN where the data give no interval, all three where they give no
    number; `basis` then says why."""

    value: float
    low: float
    high: float
    basis: Basis = NO_BASIS


@dataclass(frozen=True)
class Bound:
    """The values that satisfy a claim: low <= x <= high. `text` is the bound as it was written."""

    low: float
    high: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`quantity` of `measure` lies within `bound`, for the cases of `attention`, of `model`, or of both.

    Ratios, differences and crossovers refer to the other side: `to`, `to_model`, or both; without `to_model`
    it is the other mechanism in the same model. The quantity `baseline` is a number that was accepted before.
    `paper` says who states it, where a paper does.
    """

    measure: str
    quantity: Quantity
    bound: Bound
    attention: str = ""
    model: str = ""
    to: str = ""
    to_model: str = ""
    source: str = "suite"
    paper: str = ""

    @property
    def own_side(self) -> str:
        return side(self.attention, self.model)

    @property
    def other_side(self) -> str:
        return side(self.to, self.to_model)


def side(attention: str, model: str) -> str:
    """`linrec in sasrec`, or the one of both that is named."""
    return f"{attention} in {model}" if attention and model else attention or model


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer to one claim at one place, with what was found there.

    `where` holds the settings of the cases, or under `case` the name of one in a baseline.
    """

    claim: Claim
    where: Mapping[str, str | int | bool]
    answer: Answer
    found: float
    low: float
    high: float
    basis: Basis = NO_BASIS


@dataclass(frozen=True, kw_only=True)
class PaperRuling:
    """What a paper states, and the ruling on it. `verdict` is that of the place which decides it; `places`
    counts those with a number. Without a verdict `basis` says why."""

    paper: str
    text: str
    theirs: str
    claim: Claim
    ruling: Ruling
    verdict: Verdict | None = None
    places: int = 0
    basis: Basis = NO_BASIS


def no_number(kind: BasisKind, **facts: str | int | float) -> Found:
    """Nothing was found, for the reason of this kind."""
    return Found(math.nan, math.nan, math.nan, Basis(kind, facts))


def answer(bound: Bound, low: float, high: float) -> Answer:
    """Where the interval low..high lies with respect to the bound; undecided when it is unknown."""
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    if bound.low <= low and high <= bound.high:
        return "holds"
    return "broken" if high < bound.low or bound.high < low else "undecided"
