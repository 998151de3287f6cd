"""What one side of a comparison knows: the samples of a run, or no more than its summary."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from linrec_bench.analysis.case_pairing import Ended, Match
from linrec_bench.analysis.claim_quantities import EXACT_MEASURES
from linrec_bench.analysis.intervals import LEVEL, Array, Interval, median_interval, ratio_interval
from linrec_bench.analysis.paired_quality import Ranks
from linrec_bench.analysis.regression import change
from linrec_bench.analysis.samples_table import NUMBER_COLUMNS, Key, by_round, is_summary, measured
from linrec_bench.analysis.significance import UNKNOWN, Effect, independent, paired
from linrec_bench.analysis.summary import METRIC

SAMPLED_OF_TRAININGS = ("train_time", "peak_process_bytes")
"""What varies between processes; elsewhere `time` alone. Of a training there is no exact peak on a CPU."""

COUNTED = ("peak_allocated_bytes", *(name for name in EXACT_MEASURES if name != "minimum_bytes"))
"""The least bytes that any implementation must move are no property of what is compared."""

Rounds = Mapping[int, Array]
"""Round -> samples of one case."""


class Side(Protocol):
    """Units by measure, the test metrics, ranks, the samples of a case by round, and ratios of times."""

    units: dict[str, str]
    metrics: list[str]
    ranks: Ranks

    def of(self, measure: str, case: Ended) -> Rounds: ...

    def ratio_to(self, other: Side, match: Match, *, side_by_side: bool) -> tuple[Interval, Effect]:
        """The time of case B of a match on this side over that of case A on the other."""
        ...


def side_of(frame: pd.DataFrame, ranks: Ranks) -> Side:
    return _Summary(frame, ranks) if is_summary(frame) else _Samples(frame, ranks)


class _Samples:
    """The samples of one side by measure, case and round, and the ranks of its trainings."""

    def __init__(self, samples: pd.DataFrame, ranks: Ranks) -> None:
        self.ranks = ranks
        every = measured(samples, status=None, columns=NUMBER_COLUMNS)
        ended_ok = measured(samples, columns=NUMBER_COLUMNS)
        test = ended_ok[ended_ok["phase"] == "test"]
        self.metrics = [name for name in dict.fromkeys(test["measure"]) if METRIC.fullmatch(name)]
        units = every[["measure", "unit"]].drop_duplicates()
        self.units = dict(zip(units["measure"], units["unit"], strict=True))
        sampled = ("time", *SAMPLED_OF_TRAININGS)
        self._found = {name: by_round(ended_ok, name, unit=None) for name in sampled}
        # Counts are made before a case runs, so that they are known of those that failed too.
        self._found |= {name: by_round(every, name, unit=None) for name in COUNTED}
        self._found |= {name: by_round(test, name, unit=None) for name in self.metrics}

    def of(self, measure: str, case: Ended) -> Rounds:
        return self._found.get(measure, {}).get(case.key, {})

    def ratio_to(self, other: Side, match: Match, *, side_by_side: bool) -> tuple[Interval, Effect]:
        a, b = other.of("time", match.a), self.of("time", match.b)
        return paired_ratio(a, b) if side_by_side else _independent_ratio(a, b)


_COLUMN_OF = {"time": "time_s", "train_time": "train_time_s"}
_UNIT_OF = {"time": "s", "train_time": "s", "flops": "FLOP"}


class _Summary:
    """The summary of one side: a number a case, and the ends of the interval of its time."""

    def __init__(self, summary: pd.DataFrame, ranks: Ranks) -> None:
        self.ranks = ranks
        self.metrics = [name for name in map(str, summary) if METRIC.fullmatch(name)]
        names = ("time", *SAMPLED_OF_TRAININGS, *COUNTED, *self.metrics)
        self._column_of = {
            name: column for name in names if (column := _COLUMN_OF.get(name, name)) in summary
        }
        bytes_of = {name: "B" for name in names if name.endswith("_bytes")}
        self.units = dict.fromkeys(self._column_of, "1") | bytes_of | _UNIT_OF
        self._rows: dict[Key, Mapping[Hashable, Any]] = {
            (row["run_id"], row["case_id"]): row for row in summary.to_dict("records")
        }

    def of(self, measure: str, case: Ended) -> Rounds:
        value = float(self._rows[case.key].get(self._column_of.get(measure, ""), math.nan))
        return {} if math.isnan(value) else {0: np.array([value])}

    def ratio_to(self, other: Side, match: Match, *, side_by_side: bool) -> tuple[Interval, Effect]:
        """That of the summary where A is its reference, else that of two medians measured apart."""
        assert isinstance(other, _Summary)
        before, after = other._rows[match.a.key], self._rows[match.b.key]
        if side_by_side and after["reference"] == match.place.against:
            ratio = _interval(after, "time_ratio")
            return ratio, _effect(ratio)
        sides = _interval(after, "time_s"), _interval(before, "time_s")
        own, others = map(_effect, sides)
        error, degrees = math.hypot(own.error, others.error), min(own.degrees, others.degrees)
        return change(*sides), Effect(own.estimate - others.estimate, error, degrees)


def _interval(row: Mapping[Hashable, Any], column: str) -> Interval:
    value, low, high = (float(row[name]) for name in (column, f"{column}_low", f"{column}_high"))
    return Interval(value, low, high, int(row["rounds"]), row["interval_over"])


def _effect(found: Interval) -> Effect:
    """The logarithm of a number, whose interval is taken for that of Student's t."""
    if found.over != "rounds":
        return UNKNOWN
    half, degrees = math.log(found.high / found.low) / 2, found.rounds - 1
    return Effect(math.log(found.value), half / float(stdtrit(degrees, (1 + LEVEL) / 2)), degrees)


def paired_ratio(a: Rounds, b: Rounds) -> tuple[Interval, Effect]:
    """B / A where the rounds of both ran side by side."""
    ratio = ratio_interval(b, a)
    if ratio.over != "rounds":
        # One process does not tell how much processes differ.
        ratio = replace(ratio, low=math.nan, high=math.nan)
    logs = [np.log(np.median(b[key])) - np.log(np.median(a[key])) for key in sorted(a.keys() & b.keys())]
    return ratio, paired(np.array(logs))


def _independent_ratio(a: Rounds, b: Rounds) -> tuple[Interval, Effect]:
    ratio = change(median_interval(list(b.values())), median_interval(list(a.values())))
    return ratio, independent(np.log(medians(a)), np.log(medians(b)))


def medians(rounds: Rounds) -> Array:
    return np.array([np.median(samples) for samples in rounds.values()])


def middle(rounds: Rounds) -> float:
    return float(np.median(medians(rounds)))
