"""Inside the process of one trial: build the task, measure it, report sample by sample."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

import torch

from linrec_bench import attention
from linrec_bench.attention.backends import choice
from linrec_bench.attention.ops.block_sizes import blocks_as_on
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case
from linrec_bench.execution.schedule import Prediction
from linrec_bench.measures import ceilings, energy, memory, time
from linrec_bench.measures.exact import exact
from linrec_bench.suite.expand import Job
from linrec_bench.tasks import Emit, Report, Workload
from linrec_bench.training.checkpoint import Checkpoint


def measure(job: Job, round: int, report: Report, *, checkpoint: Path | None = None) -> None:
    """Take every measure of the job; what does not vary between processes is taken in round 0 alone.

    `checkpoint` is the file that a training keeps its state in, and goes on from; without it, it keeps none.
    """
    emit = report
    torch.manual_seed(job.case.seed)
    if job.case.task == "recommend":
        _train_and_rank(job, report, checkpoint)
        return
    workload = build(job.case)
    if "time" in job.measures:
        _emit_time(workload, job, emit)
        if round == 0 and workload.tokens is not None:
            emit("padded_tokens", workload.tokens.padded, "1", detail="positions of the batch")
            emit("effective_tokens", workload.tokens.effective, "1", detail="those that hold an event")
    # After the times: the first call, which compiles, is one of them.
    spec = attention.registry()[job.case.attention]
    if used := choice.used_kernel(spec, dict(job.case.attention_params), workload.call):
        emit("kernel", 1, "1", detail=used)
        workload.reset()
    if "attention_share" in job.measures:
        for repeat, share in enumerate(time.attention_share(workload)):
            emit("attention_share", share, "1", repeat=repeat)
    if "energy" in job.measures:
        for reading in energy.readings(workload):
            emit(reading.measure, reading.value, reading.unit, detail=reading.detail)
    if round == 0 and "peak_memory" in job.measures:
        for reading in memory.peaks(workload):
            emit(reading.measure, reading.value, reading.unit, detail=reading.detail)
        if workload.state_bytes is not None:
            emit("state_bytes", workload.state_bytes, "B", detail="after the history, before the event")


def _train_and_rank(job: Job, emit: Report, checkpoint: Path | None) -> None:
    """The whole training runs once: its peak memory is taken around it, not in a pass of its own."""
    from linrec_bench.tasks import memorise, recommend

    device = torch.device(job.case.device)
    keep = emit.keep
    if job.case.watermark:
        # Two trainings, of which neither has a state that the other could not mistake for its own.
        run = partial(memorise.run, job.case, emit, keep=keep)
    else:
        run = partial(recommend.run, job.case, emit, keep=keep, checkpoint=_checkpoint(job, checkpoint))
    training = Workload(call=run, device=device, minimum_bytes=0)
    if "peak_memory" not in job.measures:
        training.call()
    elif device.type == "cuda":
        training.call()
        emit("peak_allocated_bytes", torch.cuda.max_memory_allocated(device), "B", detail="whole training")
    else:
        peak = memory.process_peak(training)
        emit(peak.measure, peak.value, peak.unit, detail=f"whole training; {peak.detail}")


def _checkpoint(job: Job, path: Path | None) -> Checkpoint | None:
    if path is None:
        return None
    return Checkpoint(path, identity=job.case.id, every_s=job.limits.checkpoint_seconds)


def build(case: Case) -> Workload:
    """The workload of a case of any task but `recommend`."""
    task = importlib.import_module(f"linrec_bench.tasks.{case.task}")
    workload = task.build(case)
    assert isinstance(workload, Workload)
    return workload


def predict(case: Case) -> Prediction | None:
    """Exact counts of a case on fake tensors, or why there are none; None for a task of no fixed shape."""
    if case.task == "recommend":
        return None
    try:
        with blocks_as_on(torch.device(case.device).type):
            counted = exact(case, build)
    except Unsupported as reason:
        return Prediction(unsupported=str(reason))
    except Exception as error:  # noqa: BLE001 - code of a mechanism may read what a fake tensor lacks
        first_line = str(error).strip().partition("\n")[0]
        return Prediction(error=f"{type(error).__name__}: {first_line}")
    return Prediction(
        flops=counted.flops,
        operations=counted.flops + counted.elements,
        peak_live_bytes=counted.peak_live_bytes,
        saved_bytes=counted.saved_bytes,
        minimum_bytes=counted.minimum_bytes,
        state_bytes=counted.state_bytes,
    )


def free_memory(device: str, emit: Emit) -> None:
    """Bytes of the device's memory that nobody uses now, as `free_bytes`."""
    emit("free_bytes", memory.free_bytes(torch.device(device)), "B")


def measure_ceilings(device: str, dtypes: tuple[str, ...], emit: Emit) -> None:
    """What the device can do, measured in the run that is compared with it."""
    for dtype in dtypes:
        for reading in ceilings.readings(torch.device(device), getattr(torch, dtype)):
            emit(
                reading.measure,
                reading.value,
                reading.unit,
                phase=dtype,
                repeat=reading.repeat,
                detail=reading.detail,
            )


def _emit_time(workload: Workload, job: Job, emit: Emit) -> None:
    samples = time.sample(
        workload,
        budget_s=job.sampling.seconds,
        min_samples=job.sampling.min,
        max_samples=job.sampling.max,
        cache=job.sampling.cache,
    )
    emit("first_call_time", samples.first_call_s, "s")
    for repeat, value in enumerate(samples.seconds):
        emit("time", value, "s", repeat=repeat, detail=samples.detail)
