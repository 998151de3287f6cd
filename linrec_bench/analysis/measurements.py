"""What was measured of the cases of a run: from its samples or, where these are not stored, its summary."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

# Any: columns are of several types.
from typing import Any

import numpy as np
import pandas as pd

from linrec_bench.analysis.intervals import Array
from linrec_bench.analysis.samples_table import CASE_COLUMNS, Key, by_round, measured, outcomes
from linrec_bench.analysis.summary import EXACT, EXTRAS, MEDIANS, METRIC, summarise
from linrec_bench.analysis.systems import named
from linrec_bench.declarations import Quantity, trainings
from linrec_bench.results.case_table import CASE_DATA

CaseRow = Mapping[str, Any]
"""A case by column: what it is and how it ended (`samples_table.outcomes`)."""

VALUES = ("run_id", "case_id", "phase", "measure", "unit", "round", "value")
"""The columns of a number: of which case, what, from which process."""

SPREAD = ("first_call_time", "energy", "events_per_second", "attention_share")
"""Measures whose median, all that a summary has, says nothing of their spread between processes."""

TEST = "test"
"""The phase of rows on the test queries."""


@dataclass(frozen=True)
class Paired:
    """The table of `paired_quality.differences` of a run, and what each of its cases is called there."""

    differences: pd.DataFrame
    systems: pd.Series[str]


Values = Mapping[Key, dict[int, Array]]
"""Samples of one measure: (run, case) -> round -> values, as `samples_table.by_round` gives them."""


class Numbers:
    """The numbers of a table with columns `VALUES`; those of a measure are grouped once, when first asked."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows
        self._places = {
            measure: np.asarray(places)
            for measure, places in rows.groupby("measure", observed=True).indices.items()
        }
        self._grouped: dict[str, tuple[Values, Values]] = {}

    def of(self, measure: str, keys: Sequence[Key]) -> Values:
        """The values of these cases; of a measure that was taken on test, those alone."""
        if measure not in self._places:
            return {}
        if measure not in self._grouped:
            rows = self._rows.take(self._places[measure])
            on_test = rows["phase"] == TEST
            self._grouped[measure] = (
                by_round(rows[on_test], measure, unit=None),
                by_round(rows[~on_test], measure, unit=None),
            )
        test, other = self._grouped[measure]
        tested = {key: test[key] for key in keys if key in test}
        return tested or {key: other[key] for key in keys if key in other}


@dataclass(frozen=True)
class Measurements:
    """Numbers of cases, whichever table they come from.

    `values` has every number of the table, `ended_ok` those of trials that ended ok; `source` is the table.
    With `summary_alone` samples are not stored, and times have no values: an interval needs samples. They are
    read in the summary itself. `paired` are the differences of quality that a run stores, where it does.
    """

    cases: Sequence[CaseRow]
    values: Numbers
    ended_ok: Numbers
    source: pd.DataFrame
    summary_alone: bool = False
    paired: Paired | None = None
    ids: frozenset[str] | None = None

    def of_cases(self, ids: Collection[str]) -> Measurements:
        """Those of the cases with these ids."""
        chosen = frozenset(ids)
        return replace(self, cases=[case for case in self.cases if case["case_id"] in chosen], ids=chosen)

    def rounds(self, measures: Sequence[str], *, failed_too: bool) -> tuple[str, Values]:
        """The first of `measures` that was measured, else the last, and its values. `failed_too` takes trials
        that did not end ok, whose counts are known."""
        numbers, keys = self.values if failed_too else self.ended_ok, keys_of(self.cases)
        for measure in measures:
            if found := numbers.of(measure, keys):
                return measure, found
        return measures[-1], {}

    def summary(self, reference: str) -> pd.DataFrame:
        """The stored summary, or that of the samples with `reference` as what ratios refer to."""
        rows = self.source if self.ids is None else self.source[self.source["case_id"].isin(self.ids)]
        return rows if self.summary_alone else summarise(rows, reference=reference)


def keys_of(cases: Sequence[CaseRow]) -> list[Key]:
    """Of each case, its run and itself."""
    return [(case["run_id"], case["case_id"]) for case in cases]


def with_differences(found: Measurements, differences: pd.DataFrame) -> Measurements:
    """Those of a whole run, with its table of quality."""
    cases = outcomes(found.source)
    known = named(cases[cases["task"].isin(trainings())])
    return replace(found, paired=Paired(differences, known.set_index("case_id")["system"]))


def of_samples(samples: pd.DataFrame) -> Measurements:
    """`samples` are tidy rows with the data of their cases (`Run.samples`), measured ones or exact counts."""
    columns = list(VALUES)
    return Measurements(
        cases=_rows(outcomes(samples)),
        values=Numbers(measured(samples, status=None, columns=columns)),
        ended_ok=Numbers(measured(samples, columns=columns)),
        source=samples,
    )


def of_summary(summary: pd.DataFrame) -> Measurements:
    """Counts, memory and test metrics of a summary, a number a case and measure."""
    quantities: dict[str, Quantity] = {**EXACT, **MEDIANS, **EXTRAS}
    measures = {
        column: (quantity.measure, quantity.unit)
        for column, quantity in quantities.items()
        if quantity.measure not in SPREAD and column in summary
    }
    measures |= {column: (column, "1") for column in map(str, summary) if METRIC.fullmatch(column)}
    parts = [_values(summary, column, *measures[column]) for column in measures]
    filled = [part for part in parts if len(part)]
    values = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(VALUES))
    cases = _rows(summary[[*CASE_COLUMNS, *CASE_DATA, "status", "detail"]])
    numbers = Numbers(values)
    return Measurements(cases=cases, values=numbers, ended_ok=numbers, source=summary, summary_alone=True)


def _rows(frame: pd.DataFrame) -> list[CaseRow]:
    return frame.to_dict("records")  # type: ignore[return-value]


def _values(summary: pd.DataFrame, column: str, measure: str, unit: str) -> pd.DataFrame:
    known = summary.loc[summary[column].notna(), ["run_id", "case_id", "phase", column]]
    known = known.rename(columns={column: "value"}).astype({"value": "float64"})
    return known.assign(measure=measure, unit=unit, round=0)[list(VALUES)]
