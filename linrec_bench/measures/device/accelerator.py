"""An accelerator, through what torch offers for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from linrec_bench.measures.device import nvml
from linrec_bench.measures.device.clocks import Clock, StreamEvents
from linrec_bench.measures.device.failures import Uncapturable, failure
from linrec_bench.measures.device.host import Memory


@dataclass(frozen=True)
class Accelerator:
    """See `Device`; times are those of the current stream."""

    device: torch.device
    queues: bool = True

    def synchronize(self) -> None:
        torch.accelerator.synchronize(self.device)

    def stopwatch(self, clock: Clock) -> StreamEvents:
        del clock
        return StreamEvents(self.device)

    @contextmanager
    def clock_rate(self) -> Iterator[Callable[[], float | None]]:
        with nvml.opened(self.uuid()) as card:
            yield card.sm_clock_mhz

    def captured(self, call: Callable[[], object], reset: Callable[[], None]) -> Callable[[], object]:
        module = torch.get_device_module(self.device)
        if not hasattr(module, "CUDAGraph"):
            raise Uncapturable(f"sampling graph: true: torch has no graphs for {self.device.type}")
        # Before it is recorded, a call must have run on a stream beside the default one.
        stream = module.Stream()
        stream.wait_stream(module.current_stream())
        with module.stream(stream):
            call()
            reset()
        module.current_stream().wait_stream(stream)
        graph = module.CUDAGraph()
        try:
            with module.graph(graph):
                # Its memory belongs to the graph for as long as that lives.
                kept = call()
        except RuntimeError as error:
            if failure(error) is not None:
                raise
            first_line = str(error).strip().partition("\n")[0]
            raise Uncapturable(f"sampling graph: true: a call cannot be recorded ({first_line})") from error

        def replay() -> object:
            graph.replay()
            return kept

        return replay

    def flush(self) -> Callable[[], None]:
        # Four times the size of the cache, so that nothing of before survives.
        buffer = torch.empty(4 * self.cache_bytes, dtype=torch.uint8, device=self.device)

        def flush() -> None:
            buffer.zero_()

        return flush

    @property
    def cache_bytes(self) -> int:
        """Size of the L2 cache; 0 where the device does not tell."""
        return int(getattr(self.properties(), "L2_cache_size", 0))

    def memory(self) -> Memory:
        found = torch.accelerator.memory_stats(self.device)
        return Memory(
            allocated=found["allocated_bytes.all.current"],
            reserved=found["reserved_bytes.all.current"],
            peak_allocated=found["allocated_bytes.all.peak"],
            peak_reserved=found["reserved_bytes.all.peak"],
            free=self.free_bytes(),
        )

    def reset_peaks(self) -> None:
        torch.accelerator.empty_cache()
        torch.accelerator.reset_peak_memory_stats(self.device)

    def free_bytes(self) -> int:
        return int(torch.accelerator.get_memory_info(self.device)[0])

    def random_state(self) -> Tensor:
        state: Tensor = torch.get_device_module(self.device).get_rng_state(self.device)
        return state

    def restore_random_state(self, state: Tensor) -> None:
        torch.get_device_module(self.device).set_rng_state(state, self.device)

    def sent(self, tensor: Tensor) -> Tensor:
        # From pageable memory the host would wait for the copy.
        pinned = tensor.pin_memory() if tensor.is_cpu else tensor
        return pinned.to(self.device, non_blocking=True)

    def warm_libraries(self) -> None:
        # A thread of autograd has workspaces of its own.
        a = torch.ones(64, 64, device=self.device, requires_grad=True)
        torch.autograd.backward((a @ a).sum())
        self.synchronize()

    def total_bytes(self) -> int:
        return int(torch.accelerator.get_memory_info(self.device)[1])

    def limit_memory(self, limit_bytes: int) -> None:
        share = min(1.0, limit_bytes / self.total_bytes())
        torch.get_device_module(self.device).set_per_process_memory_fraction(share, self.device)

    def uuid(self) -> str | None:
        found = getattr(self.properties(), "uuid", None)
        return None if found is None else str(found)

    def properties(self) -> object:
        return torch.get_device_module(self.device).get_device_properties(self.device)
