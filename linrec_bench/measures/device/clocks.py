"""Moments of a host and of the stream of an accelerator."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import torch

Clock = Callable[[], float]

T = TypeVar("T")


@runtime_checkable
class Stopwatch(Protocol[T]):
    """Marks moments, and tells the seconds between two of them."""

    def mark(self) -> T: ...

    def seconds(self, start: T, end: T) -> float: ...


class WallClock:
    """Moments of the host; right for a device that has finished when a call returns."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock

    def mark(self) -> float:
        return self._clock()

    def seconds(self, start: float, end: float) -> float:
        return end - start


class StreamEvents:
    """Moments on the current stream of a device, in the order of the work that was queued there."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def mark(self) -> torch.Event:
        event = torch.Event(self._device, enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.Event, end: torch.Event) -> float:
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3
