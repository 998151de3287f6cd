"""`linrec-bench check`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from linrec_bench.commands.check import BaselineUse, Checked
    from linrec_bench.commands.run import Plan
    from linrec_bench.results.store import Run

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
Against = Annotated[
    str | None,
    typer.Option(
        metavar="COMMIT", help="Compare with the exact counts of this commit, in a temporary git worktree."
    ),
]
Instructions = Annotated[
    bool,
    typer.Option(
        "--instructions",
        help="With `--against`, also compare the processor's instructions of a short call of each core, "
        "counted by valgrind.",
    ),
]
UpdateBaseline = Annotated[
    bool, typer.Option("--update-baseline", help="Overwrite the baseline with the current counts.")
]
IsTimed = Annotated[
    bool,
    typer.Option(
        "--timed",
        help="Also measure: time ratios against the baseline, or times in turn with `--against` COMMIT.",
    ),
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
    against: Against = None,
    instructions: Instructions = False,
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

    `--against main` compares the files as they are, committed or not, with the plugins of that commit: exact
    counts, with `--instructions` those of the processor too, and with `--timed` times measured in turn.

    Example: `linrec-bench check complexity --baseline complexity-baseline.json`
    """
    _refuse_contradictions(
        from_, baseline, against, instructions=instructions, update=update_baseline, only=only
    )
    if from_ is None and not only and not Path(suite).is_file():
        # A suite that ships has many cases, which other processes count: their imports go on beside ours.
        from linrec_bench.execution import server

        server.start()
    from linrec_bench import terminal
    from linrec_bench.commands.check import BaselineUse, of_run
    from linrec_bench.gate.check import exit_code
    from linrec_bench.gate.claims import as_verdicts
    from linrec_bench.results.store import Run

    stored = Run(from_) if from_ is not None else None
    chosen = _Chosen(suite, device, set_ or [], plugin or [])
    planned = _planned(chosen, only or [], stored, junit=junit, as_json=as_json)
    if stored is not None:
        checked = of_run(planned, stored)
    else:
        allowed = partial(
            terminal.margin_for,
            margin,
            results / CALIBRATION,
            planned.located.facts,
            suite=planned.suite.name,
        )
        use = partial(BaselineUse, update=update_baseline, whole=not only, margin=allowed)
        if against is not None:
            margin_of_times = allowed if timed else None
            checked = _against(against, planned, chosen, use, instructions, margin_of_times, results, budget)
        else:
            given = use(path=baseline, timed=timed) if baseline is not None else None
            checked = _of_code(planned, given, results=results, budget=budget)
    terminal.show_verdicts(checked.verdicts, checked.ledger, as_json=as_json, in_full=in_full)
    gated = checked.verdicts + (as_verdicts(checked.ledger) if strict_claims else [])
    terminal.write_reports(gated, name=planned.suite.name, junit=junit)
    raise typer.Exit(exit_code(gated))


class _Chosen(NamedTuple):
    """What decides which cases a suite has, but for `--only`."""

    suite: str
    device: str
    settings: list[str]
    plugins: list[Path]


def _refuse_contradictions(
    from_: Path | None,
    baseline: Path | None,
    against: str | None,
    *,
    instructions: bool,
    update: bool,
    only: list[str] | None,
) -> None:
    if from_ is not None and baseline is not None:
        raise ValueError("--from and --baseline: a baseline is compared with current counts; expected one")
    if against is not None and (from_ is not None or baseline is not None):
        raise ValueError("--against takes the place of --baseline and of --from; expected one of them")
    if instructions and against is None:
        raise ValueError("--instructions compares two commits; expected --against COMMIT beside it")
    if update and (baseline is None or only):
        raise ValueError("--update-baseline needs --baseline FILE and the whole suite, without --only")


def _planned(
    chosen: _Chosen, only: list[str], stored: Run | None, *, junit: Path | None, as_json: bool
) -> Plan:
    """The cases to check; where there are none, says so and exits."""
    from linrec_bench import terminal
    from linrec_bench.commands import run
    from linrec_bench.gate.check import NOTHING

    name, device, settings, plugins = chosen
    try:
        return run.prepare(
            name,
            device=device,
            only=only,
            settings=settings,
            plugins=plugins,
            measured_on=stored.device() if stored else None,
            stored=stored.cases().values() if stored else None,
            on_note=terminal.say,
        )
    except run.NothingSelected as reason:
        terminal.say(f"nothing to check: {reason}")
        if as_json:
            terminal.show_verdicts([], as_json=True)
        terminal.write_reports([], name=Path(name).stem, junit=junit)
        raise typer.Exit(NOTHING) from None


def _of_code(planned: Plan, use: BaselineUse | None, *, results: Path, budget: float) -> Checked:
    from linrec_bench import terminal
    from linrec_bench.commands import check, run

    measure = partial(run.measure, planned, root=results, progress=terminal.progress, on_note=terminal.say)
    return check.of_code(
        planned,
        use,
        measure=measure,
        results=results,
        budget_s=budget,
        say=terminal.say,
        counter=terminal.counter,
    )


def _against(
    ref: str,
    planned: Plan,
    chosen: _Chosen,
    use: Callable[..., BaselineUse],
    instructions: bool,
    margin: Callable[[], float] | None,
    results: Path,
    budget: float,
) -> Checked:
    """What the code says, and how it compares with the commit `ref`: by exact counts, by `instructions`, and
    by times where a margin for these is given."""
    from linrec_bench import attention, terminal
    from linrec_bench.commands import paired_times
    from linrec_bench.gate import instructions as processor
    from linrec_bench.gate.other_commit import baseline_of, checked_out

    suite, device, settings, plugins = chosen
    timed = paired_times.timed(planned.jobs)
    # First: what is missing is told before anything is counted.
    if instructions:
        processor.refuse_without_valgrind()
    if margin is not None and not timed:
        raise ValueError(f"--timed: no case of {suite} measures time; expected time among its `measures:`")
    allowed = None if margin is None else margin()
    with checked_out(ref, plugins, flag="--against") as tree:
        with baseline_of(tree, suite, device, settings) as path:
            checked = _of_code(planned, use(path=path, timed=False), results=results, budget=budget)
        if instructions:
            mechanisms = attention.plugins() or {job.case.attention for job in planned.jobs}
            checked.verdicts.extend(processor.verdicts(planned.jobs, mechanisms, plugins, tree))
        if allowed is not None:
            with terminal.counter("timing both commits") as on_trial:
                checked.verdicts.extend(
                    paired_times.verdicts(
                        timed, *chosen, tree, margin=allowed, budget_s=budget, on_trial=on_trial
                    )
                )
    return checked
