"""The counts and timed ratios of now against those that were accepted: the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.analysis.claim_verdicts import Verdict
from linrec_bench.analysis.intervals import Interval, ratio_interval
from linrec_bench.analysis.samples_table import by_round, measured
from linrec_bench.case import Case
from linrec_bench.gate import baseline
from linrec_bench.gate.exact_counts import counts_of
from linrec_bench.gate.remeasure import Measure, Timed, settle
from linrec_bench.suite.expand import Job
from linrec_bench.suite.schema import Suite

if TYPE_CHECKING:
    import pandas as pd


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
