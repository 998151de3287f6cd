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
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from linrec_bench.analysis.case_pairing import (
    Match,
    Matching,
    Place,
    by_place,
    match_mechanisms,
    match_runs,
)
from linrec_bench.analysis.compare_sides import (
    COUNTED,
    SAMPLED_OF_TRAININGS,
    Rounds,
    Side,
    medians,
    middle,
    paired_ratio,
    side_of,
)
from linrec_bench.analysis.compare_time_to_quality import at_one_quality
from linrec_bench.analysis.compare_verdicts import judged, judged_count, judged_failure
from linrec_bench.analysis.comparison import Comparison, Family, Line, Reached
from linrec_bench.analysis.intervals import Interval
from linrec_bench.analysis.paired_quality import Ranks, between_cases
from linrec_bench.analysis.regression import unchanged
from linrec_bench.analysis.samples_table import is_summary
from linrec_bench.analysis.seeds import mean_and_half_width
from linrec_bench.analysis.significance import Difference, paired
from linrec_bench.analysis.user_bootstrap import UserDifference
from linrec_bench.analysis.verdict import Bound
from linrec_bench.declarations import trainings

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
    """Run B compared with run A: the samples of both (`Run.samples`, `load_results`), or their summaries.

    A summary holds no process: intervals of ratios come from those of medians, and what trainings cost at one
    quality is left out.

    Ratios within `margin` (0.1: 10 %) and metrics within `quality_margin` (absolute) count as unchanged.
    `attention` keeps one mechanism, by label or name. `other_machine` says how the machines differ: then no
    ratio of what is sampled is decided. `target` is that of `reached.at_one_quality`, `ranks` those of A and
    of B (`Run.ranks`). Raises `ValueError` for a side of several runs, a negative margin, an `attention` that
    neither side has, units that differ, and a target that is not between 0 and 1.
    """
    matching = match_runs(a, b, attention=attention)
    sides = side_of(a, ranks[0]), side_of(b, ranks[1])
    reader = _Reader(*sides, side_by_side=False, other_machine=other_machine)
    reached = _reached(matching, a, b, target)
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
    both = side_of(samples, ranks)
    reached = _reached(matching, samples, samples, target)
    return _compare(matching, _Reader(both, both, side_by_side=True), margin, quality_margin, reached)


def _reached(
    matching: Matching, a: pd.DataFrame, b: pd.DataFrame, target: float | None
) -> tuple[Reached, ...]:
    if is_summary(a) or is_summary(b):
        if target is not None:
            raise ValueError("a target of validation quality needs the samples of both runs")
        return ()
    return at_one_quality(by_place(matching.matches), a, b, target=target)


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


class _Reader:
    """Makes lines of the samples of both sides, and counts in `only_measured` what one side lacks."""

    def __init__(self, a: Side, b: Side, *, side_by_side: bool, other_machine: str = "") -> None:
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
            if by_seed:
                ratio, effect = paired_ratio(a, b)
            else:
                (match,) = [match for match in matches if match.ok]
                ratio, effect = self._b.ratio_to(self._a, match, side_by_side=self._side_by_side)
            line = self._line(place, measure, "sampled", (middle(a), middle(b)), ratio)
            reason = self.other_machine or _too_few(ratio.rounds, "seed" if by_seed else "round")
            found.append((replace(line, replicates=ratio.rounds, reason=reason), effect))
        return found

    def counts(self, place: Place, matches: Sequence[Match]) -> list[Line]:
        found = []
        for measure in COUNTED:
            pairs = self._pairs(measure, matches)
            # The seeds of a training have the same counts: one line tells them all.
            for a, b in dict.fromkeys((middle(a), middle(b)) for a, b in pairs):
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
            a, b = (np.array([middle(pair[side]) for pair in pairs]) for side in (0, 1))
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
    a, b = ({seed: medians(pair[side]) for seed, pair in enumerate(pairs)} for side in (0, 1))
    return a, b


def _too_few(replicates: int, name: str) -> str:
    return "" if replicates > 1 else f"{replicates} {name}{'s' * (replicates != 1)}, two or more are needed"
