"""False alarms and power of the timed gate, from rounds that were measured once. Pure.

    A/A       a baseline and a check of the same code, so every "broken" is a false alarm.
    planted   the same with a slowdown applied to the measured samples of the check. Nothing slower is run:
              the noise is the machine's, the effect is arithmetic.

Rounds of either side are drawn with replacement, and both sides look as the gate does: a baseline is measured
until its ratios are narrow (`regression.narrow`), a check until no line is undecided, each at most as often
as the gate looks. All rounds are from one session. What differs from one day to another, and does not cancel
in a ratio to a reference, is not in the rates; their intervals know only the number of draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from linrec_bench.analysis.intervals import LEVEL, Array, Interval, ratio_interval
from linrec_bench.analysis.regression import compare_ratio, narrow
from linrec_bench.analysis.verdict import Answer

MARGINS = (0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
HIGHEST_FALSE_ALARM_RATE = 0.01

LOWEST_HOLDING_RATE = 0.9
"""Of checks of unchanged code."""

DRAWN_RESAMPLES = 300
"""Of each ratio that is drawn: fewer than a check takes, so that its ends are noisier, and not narrower."""

SAME = "none"
"""The effect of an A/A comparison."""


@dataclass(frozen=True)
class Line:
    """One line of a check: times in seconds of a mechanism and of its reference, round -> samples."""

    seq_len: int
    own: Mapping[int, Array]
    reference: Mapping[int, Array]

    def median_s(self) -> float:
        return float(np.median(np.concatenate(list(self.own.values()))))


@dataclass(frozen=True)
class Effect:
    """A slowdown: t(N) becomes factor t(N) + quadratic t(N_max) (N / N_max)^2, N_max being the longest."""

    name: str
    factor: float = 1.0
    quadratic: float = 0.0


EFFECTS = (
    Effect(SAME),
    Effect("1.1 x", factor=1.1),
    Effect("1.25 x", factor=1.25),
    Effect("1.3 x", factor=1.3),
    Effect("1.5 x", factor=1.5),
    Effect("+ c N^2, 1.3 x at the longest", quadratic=0.3),
)


def plant(lines: Sequence[Line], effect: Effect) -> list[Line]:
    """The lines with the effect applied to every sample of the mechanism; the reference stays as it was."""
    longest = max(lines, key=lambda line: line.seq_len)
    added_s = effect.quadratic * longest.median_s()
    return [
        Line(
            line.seq_len,
            {
                round: effect.factor * samples + added_s * (line.seq_len / longest.seq_len) ** 2
                for round, samples in line.own.items()
            },
            line.reference,
        )
        for line in lines
    ]


@dataclass(frozen=True)
class Tally:
    """How often a check with this effect and margin gave each answer; `low` and `high` are the ends of the
    Wilson interval (95 %) of the share of broken ones."""

    effect: str
    margin: float
    holds: int
    undecided: int
    broken: int
    low: float
    high: float

    @property
    def broken_share(self) -> float:
        return self.broken / (self.holds + self.undecided + self.broken)


def tally(effect: str, margin: float, answers: Sequence[Answer]) -> Tally:
    """Count the answers; at least one."""
    counts = Counter(answers)
    low, high = _wilson(counts["broken"], len(answers))
    return Tally(
        effect,
        margin,
        counts["holds"],
        counts["undecided"],
        counts["broken"],
        low,
        high,
    )


@dataclass
class Side:
    """Every line measured anew: rounds drawn from a pool, of which a look takes the first so many."""

    lines: Sequence[Line]
    drawn: Sequence[int]
    resamples: int
    looked: dict[int, list[Interval]] = field(default_factory=dict)

    def ratios(self, look: int) -> list[Interval]:
        """The ratio of each line to its reference after so many rounds."""
        if look not in self.looked:
            rounds = self.drawn[:look]
            self.looked[look] = [
                ratio_interval(_of(line.own, rounds), _of(line.reference, rounds), resamples=self.resamples)
                for line in self.lines
            ]
        return self.looked[look]


def accepted_ratios(side: Side, looks: Sequence[int], margin: float) -> list[Interval] | None:
    """What a baseline holds: each ratio from the first look at which it is narrow; None where it is refused
    because one never is."""
    accepted: dict[int, Interval] = {}
    for look in looks:
        ratios = enumerate(side.ratios(look))
        accepted = {index: ratio for index, ratio in ratios if narrow(ratio, margin)} | accepted
        if len(accepted) == len(side.lines):
            return [accepted[index] for index in range(len(accepted))]
    return None


def checked(side: Side, accepted: Sequence[Interval], looks: Sequence[int], margin: float) -> Answer:
    """The answer of a check: broken when any line is, undecided when none is and any line stays so."""
    answers: list[Answer] = ["undecided"] * len(accepted)
    for look in looks:
        for index, (ratio, old) in enumerate(zip(side.ratios(look), accepted, strict=True)):
            if answers[index] == "undecided":
                answers[index] = compare_ratio(ratio, old, margin=margin)
        if "undecided" not in answers:
            break
    return "broken" if "broken" in answers else "undecided" if "undecided" in answers else "holds"


def tallies(
    lines: Sequence[Line],
    *,
    looks: Sequence[int],
    draws: int,
    effects: Sequence[Effect] = EFFECTS,
    margins: Sequence[float] = MARGINS,
    resamples: int = DRAWN_RESAMPLES,
    seed: int = 0,
) -> tuple[float | None, list[Tally]]:
    """The recommended margin, and the tallies over `draws` checks that it follows from.

    Unchanged code is checked at the widest margin and down to the first that is not wide enough; effects are
    planted at the recommended margin, at the widest where there is none. `looks` are ascending numbers of
    rounds. A refused baseline counts as undecided. Each ratio is resampled `resamples` times.
    """
    pool = sorted(set.intersection(*(set(line.own) & set(line.reference) for line in lines)))
    rng = np.random.default_rng(seed)
    before, after = rng.choice(pool, (2, draws, looks[-1]))
    old = [Side(lines, drawn, resamples) for drawn in before]

    def sides(changed: Sequence[Line]) -> list[Side]:
        return [Side(changed, drawn, resamples) for drawn in after]

    def of(changed: Sequence[Line], effect: Effect, margin: float, new: Sequence[Side] = ()) -> Tally:
        answers: list[Answer] = []
        for baseline, check in zip(old, new or sides(changed), strict=True):
            accepted = accepted_ratios(baseline, looks, margin)
            answers.append("undecided" if accepted is None else checked(check, accepted, looks, margin))
        return tally(effect.name, margin, answers)

    found: list[Tally] = []
    same = sides(lines)
    for margin in sorted(margins, reverse=True):
        found.append(of(lines, Effect(SAME), margin, same))
        if not wide_enough(found[-1]):
            break
    recommended = recommended_margin(found)
    shown = max(margins) if recommended is None else recommended
    found += [of(plant(lines, effect), effect, shown) for effect in effects if effect.name != SAME]
    return recommended, found


def wide_enough(tally: Tally) -> bool:
    """Whether unchanged code holds in at least 90 % of the checks and raises false alarms in at most 1 %,
    both at the unfavourable end of their intervals (which takes 381 draws)."""
    checks = tally.holds + tally.undecided + tally.broken
    holding, _ = _wilson(tally.holds, checks)
    return tally.high <= HIGHEST_FALSE_ALARM_RATE and holding >= LOWEST_HOLDING_RATE


def recommended_margin(found: Sequence[Tally]) -> float | None:
    """The smallest margin that is wide enough for unchanged code; None where none is."""
    fits = [tally.margin for tally in found if tally.effect == SAME and wide_enough(tally)]
    return min(fits, default=None)


def _of(samples: Mapping[int, Array], rounds: Sequence[int]) -> dict[int, Array]:
    return {position: samples[round] for position, round in enumerate(rounds)}


def _wilson(count: int, of: int) -> tuple[float, float]:
    """The interval of a share (Wilson's), at `LEVEL`."""
    from scipy.stats import binomtest

    interval = binomtest(count, of).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)
