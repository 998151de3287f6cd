"""Which verdict a line of a comparison gets: interval against margin, Holm's correction, exact equality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from linrec_bench.analysis.case_pairing import Match
from linrec_bench.analysis.comparison import Failure, Line, Verdict
from linrec_bench.analysis.intervals import LEVEL
from linrec_bench.analysis.significance import Difference, holm
from linrec_bench.analysis.verdict import Bound, answer

ALLOCATOR_TOLERANCE = 0.01
"""CUDA's allocator rounds blocks up: a change of `peak_allocated_bytes` by less than 1 % is none."""

MACHINE_STATUSES = ("oom", "timeout", "killed")
"""Failures that another machine can have without the code being worse."""


def judged(family: Sequence[tuple[Line, Difference]], *, within: Bound, margin: float) -> list[Line]:
    """The lines of one family with verdicts. `within` bounds `change`; `margin` bounds the effects, which are
    logarithms where `change` is a ratio.

    A line that already carries a reason stays undecided: it cannot be tested.
    """
    corrected = holm([math.nan if line.reason else effect.p_outside(margin) for line, effect in family])
    tested = sum(not math.isnan(p) for p in corrected)
    return [
        line
        if line.reason
        else _judged(replace(line, p=p, detectable=_detectable(line, effect, margin, tested)), within, tested)
        for (line, effect), p in zip(family, corrected, strict=True)
    ]


def _detectable(line: Line, effect: Difference, margin: float, tested: int) -> float:
    """The change whose interval and p-value would both just lie beyond the margin, were the spread the same
    and all other comparisons of the family without a difference."""
    is_ratio = line.family == "sampled"
    half = math.log(line.high / line.low) / 2 if is_ratio else (line.high - line.low) / 2
    least = margin + max(half, effect.reach((1 - LEVEL) / max(tested, 1)))
    return math.exp(least) if is_ratio else least


def _judged(line: Line, within: Bound, tested: int) -> Line:
    found = answer(within, line.low, line.high)
    if found == "holds":
        return replace(line, verdict="same")
    if found == "undecided":
        return replace(line, reason="the interval reaches over the margin")
    if not line.p <= 1 - LEVEL:
        return replace(line, reason=f"p = {line.p:.2g} after Holm's correction for {tested} comparisons")
    higher, higher_is_better = line.low > within.high, line.family == "quality"
    return replace(line, verdict="better" if higher == higher_is_better else "worse")


def judged_count(line: Line, *, other_machine: str) -> Line:
    """Equal, less or more to the unit; `peak_allocated_bytes`, which is no exact count, within its tolerance
    and only on one machine."""
    if line.measure != "peak_allocated_bytes":
        same = line.a == line.b
    elif other_machine:
        return replace(line, reason=other_machine)
    else:
        same = abs(line.change - 1) <= ALLOCATOR_TOLERANCE
    return replace(line, verdict="same" if same else "worse" if line.b > line.a else "better")


def judged_failure(match: Match, *, other_machine: str) -> Failure:
    """What a failure says of B: nothing where it was skipped (it was not measured) or where another machine
    ran out of memory or time."""
    a, b = match.a, match.b
    verdict: Verdict
    if b.status == "ok":
        verdict = "better"
    elif a.status != "ok":
        verdict = "same"
    elif b.status == "skipped" or (other_machine and b.status in MACHINE_STATUSES):
        verdict = "undecided"
    else:
        verdict = "worse"
    return Failure(
        place=match.place, a=a.status, a_detail=a.detail, b=b.status, b_detail=b.detail, verdict=verdict
    )
