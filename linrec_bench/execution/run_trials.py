"""A suite's jobs, trial by trial, into the store; events tell whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from linrec_bench.case import Case
from linrec_bench.execution import schedule
from linrec_bench.execution.local_executor import Executor, Outcome, Sample
from linrec_bench.execution.schedule import Ceilings, Pace, Planned, Prediction
from linrec_bench.results.rows import TRIAL, Row, row_of
from linrec_bench.results.scratch import Scratch
from linrec_bench.results.store import Writer
from linrec_bench.suite.expand import Job

CEILING_SECONDS = 120.0
DEVICE_TASK = "device"
"""The task of the rows that hold the ceilings of the device; they belong to no case."""


@dataclass(frozen=True)
class Event:
    """One trial has ended, measured or not; `call_seconds` is the median of its time samples."""

    trial: Planned
    outcome: Outcome
    call_seconds: float | None


def run_jobs(
    jobs: Sequence[Job],
    *,
    executor: Executor,
    writer: Writer,
    suite: str,
    device: str,
    free_bytes: int,
    on_event: Callable[[Event], None] = lambda _: None,
) -> None:
    """Run every trial that the store lacks; each ends as rows before the next begins.

    `free_bytes` is the memory that shares in `limits` refer to. A KeyboardInterrupt leaves a store that a
    later call resumes; a training goes on from its last checkpoint.
    """
    samples = writer.run.samples()
    ceilings = _stored_ceilings(samples) or _measure_ceilings(jobs, executor, writer, suite, device)
    pace = Pace(ceilings) if ceilings else None
    predictions: dict[str, Prediction | None] = {}
    failed: dict[str, str] = {}
    closing = samples[samples["measure"] == TRIAL]
    for case_id, status in zip(closing["case_id"], closing["status"], strict=True):
        if status != "ok":
            failed.setdefault(case_id, status)

    def predict(case: Case) -> Prediction | None:
        from linrec_bench.execution.worker import predict as function

        if case.id not in predictions:
            predictions[case.id] = executor.call(function, case)
        return predictions[case.id]

    for trial in schedule.remaining(schedule.order(jobs), writer.run.finished_trials()):
        job, case = trial.job, trial.job.case
        collected: list[Sample] = []
        if case.id in failed:
            outcome = Outcome("skipped", f"an earlier round ended as {failed[case.id]}", 0.0)
        else:
            limit = schedule.memory_bytes(job.limits.memory, free_bytes)
            prediction = predict(case)
            outcome = _before(trial, prediction, pace, limit) or _measured(
                trial, executor, limit, collected, writer.scratch(trial.key)
            )
            if trial.round == 0 and prediction is not None and not prediction.unsupported:
                collected += _predicted_samples(job, prediction)
        times = sorted(sample.value for sample in collected if sample.measure == "time")
        call_seconds = times[len(times) // 2] if times else None
        if pace and call_seconds is not None and (prediction := predict(case)) is not None:
            pace.learn(case, prediction, call_seconds)
        if outcome.status != "ok":
            failed.setdefault(case.id, outcome.status)
        writer.append(_rows(trial, collected, outcome, run_id=writer.run.id, suite=suite))
        on_event(Event(trial, outcome, call_seconds))


def _before(
    trial: Planned, prediction: Prediction | None, pace: Pace | None, memory_limit: int
) -> Outcome | None:
    if prediction is not None and prediction.unsupported:
        return Outcome("unsupported", prediction.unsupported, 0.0)
    reason = schedule.skip_reason(trial.job, prediction, pace=pace, memory_limit_bytes=memory_limit)
    # A later round knows that the case fits: its first round ran.
    return Outcome("skipped", reason, 0.0) if reason and trial.round == 0 else None


def _measured(
    trial: Planned, executor: Executor, memory_limit: int, into: list[Sample], scratch: Scratch
) -> Outcome:
    from linrec_bench.execution.worker import measure

    on_cpu = trial.job.case.device == "cpu"
    return executor.run(
        partial(measure, trial.job, trial.round, scratch=scratch),
        seconds=trial.job.limits.case_seconds,
        memory_bytes=memory_limit if on_cpu else None,
        on_sample=into.append,
    )


def _predicted_samples(job: Job, prediction: Prediction) -> list[Sample]:
    counts = {"minimum_bytes": prediction.minimum_bytes, "predicted_peak_bytes": prediction.peak_live_bytes}
    samples = [Sample(measure=name, value=value, unit="B") for name, value in counts.items()]
    if "flops" in job.measures:
        samples.append(Sample(measure="flops", value=prediction.flops, unit="FLOP"))
        samples.append(Sample(measure="operations", value=prediction.operations, unit="FLOP"))
    if job.case.task == "train_step" and job.case.training is not None:
        # A part of the step's shape that is no axis of the case.
        catalogue_size = job.case.training.catalogue_size
        samples.append(Sample(measure="catalogue_size", value=catalogue_size, unit="1"))
    return samples


def _rows(
    trial: Planned, samples: Sequence[Sample], outcome: Outcome, *, run_id: str, suite: str
) -> list[Row]:
    row = partial(row_of, trial.job.case, run_id=run_id, suite=suite, round=trial.round)
    rows = [
        row(
            measure=sample.measure,
            unit=sample.unit,
            value=sample.value,
            phase=sample.phase,
            repeat=sample.repeat,
            detail=sample.detail,
        )
        for sample in samples
    ]
    closing = row(
        measure=TRIAL, unit="s", value=outcome.seconds, status=outcome.status, detail=outcome.detail
    )
    return [*rows, closing]


def _measure_ceilings(
    jobs: Sequence[Job], executor: Executor, writer: Writer, suite: str, device: str
) -> Ceilings | None:
    from linrec_bench.execution.worker import measure_ceilings

    dtypes = tuple(dict.fromkeys(job.case.dtype for job in jobs))
    collected: list[Sample] = []
    outcome = executor.run(
        partial(measure_ceilings, device, dtypes),
        seconds=CEILING_SECONDS,
        memory_bytes=None,
        on_sample=collected.append,
    )

    def row(sample: Sample) -> Row:
        return Row(
            run_id=writer.run.id,
            suite=suite,
            case_id="",
            task=DEVICE_TASK,
            attention="",
            model="",
            dataset="",
            seq_len=0,
            batch_size=0,
            hidden_size=0,
            heads=0,
            layers=0,
            dtype=sample.phase,
            device=device,
            causal=False,
            seed=0,
            phase=DEVICE_TASK,
            measure=sample.measure,
            unit=sample.unit,
            round=0,
            repeat=sample.repeat,
            value=sample.value,
            status=outcome.status if sample.measure == TRIAL else "ok",
            detail=sample.detail,
        )

    closing = Sample(measure=TRIAL, value=outcome.seconds, unit="s", detail=outcome.detail)
    writer.append([row(sample) for sample in [*collected, closing]])
    return _stored_ceilings(writer.run.samples())


def _stored_ceilings(samples: object) -> Ceilings | None:
    import pandas as pd

    assert isinstance(samples, pd.DataFrame)
    device = samples[samples["task"] == DEVICE_TASK]
    medians = device.groupby("measure")["value"].median()
    if not {"copy_bandwidth", "matmul_rate"} <= set(medians.index):
        return None
    return Ceilings(
        copy_bandwidth=float(medians["copy_bandwidth"]), matmul_rate=float(medians["matmul_rate"])
    )
