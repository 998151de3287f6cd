"""False alarms and power of the timed comparison, from rounds that were measured once. Pure.

    A/A       two sets of rounds drawn apart from one pool, compared as a run is with its baseline. The code
              is the same, so every "broken" is a false alarm.
    planted   the same with a slowdown applied to the measured samples of the later side. Nothing slower is
              run: the noise is the machine's, the effect is arithmetic.

All draws come from one session and share its rounds. What differs from one day to another, and does not
cancel in a ratio to a reference, is not in the rates; their intervals know only the number of draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from linrec_bench.analysis.intervals import LEVEL, Array, ratio_interval
from linrec_bench.analysis.regression import compare_ratio
from linrec_bench.analysis.verdict import Answer

MARGINS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
HIGHEST_FALSE_ALARM_RATE = 0.01

LOWEST_HOLDING_RATE = 0.9
"""Of checks of unchanged code."""

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
    interval = stats.binomtest(counts["broken"], len(answers)).proportion_ci(LEVEL, method="wilson")
    return Tally(
        effect,
        margin,
        counts["holds"],
        counts["undecided"],
        counts["broken"],
        float(interval.low),
        float(interval.high),
    )


def tallies(
    lines: Sequence[Line],
    *,
    rounds_a_side: int,
    draws: int,
    effects: Sequence[Effect] = EFFECTS,
    margins: Sequence[float] = MARGINS,
    seed: int = 0,
) -> list[Tally]:
    """One tally for each effect and margin, over `draws` checks of `rounds_a_side` rounds against as many.

    A check is broken when any of its lines is, and undecided when none is broken and any is undecided. Raises
    `ValueError` when the lines share fewer rounds than both sides need.
    """
    pool = sorted(set.intersection(*(set(line.own) & set(line.reference) for line in lines)))
    if len(pool) < 2 * rounds_a_side:
        raise ValueError(
            f"{len(pool)} rounds; expected at least {2 * rounds_a_side}, {rounds_a_side} for each side"
        )
    planted = {effect: plant(lines, effect) for effect in effects}
    answers: dict[tuple[Effect, float], list[Answer]] = {(e, m): [] for e in effects for m in margins}
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        drawn = [pool[i] for i in rng.permutation(len(pool))[: 2 * rounds_a_side]]
        before, after = drawn[:rounds_a_side], drawn[rounds_a_side:]
        old = [ratio_interval(_of(line.own, before), _of(line.reference, before)) for line in lines]
        for effect, changed in planted.items():
            new = [ratio_interval(_of(line.own, after), _of(line.reference, after)) for line in changed]
            for margin in margins:
                each = {compare_ratio(n, o, margin=margin) for n, o in zip(new, old, strict=True)}
                answers[effect, margin].append(_of_check(each))
    return [tally(effect.name, margin, given) for (effect, margin), given in answers.items()]


def recommended_margin(found: Sequence[Tally]) -> float | None:
    """The smallest margin at which unchanged code holds in at least 90 % of checks, with false alarms in at
    most 1 % even at the upper end of its interval.

    None when no margin of the grid is wide enough (or too few draws were made to tell: 381 are needed).
    """
    fits = [
        tally.margin
        for tally in found
        if tally.effect == SAME
        and tally.high <= HIGHEST_FALSE_ALARM_RATE
        and tally.holds >= LOWEST_HOLDING_RATE * (tally.holds + tally.undecided + tally.broken)
    ]
    return min(fits, default=None)


def _of(samples: Mapping[int, Array], rounds: Sequence[int]) -> dict[int, Array]:
    return {round: samples[round] for round in rounds}


def _of_check(lines: set[Answer]) -> Answer:
    if "broken" in lines:
        return "broken"
    return "undecided" if "undecided" in lines else "holds"
