"""Raw samples -> one row a case and phase, for people: medians, intervals, ratios, shares of the ceiling."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd

from linrec_bench import measures
from linrec_bench.analysis.intervals import Array, Interval, median_interval, ratio_interval
from linrec_bench.analysis.naming import exactly, is_meant
from linrec_bench.analysis.samples_table import (
    DEVICE_TASK,
    GRID_POINT,
    NUMBER_COLUMNS,
    Key,
    by_round,
    measured,
    outcomes,
)
from linrec_bench.analysis.time_to_quality import COLUMNS as MATCHED
from linrec_bench.analysis.time_to_quality import Targets, time_to_quality
from linrec_bench.declarations import PREDICTED, Quantity, Summarised, tasks
from linrec_bench.results.case_table import CASE_DATA
from linrec_bench.results.load_results import SAMPLE_COLUMNS
from linrec_bench.results.rows import TRIAL
from linrec_bench.results.samples_file import plain

_OF_SAMPLES = ("host", "measure", "group_by", "group", "unit", "round", "repeat", "value", "status", "detail")
_CASE_MEANINGS = {name: text for name, text in SAMPLE_COLUMNS.items() if name not in _OF_SAMPLES} | {
    "case_id": "hash of all fields of the case",
    "task": "core, layer, train_step, decode or recommend",
    "phase": "what was measured: forward, forward_backward, step or train_and_rank",
}

_QUANTITIES = [
    quantity
    for source in (
        *(measure.quantities for measure in measures.registry().values()),
        PREDICTED,
        *(task.quantities for task in tasks().values()),
    )
    for quantity in source
    if quantity.column
]


def _summarised(how: Summarised) -> dict[str, Quantity]:
    return {quantity.column: quantity for quantity in _QUANTITIES if quantity.summarised == how}


MEDIANS, EXACT, EXTRAS = _summarised("median"), _summarised("count"), _summarised("extra")
"""The columns that are plain medians over samples, as the measures and tasks declare them."""

PER_TOKEN = ("time_per_token_s", "time_s / effective_tokens: time of one event")
"""Stands beside `effective_tokens`."""

COLUMNS: dict[str, str] = {
    **_CASE_MEANINGS,
    "status": "ok when every trial was; otherwise the status of the worst trial",
    "detail": "reason of that status",
    "reason": "why a skipped case was: memory, time or earlier_round; empty for any other status",
    "kernel": "the library kernel that ran, where there is a choice: flash, efficient, cudnn, math or a name",
    "trials": "trials that ended, however they did",
    "rounds": "trials that ended ok: processes that the numbers of this row come from",
    "samples": "time samples of those rounds above 0",
    "time_s": "time of one call: median over rounds of the median of each round",
    "time_s_low": "lower end of its 95 % bootstrap interval",
    "time_s_high": "upper end",
    "interval_over": "what the interval resamples: rounds (processes), samples (of one process), nothing",
    "reference": "mechanism that the ratios refer to",
    "time_ratio": "time over that of the reference at the same grid point and run, paired by round",
    "time_ratio_low": "lower end of its 95 % bootstrap interval",
    "time_ratio_high": "upper end",
    "memory_bytes": "peak memory to compare: peak_allocated_bytes on CUDA, peak_live_bytes on a CPU",
    "memory_ratio": "memory_bytes over that of the reference at the same grid point and run",
    "flops_per_s": "flops / time_s",
    "ceiling_share": "least time that the device's measured ceilings allow, over time_s",
    **{column: quantity.meaning for column, quantity in (EXACT | MEDIANS).items()},
}
"""Every column and its meaning. After these come `EXTRAS`, `matched.COLUMNS` and the test metrics, such as
`ndcg@10`."""

WHOLE = ("memory_bytes", *(quantity.column for quantity in _QUANTITIES if quantity.whole))
"""Whole numbers, stored as nullable integers so that no digit is lost in a file."""

METRIC = re.compile(r"[a-z_]+@\d+")


def summarise(samples: pd.DataFrame, *, reference: str, targets: Targets | None = None) -> pd.DataFrame:
    """One row a case and phase: `COLUMNS`, `EXTRAS`, `matched.COLUMNS` where something was validated, test
    metrics; missing values are empty, never 0. `targets` are those of `matched.time_to_quality`.

    `reference` is the mechanism that ratios refer to, as a person types it. Numbers come from trials that
    ended ok; `status` tells of those that did not. Raises `ValueError` for a measure in an unexpected unit.
    """
    frame = outcomes(samples)
    rows = measured(samples, columns=NUMBER_COLUMNS)
    counted = measured(samples, status=None, columns=NUMBER_COLUMNS)
    keys: list[Key] = list(zip(frame["run_id"], frame["case_id"], strict=True))
    times = by_round(rows, "time", unit="s")
    frame["rounds"] = _rounds(samples, keys)
    frame["kernel"] = _kernels(rows, keys)
    frame["samples"] = [sum(map(len, times.get(key, {}).values())) for key in keys]
    _put(frame, "time_s", [median_interval(list(times.get(key, {}).values())) for key in keys])
    for columns, source in ((EXACT, counted), (MEDIANS, rows)):
        for column, quantity in columns.items():
            frame[column] = _medians(by_round(source, quantity.measure, unit=quantity.unit), keys)
    known = set(counted["measure"])
    extras = {column: quantity for column, quantity in EXTRAS.items() if quantity.measure in known}
    for column, quantity in extras.items():
        frame[column] = _medians(by_round(counted, quantity.measure, unit=quantity.unit), keys)
    frame["memory_bytes"] = frame["peak_allocated_bytes"].fillna(frame["peak_live_bytes"])
    frame["flops_per_s"] = frame["flops"] / frame["time_s"]
    frame["ceiling_share"] = _least_time_s(frame, samples) / frame["time_s"]

    beside = _references(frame, reference)
    frame["reference"] = ["" if at is None else str(frame["attention"].iat[at]) for at in beside]
    _put(frame, "time_ratio", [_time_ratio(times, keys, row, at) for row, at in enumerate(beside)])
    memory = frame["memory_bytes"].to_numpy(dtype=np.float64)
    frame["memory_ratio"] = [_quotient(memory, row, at) for row, at in enumerate(beside)]

    test = rows[rows["phase"] == "test"]
    metrics = sorted(filter(METRIC.fullmatch, map(str, test["measure"].unique())), key=_natural)
    for metric in metrics:
        frame[metric] = _medians(by_round(test, metric, unit=None), keys)
    per_token = [PER_TOKEN[0]] if "effective_tokens" in extras else []
    for column in per_token:
        frame[column] = frame["time_s"] / frame["effective_tokens"]
    for column in WHOLE:
        if column in frame:
            frame[column] = _whole(frame[column])
    matched = time_to_quality(samples, targets=targets)
    if len(matched):
        keyed = matched[["run_id", "case_id", *MATCHED]]
        frame = frame.merge(keyed, on=["run_id", "case_id"], how="left")
    shown = [*COLUMNS, *extras, *per_token, *(MATCHED if len(matched) else ()), *metrics]
    # A copy has one block a type, from which rows are selected much faster.
    return frame[[*shown, *(name for name in CASE_DATA if name not in shown)]].copy()


def _whole(column: pd.Series) -> pd.Series:
    """Nullable integers, so that no digit is lost in a file; floats where a number is too large for them."""
    rounded = column.round()
    return rounded if (rounded.abs() >= 2**63).any() else rounded.astype("Int64")


def _put(frame: pd.DataFrame, column: str, intervals: list[Interval]) -> None:
    """Add `column`, `column`_low and `column`_high; for times also what their interval resamples."""
    frame[column] = [interval.value for interval in intervals]
    frame[f"{column}_low"] = [interval.low for interval in intervals]
    frame[f"{column}_high"] = [interval.high for interval in intervals]
    if column == "time_s":
        frame["interval_over"] = [interval.over if interval.rounds else "" for interval in intervals]


def _rounds(samples: pd.DataFrame, keys: list[Key]) -> list[int]:
    closing = plain(samples[(samples["measure"] == TRIAL) & (samples["status"] == "ok")])
    counts = closing.groupby(["run_id", "case_id"])["round"].nunique().to_dict()
    return [int(counts.get(key, 0)) for key in keys]


def _kernels(rows: pd.DataFrame, keys: list[Key]) -> list[str]:
    """The kernel of each case; several, joined by a slash, where its rounds differed."""
    named = plain(rows[rows["measure"] == "kernel"])
    found = named.groupby(["run_id", "case_id"])["group"].unique().to_dict()
    return ["/".join(sorted(found.get(key, []))) for key in keys]


def _medians(found: dict[Key, dict[int, Array]], keys: list[Key]) -> list[float]:
    return [
        float(np.median(np.concatenate(list(found[key].values())))) if key in found else math.nan
        for key in keys
    ]


def _least_time_s(frame: pd.DataFrame, samples: pd.DataFrame) -> pd.Series[float]:
    """The time that arithmetic or traffic needs at the device's ceilings, whichever is longer."""
    device = plain(samples[samples["task"] == DEVICE_TASK])
    keys = ["run_id", "device", "dtype"]
    ceilings = device.pivot_table(index=keys, columns="measure", values="value", aggfunc="median")
    joined = frame[keys].join(ceilings.reindex(columns=["matmul_rate", "copy_bandwidth"]), on=keys)
    needed = pd.DataFrame(
        {
            "arithmetic": frame["flops"] / joined["matmul_rate"],
            "traffic": frame["minimum_bytes"] / joined["copy_bandwidth"],
        }
    )
    return needed.max(axis=1, skipna=False)


