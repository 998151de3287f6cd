"""What a run shows, as data: each finding names what it is about, its number and what that rests on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pandas as pd

from linrec_bench.case import Scalar

Kind = Literal[
    "crossover", "stops", "quality", "difference", "rank", "time_to_quality", "mean", "memorisation"
]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding; None where there is no number, no interval or no reference.

    `kind` says what `value` (in `unit`, with its 95 % interval `low` .. `high`) is of `subject`, and what
    `evidence` holds:

        crossover        N from which the order of times of `subject` and `reference` is that of the longest
                         N, with its interval at the level of all such findings of the run; None where it
                         does not change. `outcome`, `first`, `until`, `last`, `since`, `changes`,
                         `first_change`, `shortest`, `longest`, `ratio`, `ratio_low`, `ratio_high`, `rounds`
                         and `detectable` (`crossover.crossover`), `memory_ratio` or `state_ratio` at
                         `ratio_at`
        stops            first N from which nothing ran any more. `status`
        quality          test metric, mean over seeds. `seeds`; with a reference also `train_time_ratio` and
                         its mean and interval (`reference_value`, ...) or, paired by user and seed, the keys
                         of a difference with `difference`, `difference_low` and `difference_high`
        difference       test metric less that of `reference`, paired by user and seed. `p_holm`, `shown`
                         (whether that is below the level), `detectable` (the least difference that could
                         have been shown), `users`, `seeds`. Of one seed nothing is shown and there is no p
        rank             the same of one of the systems that are ranked. Also `reference_value`
        mean             test metric of one of the systems that are ranked, not paired. `seeds`
        time_to_quality  training time until a validation metric, over that of `reference`. `target`,
                         `seeds`, how many of them `reached` it, `shown`, `detectable`
        memorisation     share of planted targets among the first `k`, at `distance` (in `where`). `k`,
                         `seeds`, `clean` (the same of a model of clean histories)

    Findings on test metrics have `budget_s` where each training had so many seconds. `where` holds the
    settings under which it was found, by the names of the columns of a summary. Every value is a JSON scalar,
    so that a finding survives a round trip through JSON.
    """

    kind: Kind
    subject: str
    reference: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    where: Mapping[str, Scalar] = field(default_factory=dict)
    evidence: Mapping[str, Scalar] = field(default_factory=dict)

    def as_record(self) -> dict[str, object]:
        """Ready for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.as_record())

    @classmethod
    def from_json(cls, text: str) -> Finding:
        return cls(**json.loads(text))


def number(value: Any) -> float | None:
    """A cell of a table as a number; None for what is missing or not finite."""
    if value is None or pd.isna(value) or not math.isfinite(value):
        return None
    return float(value)


def scalars(row: Mapping[Any, Any] | pd.Series, columns: Any) -> dict[str, Scalar]:
    """Those of `columns` that the row has and that are not missing, as JSON scalars."""
    found = {str(column): row[column] for column in columns if column in row}
    return {
        name: value.item() if hasattr(value, "item") else value
        for name, value in found.items()
        if not pd.isna(value) and value != ""
    }
