"""`linrec-bench check`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linrec_bench.cli.options import (
    CALIBRATION,
    RESULTS,
    Device,
    Json,
    Margin,
    Only,
    Plugins,
    ResultsRoot,
    Settings,
    SuiteName,
)

if TYPE_CHECKING:
    import pandas as pd

    from linrec_bench.analysis.verdict import Verdict
    from linrec_bench.commands.run import Plan
    from linrec_bench.gate.claims import Evidence
    from linrec_bench.results.store import Run


From = Annotated[
    Path | None, typer.Option("--from", help="Check a stored run; count and measure nothing.", metavar="RUN")
]
BaselineFile = Annotated[
    Path | None, typer.Option(help="Baseline file of exact counts; any difference fails.")
]
UpdateBaseline = Annotated[
    bool, typer.Option("--update-baseline", help="Overwrite the baseline with the current counts.")
]
IsTimed = Annotated[
    bool, typer.Option("--timed", help="Also measure, and compare time ratios with the baseline.")
]
Budget = Annotated[
    float, typer.Option(help="Time budget in seconds for re-measuring undecided timed claims.", min=0)
]
Junit = Annotated[Path | None, typer.Option(help="Also write the verdicts to this file as JUnit XML.")]
StrictClaims = Annotated[
    bool,
    typer.Option("--strict-claims", help="Fail on unmet `claims:` too."),
]
InFull = Annotated[bool, typer.Option("--all", help="Also print passing checks, with their polynomials.")]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The file of accepted numbers and what is to be done with it."""

    path: Path
    update: bool
    timed: bool
    whole: bool
    margin: float | None


def command(
    suite: SuiteName,
    from_: From = None,
    device: Device = "auto",
    only: Only = None,
    set_: Settings = None,
    baseline: BaselineFile = None,
    update_baseline: UpdateBaseline = False,
    timed: IsTimed = False,
    budget: Budget = 300.0,
    margin: Margin = None,
    junit: Junit = None,
    strict_claims: StrictClaims = False,
    in_full: InFull = False,
    plugin: Plugins = None,
    results: ResultsRoot = RESULTS,
    as_json: Json = False,
) -> None:
    """Check a suite's bounds: the gate for CI.

    Counts operations and bytes exactly and judges the `expect:` lines of the suite; measures only where a
    line is about time. Exit 0: all hold. 1: one is broken. 2: usage error. 3: undecided. 4: nothing to check.

    Also judges what papers state (`claims:`), from exact counts and the newest stored run of the suite, and
    prints the result; this changes the exit code only with `--strict-claims`.

    Example: `linrec-bench check complexity --baseline complexity-baseline.json`
    """
    from linrec_bench import terminal
    from linrec_bench.commands import run
    from linrec_bench.gate import check, claims
    from linrec_bench.results import store

    if from_ is not None and baseline is not None:
        raise ValueError("--from and --baseline: a baseline is compared with the code of now; expected one")
    if update_baseline and (baseline is None or only):
        raise ValueError("--update-baseline needs --baseline FILE and the whole suite, without --only")
    stored = store.Run(from_) if from_ is not None else None
    try:
        planned = run.prepare(
            suite,
            device=device,
            only=only or [],
            settings=set_ or [],
            plugins=plugin or [],
            measured_on=stored.device() if stored else None,
        )
    except run.NothingSelected as reason:
        terminal.say(f"nothing to check: {reason}")
        if as_json:
            terminal.show_verdicts([], as_json=True)
        terminal.write_reports([], name=Path(suite).stem, junit=junit)
        raise typer.Exit(check.NOTHING) from None
    accepted = None
    if baseline is not None:
        accepted = Baseline(path=baseline, update=update_baseline, timed=timed, whole=not only, margin=margin)
    found, evidence = _found(planned, stored, accepted, results, budget_s=budget)
    ledger = claims.rule(planned.suite, planned.jobs, evidence, device=planned.device)
    terminal.show_verdicts(found, ledger, as_json=as_json, in_full=in_full)
    if strict_claims:
        found += claims.as_verdicts(ledger)
    terminal.write_reports(found, name=planned.suite.name, junit=junit)
    raise typer.Exit(check.exit_code(found))


def _found(
    planned: Plan, stored: Run | None, baseline: Baseline | None, results: Path, *, budget_s: float
) -> tuple[list[Verdict], list[Evidence]]:
    """The verdicts, from the stored run or else the code of now, and what can answer claims of papers."""
    from linrec_bench.gate import check, claims

    if stored is not None:
        evidence = claims.of_run(stored)
        return check.of_run(planned.suite, planned.jobs, evidence.rows), [evidence]
    found, counted = _of_the_code(planned, baseline, results, budget_s=budget_s)
    return found, [claims.Evidence(counted, exact=True), *_newest(planned, results)]


def _newest(planned: Plan, results: Path) -> list[Evidence]:
    """The newest stored run, where the suite has claims of papers and there is one; which it is is said."""
    from linrec_bench import terminal
    from linrec_bench.gate import claims

    if not planned.suite.claims:
        return []
    newest, said = claims.of_newest(results, planned.suite.name)
    for note in said:
        terminal.say(note)
    return [newest] if newest else []


def _of_the_code(
    planned: Plan, baseline: Baseline | None, results: Path, *, budget_s: float
) -> tuple[list[Verdict], pd.DataFrame]:
    """Count, measure what the claims of the suite and the baseline need, and judge; the counts beside it."""
    from linrec_bench import terminal
    from linrec_bench.commands import run
    from linrec_bench.gate import baseline_verdicts, check
    from linrec_bench.gate.exact_counts import count

    suite, jobs = planned.suite, planned.jobs
    measure = partial(run.measure, planned, root=results, progress=terminal.progress)
    counted = count(jobs, plugins=planned.plugins)
    if baseline and baseline.update:
        baseline_verdicts.accept(
            baseline.path, suite, jobs, counted, measure=measure if baseline.timed else None
        )
        terminal.say(f"{baseline.path}: rewritten with the current counts")
    found = check.of_suite(suite, jobs, counted, measure=measure, budget_s=budget_s)
    if baseline:
        found += baseline_verdicts.against(baseline.path, jobs, counted, whole=baseline.whole)
    if baseline and baseline.timed:
        margin = partial(terminal.margin_for, baseline.margin, results / CALIBRATION, planned.device)
        found += baseline_verdicts.times_against(
            baseline.path, suite, jobs, margin=margin, measure=measure, budget_s=budget_s
        )
    return found, counted
