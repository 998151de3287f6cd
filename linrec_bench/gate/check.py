"""`linrec-bench check`: the claims of the SPECs and of a suite against exact counts, or against a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from linrec_bench.analysis.measurements import Measurements, of_samples
from linrec_bench.analysis.verdict import SPEC, Verdict
from linrec_bench.gate.questions import Question, questions, verdicts
from linrec_bench.gate.remeasure import Measure, Timed, settle
from linrec_bench.suite.expand import Job
from linrec_bench.suite.schema import Suite

if TYPE_CHECKING:
    import pandas as pd

HOLDS, BROKEN, USAGE, UNDECIDED, NOTHING = 0, 1, 2, 3, 4
"""Exit codes."""


def of_run(suite: Suite, jobs: Sequence[Job], measurements: Measurements) -> list[Verdict]:
    """Every question answered from what a stored run measured; nothing is measured.

    What a SPEC declares is asked only where the run holds the counts for it: a run stores no `operations`.
    """
    every = verdicts(questions(suite, jobs), measurements)
    return [verdict for verdict in every if verdict.claim.source != SPEC or not math.isnan(verdict.found)]


def of_suite(
    suite: Suite, jobs: Sequence[Job], counted: pd.DataFrame, *, measure: Measure, budget_s: float
) -> list[Verdict]:
    """Exact questions from exact counts; the others from measuring just the cases that they are about."""
    every = questions(suite, jobs)
    exact = verdicts([question for question in every if question.exact], of_samples(counted))
    timed = [
        Timed(question.case_ids, partial(_from_samples, question)) for question in every if not question.exact
    ]
    settled = settle(timed, jobs, is_open=any_undecided, measure=measure, budget_s=budget_s)
    return exact + [verdict for each in settled for verdict in each]


def any_undecided(verdicts: Sequence[Verdict]) -> bool:
    return any(verdict.answer == "undecided" for verdict in verdicts)


def _from_samples(question: Question, samples: pd.DataFrame) -> list[Verdict]:
    return verdicts([question], of_samples(samples))


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """1 when anything is broken, else 3 when anything is undecided, else 0; 4 when nothing was asked."""
    answers = {verdict.answer for verdict in verdicts}
    if not answers:
        return NOTHING
    if "broken" in answers:
        return BROKEN
    return UNDECIDED if "undecided" in answers else HOLDS
