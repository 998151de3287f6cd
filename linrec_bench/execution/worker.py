"""Inside the process of one trial: build the task, measure it, report sample by sample."""

from __future__ import annotations

import json
from contextlib import ExitStack
from math import inf
from pathlib import Path

import torch

from linrec_bench import attention, measures, tasks
from linrec_bench.attention.backends import choice
from linrec_bench.attention.ops.block_sizes import blocks_as_on
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case
from linrec_bench.error_text import ANYTHING, in_a_line
from linrec_bench.execution.audit import Auditor, Suspect, other_work, remembers
from linrec_bench.execution.schedule import Prediction
from linrec_bench.measures.device.facts import facts_and_state
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.device.names import CPU
from linrec_bench.measures.device.seal import seal
from linrec_bench.measures.instruments import ceilings
from linrec_bench.measures.instruments.exact import Exact, exact
from linrec_bench.measures.instruments.kernel_scratch import heap_holes
from linrec_bench.measures.spec import Measurable, Reading
from linrec_bench.parameters import EAGER
from linrec_bench.suite.expand import Job
from linrec_bench.tasks import Emit, Report, TaskSpec
from linrec_bench.tasks.workloads import Workload

AUDIT_SHARE = 0.04
"""Part of the time of sampling that references may take, in the first round for all of them."""

LEAST_AUDIT_S, LATER_AUDIT_S = 0.05, 0.01
"""The least seconds of it in the first round, and those of a later one."""

# This module is imported before any plugin.
_SEAL = seal()


def measure(
    job: Job,
    round: int,
    report: Report,
    *,
    checkpoint: Path | None = None,
    prediction: Prediction | None = None,
) -> None:
    """Take every measure of the job; what does not vary between processes is taken in round 0 alone.

    `checkpoint` is the file that a training keeps its state in, and goes on from; without it, it keeps none.
    `prediction` holds the counts on fake tensors. Raises `Suspect`, when all is reported, if the numbers
    cannot be believed.
    """
    torch.manual_seed(job.case.seed)
    task = tasks.registry()[job.case.task]
    if task.build is None:
        _train(task, job, report, checkpoint)
        return
    workload = task.build(job.case)
    auditor = _auditor(workload, job, round)
    fastest = inf
    for spec in measures.registry().values():
        if spec.name in job.measures and spec.readings is not None and (round == 0 or not spec.once):
            for reading in spec.readings(workload, job.sampling):
                _tell(reading, report)
                fastest = min(fastest, reading.value) if reading.measure == "time" else fastest
    # After the times: the first call, which compiles, is one of them.
    mechanism = attention.registry()[job.case.attention]
    if used := choice.used_kernel(mechanism, dict(job.case.attention_params), workload.call):
        report("kernel", 1, "1", group_by="kernel", group=used)
        workload.reset()
    faults = list(_SEAL.broken())
    if auditor is not None and isinstance(workload, Workload):
        faults += auditor.faults()
        if round == 0:
            faults += remembers(workload, fastest, prediction)
        if round == 0 and _shows_operations(job.case):
            faults += other_work(workload, prediction)
    if faults:
        raise Suspect("; ".join(faults))


def _auditor(workload: Measurable, job: Job, round: int) -> Auditor | None:
    """None where no time is measured: nothing else becomes better by cheating."""
    if not isinstance(workload, Workload) or "time" not in job.measures:
        return None
    dtype = getattr(torch, job.case.dtype)
    if round > 0:
        return Auditor(workload, dtype=dtype, budget_s=LATER_AUDIT_S, thorough=False)
    budget_s = max(LEAST_AUDIT_S, AUDIT_SHARE * job.rounds * job.sampling.seconds)
    return Auditor(workload, dtype=dtype, budget_s=budget_s)


def _shows_operations(case: Case) -> bool:
    """Whether the operations of a real call can be watched and are those that were counted: kernels of
    backends and of accelerators hide theirs, and so does a core that runs on some devices only."""
    eager = dict(case.attention_params).get("backend", EAGER) == EAGER
    return eager and case.device == CPU and attention.registry()[case.attention].refusal is None


def _train(task: TaskSpec, job: Job, report: Report, checkpoint: Path | None) -> None:
    """The whole training runs once: measures are taken around it, not in a pass of their own."""
    assert task.train is not None, "a task builds a workload or trains"
    with ExitStack() as stack:
        taken = [
            stack.enter_context(spec.around(job.case.device))
            for spec in measures.registry().values()
            if spec.name in job.measures and spec.around is not None
        ]
        seconds = job.limits.checkpoint_seconds
        task.train(job.case, report, checkpoint=checkpoint, checkpoint_seconds=seconds)
    for readings in taken:
        for reading in readings:
            _tell(reading, report)


def _tell(reading: Reading, emit: Emit) -> None:
    emit(reading.measure, reading.value, reading.unit, repeat=reading.repeat, detail=reading.detail)


def predict(case: Case) -> Prediction | None:
    """Exact counts of a case on fake tensors, or why there are none; None for a task of no fixed shape."""
    build = tasks.registry()[case.task].build
    if build is None:
        return None
    try:
        with blocks_as_on(torch.device(case.device).type):
            counted = exact(case, build)
    except Unsupported as reason:
        return Prediction(unsupported=str(reason))
    except ANYTHING as error:
        # Code of a mechanism may read what a fake tensor lacks.
        return Prediction(error=in_a_line(error))
    return Prediction(
        flops=counted.flops,
        operations=counted.flops + counted.elements,
        dispatches=counted.dispatches,
        double_elements=counted.double_elements,
        left_bytes=counted.left_bytes,
        peak_live_bytes=counted.peak_live_bytes,
        saved_bytes=counted.saved_bytes,
        minimum_bytes=counted.minimum_bytes,
        state_bytes=counted.state_bytes,
        setup_bytes=counted.setup_bytes,
        beyond_live_bytes=_beyond_live(counted) if torch.device(case.device).type == "cpu" else 0,
        opaque=counted.opaque,
        facts=counted.facts,
        compiles=choice.compiles(attention.registry()[case.attention], dict(case.attention_params)),
    )


def _beyond_live(counted: Exact) -> int:
    with_scratch = counted.peak_with_scratch_bytes
    return with_scratch - counted.peak_live_bytes + heap_holes(with_scratch)


def describe_device(kind: str, emit: Emit) -> None:
    """Facts and state of the device as JSON in a detail, or why it is refused."""
    try:
        facts, state = facts_and_state(kind)
    except Exception as error:  # noqa: BLE001 - whatever torch says of a device that cannot be used
        told: dict[str, object] = {"refused": str(error)}
    else:
        told = {"facts": facts, "state": state}
    emit("described", 1, "1", detail=json.dumps(told))


def free_memory(device: str, emit: Emit) -> None:
    """Bytes of the device's memory that nobody uses now, as `Device.free_bytes`."""
    emit("free_bytes", device_of(device).free_bytes(), "B")


def measure_ceilings(device: str, dtypes: tuple[str, ...], emit: Emit) -> None:
    """What the device can do, measured in the run that is compared with it."""
    for dtype in dtypes:
        for reading in ceilings.readings(torch.device(device), getattr(torch, dtype)):
            emit(
                reading.measure,
                reading.value,
                reading.unit,
                repeat=reading.repeat,
                detail=reading.detail,
                group_by="dtype",
                group=dtype,
            )
