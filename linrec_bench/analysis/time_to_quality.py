"""Matched quality: what a training costs until validation NDCG@10 has reached a target, from stored rows.

Whoever compares seconds an epoch compares steps of unlike worth. Here two trainings are compared at one
quality: the seconds (and joules, where they were measured) of training behind the first validation that is no
worse than the target. The resolution is that of the validations. A training that never got there has spent
its seconds without an answer: it is censored, and no number stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from linrec_bench.analysis.naming import FLOORS
from linrec_bench.analysis.samples_table import CASE_COLUMNS, measured
from linrec_bench.declarations import trainings
from linrec_bench.results.samples_file import plain

METRIC = "ndcg@10"

Targets = Mapping[tuple[str, str], float]
"""Data set (`dataset_name` and `dataset_params` of its rows) -> the validation NDCG@10 to reach."""

COLUMNS: dict[str, str] = {
    "quality_target": "validation NDCG@10 to be reached: `evaluation.target`, else the lowest best of a case",
    "to_target_s": "seconds of training until a validation reached it; empty where none did",
    "to_target_j": "joules of the device in those seconds; empty where not measured",
}
"""Columns of a summary of task recommend, and their meaning."""

_TRIAL = ["run_id", "case_id", "round"]
_GROUP = ["run_id", "dataset"]
# Whose validation queries are the same.


def learning_curves(samples: pd.DataFrame, *, status: str | None = "ok") -> pd.DataFrame:
    """One row a validated epoch of each trial of a training: case columns, `seconds`, `joules`, `quality`.

    `seconds` are of training, summed up to the epoch; `joules` are NaN where none were measured. Trials are
    those that ended with `status`, or all that ended (None).
    """
    rows = samples[samples["task"].isin(trainings())]
    validations = rows[(rows["phase"] == "validation") & (rows["measure"] == METRIC)]
    if validations.empty:
        return plain(validations).rename(columns={"value": "quality"}).assign(seconds=0.0, joules=0.0)
    rows = measured(rows, status=status)
    curves = rows[(rows["phase"] == "validation") & (rows["measure"] == METRIC)]
    curves = curves.rename(columns={"value": "quality"})
    curves = curves.merge(_spent(rows, "epoch_time", "seconds"), on=[*_TRIAL, "repeat"])
    return curves.merge(_spent(rows, "epoch_energy", "joules"), on=[*_TRIAL, "repeat"], how="left")


def _spent(rows: pd.DataFrame, measure: str, name: str) -> pd.DataFrame:
    """The sum of a measure over the epochs of a trial, up to each of them."""
    # A search for the architecture has epochs and numbers of its own.
    epochs = rows[(rows["measure"] == measure) & (rows["phase"] != "search")]
    epochs = epochs.astype({"value": "float64"}).sort_values([*_TRIAL, "repeat"])
    return epochs[[*_TRIAL, "repeat"]].assign(**{name: epochs.groupby(_TRIAL)["value"].cumsum()})


def time_to_quality(
    samples: pd.DataFrame, *, target: float | None = None, targets: Targets | None = None
) -> pd.DataFrame:
    """One row a case of task recommend that was validated: `CASE_COLUMNS` without the phase, and `COLUMNS`.

    `target` is the validation NDCG@10 to reach; `targets` gives one for a data set. Without
    either it is the lowest of the best values of the cases of a run on one data set that ended ok, so that
    all of those reach it. Of several rounds the median counts; where one did not reach the target, or was
    not measured, the cell is empty. Raises `ValueError` for a target that is not between 0 and 1.
    """
    wanted = targets or {}
    for value in (*(() if target is None else (target,)), *wanted.values()):
        check_target(value)
    case = [column for column in CASE_COLUMNS if column != "phase"]
    # A training that was stopped has its seconds all the same.
    curves = learning_curves(samples, status=None)
    if curves.empty:
        return pd.DataFrame(columns=[*case, *COLUMNS])
    lowest = _lowest_best(learning_curves(samples))
    curves["quality_target"] = [
        target if target is not None else wanted.get((name, params), lowest.get((run, dataset), math.nan))
        for run, dataset, name, params in curves[
            ["run_id", "dataset", "dataset_name", "dataset_params"]
        ].itertuples(index=False)
    ]
    there = curves[curves["quality"] >= curves["quality_target"]]
    first = there.sort_values("repeat").groupby(_TRIAL)[["seconds", "joules"]].first()
    trials = curves.drop_duplicates(_TRIAL).set_index(_TRIAL)[["quality_target"]].join(first)
    by_case = trials.groupby(["run_id", "case_id"])
    found = pd.DataFrame(
        {
            "quality_target": by_case["quality_target"].first(),
            "to_target_s": by_case["seconds"].median().where(by_case["seconds"].count() == by_case.size()),
            "to_target_j": by_case["joules"].median().where(by_case["joules"].count() == by_case.size()),
        }
    )
    cases = curves.drop_duplicates(["run_id", "case_id"])[case]
    return cases.merge(found.reset_index(), on=["run_id", "case_id"]).reset_index(drop=True)


def check_target(value: float) -> None:
    """`ValueError` for a target that is not between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"target {value}; expected a validation NDCG@10 between 0 and 1")


def _lowest_best(curves: pd.DataFrame) -> dict[tuple[str, str], float]:
    """(run, data set) -> the best validation of the case whose best is the lowest."""
    # A floor would set a target that everything else passes in its first epochs.
    mixing = curves[~curves["attention_name"].isin(FLOORS)]
    curves = mixing if len(mixing) else curves
    best = curves.groupby([*_GROUP, "case_id", "round"])["quality"].max()
    lowest = best.groupby(_GROUP).min().reset_index()
    return {
        (str(run), str(name)): float(value)
        for run, name, value in lowest[[*_GROUP, "quality"]].itertuples(index=False)
    }
