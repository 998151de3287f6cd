"""B compared with A at one quality: the training that each took until its validation was as good.

The quality is that of `matched`: given, or the lowest best value of the matched trainings of both sides that
ended ok, which all of those reach. A training that never got there is censored at its last validation: what
it had spent by then is the least that it needs, and so is a mean or a ratio that it is part of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from linrec_bench.analysis.case_pairing import Match, Place
from linrec_bench.analysis.comparison import Bounded, Reached
from linrec_bench.analysis.intervals import Array
from linrec_bench.analysis.samples_table import Key
from linrec_bench.analysis.seeds import mean_and_half_width
from linrec_bench.analysis.time_to_quality import check_target, learning_curves, time_to_quality
from linrec_bench.declarations import trainings


def at_one_quality(
    places: Mapping[Place, Sequence[Match]], a: pd.DataFrame, b: pd.DataFrame, *, target: float | None = None
) -> tuple[Reached, ...]:
    """One entry a place whose trainings were validated on both sides, from the samples of both.

    `target` is the validation NDCG@10 to reach. Without it a place in which no training ended ok is left out.
    Raises `ValueError` for a target that is not between 0 and 1.
    """
    if target is not None:
        check_target(target)
    if not any(side["task"].isin(trainings()).any() for side in (a, b)):
        return ()
    sides = _Trainings(a), _Trainings(b)
    found = []
    for place, matches in places.items():
        keys = [(match.a.key, match.b.key) for match in matches]
        both = [pair for pair in keys if all(side.knows(key) for side, key in zip(sides, pair, strict=True))]
        best = [
            side.best[key] for pair in both for side, key in zip(sides, pair, strict=True) if key in side.best
        ]
        wanted = target if target is not None else min(best, default=math.nan)
        if both and not math.isnan(wanted):
            found.append(_reached(place, sides, both, wanted))
    return tuple(found)


class _Trainings:
    """The validated trainings of one side, by case; `best` has those that ended ok."""

    def __init__(self, samples: pd.DataFrame) -> None:
        self._samples = samples[samples["task"].isin(trainings())]
        every = learning_curves(self._samples, status=None)
        ended_ok = learning_curves(self._samples)
        self._spent_s = _least(every, "seconds")
        self.best = _least(ended_ok, "quality")

    def knows(self, key: Key) -> bool:
        return key in self._spent_s

    def costs(self, keys: Sequence[Key], target: float) -> tuple[Array, Array, Array]:
        """Seconds and joules of each case, and whether it got there; where not, the seconds it had."""
        table = time_to_quality(self._samples, target=target).set_index(["run_id", "case_id"]).loc[list(keys)]
        seconds, joules = (table[name].to_numpy(dtype=np.float64) for name in ("to_target_s", "to_target_j"))
        there = ~np.isnan(seconds)
        return np.where(there, seconds, [self._spent_s[key] for key in keys]), joules, there


def _least(curves: pd.DataFrame, column: str) -> dict[Key, float]:
    """The highest value of a trial; of several rounds of a case that of the lowest."""
    highest = curves.groupby(["run_id", "case_id", "round"])[column].max().reset_index()
    lowest = highest.groupby(["run_id", "case_id"])[column].min().reset_index()
    return {(str(run), str(case)): float(value) for run, case, value in lowest.itertuples(index=False)}


def _reached(
    place: Place, sides: tuple[_Trainings, _Trainings], keys: Sequence[tuple[Key, Key]], target: float
) -> Reached:
    a_s, a_j, a_there = sides[0].costs([key for key, _ in keys], target)
    b_s, b_j, b_there = sides[1].costs([key for _, key in keys], target)
    change, bound, low, high = _ratio(a_s, b_s, a_all=bool(a_there.all()), b_all=bool(b_there.all()))
    return Reached(
        place=place,
        target=target,
        seeds=len(keys),
        a_reached=int(a_there.sum()),
        b_reached=int(b_there.sum()),
        a_s=float(a_s.mean()),
        b_s=float(b_s.mean()),
        a_j=float(a_j.mean()),
        b_j=float(b_j.mean()),
        change=change,
        bound=bound,
        low=low,
        high=high,
    )


def _ratio(a: Array, b: Array, *, a_all: bool, b_all: bool) -> tuple[float, Bounded, float, float]:
    """B / A paired by seed: the geometric mean with its t interval, or the side of it on which it lies."""
    if not (a_all or b_all):
        return math.nan, "unknown", math.nan, math.nan
    mean, half = mean_and_half_width(np.log(b / a))
    if not (a_all and b_all):
        return math.exp(mean), "at least" if a_all else "at most", math.nan, math.nan
    return math.exp(mean), "", math.exp(mean - half), math.exp(mean + half)
