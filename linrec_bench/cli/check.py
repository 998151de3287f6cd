"""`linrec-bench check`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

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

From = Annotated[
    Path | None, typer.Option("--from", help="Check a stored run; count and measure nothing.", metavar="RUN")
]
BaselineFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Baseline file of exact counts; any difference fails.")
]
UpdateBaseline = Annotated[
    bool, typer.Option("--update-baseline", help="Overwrite the baseline with the current counts.")
]
IsTimed = Annotated[
    bool, typer.Option("--timed", help="Also measure, and compare time ratios with the baseline.")
]
Budget = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", help="Time budget in seconds for re-measuring undecided timed claims.", min=0
    ),
]
Junit = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write the verdicts to this file as JUnit XML.")
]
StrictClaims = Annotated[
    bool,
    typer.Option("--strict-claims", help="Fail on unmet `claims:` too."),
]
InFull = Annotated[bool, typer.Option("--all", help="Also print passing checks, with their polynomials.")]


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
    from linrec_bench.commands import check, run
    from linrec_bench.gate.check import NOTHING, exit_code
    from linrec_bench.gate.claims import as_verdicts
    from linrec_bench.results.store import Run

    if from_ is not None and baseline is not None:
        raise ValueError("--from and --baseline: a baseline is compared with current counts; expected one")
    if update_baseline and (baseline is None or only):
        raise ValueError("--update-baseline needs --baseline FILE and the whole suite, without --only")
    stored = Run(from_) if from_ is not None else None
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
        raise typer.Exit(NOTHING) from None
    if stored is not None:
        checked = check.of_run(planned, stored)
    else:
        baseline_use = None
        if baseline is not None:
            baseline_use = check.BaselineUse(
                path=baseline,
                update=update_baseline,
                timed=timed,
                whole=not only,
                margin=partial(
                    terminal.margin_for,
                    margin,
                    results / CALIBRATION,
                    planned.located.facts,
                    suite=planned.suite.name,
                ),
            )
        measure = partial(
            run.measure, planned, root=results, progress=terminal.progress, on_note=terminal.say
        )
        checked = check.of_code(
            planned,
            baseline_use,
            measure=measure,
            results=results,
            budget_s=budget,
            say=terminal.say,
            counter=terminal.counter,
        )
    terminal.show_verdicts(checked.verdicts, checked.ledger, as_json=as_json, in_full=in_full)
    gated = checked.verdicts + (as_verdicts(checked.ledger) if strict_claims else [])
    terminal.write_reports(gated, name=planned.suite.name, junit=junit)
    raise typer.Exit(exit_code(gated))
