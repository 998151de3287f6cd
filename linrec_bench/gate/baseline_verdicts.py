"""Current counts and timed ratios against the baseline, and how it is renewed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from linrec_bench.analysis.intervals import Interval, ratio_interval
from linrec_bench.analysis.regression import change, compare_ratio, narrow, unchanged
from linrec_bench.analysis.samples_table import NUMBER_COLUMNS, by_round, measured
from linrec_bench.analysis.verdict import Answer, Basis, Bound, Claim, Verdict
from linrec_bench.case import Case
from linrec_bench.declarations import trainings
from linrec_bench.gate import baseline
from linrec_bench.gate.baseline import Baseline, Counts
from linrec_bench.gate.exact_counts import counts_of, failures
from linrec_bench.gate.remeasure import Measure, Timed, settle
from linrec_bench.suite.expand import Job
from linrec_bench.suite.schema import Suite

if TYPE_CHECKING:
    import pandas as pd

Answered = TypeVar("Answered")


def accepted_in(path: Path) -> Baseline:
    """The baseline in `path` for this torch; `ValueError` as `baseline.read` says."""
    import torch

    return baseline.read(path, torch_version=torch.__version__)


def against(accepted: Baseline, jobs: Sequence[Job], counted: pd.DataFrame, *, whole: bool) -> list[Verdict]:
    """Current exact counts against a baseline.

    `whole` says that `jobs` are the whole suite: only then can a case of the baseline be missing.
    """
    failed = failures(jobs, counted)
    return compare(counts_of(jobs, counted), accepted, whole=whole, failed=failed)


def times_against(
    accepted: Baseline,
    suite: Suite,
    jobs: Sequence[Job],
    *,
    margin: Callable[[], float],
    measure: Measure,
    budget_s: float,
) -> list[Verdict]:
    """Current timed ratios against a baseline, for the jobs that measure time.

    `margin` is asked only where there is such a job.
    """
    pairs = timed_pairs(suite, jobs)
    if not pairs:
        return []
    allowed = margin()

    def judge(job: Job, other: Job, samples: pd.DataFrame) -> Verdict:
        ratio = _ratio(job, other, samples)
        return compare_time(baseline.name_of(job.case), ratio, accepted, margin=allowed)

    return settle(
        _asked(pairs, judge),
        jobs,
        is_open=lambda verdict: verdict.answer == "undecided",
        measure=measure,
        budget_s=budget_s,
    )


def accept(
    path: Path,
    suite: Suite,
    jobs: Sequence[Job],
    counted: pd.DataFrame,
    *,
    measure: Measure | None,
    margin: Callable[[], float],
    budget_s: float,
) -> None:
    """Overwrite the baseline in `path` with current counts, with timed ratios too if `measure` is given.

    Ratios are measured until they are `narrow` for the margin. Raises `ValueError`, and writes nothing, where
    one stays wider: a check would have nothing to compare with.
    """
    import torch

    pairs = timed_pairs(suite, jobs) if measure is not None else []
    ratios = {}
    if measure is not None and pairs:
        allowed = margin()
        settled = settle(
            _asked(pairs, _ratio),
            jobs,
            is_open=lambda ratio: not narrow(ratio, allowed),
            measure=measure,
            budget_s=budget_s,
        )
        ratios = {baseline.name_of(job.case): ratio for (job, _), ratio in zip(pairs, settled, strict=True)}
        _refuse_wide(path, ratios, allowed)
    baseline.write(path, Baseline(torch.__version__, counts_of(jobs, counted), ratios))


def _refuse_wide(path: Path, ratios: Mapping[str, Interval], margin: float) -> None:
    wide = {name: ratio for name, ratio in ratios.items() if not narrow(ratio, margin)}
    if wide:
        name, ratio = next(iter(wide.items()))
        raise ValueError(
            f"{path}: not written: {len(wide)} of {len(ratios)} time ratios are known worse than half of the "
            f"margin of {margin:.0%}: {name} is {ratio.value:.3g} [{ratio.low:.3g}, {ratio.high:.3g}] after "
            f"{ratio.rounds} rounds; measure on a quieter machine, or give a larger --budget or --margin"
        )


def _asked(
    pairs: Sequence[tuple[Job, Job]], judge: Callable[[Job, Job, pd.DataFrame], Answered]
) -> list[Timed[pd.DataFrame, Answered]]:
    """A question a pair, judged from the samples of both of its cases."""
    return [
        Timed(frozenset((job.case.id, other.case.id)), partial(judge, job, other)) for job, other in pairs
    ]


def timed_pairs(suite: Suite, jobs: Sequence[Job]) -> list[tuple[Job, Job]]:
    """Every job that measures time, with that of the reference mechanism at the same point."""
    reference = suite.reference_attention()

    def point(job: Job) -> Case:
        return replace(job.case, attention="", attention_params=())

    timed = [job for job in jobs if "time" in job.measures and job.case.task not in trainings()]
    at_point = {point(job): job for job in timed if job.case.attention == reference}
    return [
        (job, at_point[point(job)])
        for job in timed
        if job.case.attention != reference and point(job) in at_point
    ]


def _ratio(job: Job, other: Job, samples: pd.DataFrame) -> Interval:
    times = by_round(measured(samples, columns=NUMBER_COLUMNS), "time", unit="s")
    rounds = {case_id: samples for (_, case_id), samples in times.items()}
    return ratio_interval(rounds.get(job.case.id, {}), rounds.get(other.case.id, {}))


def compare(
    counts: Counts, accepted: Baseline, *, whole: bool, failed: Mapping[str, str] = MappingProxyType({})
) -> list[Verdict]:
    """Equal to the byte and the FLOP or broken, gains included: an unexplained gain is a count gone wrong.

    `whole` says that the suite was counted whole, so that a case of the baseline which is gone is broken too.
    `failed` maps the names of cases whose code failed to what it raised: these are undecided.
    """
    verdicts = [
        _of_count(case, measure, count, accepted.counts.get(case, {}).get(measure))
        for case, measures in counts.items()
        for measure, count in measures.items()
    ]
    gone = sorted(set(accepted.counts) - set(counts) - set(failed)) if whole else []
    verdicts += [_verdict(case, "every count", "broken", Basis("not_in_suite")) for case in gone]
    return verdicts + [
        _verdict(case, "every count", "undecided", Basis("not_counted", {"reason": reason}))
        for case, reason in failed.items()
        if case in accepted.counts
    ]


def compare_time(case: str, ratio: Interval, baseline: Baseline, *, margin: float) -> Verdict:
    """Whether a timed ratio is still the accepted one, within the margin and both intervals."""
    accepted = baseline.ratios.get(case)
    if accepted is None:
        return _verdict(case, "time ratio", "broken", Basis("not_in_baseline"))
    drift = change(ratio, accepted)
    facts = {"accepted": accepted.value, "ratio": ratio.value, "margin": margin}
    return Verdict(
        claim=Claim(measure="time ratio", quantity="baseline", bound=unchanged(margin), source="baseline"),
        where={"case": case},
        answer=compare_ratio(ratio, accepted, margin=margin),
        found=drift.value,
        low=drift.low,
        high=drift.high,
        basis=Basis("changed_ratio", facts),
    )


def _of_count(case: str, measure: str, count: int, accepted: int | None) -> Verdict:
    if accepted is None:
        return _verdict(case, measure, "broken", Basis("not_in_baseline"), count)
    if count == accepted:
        return _verdict(case, measure, "holds", Basis(), count, accepted)
    basis = Basis("changed", {"accepted": accepted, "count": count})
    return _verdict(case, measure, "broken", basis, count, accepted)


def _verdict(
    case: str,
    measure: str,
    answer: Answer,
    basis: Basis,
    count: float = math.nan,
    accepted: float = math.nan,
) -> Verdict:
    bound = Bound(accepted, accepted, "as in the baseline")
    return Verdict(
        claim=Claim(measure=measure, quantity="baseline", bound=bound, source="baseline"),
        where={"case": case},
        answer=answer,
        found=count,
        low=count,
        high=count,
        basis=basis,
    )
