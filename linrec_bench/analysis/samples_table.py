"""Rows -> what analysis builds on: how each case ended, and its samples by round."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import pandas as pd

from linrec_bench.analysis.intervals import Array
from linrec_bench.results.case_table import CASE_DATA
from linrec_bench.results.rows import TRIAL
from linrec_bench.results.samples_file import plain

CASE_COLUMNS = (
    "run_id",
    "suite",
    "case_id",
    "task",
    "attention",
    "model",
    "dataset",
    "seq_len",
    "batch_size",
    "hidden_size",
    "heads",
    "layers",
    "dtype",
    "device",
    "causal",
    "seed",
    "phase",
)
"""The columns that say what a case is; `phase` is the case's own (that of its closing rows)."""

GRID_POINT = tuple(column for column in CASE_COLUMNS if column not in ("case_id", "attention"))
"""What two mechanisms must share to be compared."""

SEVERITY = ("ok", "skipped", "unsupported", "suspect", "timeout", "oom", "killed", "error")
"""Statuses from best to worst. A round skipped because an earlier one failed does not hide the failure."""

DEVICE_TASK = "device"
"""The task of rows that measure the device itself; they belong to no case."""

Key = tuple[str, str]
"""Run and case."""


def is_summary(frame: pd.DataFrame) -> bool:
    """Whether a table has one row a case (`summary.summarise`) and not one a sample."""
    return "measure" not in frame


def compact(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table with Python's strings and one block a type: rows of it are selected a hundred times, and
    Arrow's strings and a block for every column that was added make each selection several times slower."""
    strings = [name for name in frame if isinstance(frame[name].dtype, pd.StringDtype)]
    return frame.astype(dict.fromkeys(strings, object)).copy()


def outcomes(samples: pd.DataFrame) -> pd.DataFrame:
    """One row a case, in the order of first appearance: its columns and its data, `status`, `detail`,
    `reason` and `trials`.

    The status is that of the worst trial, the detail says why in words, and `reason` why it was skipped. Of a
    summary, the same columns.
    """
    if is_summary(samples):
        return samples[[*CASE_COLUMNS, *CASE_DATA, "status", "detail", "reason", "trials"]]
    closing = plain(samples[(samples["measure"] == TRIAL) & (samples["task"] != DEVICE_TASK)])
    ranked = closing.assign(_severity=closing["status"].map(SEVERITY.index), _order=np.arange(len(closing)))
    worst = ranked.sort_values(["_severity", "_order"], ascending=[False, True]).drop_duplicates(
        ["run_id", "case_id"]
    )
    counts = closing.groupby(["run_id", "case_id"]).size().rename("trials").reset_index()
    first = closing.drop_duplicates(["run_id", "case_id"])[["run_id", "case_id"]]
    joined = first.merge(worst, on=["run_id", "case_id"]).merge(counts, on=["run_id", "case_id"])
    joined["reason"] = joined["group"].where(joined["group_by"] == "reason", "")
    return joined[[*CASE_COLUMNS, *CASE_DATA, "status", "detail", "reason", "trials"]]


NUMBER_COLUMNS = ("run_id", "case_id", "phase", "measure", "group", "unit", "round", "value")
"""The columns that numbers are made of: copies of a million rows need no others."""


def measured(
    samples: pd.DataFrame, *, status: str | None = "ok", columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The samples of cases that belong to a closed trial; with `status`, to a trial that ended so. Of all
    columns, in plain texts, or of those that are asked for.

    A time of 0 is none: the clock did not move.
    """
    of_cases = samples["task"] != DEVICE_TASK
    closing = samples["measure"] == TRIAL
    ended = of_cases & closing
    if status is not None:
        ended &= samples["status"] == status
    trial = samples.groupby(["run_id", "case_id", "round"], sort=False, observed=True).ngroup()
    told = samples["value"].notna() & ((samples["measure"] != "time") | (samples["value"] > 0))
    kept = of_cases & ~closing & told & trial.isin(trial[ended].unique())
    return plain(samples[kept]) if columns is None else samples.loc[kept, list(columns)]


def by_round(rows: pd.DataFrame, measure: str, *, unit: str | None) -> dict[Key, dict[int, Array]]:
    """The samples of one measure: (run, case) -> round -> values.

    Raises `ValueError` when rows carry another unit than the one expected (None: any).
    """
    chosen = rows.loc[rows["measure"] == measure, ["run_id", "case_id", "round", "unit", "value"]]
    other = chosen.loc[chosen["unit"] != unit, "unit"]
    if unit is not None and len(other):
        raise ValueError(f"measure {measure} has unit {other.iloc[0]!r}; expected {unit!r}")
    if chosen.empty:
        return {}
    trial = ["run_id", "case_id", "round"]
    group = chosen.groupby(trial, observed=True).ngroup().to_numpy()
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    keys = chosen[trial].take(order[first]).itertuples(index=False, name=None)
    values = np.split(chosen["value"].to_numpy(dtype=np.float64)[order], first[1:])
    found: dict[Key, dict[int, Array]] = {}
    for (run_id, case_id, number), samples in sorted(zip(keys, values, strict=True), key=itemgetter(0)):
        found.setdefault((run_id, case_id), {})[int(number)] = samples
    return found
