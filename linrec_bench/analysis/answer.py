"""What findings say of a log: does a linear mechanism keep the quality, from which length does it pay?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from linrec_bench.analysis.findings import Finding
from linrec_bench.analysis.intervals import LEVEL
from linrec_bench.analysis.naming import FLOORS
from linrec_bench.analysis.risk import QUALITY

TOLERATED = 0.05
"""A loss of quality below this share of the reference's counts as kept."""

MOST_SEEDS, MOST_ROUNDS = 50, 100

Verdict = Literal["better", "kept", "undecided", "lost"]
"""The best first."""

_ORDER = ("better", "kept", "undecided", "lost")


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of histories that are longer than a length, with that of the ends of its interval; None where
    an end is unknown."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one mechanism on a log, each part a finding of the report, None where there is none.

    `quality` is its difference from the reference (kind `quality`), `verdict` what follows from it, and
    `seeds_needed` how many seeds would decide where it is undecided, None where at most 50 do not. The other
    findings are of the kind `crossover`: of one attention layer in training, of a training step on batches of
    the log, and of serving one event. `beyond` is the share of histories from `break_even` on, and
    `rounds_needed` how many rounds would show which is faster at the longest length, where that is not shown.
    """

    subject: str
    verdict: Verdict | None = None
    quality: Finding | None = None
    seeds_needed: int | None = None
    layer: Finding | None = None
    beyond: Share | None = None
    rounds_needed: int | None = None
    training: Finding | None = None
    serving: Finding | None = None

    @property
    def break_even(self) -> float | None:
        """The length from which one layer is shown to be faster; None where none is shown."""
        return None if self.layer is None else break_even(self.layer)


def facts_of(findings: Sequence[Finding], lengths: np.ndarray) -> list[Facts]:
    """The facts of every mechanism that is compared in these findings of both runs, the best quality first.

    `lengths` are those of the histories of the log.
    """
    quality = {f.subject: f for f in findings if f.kind == "quality" and "difference" in f.evidence}
    costs = {(str(f.where["task"]), f.subject): f for f in findings if f.kind == "crossover"}
    tests = sum(f.evidence.get("p_holm") is not None for f in quality.values())
    names = dict.fromkeys((*quality, *(subject for _, subject in costs)))
    found = []
    for name in (name for name in names if name not in FLOORS):
        own, layer = quality.get(name), costs.get(("layer", name))
        verdict = verdict_of(own) if own is not None else None
        undecided = own is not None and verdict == "undecided"
        found.append(
            Facts(
                subject=name,
                quality=own,
                verdict=verdict,
                seeds_needed=seeds_needed(own, tests) if own is not None and undecided else None,
                layer=layer,
                beyond=share_beyond(layer, lengths) if layer is not None else None,
                rounds_needed=rounds_needed(layer) if layer is not None else None,
                training=costs.get(("train_step", name)),
                serving=costs.get(("decode", name)),
            )
        )
    return sorted(found, key=_rank)


def _rank(facts: Facts) -> tuple[int, float]:
    if facts.quality is None or facts.verdict is None:
        return len(_ORDER), 0.0
    return _ORDER.index(facts.verdict), -_number(facts.quality, "difference")


def verdict_of(quality: Finding) -> Verdict:
    """Of a difference at the level of all differences of its run: `lost` and `better` are shown, `kept` rules
    out a loss of `TOLERATED`."""
    difference, reach = _number(quality, "difference"), _number(quality, "detectable")
    if quality.evidence["shown"]:
        return "lost" if difference < 0 else "better"
    return "kept" if difference - reach > -tolerated(quality) else "undecided"


def tolerated(quality: Finding) -> float:
    """The loss that counts as kept, in the metric."""
    return TOLERATED * _number(quality, "against_quality")


def seeds_needed(quality: Finding, tests: int) -> int | None:
    """Seeds with which such a difference would be decided among so many tests; None where `MOST_SEEDS` would
    not do: it is too small for so few users.

    The variances of users and of seeds follow from two widths of the same difference: that of its interval,
    and `detectable`, which has the level of all tests (`user_bootstrap`).
    """
    users, seeds = (int(_number(quality, name)) for name in ("users", "seeds"))
    if seeds < 2 or users < 2:
        return None
    interval = (_number(quality, "difference_high") - _number(quality, "difference_low")) / 2
    strict = _number(quality, "detectable")
    tail = QUALITY / max(tests, 1) / 2
    squares = [
        [float(stdtrit(degrees, 1 - each)) ** 2 for degrees in (users - 1, seeds - 1)]
        for each in ((1 - LEVEL) / 2, tail)
    ]
    of_users, of_seeds = np.maximum(np.linalg.solve(squares, [interval**2, strict**2]), 0.0)
    difference = _number(quality, "difference")
    wanted = max(abs(difference), tolerated(quality) + difference)
    for number in range(seeds + 1, MOST_SEEDS + 1):
        users_t, seeds_t = (float(stdtrit(degrees, 1 - tail)) for degrees in (users - 1, number - 1))
        if math.sqrt(users_t**2 * of_users + seeds_t**2 * of_seeds * seeds / number) < wanted:
            return number
    return None


def break_even(cost: Finding) -> float | None:
    """The length from which less time is shown to be taken, up to the longest measured; None without one."""
    evidence = cost.evidence
    match evidence["outcome"]:
        case "crosses":
            return cost.value
        case "always":
            return _number(cost, "shortest")
    if evidence["outcome"] in ("several", "partly") and _number(cost, "last") < 0:
        return cost.value if evidence["outcome"] == "several" else _number(cost, "since")
    return None


def share_beyond(cost: Finding, lengths: np.ndarray) -> Share | None:
    """The share of histories that are as long as the break-even or longer."""
    at = break_even(cost)
    if at is None:
        return None
    ends = (cost.high, cost.low) if cost.evidence["outcome"] in ("crosses", "several") else (None, None)
    low, high = (None if end is None else float((lengths >= end).mean()) for end in ends)
    return Share(value=float((lengths >= at).mean()), low=low, high=high)


def rounds_needed(cost: Finding) -> int | None:
    """Rounds with which such a ratio at the longest length would be shown to differ from one: the width of
    an interval falls with their square root at least. None where it is shown, or `MOST_ROUNDS` do not do."""
    effect, reach = (abs(math.log(_number(cost, name))) for name in ("ratio", "detectable"))
    if _number(cost, "last") or not 0 < effect < math.inf or not reach < math.inf:
        return None
    number = math.ceil(_number(cost, "rounds") * (reach / effect) ** 2)
    return number if number <= MOST_ROUNDS else None


def _number(finding: Finding, name: str) -> float:
    value = finding.evidence.get(name)
    return float("nan") if value is None else float(value)
