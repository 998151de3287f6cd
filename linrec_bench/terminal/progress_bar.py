"""What moves while trials run: a live bar in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn

from linrec_bench.case import Case
from linrec_bench.commands.run import Plan
from linrec_bench.execution.driver import Event
from linrec_bench.execution.schedule import Planned, remaining
from linrec_bench.execution.trial import Sample
from linrec_bench.presentation import words
from linrec_bench.presentation.case_names import case_name
from linrec_bench.presentation.numbers import metric, time_left
from linrec_bench.results.store import Run, Trial
from linrec_bench.terminal.counters import Seldom, new_bar
from linrec_bench.terminal.streams import say, talk

LINES_OF_A_LOG = 40

SHOWN_METRIC = "ndcg@10"

_TOLD = ("attention", "task", "causal", "seq_len", "batch_size", "hidden_size", "dataset", "seed")
"""What names a trial in a line."""


@dataclass(frozen=True)
class Watch:
    """What is told of trials: that one ended (a call of this), and samples of a whole training."""

    on_event: Callable[[Event], None]
    on_sample: Callable[[Planned, Sample], None]

    def __call__(self, event: Event) -> None:
        self.on_event(event)


@contextmanager
def progress(planned: Plan, run: Run, done: int) -> Iterator[Watch]:
    """Show trials as they end, of which `done` are stored already, and the epochs of trainings.

    Nothing is redrawn while calls are timed.
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
    bar = new_bar(MofNCompleteColumn(), TextColumn("{task.fields[eta]}", markup=False))
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
        yield Watch(on_event, _epochs(bar, line))
    if counts.keys() - {"ok"}:
        say("trials: " + ", ".join(f"{count} {status}" for status, count in counts.most_common()))


def _epochs(bar: Progress, line: TaskID) -> Callable[[Planned, Sample], None]:
    """Shows the epochs of trainings in a line of the bar, or now and then in a log."""
    course, often = Course(), Seldom()

    def on_sample(trial: Planned, sample: Sample) -> None:
        text = course.text(trial, sample)
        if text is None:
            return
        if talk.is_terminal:
            bar.update(line, description=text)
            bar.refresh()
        elif often.due():
            say(f"{case_name(_settings(trial.job.case), _TOLD)}: {text}")

    return on_sample


class Course:
    """How far each training is, from its samples as they come."""

    def __init__(self) -> None:
        self._train_s: dict[Trial, float] = {}
        self._quality: dict[Trial, str] = {}

    def text(self, trial: Planned, sample: Sample) -> str | None:
        """`epoch 3 of 20, NDCG@10 0.1234, 42 s left`, of an epoch that ended; None for any other sample.

        What is left is that of the epochs, or of the budget, without the validations.
        """
        if sample.measure == SHOWN_METRIC and sample.phase == "validation":
            self._quality[trial.key] = f", {words.metric(sample.measure)} {metric(sample.value)}"
            return None
        settings = trial.job.case.training
        if sample.measure != "epoch_time" or sample.phase or settings is None:
            return None
        spent = self._train_s[trial.key] = self._train_s.get(trial.key, 0.0) + sample.value
        left = spent / sample.repeat * (settings.epochs - sample.repeat)
        if settings.budget_seconds is not None:
            left = min(left, max(0.0, settings.budget_seconds - spent))
        quality = self._quality.get(trial.key, "")
        return f"epoch {sample.repeat} of {settings.epochs}{quality}, {time_left(left)} left"


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
