"""What was measured of the cases of a run: from its samples or, where these are not stored, its summary."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from linrec_bench.analysis.intervals import Array
from linrec_bench.analysis.samples_table import CASE_COLUMNS, Key, by_round, measured, outcomes
from linrec_bench.analysis.summary import EXACT, EXTRAS, MEDIANS, METRIC, summarise
from linrec_bench.analysis.systems import named
from linrec_bench.declarations import Quantity, trainings
from linrec_bench.results.case_table import CASE_DATA

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


@dataclass(frozen=True)
class Measurements:
    """Numbers of cases, whichever table they come from.

    `cases` has a row a case: what it is and how it ended. `values` has a row a number (`VALUES`), `ended_ok`
    those of trials that ended ok. With `summary_alone` samples are not stored, and times have no values: an
    interval needs samples. They are read in the summary itself. `paired` are the differences of quality that
    a run stores, where it does.
    """

    cases: pd.DataFrame
    values: pd.DataFrame
    ended_ok: pd.DataFrame
    source: pd.DataFrame
    summary_alone: bool = False
    paired: Paired | None = None

    def of_cases(self, ids: Collection[str]) -> Measurements:
        """Those of the cases with these ids."""

        def chosen(name: str) -> pd.DataFrame:
            rows = self._rows[name]
            frame: pd.DataFrame = getattr(self, name)
            return frame.take(sorted(at for case_id in ids for at in rows.get(case_id, ())))

        return Measurements(
            cases=chosen("cases"),
            values=chosen("values"),
            ended_ok=chosen("ended_ok"),
            source=chosen("source"),
            summary_alone=self.summary_alone,
            paired=self.paired,
        )

    @cached_property
    def _rows(self) -> dict[str, dict[str, list[int]]]:
        """Of each table, case -> the numbers of its rows: a gate asks many questions of few cases."""
        tables = {
            "cases": self.cases,
            "values": self.values,
            "ended_ok": self.ended_ok,
            "source": self.source,
        }
        found: dict[str, dict[str, list[int]]] = {}
        for name, frame in tables.items():
            rows = found.setdefault(name, {})
            for at, case_id in enumerate(frame["case_id"].tolist()):
                rows.setdefault(case_id, []).append(at)
        return found

    def rounds(self, measures: Sequence[str], *, failed_too: bool) -> tuple[str, dict[Key, dict[int, Array]]]:
        """The first of `measures` that was measured, else the last, and its values: (run, case) -> round ->
        values. Of a measure that was taken on test, those alone. `failed_too` takes trials that did not end
        ok, whose counts are known."""
        rows = self.values if failed_too else self.ended_ok
        known = set(rows["measure"])
        measure = next((name for name in measures if name in known), measures[-1])
        rows = rows[rows["measure"] == measure]
        on_test = rows["phase"] == TEST
        return measure, by_round(rows[on_test] if on_test.any() else rows, measure, unit=None)

    def summary(self, reference: str) -> pd.DataFrame:
        """The stored summary, or that of the samples with `reference` as what ratios refer to."""
        return self.source if self.summary_alone else summarise(self.source, reference=reference)


def with_differences(found: Measurements, differences: pd.DataFrame) -> Measurements:
    """Those of a whole run, with its table of quality."""
    known = named(found.cases[found.cases["task"].isin(trainings())])
    return replace(found, paired=Paired(differences, known.set_index("case_id")["system"]))


def of_samples(samples: pd.DataFrame) -> Measurements:
    """`samples` are tidy rows with the data of their cases (`Run.samples`), measured ones or exact counts."""
    columns = list(VALUES)
    return Measurements(
        cases=outcomes(samples),
        values=measured(samples, status=None, columns=columns),
        ended_ok=measured(samples, columns=columns),
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
    cases = summary[[*CASE_COLUMNS, *CASE_DATA, "status", "detail"]]
    return Measurements(cases=cases, values=values, ended_ok=values, source=summary, summary_alone=True)


def _values(summary: pd.DataFrame, column: str, measure: str, unit: str) -> pd.DataFrame:
    known = summary.loc[summary[column].notna(), ["run_id", "case_id", "phase", column]]
    known = known.rename(columns={column: "value"}).astype({"value": "float64"})
    return known.assign(measure=measure, unit=unit, round=0)[list(VALUES)]
