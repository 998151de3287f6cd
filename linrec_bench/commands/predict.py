"""`linrec-bench predict`: what each case needs and whether it fits, before anything of its size exists."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError

from linrec_bench.case import Case
from linrec_bench.commands.run import Plan
from linrec_bench.execution import devices, schedule, worker
from linrec_bench.execution.schedule import Ceilings, Prediction
from linrec_bench.execution.trial import Executor
from linrec_bench.suite.expand import Job
from linrec_bench.suite.limits import Limits


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One case: its prediction, and whether that fits; `least_time_s` is what the device's ceilings allow.

    `fits` is None where nothing can be said: the mechanism has no such form, or the task has no fixed shape;
    `detail` says which.
    """

    case: Case
    prediction: Prediction | None
    fits: bool | None
    least_time_s: float | None
    detail: str = ""

    @property
    def needed_bytes(self) -> int:
        """As `Prediction.needed_bytes`."""
        assert self.prediction is not None
        return self.prediction.needed_bytes

    def as_record(self) -> dict[str, object]:
        """Ready for JSON."""
        known = self.prediction if self.fits is not None else None
        return {
            "case_id": self.case.id,
            "task": self.case.task,
            "phase": self.case.phase,
            "attention": self.case.attention_label,
            "causal": self.case.causal,
            "seq_len": self.case.seq_len,
            "batch_size": self.case.batch_size,
            "hidden_size": self.case.hidden_size,
            "flops": known.flops if known else None,
            "peak_live_bytes": known.peak_live_bytes if known else None,
            "needed_bytes": self.needed_bytes if known else None,
            "least_time_s": self.least_time_s,
            "fits": self.fits,
            "detail": self.detail,
        }


def forecast(
    jobs: Sequence[Job],
    executor: Executor,
    *,
    memory_bytes: int,
    ceilings: Ceilings | None,
    on_count: Callable[[int, int], None] = lambda *_: None,
) -> list[Forecast]:
    """A forecast for each job, from exact counts on fake tensors, which all processors take: the numbers by
    which `run` skips. `on_count` is told how many there are, of how many."""
    calls = [executor.call(worker.predict, job.case) for job in jobs]
    found = []
    for done, (job, call) in enumerate(zip(jobs, calls, strict=True), start=1):
        found.append(_one(job.case, call.result(), memory_bytes, ceilings))
        on_count(done, len(jobs))
    return found


def _one(case: Case, prediction: Prediction | None, memory_bytes: int, ceilings: Ceilings | None) -> Forecast:
    if prediction is None:
        detail = f"task {case.task} has no fixed shape"
        return Forecast(case=case, prediction=None, fits=None, least_time_s=None, detail=detail)
    if not prediction.counted:
        detail = prediction.unsupported or prediction.error
        return Forecast(case=case, prediction=prediction, fits=None, least_time_s=None, detail=detail)
    needed = prediction.needed_bytes
    least = ceilings.least_seconds(prediction) if ceilings else None
    return Forecast(case=case, prediction=prediction, fits=needed <= memory_bytes, least_time_s=least)


def memory_limit(given: str | None, executor: Executor, device: str) -> int:
    """Bytes of an amount such as `80GiB` or a share such as `80%` of what is free; for None all of it."""
    try:
        limit = Limits.model_validate({"memory": given or "100%"})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"--memory: {reason}") from None
    free = devices.ask(executor, partial(worker.free_memory, device))[0].value
    return schedule.memory_bytes(limit.memory, int(free))


def measure_ceilings(planned: Plan, executor: Executor) -> Ceilings:
    """The ceilings of this device, in the type of the plan's first case."""
    work = partial(worker.measure_ceilings, planned.device, (planned.jobs[0].case.dtype,))
    samples = devices.ask(executor, work)

    def rate(measure: str) -> float:
        return statistics.median(sample.value for sample in samples if sample.measure == measure)

    return Ceilings(copy_bandwidth=rate("copy_bandwidth"), matmul_rate=rate("matmul_rate"))
