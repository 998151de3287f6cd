"""The length N* from which one mechanism costs less than another, in time and in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from linrec_bench.analysis.intervals import Array
from linrec_bench.analysis.naming import one_of
from linrec_bench.analysis.samples_table import GRID_POINT
from linrec_bench.analysis.systems import mechanisms

LINE = tuple(column for column in GRID_POINT if column != "seq_len")
"""What the points of one line of a cost figure share: shape, direction, device, phase ..."""

COSTS = ("time_s", "memory_bytes")

FLOORS = ("copy", "no-op")
"""Mechanisms that mix nothing: floors to compare with, never findings."""

_COLUMNS = (
    "challenger",
    "incumbent",
    "cost",
    "outcome",
    "seq_len",
    "seq_len_low",
    "seq_len_high",
    "shortest",
    "longest",
    "challenger_stops",
    "incumbent_stops",
)


def crossovers(
    summary: pd.DataFrame, *, reference: str, costs: Iterable[str] = COSTS, floors: bool = False
) -> pd.DataFrame:
    """`crossover` of every mechanism against `reference` (a label, or a name that one label carries).

    Ordered by cost, then by name; columns as there. Mechanisms that mix nothing (`FLOORS`) take part only
    with `floors`. Empty where the reference was not measured.
    """
    summary = mechanisms(summary)
    incumbent = one_of(summary, reference)
    kept = summary if floors else summary[~summary["attention_name"].isin(FLOORS)]
    challengers = [label for label in sorted(map(str, kept["system"].unique())) if label != incumbent]
    found = [
        crossover(summary, challenger=challenger, incumbent=incumbent, cost=cost)
        for cost in costs
        if incumbent is not None and cost in summary
        for challenger in challengers
    ]
    filled = [table for table in found if len(table)]
    if not filled:
        return pd.DataFrame(columns=[*line_of(summary), *_COLUMNS])
    return pd.concat(filled, ignore_index=True)


def crossover(
    summary: pd.DataFrame, *, challenger: str, incumbent: str, cost: str = "time_s"
) -> pd.DataFrame:
    """One row a line (`line_of`): from which length on `challenger` costs less than `incumbent`.

    `outcome` is `crosses` at `seq_len`, `always` (less at every shared length) or `never` (not less at the
    longest). `seq_len` is interpolated in log-log between measured lengths, `seq_len_low` and `seq_len_high`
    are where the ends of the interval of the cost ratio cross one: `seq_len_low` is the shortest shared
    length, or `seq_len_high` empty, where an end does not cross within `shortest` .. `longest`, the shared
    range. Of a cost without intervals (counted bytes) they are the measured lengths on either side, between
    which the crossing is interpolated. Lines with fewer than two shared lengths are left out.
    `challenger_stops` and `incumbent_stops` are the first longer lengths at which that side did not end ok:
    beyond them there is nothing to compare.
    """
    records = []
    keys, summary = line_of(summary), mechanisms(summary)
    both = summary[summary["system"].isin([challenger, incumbent])]
    for line, rows in both.groupby(keys, sort=False, dropna=False):
        done = rows[(rows["status"] == "ok") & rows[cost].notna()]
        pair = done[done["system"] == challenger].merge(
            done[done["system"] == incumbent], on="seq_len", suffixes=("", "_other")
        )
        if len(pair) < 2:
            continue
        pair = pair.sort_values("seq_len")
        lengths = pair["seq_len"].to_numpy(dtype=np.float64)
        ratio, low, high = _ratios(pair, incumbent, cost)
        at, earliest, latest = (crossing(lengths, values) for values in (ratio, low, high))
        outcome = "never" if math.isinf(at) else "always" if at == lengths[0] else "crosses"
        if outcome == "crosses" and f"{cost}_low" not in pair:
            earliest, latest = _neighbours(lengths, at)
        record: dict[str, object] = dict(zip(keys, line, strict=True))
        record |= {
            "challenger": challenger,
            "incumbent": incumbent,
            "cost": cost,
            "outcome": outcome,
            "seq_len": at if outcome == "crosses" else math.nan,
            "seq_len_low": math.nan if math.isinf(earliest) else earliest,
            "seq_len_high": math.nan if math.isinf(latest) else latest,
            "shortest": int(lengths[0]),
            "longest": int(lengths[-1]),
            "challenger_stops": _stops(rows[rows["system"] == challenger], lengths[-1]),
            "incumbent_stops": _stops(rows[rows["system"] == incumbent], lengths[-1]),
        }
        records.append(record)
    return pd.DataFrame.from_records(records, columns=[*keys, *_COLUMNS])


def line_of(summary: pd.DataFrame) -> list[str]:
    """The columns that the points of one line share: `LINE`, and the catalogue where the summary tells it."""
    return [*LINE, *(column for column in ("catalogue_size",) if column in summary)]


def crossing(lengths: Array, ratio: Array) -> float:
    """The length from which `ratio` stays below one: interpolated in log-log, the first length when it is
    below one everywhere, infinite when it is not at the last. A ratio of NaN counts as not below."""
    above = np.flatnonzero(~(ratio < 1))
    if len(above) == 0:
        return float(lengths[0])
    last = int(above[-1])
    if last == len(lengths) - 1:
        return math.inf
    if math.isnan(ratio[last]):
        return float(lengths[last + 1])
    (n0, n1), (r0, r1) = np.log(lengths[last : last + 2]), np.log(ratio[last : last + 2])
    return float(np.exp(n0 + (n1 - n0) * r0 / (r0 - r1)))


def _neighbours(lengths: Array, at: float) -> tuple[float, float]:
    """The measured lengths on either side of a crossing; a length itself where the crossing is one."""
    # A crossing at a measured length comes back from its logarithm a rounding error away.
    below = lengths[lengths <= at * (1 + 1e-9)]
    beyond = lengths[lengths >= at * (1 - 1e-9)]
    return float(below[-1]), float(beyond[0])


def _stops(rows: pd.DataFrame, longest: float) -> float:
    failed = rows.loc[(rows["status"] != "ok") & (rows["seq_len"] > longest), "seq_len"]
    return float(failed.min()) if len(failed) else math.nan


def _ratios(pair: pd.DataFrame, incumbent: str, cost: str) -> tuple[Array, Array, Array]:
    """The cost ratio at each shared length and the ends of its interval (the ratio itself without one).

    Ratios paired by round stand in the summary when the incumbent is its reference; otherwise the intervals
    of both sides are joined as those of independent measurements.
    """
    if cost == "time_s" and (pair["reference"] == incumbent).all():
        columns = ("time_ratio", "time_ratio_low", "time_ratio_high")
        ratio, low, high = (pair[column].to_numpy(dtype=np.float64) for column in columns)
        return ratio, np.where(np.isnan(low), ratio, low), np.where(np.isnan(high), ratio, high)
    ratio = (pair[cost] / pair[f"{cost}_other"]).to_numpy(dtype=np.float64)
    if f"{cost}_low" not in pair:
        return ratio, ratio, ratio
    down, up = (
        np.hypot(_reach(pair, cost, end), _reach(pair, f"{cost}_other", opposite, side="_other"))
        for end, opposite in (("low", "high"), ("high", "low"))
    )
    return ratio, ratio * np.exp(-down), ratio * np.exp(up)


def _reach(pair: pd.DataFrame, value: str, end: str, side: str = "") -> Array:
    """How far an end of the interval lies from its value, in log; 0 where there is no interval."""
    bound = pair[f"{value.removesuffix(side)}_{end}{side}"]
    reach: Array = np.log((bound / pair[value]).to_numpy(dtype=np.float64, na_value=1.0))
    return np.abs(reach)
