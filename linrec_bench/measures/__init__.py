"""Which number: what a suite can ask to be measured, and the reading that every measure returns.

Nothing here imports torch: the command line lists the measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from linrec_bench.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import nn


@runtime_checkable
class Measurable(Protocol):
    """What a measure needs of a workload; the fields mean what `linrec_bench.tasks.Workload` says."""

    @property
    def call(self) -> Callable[[], object]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def minimum_bytes(self) -> int: ...

    @property
    def reset(self) -> Callable[[], None]: ...

    @property
    def attention_modules(self) -> list[nn.Module]: ...

    @property
    def state_bytes(self) -> int | None: ...


@dataclass(frozen=True)
class Reading:
    """One number: `repeat` counts raw samples of one measure, `detail` says how it was taken."""

    measure: str
    value: float | int
    unit: str
    detail: str = ""
    repeat: int = 0


@dataclass(frozen=True)
class Measure:
    """A word of a suite's `measures:`. `rows` maps each measure that it may leave in the rows to its unit."""

    title: str
    rows: dict[str, str]


MEASURES: Registry[Measure] = Registry(
    "measure",
    [
        (
            "time",
            Measure(
                "seconds a call, every raw sample; the first call of the process apart; how many positions "
                "the batch has, and how many of them hold an event",
                {"time": "s", "first_call_time": "s", "padded_tokens": "1", "effective_tokens": "1"},
            ),
        ),
        (
            "peak_memory",
            Measure(
                "peak memory beyond the inputs, in a pass of its own: exact live bytes and the process "
                "on a CPU; allocated, reserved and driver level on CUDA; the state that decoding carries",
                {
                    "state_bytes": "B",
                    "peak_live_bytes": "B",
                    "saved_bytes": "B",
                    "peak_process_bytes": "B",
                    "peak_allocated_bytes": "B",
                    "peak_reserved_bytes": "B",
                    "peak_driver_bytes": "B",
                },
            ),
        ),
        (
            "flops",
            Measure(
                "exact floating-point operations of matrix products, attention kernels included",
                {"flops": "FLOP"},
            ),
        ),
        (
            "energy",
            Measure(
                "energy a call with clocks, temperature and throttling, from NVML; nothing elsewhere",
                {
                    "energy": "J",
                    "power": "W",
                    "sm_clock": "MHz",
                    "memory_clock": "MHz",
                    "temperature": "degC",
                    "throttled": "1",
                },
            ),
        ),
        (
            "attention_share",
            Measure("share of a call spent inside the attention mechanism", {"attention_share": "1"}),
        ),
        (
            "ranking",
            Measure(
                "quality of the ranked catalogue on the test queries, at the suite's cut-offs k",
                {"recall@k": "1", "ndcg@k": "1", "mrr@k": "1"},
            ),
        ),
    ],
)
