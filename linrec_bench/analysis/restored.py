"""A summary -> what it can answer by itself, where the samples are not stored."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.claim_verdicts import named, place, verdict
from linrec_bench.analysis.samples_table import CASE_COLUMNS
from linrec_bench.analysis.summary import EXACT, EXTRAS, MEDIANS, METRIC
from linrec_bench.analysis.verdict import Basis, Claim, Found, Verdict
from linrec_bench.results.case_table import CASE_DATA
from linrec_bench.results.rows import COLUMNS, TRIAL

SPREAD = ("first_call_time", "energy", "events_per_second", "attention_share")
"""Measures whose median says nothing of their spread between processes."""

_CASE = [*CASE_COLUMNS, *CASE_DATA]


def restored(summary: pd.DataFrame) -> pd.DataFrame:
    """Rows of counts, memory and test metrics, one a case and measure, and the closing row of each case.

    Times are left out, since an interval needs the samples: `timed` and crossovers read the summary's.
    """
    measures = {
        column: (quantity.measure, quantity.unit)
        for column, quantity in (EXACT | MEDIANS | EXTRAS).items()
        if quantity.measure not in SPREAD and column in summary
    }
    measures |= {column: (column, "1") for column in map(str, summary) if METRIC.fullmatch(column)}
    parts = [_rows(summary, column, *measures[column]) for column in measures]
    closing = summary[[*_CASE, "status", "detail"]].assign(measure=TRIAL, unit="s", value=0.0)
    rows = pd.concat([*(part for part in parts if len(part)), closing], ignore_index=True)
    return rows.assign(host="", group_by="", group="", round=0, repeat=0)[[*COLUMNS, *CASE_DATA]]


def _rows(summary: pd.DataFrame, column: str, measure: str, unit: str) -> pd.DataFrame:
    known = summary[summary[column].notna()]
    values = known[column].to_numpy(dtype="float64")
    return known[_CASE].assign(measure=measure, unit=unit, value=values, status="ok", detail="")


def timed(claim: Claim, summary: pd.DataFrame) -> list[Verdict]:
    """The verdicts on a value of time, or on its ratio to the reference of the summary, with the intervals
    that the summary holds; empty for any other claim."""
    column = {"value": "time_s", "ratio": "time_ratio"}.get(claim.quantity)
    if claim.measure != "time" or column is None or claim.to_model:
        return []
    rows = summary[(summary["status"] == "ok") & summary[column].notna()]
    rows = rows[named(rows, claim.attention, claim.model)]
    if claim.to:
        rows = rows[rows["reference"].isin(summary.loc[named(summary, claim.to), "attention"])]
    found = []
    for _, row in rows.iterrows():
        at, low, high = (float(row[f"{column}{end}"]) for end in ("", "_low", "_high"))
        known = Found(at, low, high, Basis("rounds", {"rounds": int(row["rounds"])}))
        found.append(verdict(claim, place(row.to_frame().T), known))
    return found
