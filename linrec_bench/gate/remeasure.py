"""Questions that measuring answers: again what is still open, a few times and as long as the budget lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from linrec_bench.suite.expand import Job

if TYPE_CHECKING:
    import pandas as pd

FURTHER_ROUNDS = 3
"""Rounds that an open question gets at a time."""

LOOKS = 6
"""Times that a question is judged at most: each further look is another chance of a false alarm, so that
their number is fixed before, and `calibrate` looks as often."""

Measure = Callable[[Sequence[Job]], "pd.DataFrame"]
"""Samples of some jobs, of at least as many rounds as they ask for."""


Samples = TypeVar("Samples")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Timed(Generic[Samples, Answer]):
    """A question to measurements: the cases that it needs, and its answer once they are there."""

    case_ids: frozenset[str]
    judge: Callable[[Samples], Answer]


def in_steps(rounds: int, look: int) -> int:
    """Rounds at a look: those that a case asks for, and `FURTHER_ROUNDS` more each time."""
    return rounds + look * FURTHER_ROUNDS


def doubled(rounds: int, look: int) -> int:
    """Rounds at a look: twice as many each time, where a round is short."""
    return rounds << look


def looks(rounds: int) -> tuple[int, ...]:
    """The rounds at which a question about cases of `rounds` rounds is judged, if it stays open."""
    return tuple(in_steps(rounds, look) for look in range(LOOKS))


def settle(
    timed: Sequence[Timed[Samples, Answer]],
    jobs: Sequence[Job],
    *,
    is_open: Callable[[Answer], bool],
    measure: Callable[[Sequence[Job]], Samples],
    budget_s: float,
    rounds_at: Callable[[int, int], int] = in_steps,
    clock: Callable[[], float] = time.monotonic,
) -> list[Answer]:
    """The answer to each question: measure, judge, and measure again in further rounds what is open, and
    nothing else, `LOOKS` times at most and until `budget_s` is spent."""
    answers: dict[int, Answer] = {}
    pending = list(range(len(timed)))
    started = clock()
    for look in range(LOOKS):
        wanted = frozenset().union(*(timed[index].case_ids for index in pending))
        if not pending or (look and clock() - started >= budget_s):
            break
        samples = measure(
            [replace(job, rounds=rounds_at(job.rounds, look)) for job in jobs if job.case.id in wanted]
        )
        answers |= {index: timed[index].judge(samples) for index in pending}
        pending = [index for index in pending if is_open(answers[index])]
    return [answers[index] for index in range(len(timed))]
