"""`linrec-bench check`: the claims of the SPECs and of a suite against exact counts, or against a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench import baseline
from linrec_bench.analysis.verdicts import EXACT_MEASURES, Bound, Claim, Verdict, judge
from linrec_bench.baseline import Counts, name_of
from linrec_bench.results.rows import COLUMNS, TRIAL, Row, row_of
from linrec_bench.results.store import open_run
from linrec_bench.suite.expand import Job
from linrec_bench.suite.schema import Expectation, Suite, bound_limits
from linrec_bench.suite.select import select

if TYPE_CHECKING:
    import pandas as pd

HOLDS, BROKEN, USAGE, UNDECIDED, NOTHING = 0, 1, 2, 3, 4
"""Exit codes."""

EXPONENT_TOLERANCE = 0.05
"""Exact exponents approach the declared ones from a finite length."""

FURTHER_ROUNDS = 3
"""Rounds that an undecided question gets at a time."""

_EXACT_WORDS = (*EXACT_MEASURES, "peak_memory", "saved_memory")


@dataclass(frozen=True)
class Question:
    """A claim, and the cases it is asked of."""

    claim: Claim
    case_ids: frozenset[str]

    @property
    def exact(self) -> bool:
        return self.claim.measure in _EXACT_WORDS


def count(jobs: Sequence[Job]) -> pd.DataFrame:
    """Exact counts of every job but those of task `recommend`, as tidy rows; nothing is allocated.

    A case that its mechanism cannot do closes as `unsupported`, with the reason.
    """
    import pandas as pd

    from linrec_bench.execution.worker import predict

    rows: list[Row] = []
    for job in jobs:
        prediction = predict(job.case)
        if prediction is None:
            continue
        row = partial(row_of, job.case, run_id="exact", suite="")
        if prediction.unsupported:
            closing = row(
                measure=TRIAL, unit="s", value=0.0, status="unsupported", detail=prediction.unsupported
            )
        else:
            for name in baseline.MEASURES:
                unit = "B" if name.endswith("bytes") else "FLOP"
                rows.append(row(measure=name, unit=unit, value=getattr(prediction, name)))
            closing = row(measure=TRIAL, unit="s", value=0.0)
        rows.append(closing)
    return pd.DataFrame([row.as_dict() for row in rows], columns=list(COLUMNS))


def counts_of(jobs: Sequence[Job], counted: pd.DataFrame) -> Counts:
    """The exact counts in the form of a baseline."""
    names = {job.case.id: name_of(job.case) for job in jobs}
    found: dict[str, dict[str, int]] = {}
    counts = counted[counted["measure"] != TRIAL]
    for case_id, measure, value in zip(counts["case_id"], counts["measure"], counts["value"], strict=True):
        found.setdefault(names[case_id], {})[measure] = int(value)
    return found


def questions(suite: Suite, jobs: Sequence[Job]) -> list[Question]:
    """The contracts of the SPECs of every mechanism in the jobs, then the lines of `expect:`.

    Raises `ValueError` for a `where` that cannot be read or that matches no case of the suite.
    """
    every = frozenset(job.case.id for job in jobs)
    found = [Question(claim, every) for claim in _contracts(jobs)]
    for number, line in enumerate(suite.expect):
        chosen = select(jobs, [line.where]) if line.where else list(jobs)
        found.append(Question(_claim(line, number), frozenset(job.case.id for job in chosen)))
    return found


def _contracts(jobs: Sequence[Job]) -> list[Claim]:
    from linrec_bench import attention

    claims: list[Claim] = []
    if len({job.case.seq_len for job in jobs}) < 2:
        return claims
    for name, label in dict.fromkeys((job.case.attention, job.case.attention_label) for job in jobs):
        spec = attention.registry()[name]
        declared = (("operations", spec.time_exponent), ("peak_live_bytes", spec.memory_exponent))
        for measure, exponent in declared:
            low, high = exponent - EXPONENT_TOLERANCE, exponent + EXPONENT_TOLERANCE
            bound = Bound(low, high, f"{exponent:g} as declared")
            claims.append(
                Claim(attention=label, measure=measure, quantity="exponent", bound=bound, source="SPEC")
            )
    return claims


def _claim(line: Expectation, number: int) -> Claim:
    low, high = bound_limits(line.bound)
    return Claim(
        attention=line.attention,
        measure=line.measure,
        quantity=line.quantity,  # type: ignore[arg-type]
        bound=Bound(low, high, line.bound),
        to=line.to,
        source=f"expect.{number}",
    )


def verdicts(asked: Sequence[Question], samples: pd.DataFrame) -> list[Verdict]:
    """Every question answered wherever the samples hold its cases."""
    found: list[Verdict] = []
    for question in asked:
        found += judge(question.claim, samples[samples["case_id"].isin(question.case_ids)])
    return found


def of_run(suite: Suite, jobs: Sequence[Job], folder: Path) -> list[Verdict]:
    """Every question answered from a stored run; nothing is measured."""
    return verdicts(questions(suite, jobs), open_run(folder).samples())


def of_suite(
    suite: Suite,
    jobs: Sequence[Job],
    *,
    measure: Callable[[Sequence[Job]], pd.DataFrame],
    budget_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Verdict]:
    """Exact questions from exact counts; the others from measuring just the cases that they are about.

    What stays undecided is measured in further rounds, and nothing else is, until `budget_s` is spent.
    """
    asked = questions(suite, jobs)
    found = verdicts([question for question in asked if question.exact], count(jobs))
    timed = [question for question in asked if not question.exact]
    rounds = 0
    started = clock()
    open_questions = timed
    answers: dict[Question, list[Verdict]] = {}
    while open_questions:
        wanted = frozenset().union(*(question.case_ids for question in open_questions))
        chosen = [replace(job, rounds=job.rounds + rounds) for job in jobs if job.case.id in wanted]
        samples = measure(chosen)
        answers |= {question: verdicts([question], samples) for question in open_questions}
        if clock() - started >= budget_s:
            break
        rounds += FURTHER_ROUNDS
        open_questions = [
            question
            for question in open_questions
            if any(verdict.answer == "undecided" for verdict in answers[question])
        ]
    return found + [verdict for question in timed for verdict in answers[question]]


def against(path: Path, jobs: Sequence[Job], *, update: bool, whole: bool) -> list[Verdict]:
    """The exact counts of now against the baseline in `path`; with `update` they become the baseline first.

    `whole` says that `jobs` are the whole suite: only then can a case of the baseline be missing, and only
    then may the file be rewritten (`ValueError`).
    """
    import torch

    counts = counts_of(jobs, count(jobs))
    if update:
        if not whole:
            raise ValueError("--update-baseline with --only would drop the other cases; expected one of them")
        baseline.write(path, baseline.Baseline(torch.__version__, counts))
    return baseline.compare(counts, baseline.read(path, torch_version=torch.__version__), whole=whole)


def exit_code(found: Sequence[Verdict]) -> int:
    """1 when anything is broken, else 3 when anything is undecided, else 0; 4 when nothing was asked."""
    answers = {verdict.answer for verdict in found}
    if not answers:
        return NOTHING
    if "broken" in answers:
        return BROKEN
    return UNDECIDED if "undecided" in answers else HOLDS
