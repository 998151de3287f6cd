"""`linrec-bench check`, without its printing: a planned suite or a stored run -> verdicts and rulings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.analysis.measurements import of_samples
from linrec_bench.analysis.verdict import PaperRuling, Verdict
from linrec_bench.commands.run import Plan
from linrec_bench.gate import baseline_verdicts, check, claims, declared_bounds, real_calls
from linrec_bench.gate.baseline import Baseline
from linrec_bench.gate.claims import Evidence
from linrec_bench.gate.exact_counts import count
from linrec_bench.gate.remeasure import Measure
from linrec_bench.presentation.baseline_changes import changes
from linrec_bench.results.store import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class BaselineUse:
    """A baseline file and what is done with it.

    `whole` says that the whole suite is compared, so that no case of the file may be missing; `margin` is
    asked for the allowed change of timed ratios, where there are any.
    """

    path: Path
    update: bool
    timed: bool
    whole: bool
    margin: Callable[[], float]


@dataclass(frozen=True)
class Checked:
    """Verdicts on what SPECs declare, a suite expects and a baseline holds; rulings on what papers state."""

    verdicts: list[Verdict]
    ledger: list[PaperRuling]


def of_run(planned: Plan, stored: Run) -> Checked:
    """Everything judged from a stored run; nothing is counted or measured."""
    evidence = claims.of_run(stored)
    verdicts = check.of_run(planned.suite, planned.jobs, evidence.measurements)
    return Checked(verdicts, _ledger(planned, [evidence]))


def of_code(
    planned: Plan,
    baseline: BaselineUse | None,
    *,
    measure: Measure,
    results: Path,
    budget_s: float,
    say: Callable[[str], None],
    counter: Callable[[str], AbstractContextManager[Callable[[int, int], None]]],
) -> Checked:
    """Count, measure what claims about time need, and judge.

    Mechanisms of plugins are called on real tensors too. Papers are ruled on from the counts and from the
    newest stored run of the suite under `results`.
    """
    from linrec_bench import attention

    suite, jobs = planned.suite, planned.jobs
    # First: a mistake in the file is told before anything is counted.
    accepted = _accepted(baseline, say) if baseline else None
    with counter("counting") as on_count:
        counted = count(jobs, plugins=planned.plugins, on_count=on_count)
    if baseline and baseline.update:
        timer = measure if baseline.timed else None
        baseline_verdicts.accept(
            baseline.path,
            suite,
            jobs,
            counted,
            measure=timer,
            margin=baseline.margin,
            budget_s=budget_s,
        )
        say(f"{baseline.path}: rewritten with the current counts")
        if accepted:
            changed = baseline_verdicts.against(accepted, jobs, counted, whole=True)
            for name, lines in changes(changed).items():
                say("\n  ".join([name, *lines]))
        accepted = baseline_verdicts.accepted_in(baseline.path)
    verdicts = check.of_suite(suite, jobs, counted, measure=measure, budget_s=budget_s)
    verdicts += declared_bounds.verdicts(jobs, counted)
    verdicts += real_calls.verdicts(jobs, attention.plugins())
    # Bounds that fit what is broken would declare it.
    if not baseline and check.exit_code(verdicts) != check.BROKEN:
        for line in declared_bounds.undeclared(jobs, counted, attention.plugins()):
            say(line)
    if baseline and accepted:
        verdicts += _against(baseline, accepted, planned, counted, measure=measure, budget_s=budget_s)
    evidence = [Evidence(of_samples(counted), exact=True)]
    if suite.claims:
        newest, notes = claims.of_newest(results, suite.name)
        for note in notes:
            say(note)
        evidence += [newest] if newest else []
    return Checked(verdicts, _ledger(planned, evidence))


def _accepted(use: BaselineUse, say: Callable[[str], None]) -> Baseline | None:
    """What the file holds for this torch; None where it is about to be made, or made anew."""
    try:
        return baseline_verdicts.accepted_in(use.path)
    except ValueError as reason:
        if not use.update:
            raise
        if use.path.exists():
            say(f"no differences to show: {reason}")
        return None


def _against(
    use: BaselineUse,
    accepted: Baseline,
    planned: Plan,
    counted: pd.DataFrame,
    *,
    measure: Measure,
    budget_s: float,
) -> list[Verdict]:
    verdicts = baseline_verdicts.against(accepted, planned.jobs, counted, whole=use.whole)
    if use.timed:
        verdicts += baseline_verdicts.times_against(
            accepted,
            planned.suite,
            planned.jobs,
            margin=use.margin,
            measure=measure,
            budget_s=budget_s,
        )
    return verdicts


def _ledger(planned: Plan, evidence: list[Evidence]) -> list[PaperRuling]:
    return claims.rule(planned.suite, planned.jobs, evidence, device=planned.device)
