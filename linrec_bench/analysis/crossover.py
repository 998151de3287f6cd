"""Which of two mechanisms costs less at which lengths, and the length N* from which that changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from linrec_bench.analysis.intervals import LEVEL, Array
from linrec_bench.analysis.naming import FLOORS, one_of
from linrec_bench.analysis.risk import NO_SPREAD, Spread, common_spread
from linrec_bench.analysis.samples_table import GRID_POINT, compact
from linrec_bench.analysis.shown_order import LogRatios, first_change, latest_change, shown_order
from linrec_bench.analysis.summary import EXACT
from linrec_bench.analysis.systems import mechanisms

LINE = tuple(column for column in GRID_POINT if column != "seq_len")
"""What the points of one line of a cost figure share: shape, direction, device, phase ..."""

COSTS = ("time_s", "memory_bytes")

COUNTED = ("memory_bytes", *EXACT)
"""Costs that are exact counts. Any other is sampled, and shows nothing without an interval over processes."""

MOST_LOG = 700.0
"""Beyond it a factor is no number; two processes at a strict level come there."""

RISK = 1 - LEVEL
"""Of a false statement about one pair, where it is not one of several."""

_COLUMNS = (
    "challenger",
    "incumbent",
    "cost",
    "outcome",
    "seq_len",
    "seq_len_low",
    "seq_len_high",
    "first",
    "until",
    "last",
    "since",
    "changes",
    "first_change",
    "shortest",
    "longest",
    "ratio",
    "ratio_low",
    "ratio_high",
    "rounds",
    "detectable",
    "challenger_stops",
    "incumbent_stops",
)


def crossovers(
    summary: pd.DataFrame,
    *,
    reference: str,
    costs: Iterable[str] = COSTS,
    floors: bool = False,
    risk: float = RISK,
) -> pd.DataFrame:
    """`crossover` of every mechanism against `reference` (a label, or a name that one label carries).

    Ordered by cost, then by name; columns as there. Mechanisms that mix nothing (`FLOORS`) take part only
    with `floors`. Empty where the reference was not measured.
    """
    summary = mechanisms(summary)
    incumbent = one_of(summary, reference)
    kept = summary if floors else summary[~summary["attention_name"].isin(FLOORS)]
    challengers = [label for label in sorted(map(str, kept["system"].unique())) if label != incumbent]
    records: list[dict[str, object]] = []
    for cost in costs:
        if incumbent is not None and cost in summary:
            lines = _lines(summary, cost)
            for challenger in challengers:
                records += _records(lines, challenger, incumbent, cost, risk=risk)
    return pd.DataFrame.from_records(records, columns=[*line_of(summary), *_COLUMNS])


def crossover(
    summary: pd.DataFrame,
    *,
    challenger: str,
    incumbent: str,
    cost: str = "time_s",
    risk: float = RISK,
) -> pd.DataFrame:
    """One row a line (`line_of`) with two shared lengths: at which lengths `challenger` costs less.

    `outcome` is that of `shown_order`: `first` and `last` (-1: less is shown, 1: more, 0: neither) hold up to
    the length `until` and from the length `since` on, and the order changes `changes` times. `seq_len` is the
    length from which the order is that of the longest, interpolated in log-log between measured lengths, for
    `crosses`, `loses` and `several`; of the last also `first_change`, up to which it is that of the shortest.
    `seq_len_low` and `seq_len_high` are where the ends of the interval of the cost ratio cross one, empty
    where they do not within `shortest` .. `longest`. Of an exact count they are the measured lengths on
    either side. `ratio` is that of the costs at the longest length, with its interval at the same level.
    `risk` is that of any false statement in the row; where it is one of several, they share it. `detectable`
    is the least ratio above one that could have been shown at both ends, over `rounds`
    processes; infinite for one process, which shows nothing. `challenger_stops` and `incumbent_stops` are the
    first longer lengths at which that side did not end ok: beyond them there is nothing to compare.
    """
    records = _records(_lines(summary, cost), challenger, incumbent, cost, risk=risk)
    return pd.DataFrame.from_records(records, columns=[*line_of(summary), *_COLUMNS])


Line = tuple[dict[str, object], pd.DataFrame]
"""The columns that the points of a line share, and the others of its rows."""


def _lines(summary: pd.DataFrame, cost: str) -> list[Line]:
    """Each line with what its cost is compared by: a summary is wide, and rows are selected many times."""
    own = ("system", "attention", "reference", "status", "seq_len", "rounds", cost)
    ends = (f"{name}{end}" for name in (cost, "time_ratio") for end in ("", "_low", "_high"))
    known, keys = mechanisms(summary), line_of(summary)
    numbers = compact(known[[column for column in dict.fromkeys((*own, *ends)) if column in known]])
    grouped = numbers.groupby([known[key] for key in keys], sort=False, dropna=False)
    return [(dict(zip(keys, line, strict=True)), rows) for line, rows in grouped]


def _records(
    lines: Iterable[Line], challenger: str, incumbent: str, cost: str, *, risk: float
) -> Iterator[dict[str, object]]:
    """A row for each line with two lengths that both were measured at."""
    for shared, every in lines:
        sides = [every[every["system"] == name] for name in (challenger, incumbent)]
        own, other = (rows[(rows["status"] == "ok") & rows[cost].notna()] for rows in sides)
        pair = own.merge(other, on="seq_len", suffixes=("", "_other"))
        if len(pair) < 2:
            continue
        pair = pair.sort_values("seq_len")
        longest = float(pair["seq_len"].iloc[-1])
        stops = [_stops(rows, longest) for rows in sides]
        ratios = replace(_ratios(pair, incumbent, cost), spread=_spread(every, cost))
        yield {
            **shared,
            "challenger": challenger,
            "incumbent": incumbent,
            "cost": cost,
            "challenger_stops": stops[0],
            "incumbent_stops": stops[1],
            **_order(ratios, risk=risk),
        }


def _order(ratios: LogRatios, *, risk: float) -> dict[str, object]:
    lengths = ratios.lengths
    order = shown_order(ratios, risk=risk)
    at, earliest, latest = latest_change(ratios, order, risk=risk)
    changes = order.outcome in ("crosses", "loses", "several")
    if changes and ratios.exact:
        earliest, latest = _neighbours(lengths, at)
    low, high = ratios.ends(risk / 2)
    return {
        "outcome": order.outcome,
        "seq_len": at if changes else math.nan,
        "seq_len_low": earliest,
        "seq_len_high": latest,
        "first": order.first,
        "until": int(lengths[order.until]),
        "last": order.last,
        "since": int(lengths[order.since]),
        "changes": order.changes,
        "first_change": first_change(ratios, order) if order.outcome == "several" else math.nan,
        "shortest": int(lengths[0]),
        "longest": int(lengths[-1]),
        "ratio": _exp(ratios.value[-1]),
        "ratio_low": math.exp(low[-1]) if np.isfinite(low[-1]) else math.nan,
        "ratio_high": math.exp(high[-1]) if np.isfinite(high[-1]) else math.nan,
        "rounds": int(ratios.rounds.min()),
        "detectable": _exp(np.maximum(high - ratios.value, ratios.value - low)[[0, -1]].max()),
    }


def line_of(summary: pd.DataFrame) -> list[str]:
    """The columns that the points of one line share: `LINE`, and the catalogue where the summary tells it."""
    return [*LINE, *(column for column in ("catalogue_size",) if column in summary)]


def _exp(value: float) -> float:
    return math.exp(value) if value < MOST_LOG else math.inf


def _neighbours(lengths: Array, at: float) -> tuple[float, float]:
    """The measured lengths on either side of a crossing; a length itself where the crossing is one."""
    # A crossing at a measured length comes back from its logarithm a rounding error away.
    below = lengths[lengths <= at * (1 + 1e-9)]
    beyond = lengths[lengths >= at * (1 - 1e-9)]
    return float(below[-1]), float(beyond[0])


def _stops(rows: pd.DataFrame, longest: float) -> float:
    failed = rows.loc[(rows["status"] != "ok") & (rows["seq_len"] > longest), "seq_len"]
    return float(failed.min()) if len(failed) else math.nan


def _ratios(pair: pd.DataFrame, incumbent: str, cost: str) -> LogRatios:
    """The cost ratio at each shared length.

    Ratios paired by round stand in the summary when the incumbent is its reference; otherwise the intervals
    of both sides are joined as those of independent measurements.
    """
    lengths = pair["seq_len"].to_numpy(dtype=np.float64)
    rounds = pair[["rounds", "rounds_other"]].min(axis=1).to_numpy(dtype=np.float64)
    value = np.log((pair[cost] / pair[f"{cost}_other"]).to_numpy(dtype=np.float64))
    down = up = np.zeros_like(value)
    if cost == "time_s" and (pair["reference"] == incumbent).all():
        ends = (pair[f"time_ratio{end}"].to_numpy(dtype=np.float64) for end in ("", "_low", "_high"))
        value, low, high = (np.log(end) for end in ends)
        down, up = value - low, high - value
    elif f"{cost}_low" in pair:
        down, up = (
            np.hypot(_reach(pair, cost, end), _reach(pair, f"{cost}_other", opposite, side="_other"))
            for end, opposite in (("low", "high"), ("high", "low"))
        )
    elif cost not in COUNTED:
        rounds = np.zeros_like(rounds)
    return LogRatios(lengths=lengths, value=value, down=down, up=up, rounds=rounds, exact=cost in COUNTED)


def _spread(line: pd.DataFrame, cost: str) -> Spread:
    """How much processes differ in the cases of a line: in their ratios to its reference."""
    if cost != "time_s":
        return NO_SPREAD
    compared = line[(line["attention"] != line["reference"]) & line["time_ratio_low"].notna()]
    low, high = (compared[f"time_ratio_{end}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
    return common_spread(np.log(high / low) / 2, compared["rounds"].to_numpy(dtype=np.float64))


def _reach(pair: pd.DataFrame, value: str, end: str, side: str = "") -> Array:
    """How far an end of the interval lies from its value, in log; NaN where there is no interval."""
    bound = pair[f"{value.removesuffix(side)}_{end}{side}"]
    reach: Array = np.log((bound / pair[value]).to_numpy(dtype=np.float64, na_value=math.nan))
    return np.abs(reach)
