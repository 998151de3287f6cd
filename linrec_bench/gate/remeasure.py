"""Questions that measuring answers: again and again what is undecided, as long as the budget lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from linrec_bench.analysis.verdict import Verdict
from linrec_bench.suite.expand import Job

if TYPE_CHECKING:
    import pandas as pd

FURTHER_ROUNDS = 3
"""Rounds that an undecided question gets at a time."""

Measure = Callable[[Sequence[Job]], "pd.DataFrame"]
"""Samples of some jobs, of at least as many rounds as they ask for."""


@dataclass(frozen=True)
class Timed:
    """A question to measurements: the cases that it needs, and its verdicts once they are there."""

    case_ids: frozenset[str]
    judge: Callable[[pd.DataFrame], list[Verdict]]


def settle(
    timed: Sequence[Timed],
    jobs: Sequence[Job],
    *,
    measure: Measure,
    budget_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Verdict]:
    """Measure, judge, and measure again in further rounds what is undecided, and nothing else, until
    `budget_s` is spent."""
    answers: dict[int, list[Verdict]] = {}
    pending = list(range(len(timed)))
    rounds = 0
    started = clock()
    while pending:
        wanted = frozenset().union(*(timed[index].case_ids for index in pending))
        samples = measure([replace(job, rounds=job.rounds + rounds) for job in jobs if job.case.id in wanted])
        answers |= {index: timed[index].judge(samples) for index in pending}
        if clock() - started >= budget_s:
            break
        rounds += FURTHER_ROUNDS
        pending = [i for i in pending if any(verdict.answer == "undecided" for verdict in answers[i])]
    return [verdict for index in range(len(timed)) for verdict in answers[index]]
