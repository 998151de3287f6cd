"""What every device tells, and the CPU, which has finished when a call returns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from linrec_bench import allotment
from linrec_bench.measures.device.clocks import Clock, Stopwatch, WallClock
from linrec_bench.measures.device.failures import Uncapturable


@dataclass(frozen=True)
class Memory:
    """Bytes of one process on a device: those in tensors and those its allocator took, now and at their peaks
    since `reset_peaks`; `free` are those of the whole device that nobody uses."""

    allocated: int
    reserved: int
    peak_allocated: int
    peak_reserved: int
    free: int


@runtime_checkable
class Device(Protocol):
    """A device of torch."""

    @property
    def device(self) -> torch.device: ...

    @property
    def queues(self) -> bool:
        """Whether a call may return before its work is done."""

    def synchronize(self) -> None:
        """Wait for everything that was queued."""

    def stopwatch(self, clock: Clock) -> Stopwatch[Any]:
        """Tells the seconds that the device works; `clock` is the one of the host."""

    def clock_rate(self) -> AbstractContextManager[Callable[[], float | None]]:
        """Inside, tells the rate of the device's clock in MHz; None where it does not tell."""

    def captured(self, call: Callable[[], object], reset: Callable[[], None]) -> Callable[[], object]:
        """Starts the operations of one `call` at once, on its tensors. Raises `Uncapturable`."""

    def flush(self) -> Callable[[], None]:
        """Overwrites the device's cache, where it has one of a known size; else does nothing."""

    def memory(self) -> Memory | None:
        """Counters of the device's own memory; None where it has none, or does not count."""

    def reset_peaks(self) -> None:
        """Empty the allocator's cache, and set the peaks to what is used now."""

    def free_bytes(self) -> int:
        """Memory of the device that nobody uses now."""

    def sent(self, tensor: Tensor) -> Tensor:
        """The tensor of the host on the device, without waiting for it to arrive."""

    def warm_libraries(self) -> None:
        """Have libraries take the workspaces that they keep, forward and backward."""

    def total_bytes(self) -> int:
        """Memory of the device."""

    def limit_memory(self, limit_bytes: int) -> None:
        """Let this process allocate so much of the device's own memory and no more, where it has any."""

    def uuid(self) -> str | None:
        """The identity by which NVML finds it, without `GPU-`; None for what is none of NVIDIA's."""

    def properties(self) -> object:
        """What torch knows of the model of the device; None where it has none."""

    def random_state(self) -> Tensor | None:
        """The state of the device's own generator; None where it shares the host's."""

    def restore_random_state(self, state: Tensor) -> None:
        """Set what `random_state` returned."""


@dataclass(frozen=True)
class Host:
    """The CPU, and tensors without data; see `Device`."""

    device: torch.device
    queues: bool = False

    def synchronize(self) -> None:
        return None

    def stopwatch(self, clock: Clock) -> Stopwatch[float]:
        return WallClock(clock)

    def clock_rate(self) -> AbstractContextManager[Callable[[], float | None]]:
        return nullcontext(lambda: None)

    def captured(self, call: Callable[[], object], reset: Callable[[], None]) -> Callable[[], object]:
        del call, reset
        raise Uncapturable("sampling graph: true needs an accelerator with graphs; a CPU has none")

    def flush(self) -> Callable[[], None]:
        return lambda: None

    def memory(self) -> None:
        return None

    def reset_peaks(self) -> None:
        return None

    def free_bytes(self) -> int:
        return allotment.free_bytes()

    def sent(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device)

    def warm_libraries(self) -> None:
        return None

    def total_bytes(self) -> int:
        return allotment.total_bytes()

    def limit_memory(self, limit_bytes: int) -> None:
        """The host's limit is that of the whole process, see `execution.process_bounds`."""

    def uuid(self) -> None:
        return None

    def properties(self) -> None:
        return None

    def random_state(self) -> None:
        return None

    def restore_random_state(self, state: Tensor) -> None:
        raise AssertionError(f"a CPU has the state of the host, not one of {len(state)} bytes")
