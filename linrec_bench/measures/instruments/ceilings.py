"""What the device can do: copy bandwidth and the rate of matrix products, for every time to be read against.

The roofline's two ceilings (Williams, Waterman and Patterson 2009), by torch's own copy and product, and not
from a data sheet.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from linrec_bench.measures.device.clocks import Clock
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.instruments.timing import sample
from linrec_bench.measures.spec import Reading

BUDGET_S = 0.4
"""For each of the two ceilings; the fewest samples may take longer."""

MIN_SAMPLES, MAX_SAMPLES = 5, 50

REPEATS = 64
"""The copied buffer holds this many repeats of the same random numbers."""


def readings(
    device: torch.device,
    dtype: torch.dtype,
    *,
    copy_bytes: int | None = None,
    matrix_size: int | None = None,
    clock: Clock = time.perf_counter,
) -> list[Reading]:
    """Raw samples of `copy_bandwidth` in B/s, bytes read plus bytes written, and `matmul_rate` in FLOP/s.

    The buffer copied has `copy_bytes`, by default 256 MiB on a CPU and 2 GiB on an accelerator, well beyond
    the caches, and at most an eighth of what is free; square matrices have `matrix_size` rows, by default
    1024 and 8192, at most a quarter of that buffer each, and 256 for half types on a CPU, which may have to
    emulate them. Products run at the precision that torch is set to.
    """
    measured = device_of(device)
    copy_bytes = copy_bytes or min(2**31 if measured.queues else 2**28, measured.free_bytes() // 8)
    most = 8192 if measured.queues else 1024 if dtype.itemsize >= 4 else 256
    size = matrix_size or min(most, math.isqrt(copy_bytes // dtype.itemsize // 4))
    # Drawing every number would take longer than all the copies.
    drawn = torch.randn(copy_bytes // dtype.itemsize // REPEATS, device=device, dtype=dtype)
    source = drawn.repeat(REPEATS)
    target = torch.empty_like(source)
    copied = _rates(
        lambda: target.copy_(source),
        device,
        work=2 * source.nbytes,
        measure="copy_bandwidth",
        unit="B/s",
        detail=f"copy of {source.nbytes} bytes of {dtype}",
        clock=clock,
    )
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    multiplied = _rates(
        lambda: a @ b,
        device,
        work=2 * size**3,
        measure="matmul_rate",
        unit="FLOP/s",
        detail=f"{size} x {size} matrices of {dtype}",
        clock=clock,
    )
    return [*copied, *multiplied]


@torch.inference_mode()
def _rates(
    call: Callable[[], object],
    device: torch.device,
    *,
    work: int,
    measure: str,
    unit: str,
    detail: str,
    clock: Clock,
) -> list[Reading]:
    """`work` over the seconds of each sample."""
    samples = sample(
        _Probe(call, device),
        budget_s=BUDGET_S,
        min_samples=MIN_SAMPLES,
        max_samples=MAX_SAMPLES,
        clock=clock,
    )
    return [
        Reading(measure, work / seconds, unit, detail, repeat)
        for repeat, seconds in enumerate(samples.seconds)
    ]


@dataclass
class _Probe:
    """The smallest workload that `time.sample` takes."""

    call: Callable[[], object]
    device: torch.device
    minimum_bytes: int = 0
    reset: Callable[[], None] = lambda: None
    inspect: Callable[[object], None] = lambda _: None
    attention_modules: list[nn.Module] = field(default_factory=list)
    state_bytes: int | None = None
    facts: Mapping[str, int] = field(default_factory=dict)
