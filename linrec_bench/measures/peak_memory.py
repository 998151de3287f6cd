"""Peak memory beyond the inputs of a call, or of a whole training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from linrec_bench.declarations import Quantity
from linrec_bench.measures.spec import Measurable, MeasureSpec, Reading, Sampling


def readings(workload: Measurable, _: Sampling) -> Iterator[Reading]:
    """Every peak that the device can tell, and the state of decoding."""
    from linrec_bench.measures.instruments import memory

    yield from memory.peaks(workload)
    if workload.state_bytes is not None:
        yield Reading("state_bytes", workload.state_bytes, "B", "after the history, before the event")


@contextmanager
def around(device: str) -> Iterator[list[Reading]]:
    """The peak of what runs inside: of allocated tensors on CUDA, of the process on a CPU."""
    import torch

    from linrec_bench.measures.instruments import memory

    with memory.whole_peak(torch.device(device)) as readings:
        yield readings
    readings[:] = [replace(each, detail=f"whole training; {each.detail}") for each in readings]


def _bytes(name: str, meaning: str) -> Quantity:
    return Quantity(name, "B", meaning, whole=True)


SPEC = MeasureSpec(
    name="peak_memory",
    title="peak memory beyond the inputs, in a pass of its own: exact live bytes and the process "
    "on a CPU; allocated, reserved and driver level on CUDA; the state that decoding carries",
    quantities=(
        Quantity(
            "state_bytes", "B", "decoding: bytes carried from event to event", summarised="extra", whole=True
        ),
        _bytes("peak_live_bytes", "CPU: exact peak of live tensor bytes"),
        Quantity(
            "saved_bytes",
            "B",
            "CPU: most bytes that autograd held for the backward pass",
            summarised="extra",
            whole=True,
        ),
        _bytes("peak_process_bytes", "CPU: peak of the whole process"),
        _bytes("peak_allocated_bytes", "CUDA: peak of allocated tensors"),
        _bytes("peak_reserved_bytes", "CUDA: peak reserved by torch's allocator"),
        _bytes("peak_driver_bytes", "CUDA: peak that the driver reports"),
    ),
    readings=readings,
    around=around,
    once=True,
    order=50,
)
