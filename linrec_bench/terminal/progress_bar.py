"""What moves while trials run: a live bar in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TransferSpeedColumn,
)

from linrec_bench.case import Case
from linrec_bench.commands.run import Plan
from linrec_bench.execution.driver import Event
from linrec_bench.execution.schedule import Planned, remaining
from linrec_bench.presentation.case_names import case_name
from linrec_bench.presentation.numbers import memory, time_left
from linrec_bench.results.store import Run
from linrec_bench.terminal.streams import say, talk

LINES_OF_A_LOG = 40

_TOLD = ("attention", "task", "causal", "seq_len", "batch_size", "hidden_size", "dataset", "seed")
"""What names a trial in a line."""


@contextmanager
def progress(planned: Plan, run: Run, done: int) -> Iterator[Callable[[Event], None]]:
    """Show trials as they end, of which `done` are stored already.

    The bar is redrawn between trials only, never while something is timed.
    """
    total = len(planned.trials)
    eta = Eta(remaining(planned.trials, run.finished_trials()))
    say(
        f"{planned.suite.title or planned.suite.name}: {len(planned.jobs)} cases, {total} trials on "
        f"{planned.device}"
    )
    if done == total:
        say(
            f"finishing {run.folder}: all trials are stored, tables or cards are missing; --fresh starts anew"
        )
    elif done:
        say(f"resuming {run.folder}: {done} trials are stored; --fresh starts anew")
    counts: Counter[str] = Counter()
    bar = _bar(MofNCompleteColumn(), TextColumn("{task.fields[eta]}", markup=False))
    line = bar.add_task("starting", total=total, completed=done, eta="")

    def on_event(event: Event) -> None:
        outcome = event.outcome
        counts[outcome.status] += 1
        finished = done + counts.total()
        left = eta.update(event)
        wait = f"{time_left(left)} left" if finished < total else ""
        text = case_name(_settings(event.trial.job.case), _TOLD)
        if outcome.status not in ("ok", "skipped"):
            say(f"{outcome.status}: {text}: {outcome.detail}")
        if talk.is_terminal:
            bar.update(line, advance=1, description=text[:36], eta=wait)
            bar.refresh()
        elif _worth_a_line(finished - done, total - done):
            say(f"[{finished}/{total}] {outcome.status} {text}{wait and ', '}{wait}")

    with bar:
        yield on_event
    if counts.keys() - {"ok"}:
        say("trials: " + ", ".join(f"{count} {status}" for status, count in counts.most_common()))


def _settings(case: Case) -> dict[str, object]:
    dataset = case.dataset_label if case.lengths is not None else ""
    return vars(case) | {"attention": case.attention_label, "dataset": dataset}


def _worth_a_line(finished: int, total: int) -> bool:
    """About `LINES_OF_A_LOG` lines a run, and each trial of a short one."""
    return total <= LINES_OF_A_LOG or finished == total or finished % (total // LINES_OF_A_LOG + 1) == 0


class Eta:
    """Seconds left: a case that ended before takes as long again, any other as long as the mean of those.

    What passes between trials (predictions, the start of processes) is shared out evenly, except before
    the first, where the device is measured.
    """

    def __init__(self, trials: Iterable[Planned], clock: Callable[[], float] = time.monotonic) -> None:
        self._left = Counter(trial.job.case.id for trial in trials)
        self._seconds: dict[str, float] = {}
        self._clock = clock
        self._since: float | None = None
        self._finished = 0
        self._measuring = 0.0

    def update(self, event: Event) -> float:
        """Take in that a trial ended; the time that the others will need."""
        case_id = event.trial.job.case.id
        self._left[case_id] -= 1
        self._seconds[case_id] = event.outcome.seconds
        mean = sum(self._seconds.values()) / len(self._seconds)
        between = self._between(event.outcome.seconds)
        return sum(count * (self._seconds.get(key, mean) + between) for key, count in self._left.items())

    def _between(self, seconds: float) -> float:
        """Mean seconds between two trials, the later of which has just ended and took `seconds`."""
        now = self._clock()
        if self._since is None:
            self._since = now
            return 0.0
        self._finished += 1
        self._measuring += seconds
        return max(0.0, now - self._since - self._measuring) / self._finished


@contextmanager
def counter(name: str) -> Iterator[Callable[[int, int], None]]:
    """Count trials, between which alone it is drawn; silent where nobody watches."""
    bar = _bar(MofNCompleteColumn())
    with bar:
        line = bar.add_task(name, total=None)

        def on_trial(done: int, total: int) -> None:
            bar.update(line, completed=done, total=total)
            bar.refresh()

        yield on_trial


@contextmanager
def download(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show how much of a file has come: a bar, or in a log a line a tenth."""
    bar = _bar(DownloadColumn(), TransferSpeedColumn(), redraws_itself=True)
    told = -1

    def on_bytes(done: int, total: int) -> None:
        nonlocal told
        bar.update(line, completed=done, total=total or None)
        tenth = done * 10 // total if total else done // 2**24
        if not talk.is_terminal and tenth != told:
            told = tenth
            say(f"{name}: {memory(done)}" + (f" of {memory(total)}" if total else ""))

    with bar:
        line = bar.add_task(name, total=None)
        yield on_bytes


def _bar(*columns: ProgressColumn, redraws_itself: bool = False) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        *columns,
        console=talk,
        auto_refresh=redraws_itself,
        disable=not talk.is_terminal,
    )
