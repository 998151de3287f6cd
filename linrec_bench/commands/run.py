"""`linrec-bench run`, without its printing: suite file -> jobs -> stored run -> summary."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench import attention
from linrec_bench.case import Case
from linrec_bench.execution import executors, schedule
from linrec_bench.execution.devices import AUTO, ON_CPU, Located, locate
from linrec_bench.execution.driver import Event, OnSample, run_jobs
from linrec_bench.execution.server import STEADY_ALLOCATOR
from linrec_bench.execution.trial import Executor
from linrec_bench.results import environment, store, stored_runs
from linrec_bench.suite import best_backend, load, select
from linrec_bench.suite.expand import Job, expand
from linrec_bench.suite.schema import Suite
from linrec_bench.suite.source_map import SuiteError

if TYPE_CHECKING:
    import pandas as pd

OnEvent = Callable[[Event], None]


class NothingSelected(ValueError):
    """No case is left, or none of a mechanism that `--plugin` gives."""


@dataclass(frozen=True)
class Plan:
    """A suite made ready for a device."""

    suite: Suite
    jobs: list[Job]
    device: str
    plugins: tuple[Path, ...] = ()
    located: Located = ON_CPU
    shard: str = ""

    @property
    def trials(self) -> list[schedule.Planned]:
        return schedule.order(self.jobs)


def prepare(
    name: str,
    *,
    device: str = AUTO,
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    measured_on: str | None = None,
    stored: Collection[Case] | None = None,
    shard: str = "",
    on_note: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Load, expand and select; of that, the part `shard` (`i/n`), or all.

    Raises `ValueError` (one line) for a bad suite, flag, device or plugin, and `NothingSelected`.

    `measured_on` is the kind of device of a stored run, which need not be here, in place of `device`; back
    ends are then those of its `stored` cases. `on_note` is told what `backend: best` stands for.
    """
    located = Located(kind=measured_on) if measured_on else locate(device, plugins=plugins)
    found = located.kind
    loaded = {plugin: attention.load_plugin(plugin).name for plugin in plugins}
    path = load.find(name)
    suite = load.load(path, device=found, settings=settings)
    try:
        suite, notes = best_backend.named(suite, device=found, stored=stored)
        jobs = expand(suite, device=found)
    except ValueError as error:
        raise SuiteError(f"{path}: {error}") from error
    for note in notes:
        on_note(note)
    selected = select.select(jobs, only)
    if not selected:
        raise NothingSelected(
            f"--only {' '.join(only)}: none of the {len(jobs)} cases of {path} matches."
            + select.why_none(jobs, only)
        )
    for plugin, mechanism in loaded.items():
        if all(job.case.attention != mechanism for job in selected):
            raise NothingSelected(
                f"--plugin {plugin}: none of the {len(selected)} cases uses its mechanism {mechanism}; "
                "name it under attention:, or use a query such as all"
            )
    if shard:
        points = len({job.grid_point for job in selected})
        selected = select.shard(selected, shard)
        if not selected:
            raise NothingSelected(f"--shard {shard}: no case is left; the suite has {points} grid points")
    # Workers have a folder of their own.
    return Plan(suite, selected, found, tuple(plugin.resolve() for plugin in plugins), located, shard)


def start_executor(planned: Plan) -> Executor:
    """Where the trials of a plan run; to be closed."""
    return executors.start(plugins=planned.plugins, devices=planned.located.names)


def open_store(
    planned: Plan,
    root: Path,
    *,
    fresh: bool,
    now: datetime,
    on_note: Callable[[str], None],
    with_cards: bool = False,
    again: bool = True,
) -> tuple[store.Run, int]:
    """The run to write to, and how many of the planned trials it already holds; `on_note` is told of folders
    among the runs that cannot be read. A run that lacks its summary, or `with_cards` its cards, is not done.
    A finished one is given back where the plan is not to be run `again`.
    """
    suite_text = load.resolved_text(planned.suite)
    described = environment.describe(
        device=planned.located.facts,
        device_state=planned.located.state,
        allocator=STEADY_ALLOCATOR,
        plugins=planned.plugins,
    )
    if planned.shard:
        described["shard"] = planned.shard
    if others := planned.located.state.get("other_processes"):
        on_note(f"{planned.device}: other processes on it: {others}; times and free memory depend on them")
    keys = {trial.key for trial in planned.trials}
    # All of the suite, whichever are selected now: a later call may add others to the same run.
    cases = [job.case for job in expand(planned.suite, device=planned.device)]
    name = planned.suite.name
    if not fresh:
        found, notes = stored_runs.unfinished(
            root,
            suite=name,
            suite_text=suite_text,
            cases=cases,
            fingerprint=str(described["fingerprint"]),
            planned=keys,
            with_cards=with_cards,
            or_finished=not again,
            shard=planned.shard,
        )
        for note in notes:
            on_note(note)
        if found is not None:
            return found, len(keys & found.finished_trials())
    return store.create(
        root, suite=name, suite_text=suite_text, cases=cases, environment=described, now=now
    ), 0


def execute(
    planned: Plan, run: store.Run, on_event: OnEvent, on_sample: OnSample | None = None
) -> pd.DataFrame:
    """Measure what the run lacks, then write and return its summary, and write its table of quality.

    Whatever ends it, the tables of what was measured are written before it goes on, where they can be.
    """
    try:
        with store.Writer(run) as writer:
            if schedule.remaining(planned.trials, run.finished_trials()):
                with closing(start_executor(planned)) as executor:
                    run_jobs(
                        planned.jobs,
                        executor=executor,
                        writer=writer,
                        suite=planned.suite.name,
                        device=planned.device,
                        on_event=on_event,
                        on_sample=on_sample,
                    )
    except BaseException:
        # The first reason is the one to tell.
        with suppress(ValueError, OSError):
            write_tables(planned.suite, run)
        raise
    return write_tables(planned.suite, run)


def write_tables(suite: Suite, run: store.Run) -> pd.DataFrame:
    """The summary, which is returned and written last: a run that has it has all tables."""
    from linrec_bench.analysis.paired_quality import differences
    from linrec_bench.analysis.summary import summarise

    reference = suite.reference_attention()
    summary = summarise(run.samples(), reference=reference, targets=suite.quality_targets())
    run.write_quality(differences(summary, run.ranks(), reference=reference))
    run.write_summary(summary)
    return summary


def measure(
    planned: Plan,
    jobs: Sequence[Job],
    root: Path,
    progress: Callable[..., AbstractContextManager[OnEvent]],
    on_note: Callable[[str], None],
) -> pd.DataFrame:
    """Samples of some jobs of the plan, at least as many rounds as they ask for; finishes an open run."""
    part = replace(planned, jobs=list(jobs))
    run, done = open_store(part, root, fresh=False, now=datetime.now(), on_note=on_note)
    with progress(part, run, done) as on_event:
        execute(part, run, on_event)
    return run.samples()
