"""A suite's jobs through an executor into the store: what may run is submitted, what ends is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field, replace
from functools import partial

import pandas as pd

from linrec_bench import measures
from linrec_bench.case import Case
from linrec_bench.declarations import PREDICTED, tasks
from linrec_bench.execution import devices, schedule, worker
from linrec_bench.execution.schedule import Ceilings, Pace, Planned, Prediction
from linrec_bench.execution.trial import CallEnded, Executor, Sample, Trial, TrialResult
from linrec_bench.measures.device.names import CPU
from linrec_bench.results.rows import TRIAL, Row, row_of
from linrec_bench.results.store import Writer
from linrec_bench.suite.expand import Job

DEVICE_TASK = "device"
"""The task of the rows that hold the ceilings of the device; they belong to no case."""


@dataclass(frozen=True)
class Event:
    """One trial has ended, measured or not; `call_seconds` is the median of its time samples."""

    trial: Planned
    outcome: TrialResult
    call_seconds: float | None


OnSample = Callable[[Planned, Sample], None]
"""Called in a thread with each sample of a whole training as it comes; nothing is timed a call there."""

Running = Collection[Future[TrialResult]]


LOOK_S = 5.0
"""While a trial runs, the driver looks so often whether its run is still there."""


def first_completed(running: Running) -> Running:
    """Wait until one of them is done, at most `LOOK_S`; all that are."""
    return wait_for(running, timeout=LOOK_S, return_when=FIRST_COMPLETED).done


def run_jobs(
    jobs: Sequence[Job],
    *,
    executor: Executor,
    writer: Writer,
    suite: str,
    device: str,
    on_event: Callable[[Event], None] = lambda _: None,
    on_sample: OnSample | None = None,
    wait: Callable[[Running], Running] = first_completed,
) -> None:
    """Run every trial that the store lacks; each is written, whole, as it ends.

    A KeyboardInterrupt leaves a store that a later call resumes; a training goes on from its last checkpoint.
    """
    samples = writer.run.samples()
    closing = samples[samples["measure"] == TRIAL]
    failed = closing[closing["status"] != "ok"].drop_duplicates("case_id")
    free = devices.ask(executor, partial(worker.free_memory, device))
    driver = _Driver(
        executor=executor,
        writer=writer,
        suite=suite,
        free_bytes=int(free[0].value),
        failed=dict(zip(failed["case_id"], failed["status"], strict=True)),
        on_sample=on_sample,
    )
    if _stored_ceilings(samples) is None:
        driver.measure_ceilings(jobs, device)
        samples = writer.run.samples()
    ceilings = _stored_ceilings(samples)
    driver.pace = Pace(ceilings) if ceilings else None
    for dtype in {job.case.dtype for job in jobs}:
        driver.ceilings[dtype] = _stored_ceilings(samples, dtype)
    waiting = deque(schedule.remaining(schedule.order(jobs), writer.run.finished_trials()))
    running: dict[Future[TrialResult], Planned] = {}
    while waiting or running:
        while waiting and schedule.may_start(
            waiting[0], running.values(), slots=executor.slots, apart=executor.apart
        ):
            trial = waiting.popleft()
            running[driver.begin(trial)] = trial
        writer.check()
        for future in wait(running):
            on_event(driver.close(running.pop(future), future.result()))


@dataclass
class _Driver:
    """Decides about each trial by what is known so far, and writes what came of it."""

    executor: Executor
    writer: Writer
    suite: str
    free_bytes: int
    failed: dict[str, str]
    on_sample: OnSample | None = None
    pace: Pace | None = None
    ceilings: dict[str, Ceilings | None] = field(default_factory=dict)
    predictions: dict[str, Prediction | None] = field(default_factory=dict)

    def begin(self, trial: Planned) -> Future[TrialResult]:
        """The future of its result, which is there already where it is not worth starting."""
        limits = trial.job.limits
        memory_limit = schedule.memory_bytes(limits.memory, self.free_bytes)
        refused = self._refusal(trial, memory_limit)
        if refused is not None:
            done: Future[TrialResult] = Future()
            done.set_result(refused)
            return done
        work = partial(
            worker.measure,
            trial.job,
            trial.round,
            checkpoint=self.writer.checkpoint(trial.key),
            prediction=self.predictions.get(trial.job.case.id),
        )
        return self.executor.submit(
            Trial(
                work=work,
                seconds=limits.case_seconds,
                compile_seconds=limits.compile_seconds if self._compiles(trial.job) else 0.0,
                memory_bytes=memory_limit,
                on_sample=None if trial.alone or not self.on_sample else partial(self.on_sample, trial),
            )
        )

    def _refusal(self, trial: Planned, memory_limit: int) -> TrialResult | None:
        case_id = trial.job.case.id
        if case_id in self.failed:
            detail = f"an earlier round ended as {self.failed[case_id]}"
            return TrialResult(status="skipped", detail=detail, reason="earlier_round")
        prediction = self._predict(trial.job.case)
        if prediction is not None and prediction.unsupported:
            return TrialResult(status="unsupported", detail=prediction.unsupported)
        if trial.round > 0:
            # The case fits: its first round ran.
            return None
        skipped = schedule.skip_reason(trial.job, prediction, pace=self.pace, memory_limit_bytes=memory_limit)
        if skipped is None:
            return None
        return TrialResult(status="skipped", detail=skipped.detail, reason=skipped.reason)

    def _compiles(self, job: Job) -> bool:
        """Whether its first call may compile, and tells when it has ended."""
        prediction = self.predictions.get(job.case.id)
        return prediction is not None and prediction.compiles and "time" in job.measures

    def close(self, trial: Planned, result: TrialResult) -> Event:
        """Write the rows of a trial that has ended, and learn from it."""
        case, samples = trial.job.case, list(result.samples)
        times = sorted(sample.value for sample in samples if sample.measure == "time")
        call_seconds = times[len(times) // 2] if times else None
        prediction = self.predictions.get(case.id)
        if prediction is not None and not prediction.unsupported:
            if trial.round == 0:
                samples += predicted_samples(trial.job, prediction)
            if self.pace and call_seconds is not None:
                self.pace.learn(case, prediction, call_seconds)
            result = self._believed(case, result, prediction, call_seconds)
        if result.status != "ok":
            self.failed.setdefault(case.id, result.status)
        rows = _rows(trial, samples, result, run_id=self.writer.run.id, suite=self.suite)
        self.writer.append(rows, result.artefacts)
        return Event(trial, result, call_seconds)

    def _believed(
        self, case: Case, result: TrialResult, prediction: Prediction, call_seconds: float | None
    ) -> TrialResult:
        """The result; suspect where it beats the ceilings of the device for its data type.

        A CPU emulates products of half types, so that mechanisms which compute in float32 beat them.
        """
        emulated = case.device == CPU and case.dtype not in ("float32", "float64")
        ceilings = None if emulated else self.ceilings.get(case.dtype)
        if result.status != "ok" or call_seconds is None or ceilings is None:
            return result
        beaten = ceilings.beaten_by(prediction, call_seconds)
        return replace(result, status="suspect", detail=beaten) if beaten else result

    def _predict(self, case: Case) -> Prediction | None:
        if case.id not in self.predictions:
            try:
                prediction = self.executor.call(worker.predict, case).result()
            except CallEnded as end:
                prediction = Prediction(error=str(end))
            # What fails on fake tensors may still run: nothing is known of it.
            self.predictions[case.id] = None if prediction is not None and prediction.error else prediction
        return self.predictions[case.id]

    def measure_ceilings(self, jobs: Sequence[Job], device: str) -> None:
        """Measure what the device can do, and store it."""
        dtypes = tuple(dict.fromkeys(job.case.dtype for job in jobs))
        work = partial(worker.measure_ceilings, device, dtypes)
        result = self.executor.submit(Trial(work=work, seconds=devices.SECONDS)).result()
        closing = Sample(measure=TRIAL, value=result.seconds, unit="s", detail=result.detail)
        rows = [
            Row(
                run_id=self.writer.run.id,
                suite=self.suite,
                host=result.host,
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
                dtype=sample.group,
                device=device,
                causal=False,
                seed=0,
                phase=DEVICE_TASK,
                measure=sample.measure,
                group_by=sample.group_by,
                group=sample.group,
                unit=sample.unit,
                round=0,
                repeat=sample.repeat,
                value=sample.value,
                status=result.status if sample.measure == TRIAL else "ok",
                detail=sample.detail,
            )
            for sample in (*result.samples, closing)
        ]
        self.writer.append(rows)


def predicted_samples(job: Job, prediction: Prediction) -> list[Sample]:
    """What is known before a case runs, whatever becomes of it."""
    asked = [spec for spec in measures.registry().values() if spec.name in job.measures]
    counts = {"minimum_bytes": prediction.minimum_bytes, "predicted_peak_bytes": prediction.peak_live_bytes}
    counts |= {name: getattr(prediction, field) for spec in asked for name, field in spec.counted}
    declared = (PREDICTED, tasks()[job.case.task].quantities, *(spec.quantities for spec in asked))
    unit = {quantity.measure: quantity.unit for quantities in declared for quantity in quantities}
    return [
        Sample(measure=name, value=value, unit=unit[name])
        for name, value in (counts | dict(prediction.facts)).items()
    ]


def _rows(
    trial: Planned, samples: Sequence[Sample], result: TrialResult, *, run_id: str, suite: str
) -> list[Row]:
    row = partial(row_of, trial.job.case, run_id=run_id, suite=suite, host=result.host, round=trial.round)
    rows = [
        row(
            measure=sample.measure,
            unit=sample.unit,
            value=sample.value,
            phase=sample.phase,
            repeat=sample.repeat,
            detail=sample.detail,
            group_by=sample.group_by,
            group=sample.group,
        )
        for sample in samples
    ]
    closing = row(
        measure=TRIAL,
        unit="s",
        value=result.seconds,
        status=result.status,
        detail=result.detail,
        group_by="reason" if result.reason else "",
        group=result.reason,
    )
    return [*rows, closing]


def _stored_ceilings(samples: pd.DataFrame, dtype: str | None = None) -> Ceilings | None:
    """Those of a data type, or the medians over all."""
    device = samples[samples["task"] == DEVICE_TASK]
    if dtype is not None:
        device = device[device["group"] == dtype]
    medians = device.groupby("measure")["value"].median()
    if not {"copy_bandwidth", "matmul_rate"} <= set(medians.index):
        return None
    return Ceilings(
        copy_bandwidth=float(medians["copy_bandwidth"]), matmul_rate=float(medians["matmul_rate"])
    )
