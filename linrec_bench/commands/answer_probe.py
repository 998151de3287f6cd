"""How long one epoch of a training of `linrec-bench answer` takes here and now."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

from linrec_bench.commands.answer_suites import VALIDATIONS, Log
from linrec_bench.execution import worker
from linrec_bench.execution.trial import Executor, Trial
from linrec_bench.presentation import numbers
from linrec_bench.suite.expand import Job

ADVICE = "fewer users and items, such as with --set min_interactions=20, or a machine that does nothing else"


def busy() -> str:
    """How busy the machine is: `load average 6.1 on 2 processors`."""
    return f"load average {os.getloadavg()[0]:.1f} on {numbers.counted(os.cpu_count() or 1, 'processor')}"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Seconds of one training, in its parts: start and end, an epoch, and ranking all queries once."""

    start_s: float
    epoch_s: float
    rank_s: float

    def training(self, epochs: float) -> float:
        """Seconds of a training with so many epochs."""
        ranked = min(epochs, VALIDATIONS) + 1
        return self.start_s + epochs * self.epoch_s + ranked * self.rank_s


def probe(executor: Executor, log: Log, job: Job, *, budget_s: float) -> Probe:
    """One epoch of a training and its rankings, measured in a process of its own.

    Raises `ValueError` where it fails, or takes longer than a tenth of the budget: thirty epochs at least are
    to fit.
    """
    limit_s = max(10.0, budget_s / 10)
    result = executor.submit(Trial(work=partial(worker.measure, job, 0), seconds=limit_s)).result()
    seconds = {sample.measure: sample.value for sample in result.samples}
    epoch = (
        f"one epoch of {job.case.attention} ({log.rows:,} windows in {numbers.counted(log.steps, 'step')})"
    )
    if result.status == "timeout":
        trained = seconds.get("epoch_time")
        ranking = (
            f"took {numbers.time_left(trained or 0)}, and ranking for {log.queries:,} users had not ended"
        )
        reached = "had not ended" if trained is None else ranking
        raise ValueError(
            f"{epoch} {reached} after {numbers.time_left(limit_s)} ({busy()}): too long for --budget "
            f"{numbers.time_left(budget_s)}; expected a longer --budget, {ADVICE}"
        )
    if result.status != "ok":
        raise ValueError(f"{epoch} ended as {result.status}: {result.detail}")
    epoch_s, rank_s = seconds["epoch_time"], seconds["test_time"]
    return Probe(start_s=max(0.0, result.seconds - epoch_s - 2 * rank_s), epoch_s=epoch_s, rank_s=rank_s)
