"""Energy a call and of a training, the state of the device while it ran, from NVML; nothing on other devices.

The counter of total energy advances some tens of times a second, so that calls are repeated for seconds and
their energy is a mean. It is that of the whole device: whatever else runs there is in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from linrec_bench.measures.device import nvml
from linrec_bench.measures.device.clocks import Clock
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.device.nvml import Card
from linrec_bench.measures.spec import Measurable, Reading

LOOP_S = 2.0
"""The loop is about this long: a hundred times the period of the counter."""

BATCH_S = 0.1
"""Calls are queued for about this long before the device is asked for its state, so that it hardly idles."""


def readings(
    workload: Measurable, *, loop_s: float = LOOP_S, clock: Clock = time.perf_counter
) -> list[Reading]:
    """`energy` in J a call, mean `power` in W; one sample for each batch of calls of `sm_clock` and
    `memory_clock` in MHz, `temperature` in degC, and `throttled`, 1 where clocks were reduced, its detail
    naming the reasons.

    An empty list on a device other than CUDA and where NVML does not know the device (a partition, say);
    readings that NVML does not support are absent.
    """
    with nvml.opened(device_of(workload.device).uuid()) as card:
        return _loop(workload, card, loop_s, clock) if card.answers else []


class Meter:
    """The energy of a device between `start` and `stop`, any number of times, in J.

    `counter` returns the energy used so far, or None if unknown; then the sum is None, too.
    """

    def __init__(self, counter: Callable[[], float | None] = lambda: None) -> None:
        self._counter = counter
        self._since: float | None = None
        self._running = False
        self._sum_j: float | None = 0.0

    def reset(self, joules: float | None = 0.0) -> None:
        """Stop and set the sum."""
        self._sum_j, self._running = joules, False

    def start(self) -> None:
        self._since, self._running = self._counter(), True

    def stop(self) -> float | None:
        found = self.read()
        self._running = False
        return found

    def read(self) -> float | None:
        """The sum up to this moment; what runs goes on."""
        if self._running:
            now = self._counter()
            if self._sum_j is None or self._since is None or now is None:
                self._sum_j = None
            else:
                self._sum_j += now - self._since
            self._since = now
        return self._sum_j


@contextmanager
def metered(device: torch.device) -> Iterator[Meter]:
    """A meter of the whole device, whose queue is waited for at every look; its sum is None on a device other
    than CUDA and where NVML does not know the device or its energy."""
    measured = device_of(device)
    with nvml.opened(measured.uuid()) as card:

        def drawn_j() -> float | None:
            measured.synchronize()
            return card.energy_j()

        yield Meter(drawn_j)


def _state(card: Card, repeat: int) -> list[Reading]:
    """Clocks, temperature and throttling at this moment."""
    values = [
        ("sm_clock", "MHz", card.sm_clock_mhz()),
        ("memory_clock", "MHz", card.memory_clock_mhz()),
        ("temperature", "degC", card.temperature_c()),
    ]
    readings = [
        Reading(name, value, unit, repeat=repeat) for name, unit, value in values if value is not None
    ]
    reasons = card.throttling()
    if reasons is not None:
        readings.append(Reading("throttled", float(bool(reasons)), "1", " ".join(reasons), repeat))
    return readings


def _loop(workload: Measurable, card: Card, loop_s: float, clock: Clock) -> list[Reading]:
    def run(calls: int) -> float:
        start = clock()
        for _ in range(calls):
            workload.call()
            workload.reset()
        device_of(workload.device).synchronize()
        return clock() - start

    # The first call warms up, the second tells how many make a batch.
    run(1)
    batch = max(1, int(BATCH_S / max(run(1), 1e-6)))
    states: list[Reading] = []
    calls = batches = 0
    energy_before = card.energy_j()
    start = clock()
    while clock() - start < loop_s:
        run(batch)
        states += _state(card, repeat=batches)
        batches += 1
        calls += batch
    energy_after = card.energy_j()
    seconds = clock() - start
    if energy_before is None or energy_after is None:
        return states
    joules = energy_after - energy_before
    detail = f"calls={calls} seconds={seconds:.3f}; the whole device"
    return [
        Reading("energy", joules / calls, "J", detail),
        Reading("power", joules / seconds, "W", detail),
        *states,
    ]