def _references(frame: pd.DataFrame, reference: str) -> list[int | None]:
    """For each row, the position of the reference at its grid point; None where there is not exactly one.

    A row with just its name and parameters wins; otherwise one of its name, whatever the parameters.
    """
    # The catalogue of a training step is part of its shape.
    shape = [*GRID_POINT, *(column for column in ("catalogue_size",) if column in frame)]
    # A missing value equals no other.
    points = list(frame[shape].fillna(0).itertuples(index=False, name=None))
    found: dict[object, int | None] = {}
    for matches in (exactly(frame, reference), is_meant(frame, reference)) if reference else ():
        here: dict[object, int | None] = {}
        for at in np.flatnonzero(matches):
            here[points[at]] = None if points[at] in here else int(at)
        found = here | found
    return [found.get(point) for point in points]


def _time_ratio(times: dict[Key, dict[int, Array]], keys: list[Key], row: int, at: int | None) -> Interval:
    own = times.get(keys[row], {})
    if row == at and own:
        return Interval(1.0, 1.0, 1.0, len(own), "rounds")
    return ratio_interval(own, times.get(keys[at], {}) if at is not None else {})


def _quotient(values: Array, row: int, at: int | None) -> float:
    return float(values[row] / values[at]) if at is not None else math.nan


def _natural(metric: str) -> tuple[str, int]:
    name, _, k = metric.partition("@")
    return name, int(k)
