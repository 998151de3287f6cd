"""Quality over seeds: mean and t interval of each variant of task recommend."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from linrec_bench.analysis.intervals import LEVEL
from linrec_bench.analysis.samples_table import CASE_COLUMNS
from linrec_bench.analysis.summary import METRIC
from linrec_bench.analysis.systems import SYSTEM, mechanisms
from linrec_bench.declarations import trainings
from linrec_bench.results.case_table import CASE_DATA

VARIANT = tuple(column for column in CASE_COLUMNS if column not in ("case_id", "seed"))
"""What the seeds of one variant share."""

COSTS = (
    "train_time_s",
    "events_per_s",
    "epochs",
    "best_epoch",
    "memory_bytes",
    "peak_process_bytes",
    "energy_j",
)
"""Columns that are averaged beside the test metrics."""

MATCHED = ("to_target_s", "to_target_j")
"""Costs of a given quality, averaged where every seed has one."""


def across_seeds(summary: pd.DataFrame) -> pd.DataFrame:
    """One row a variant of task recommend: `VARIANT`, `seeds`, `failed`, mean, low and high, the data of its
    case (`CASE_DATA`), and its name (`systems.SYSTEM`).

    `ndcg@10` is the mean over the seeds that ended ok, `ndcg@10_low` and `ndcg@10_high` the ends of its 95 %
    t interval; likewise every other metric and `COSTS`. `failed` counts the seeds that did not end ok. With
    one seed the ends are empty. Where the summary has the cost of a `quality_target`
    (`matched.COLUMNS`), `reached` counts the seeds that got there.
    """
    metrics = [column for column in summary.columns if METRIC.fullmatch(column)]
    matched = "to_target_s" in summary
    records = []
    recommend = mechanisms(summary[summary["task"].isin(trainings())])
    for _, rows in recommend.groupby([*VARIANT, "system"], sort=False, dropna=False):
        done = rows[rows["status"] == "ok"]
        record: dict[str, object] = {"seeds": len(done), "failed": len(rows) - len(done)}
        record |= {column: rows[column].iloc[0] for column in (*VARIANT, *CASE_DATA, *SYSTEM)}
        for column in (*metrics, *COSTS):
            record |= _interval(column, done)
        if matched:
            record |= {"quality_target": done["quality_target"].max(), "reached": done["to_target_s"].count()}
            for column in MATCHED:
                # A seed that never got there has no number, so that their mean has none either.
                all_there = len(done) and done[column].notna().all()
                record |= _interval(column, done if all_there else done.iloc[:0])
        records.append(record)
    told = (*metrics, *COSTS, *(MATCHED if matched else ()))
    ends = [f"{column}{end}" for column in told for end in ("", "_low", "_high")]
    counts = ["seeds", "failed", *(("quality_target", "reached") if matched else ())]
    return pd.DataFrame.from_records(records, columns=[*VARIANT, *counts, *ends, *CASE_DATA, *SYSTEM])


def _interval(column: str, rows: pd.DataFrame) -> dict[str, float]:
    mean, half = mean_and_half_width(rows[column].to_numpy(dtype=np.float64, na_value=math.nan))
    return {column: mean, f"{column}_low": mean - half, f"{column}_high": mean + half}


def mean_and_half_width(values: np.ndarray, *, level: float = LEVEL) -> tuple[float, float]:
    """The mean and the half width of its t interval; NaN where there are no values, or one for the width."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return math.nan, math.nan
    if len(known) == 1:
        return float(known[0]), math.nan
    error = float(known.std(ddof=1)) / math.sqrt(len(known))
    return float(known.mean()), float(stdtrit(len(known) - 1, (1 + level) / 2)) * error
