"""B compared with A, case by case: ratios of costs, differences of quality, and what can be said of them.

Three kinds of numbers, three ways to judge:

    sampled   times, and what else varies between processes: the ratio B / A with its bootstrap interval over
              rounds, or over seeds for task recommend. As in `check`, the interval must lie inside the margin
              for "no difference" and outside of it for "faster" or "slower". Those two also need a p-value
              (`significance`: Student's t on the logarithms) of at most 5 % after Holm's correction over all
              ratios of the comparison. "No difference" needs none: that everything is unchanged is claimed
              only where each ratio is, an intersection-union test (Berger 1982, "Multiparameter hypothesis
              testing and acceptance sampling").
    counted   FLOPs, operations, live bytes: equal, less or more, to the FLOP and the byte.
    quality   metrics on test: B - A paired by user and seed (`user_bootstrap`), by seed alone (Student's t)
              where no ranks are stored; judged like what is sampled, as a family of its own.

Within one run rounds are paired: the mechanisms of a round ran side by side. Rounds of two runs are not, and
what made one whole run slower than the other is in no interval: that is what the margin is for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from linrec_bench.analysis.case_pairing import (
    Ended,
    Match,
    Matching,
    Place,
    by_place,
    match_mechanisms,
    match_runs,
)
from linrec_bench.analysis.claim_quantities import EXACT_MEASURES
from linrec_bench.analysis.compare_time_to_quality import at_one_quality
from linrec_bench.analysis.compare_verdicts import judged, judged_count, judged_failure
from linrec_bench.analysis.comparison import Comparison, Family, Line, Reached
from linrec_bench.analysis.intervals import Array, Interval, median_interval, ratio_interval
from linrec_bench.analysis.paired_quality import Ranks, between_cases
from linrec_bench.analysis.regression import change, unchanged
from linrec_bench.analysis.samples_table import NUMBER_COLUMNS, by_round, measured
from linrec_bench.analysis.seeds import mean_and_half_width
from linrec_bench.analysis.significance import Difference, Effect, independent, paired
from linrec_bench.analysis.summary import METRIC
from linrec_bench.analysis.user_bootstrap import UserDifference
from linrec_bench.analysis.verdict import Bound
from linrec_bench.declarations import trainings

SAMPLED_OF_TRAININGS = ("train_time", "peak_process_bytes")
"""What varies between processes; elsewhere `time` alone. Of a training there is no exact peak on a CPU."""

COUNTED = ("peak_allocated_bytes", *(name for name in EXACT_MEASURES if name != "minimum_bytes"))
"""The least bytes that any implementation must move are no property of what is compared."""

DEFAULT_QUALITY_MARGIN = 0.005

NO_RANKS: Ranks = MappingProxyType({})


def compare_runs(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    margin: float,
    quality_margin: float = DEFAULT_QUALITY_MARGIN,
    attention: str | None = None,
    other_machine: str = "",
    target: float | None = None,
    ranks: tuple[Ranks, Ranks] = (NO_RANKS, NO_RANKS),
) -> Comparison:
    """Run B compared with run A, from the samples of both (`Run.samples`, `load_results`).

    Ratios within `margin` (0.1: 10 %) and metrics within `quality_margin` (absolute) count as unchanged.
    `attention` keeps one mechanism, by label or name. `other_machine` says how the machines differ: then no
    ratio of what is sampled is decided. `target` is that of `reached.at_one_quality`, `ranks` those of A and
    of B (`Run.ranks`). Raises `ValueError` for a side of several runs, a negative margin, an `attention` that
    neither side has, units that differ, and a target that is not between 0 and 1.
    """
    matching = match_runs(a, b, attention=attention)
    sides = _Samples(a, ranks[0]), _Samples(b, ranks[1])
    reader = _Reader(*sides, side_by_side=False, other_machine=other_machine)
    reached = at_one_quality(by_place(matching.matches), a, b, target=target)
    return _compare(matching, reader, margin, quality_margin, reached)


def compare_mechanisms(
    samples: pd.DataFrame,
    *,
    attention: str,
    against: str,
    margin: float,
    quality_margin: float = DEFAULT_QUALITY_MARGIN,
    target: float | None = None,
    ranks: Ranks = NO_RANKS,
) -> Comparison:
    """Mechanism `attention` (B) compared with `against` (A) wherever one run measured both.

    Margins, `target` and `ranks` as in `compare_runs`. Raises `ValueError` for samples of several runs, a
    mechanism that the run lacks and a name that several of its labels carry.
    """
    matching = match_mechanisms(samples, attention=attention, against=against)
    both = _Samples(samples, ranks)
    reached = at_one_quality(by_place(matching.matches), samples, samples, target=target)
    return _compare(matching, _Reader(both, both, side_by_side=True), margin, quality_margin, reached)


def _compare(
    matching: Matching, reader: _Reader, margin: float, quality_margin: float, reached: tuple[Reached, ...]
) -> Comparison:
    if not quality_margin >= 0:
        raise ValueError(f"quality margin {quality_margin}; expected 0 or more, in units of the metrics")
    within = unchanged(margin)
    sampled: list[tuple[Line, Difference]] = []
    quality: list[tuple[Line, Difference]] = []
    counted: list[Line] = []
    places = by_place(matching.matches)
    for place, matches in places.items():
        sampled += reader.ratios(place, matches)
        counted += reader.counts(place, matches)
        quality += reader.differences(place, matches)
    lines = [
        *judged(sampled, within=within, margin=math.log1p(margin)),
        *counted,
        *judged(quality, within=Bound(-quality_margin, quality_margin, ""), margin=quality_margin),
    ]
    order = {place: index for index, place in enumerate(places)}
    failed = [match for match in matching.matches if not match.ok]
    return Comparison(
        lines=tuple(sorted(lines, key=lambda line: order[line.place])),
        failures=tuple(judged_failure(match, other_machine=reader.other_machine) for match in failed),
        only_a=matching.only_a,
        only_b=matching.only_b,
        only_measured=dict(reader.only_measured),
        reached=reached,
    )


Rounds = Mapping[int, Array]
"""Round -> samples of one case."""


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


class _Reader:
    """Makes lines of the samples of both sides, and counts in `only_measured` what one side lacks."""

    def __init__(self, a: _Samples, b: _Samples, *, side_by_side: bool, other_machine: str = "") -> None:
        for measure in sorted(a.units.keys() & b.units.keys()):
            if a.units[measure] != b.units[measure]:
                raise ValueError(
                    f"measure {measure}: unit {a.units[measure]!r} in A, {b.units[measure]!r} in B; "
                    "expected one unit"
                )
        self._a, self._b = a, b
        self._side_by_side = side_by_side
        self.other_machine = other_machine
        self.only_measured: Counter[tuple[str, str]] = Counter()

    def ratios(self, place: Place, matches: Sequence[Match]) -> list[tuple[Line, Difference]]:
        """What is sampled, over the rounds of a case or the seeds of a training."""
        found: list[tuple[Line, Difference]] = []
        for measure in SAMPLED_OF_TRAININGS if place.task in trainings() else ("time",):
            pairs = self._pairs(measure, [match for match in matches if match.ok])
            if not pairs:
                continue
            by_seed = place.task in trainings()
            # A seed draws the same initial weights and order on both sides: seeds are always paired.
            a, b = _over_seeds(pairs) if by_seed else pairs[0]
            paired_up = by_seed or self._side_by_side
            ratio, effect = _paired_ratio(a, b) if paired_up else _independent_ratio(a, b)
            line = self._line(place, measure, "sampled", (_middle(a), _middle(b)), ratio)
            reason = self.other_machine or _too_few(ratio.rounds, "seed" if by_seed else "round")
            found.append((replace(line, replicates=ratio.rounds, reason=reason), effect))
        return found

    def counts(self, place: Place, matches: Sequence[Match]) -> list[Line]:
        found = []
        for measure in COUNTED:
            for pair in self._pairs(measure, matches):
                a, b = (_middle(side) for side in pair)
                quotient = b / a if a else 1.0 if b == 0 else math.inf
                exact = Interval(quotient, quotient, quotient, 1, "nothing")
                line = self._line(place, measure, "counted", (a, b), exact)
                found.append(judged_count(line, other_machine=self.other_machine))
        return found

    def differences(self, place: Place, matches: Sequence[Match]) -> list[tuple[Line, Difference]]:
        """Test metrics, paired over the seeds that ended ok on both sides, and over users where ranks are."""
        found: list[tuple[Line, Difference]] = []
        done = [match for match in matches if match.ok]
        for measure in dict.fromkeys((*self._a.metrics, *self._b.metrics)):
            pairs = self._pairs(measure, done)
            if not pairs:
                continue
            a, b = (np.array([_middle(pair[side]) for pair in pairs]) for side in (0, 1))
            effect: Difference = paired(b - a)
            mean, half = mean_and_half_width(b - a)
            ends, over = (mean, mean - half, mean + half), "seeds"
            by_user = self._by_user(measure, done) if len(pairs) == len(done) else None
            if by_user is not None:
                ends, over, effect = (by_user.mean, by_user.low, by_user.high), by_user.over, by_user
            interval = Interval(*ends, len(pairs), "rounds")
            line = self._line(place, measure, "quality", (float(a.mean()), float(b.mean())), interval)
            reason = _too_few(len(pairs), "seed")
            found.append((replace(line, replicates=len(pairs), over=over, reason=reason), effect))
        return found

    def _by_user(self, measure: str, matches: Sequence[Match]) -> UserDifference | None:
        a, b = ([side.key[1] for side in sides] for sides in zip(*((m.a, m.b) for m in matches), strict=True))
        return between_cases(a, self._a.ranks, b, self._b.ranks, metric=measure)

    def _pairs(self, measure: str, matches: Sequence[Match]) -> list[tuple[Rounds, Rounds]]:
        """The samples of each match where both sides have the measure."""
        pairs = []
        for match in matches:
            a, b = self._a.of(measure, match.a), self._b.of(measure, match.b)
            if a and b:
                pairs.append((a, b))
            elif match.ok and (a or b):
                self.only_measured[measure, "a" if a else "b"] += 1
        return pairs

    def _line(
        self, place: Place, measure: str, family: Family, sides: tuple[float, float], found: Interval
    ) -> Line:
        return Line(
            place=place,
            measure=measure,
            unit=self._a.units[measure],
            family=family,
            a=sides[0],
            b=sides[1],
            change=found.value,
            low=found.low,
            high=found.high,
        )


def _over_seeds(pairs: Sequence[tuple[Rounds, Rounds]]) -> tuple[Rounds, Rounds]:
    """Both sides with the processes of a seed as if they were the samples of a round."""
    a, b = ({seed: _medians(pair[side]) for seed, pair in enumerate(pairs)} for side in (0, 1))
    return a, b


def _paired_ratio(a: Rounds, b: Rounds) -> tuple[Interval, Effect]:
    ratio = ratio_interval(b, a)
    if ratio.over != "rounds":
        # One process does not tell how much processes differ.
        ratio = replace(ratio, low=math.nan, high=math.nan)
    logs = [np.log(np.median(b[key])) - np.log(np.median(a[key])) for key in sorted(a.keys() & b.keys())]
    return ratio, paired(np.array(logs))


def _independent_ratio(a: Rounds, b: Rounds) -> tuple[Interval, Effect]:
    ratio = change(median_interval(list(b.values())), median_interval(list(a.values())))
    return ratio, independent(np.log(_medians(a)), np.log(_medians(b)))


def _medians(rounds: Rounds) -> Array:
    return np.array([np.median(samples) for samples in rounds.values()])


def _middle(rounds: Rounds) -> float:
    return float(np.median(_medians(rounds)))


def _too_few(replicates: int, name: str) -> str:
    return "" if replicates > 1 else f"{replicates} {name}{'s' * (replicates != 1)}, two or more are needed"
