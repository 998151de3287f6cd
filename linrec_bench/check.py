"""`linrec-bench check`: the claims of the SPECs and of a suite against exact counts, or against a run."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench import baseline
from linrec_bench.analysis.intervals import Interval, ratio_interval
from linrec_bench.analysis.trials import CASE_COLUMNS, by_round, measured
from linrec_bench.analysis.verdicts import EXACT_MEASURES, SPEC, Bound, Claim, Verdict, judge
from linrec_bench.baseline import Counts, name_of
from linrec_bench.case import Case
from linrec_bench.execution.local import PRELOAD, load_plugins
from linrec_bench.execution.plan import Prediction
from linrec_bench.results.rows import COLUMNS, TRIAL, Row, row_of
from linrec_bench.suite.expand import Job, expand
from linrec_bench.suite.schema import Expectation, Suite, bound_limits
from linrec_bench.suite.select import select

if TYPE_CHECKING:
    import pandas as pd

    from linrec_bench.attention.spec import Spec

HOLDS, BROKEN, USAGE, UNDECIDED, NOTHING = 0, 1, 2, 3, 4
"""Exit codes."""

EXPONENT_TOLERANCE = 0.05
"""Exact exponents approach the declared ones from a finite length."""

JOBS_WORTH_A_PROCESS = 24
"""A process takes some seconds to start and counts about as many cases in that time."""

FURTHER_ROUNDS = 3
"""Rounds that an undecided question gets at a time."""

EXACT_WORDS = (*EXACT_MEASURES, "peak_memory", "saved_memory")
"""Measures that are answered from exact counts."""


@dataclass(frozen=True)
class Question:
    """A claim, and the cases it is asked of."""

    claim: Claim
    case_ids: frozenset[str]

    @property
    def exact(self) -> bool:
        return self.claim.measure in EXACT_WORDS


def count(jobs: Sequence[Job], *, plugins: Sequence[Path] = ()) -> pd.DataFrame:
    """Exact counts of every job but those of task `recommend`, as tidy rows; nothing is allocated.

    A case that its mechanism cannot do closes as `unsupported`, with the reason. Many jobs are counted on
    all cores, in processes that load `plugins`.
    """
    import pandas as pd

    rows: list[Row] = []
    for job, prediction in zip(jobs, _predictions(jobs, plugins), strict=True):
        if prediction is None:
            continue
        row = partial(row_of, job.case, run_id="exact", suite="")
        if prediction.unsupported:
            closing = row(
                measure=TRIAL, unit="s", value=0.0, status="unsupported", detail=prediction.unsupported
            )
        else:
            for name, value in baseline.counts_in(prediction).items():
                unit = "B" if name.endswith("bytes") else "FLOP"
                rows.append(row(measure=name, unit=unit, value=value))
            closing = row(measure=TRIAL, unit="s", value=0.0)
        rows.append(closing)
    return pd.DataFrame([row.as_dict() for row in rows], columns=list(COLUMNS))


def _predictions(jobs: Sequence[Job], plugins: Sequence[Path]) -> Iterable[Prediction | None]:
    from linrec_bench.execution.worker import predict

    cases = [job.case for job in jobs]
    processes = min(os.cpu_count() or 1, len(cases) // JOBS_WORTH_A_PROCESS)
    if processes < 2:
        return [predict(case) for case in cases]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=load_plugins, initargs=(tuple(plugins),)
    ) as pool:
        return list(pool.map(predict, cases))


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
    found = contracts(jobs)
    for number, line in enumerate(suite.expect):
        chosen = select(jobs, [line.where], flag="where") if line.where else list(jobs)
        if not chosen:
            # `--only` may have left its cases out.
            if line.where and select(expand(suite, device=jobs[0].case.device), [line.where], flag="where"):
                continue
            raise ValueError(f"expect.{number}.where: {line.where!r} matches no case of the suite")
        found.append(Question(claim_of(line, f"expect.{number}"), frozenset(job.case.id for job in chosen)))
    return found


def contracts(jobs: Sequence[Job]) -> list[Question]:
    """The exponents that SPECs declare, for every mechanism of the jobs; none without two lengths."""
    from linrec_bench import attention

    found: list[Question] = []
    for decoding in (False, True):
        asked = [job for job in jobs if (job.case.task == "decode") == decoding]
        if len({job.case.seq_len for job in asked}) < 2:
            continue
        every = frozenset(job.case.id for job in asked)
        for name, label in dict.fromkeys((job.case.attention, job.case.attention_label) for job in asked):
            for measure, exponent in _declared(attention.registry()[name], decoding=decoding):
                low, high = exponent - EXPONENT_TOLERANCE, exponent + EXPONENT_TOLERANCE
                bound = Bound(low, high, f"{exponent:g} as declared")
                claim = Claim(attention=label, measure=measure, quantity="exponent", bound=bound, source=SPEC)
                found.append(Question(claim, every))
    return found


def _declared(spec: Spec, *, decoding: bool) -> tuple[tuple[str, float], ...]:
    """Exact counts and the exponents of N that the SPEC declares for them."""
    if decoding:
        return ("operations", spec.state_exponent), ("state_bytes", spec.state_exponent)
    return ("operations", spec.time_exponent), ("peak_live_bytes", spec.memory_exponent)


def claim_of(line: Expectation, source: str) -> Claim:
    """A line of `expect:` or `claims:` as what the analysis judges."""
    low, high = bound_limits(line.bound)
    return Claim(
        attention=line.attention,
        model=line.model,
        measure=line.measure,
        quantity=line.quantity,  # type: ignore[arg-type]
        bound=Bound(low, high, line.bound),
        to=line.to,
        to_model=line.to_model,
        source=source,
    )


def verdicts(asked: Sequence[Question], samples: pd.DataFrame) -> list[Verdict]:
    """Every question answered wherever the samples hold its cases."""
    found: list[Verdict] = []
    for question in asked:
        found += judge(question.claim, samples[samples["case_id"].isin(question.case_ids)])
    return found


def of_run(suite: Suite, jobs: Sequence[Job], rows: pd.DataFrame) -> list[Verdict]:
    """Every question answered from the rows of a stored run; nothing is measured.

    What a SPEC declares is asked only where the run holds the counts for it: a run stores no `operations`.
    """
    rows = known_as(rows, jobs)
    asked = questions(suite, jobs)
    declared = verdicts([question for question in asked if question.claim.source == SPEC], rows)
    lines = verdicts([question for question in asked if question.claim.source != SPEC], rows)
    return [verdict for verdict in declared if not math.isnan(verdict.found)] + lines


def known_as(rows: pd.DataFrame, jobs: Sequence[Job]) -> pd.DataFrame:
    """Stored rows (of samples, or of a summary) under the identifiers that the cases of `jobs` have now.

    The identifier of a case is a hash of all its fields, so that it changes when a later version adds one. A
    case is told by what its rows show, where that means one job alone.
    """
    shown = [column for column in CASE_COLUMNS if column not in ("run_id", "suite", "case_id")]
    ids: dict[tuple[object, ...], str] = {}
    for job in jobs:
        row = row_of(job.case, run_id="", suite="", measure="", unit="", value=None).as_dict()
        key = tuple(row[column] for column in shown)
        ids[key] = "" if key in ids else job.case.id
    cases = rows[rows["measure"] == TRIAL] if "measure" in rows else rows
    known = {job.case.id for job in jobs}
    now = {
        str(stored): ids.get(tuple(key), "")
        for stored, *key in cases[["case_id", *shown]].itertuples(index=False, name=None)
        if stored not in known
    }
    return rows.assign(case_id=rows["case_id"].map(lambda stored: now.get(stored) or stored))


Measure = Callable[[Sequence[Job]], "pd.DataFrame"]
"""Samples of some jobs, of at least as many rounds as they ask for."""


@dataclass(frozen=True)
class Timed:
    """A question to measurements: the cases that it needs, and its verdicts once they are there."""

    case_ids: frozenset[str]
    judge: Callable[[pd.DataFrame], list[Verdict]]


def of_suite(
    suite: Suite, jobs: Sequence[Job], counted: pd.DataFrame, *, measure: Measure, budget_s: float
) -> list[Verdict]:
    """Exact questions from exact counts; the others from measuring just the cases that they are about."""
    asked = questions(suite, jobs)
    found = verdicts([question for question in asked if question.exact], counted)
    timed = [
        Timed(question.case_ids, partial(verdicts, [question])) for question in asked if not question.exact
    ]
    return found + settle(timed, jobs, measure=measure, budget_s=budget_s)


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


def against(path: Path, jobs: Sequence[Job], counted: pd.DataFrame, *, whole: bool) -> list[Verdict]:
    """The exact counts of now against the baseline in `path`.

    `whole` says that `jobs` are the whole suite: only then can a case of the baseline be missing.
    """
    import torch

    accepted = baseline.read(path, torch_version=torch.__version__)
    return baseline.compare(counts_of(jobs, counted), accepted, whole=whole)


def times_against(
    path: Path,
    suite: Suite,
    jobs: Sequence[Job],
    *,
    margin: Callable[[], float],
    measure: Measure,
    budget_s: float,
) -> list[Verdict]:
    """The timed ratios of now against the baseline in `path`, for the jobs that measure time.

    `margin` is asked only where there is such a job.
    """
    import torch

    pairs = _pairs(suite, jobs)
    if not pairs:
        return []
    allowed = margin()
    accepted = baseline.read(path, torch_version=torch.__version__)

    def judge(own: Job, other: Job, samples: pd.DataFrame) -> list[Verdict]:
        ratio = _ratio(own, other, samples)
        return [baseline.compare_time(baseline.name_of(own.case), ratio, accepted, margin=allowed)]

    timed = [
        Timed(frozenset((own.case.id, other.case.id)), partial(judge, own, other)) for own, other in pairs
    ]
    return settle(timed, jobs, measure=measure, budget_s=budget_s)


def accept(
    path: Path, suite: Suite, jobs: Sequence[Job], counted: pd.DataFrame, *, measure: Measure | None
) -> None:
    """Make the counts of now the baseline in `path`; the timed ratios too where `measure` is given."""
    import torch

    ratios = {}
    pairs = _pairs(suite, jobs) if measure is not None else []
    if measure is not None and pairs:
        wanted = {job.case.id for pair in pairs for job in pair}
        samples = measure([job for job in jobs if job.case.id in wanted])
        ratios = {baseline.name_of(own.case): _ratio(own, other, samples) for own, other in pairs}
    counts = counts_of(jobs, counted)
    baseline.write(path, baseline.Baseline(torch.__version__, counts, ratios))


def _pairs(suite: Suite, jobs: Sequence[Job]) -> list[tuple[Job, Job]]:
    """Every job that measures time, with that of the reference mechanism at the same point."""
    reference = suite.reference_attention()

    def point(job: Job) -> Case:
        return replace(job.case, attention="", attention_params=())

    timed = [job for job in jobs if "time" in job.measures and job.case.task != "recommend"]
    at_point = {point(job): job for job in timed if job.case.attention == reference}
    return [
        (job, at_point[point(job)])
        for job in timed
        if job.case.attention != reference and point(job) in at_point
    ]


def _ratio(own: Job, other: Job, samples: pd.DataFrame) -> Interval:
    times = by_round(measured(samples), "time", unit="s")
    rounds = {case_id: found for (_, case_id), found in times.items()}
    return ratio_interval(rounds.get(own.case.id, {}), rounds.get(other.case.id, {}))


def exit_code(found: Sequence[Verdict]) -> int:
    """1 when anything is broken, else 3 when anything is undecided, else 0; 4 when nothing was asked."""
    answers = {verdict.answer for verdict in found}
    if not answers:
        return NOTHING
    if "broken" in answers:
        return BROKEN
    return UNDECIDED if "undecided" in answers else HOLDS
