"""Energy a call and of a training, the state of the device while it ran, from NVML; nothing on other devices.

The counter of total energy advances some tens of times a second, so that calls are repeated for seconds and
their energy is a mean. It is that of the whole device: whatever else runs there is in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TypeVar

import torch

from linrec_bench.measures.instruments.timing import Clock
from linrec_bench.measures.spec import Measurable, Reading

LOOP_S = 2.0
"""The loop is about this long: a hundred times the period of the counter."""

BATCH_S = 0.1
"""Calls are queued for about this long before the device is asked for its state, so that it hardly idles."""

REASONS = {
    0x2: "applications_clocks",
    0x4: "power_cap",
    0x8: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "thermal_software",
    0x40: "thermal_hardware",
    0x80: "power_brake",
    0x100: "display_clocks",
}
"""Bits of NVML's reasons for reduced clocks (nvml.h, nvmlClocksEventReasons); an idle device is none."""

T = TypeVar("T")


def readings(
    workload: Measurable, *, loop_s: float = LOOP_S, clock: Clock = time.perf_counter
) -> list[Reading]:
    """`energy` in J a call, mean `power` in W; one sample for each batch of calls of `sm_clock` and
    `memory_clock` in MHz, `temperature` in degC, and `throttled`, 1 where clocks were reduced, its detail
    naming the reasons.

    An empty list on a device other than CUDA and where NVML does not know the device (a partition, say);
    readings that NVML does not support are absent.
    """
    with _opened(workload.device) as device:
        return [] if device is None else _loop(workload, device, loop_s, clock)


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
    with _opened(device) as found:
        if found is None:
            yield Meter()
            return

        def drawn_j() -> float | None:
            torch.cuda.synchronize(device)
            return found.energy_j()

        yield Meter(drawn_j)


@contextmanager
def _opened(device: torch.device) -> Iterator[_Device | None]:
    """The NVML handle of the device; None if there is none."""
    if device.type != "cuda":
        yield None
        return
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        yield None
        return
    try:
        yield _found(pynvml, device)
    finally:
        pynvml.nvmlShutdown()


def _found(nvml: ModuleType, device: torch.device) -> _Device | None:
    # By identity and not by number: CUDA_VISIBLE_DEVICES renumbers torch's devices, and not NVML's.
    uuid = torch.cuda.get_device_properties(device).uuid
    try:
        return _Device(nvml, f"GPU-{uuid}")
    except (nvml.NVMLError_NotFound, nvml.NVMLError_InvalidArgument):
        return None


class _Device:
    """One device in NVML; unsupported values are None."""

    def __init__(self, nvml: ModuleType, uuid: str) -> None:
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByUUID(uuid)

    def energy_j(self) -> float | None:
        millijoules = self._told(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        return None if millijoules is None else millijoules / 1e3

    def state(self, repeat: int) -> list[Reading]:
        """Clocks, temperature and throttling at this moment."""
        nvml, handle = self._nvml, self._handle
        found = [
            ("sm_clock", "MHz", self._told(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
            (
                "memory_clock",
                "MHz",
                self._told(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            ),
            (
                "temperature",
                "degC",
                self._told(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            ),
        ]
        told = [Reading(name, value, unit, repeat=repeat) for name, unit, value in found if value is not None]
        bits = self._told(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        if bits is not None:
            reasons = [name for bit, name in REASONS.items() if bits & bit]
            told.append(Reading("throttled", float(bool(reasons)), "1", " ".join(reasons), repeat))
        return told

    def _told(self, query: Callable[[], T]) -> T | None:
        try:
            return query()
        except self._nvml.NVMLError_NotSupported:
            return None


def _loop(workload: Measurable, device: _Device, loop_s: float, clock: Clock) -> list[Reading]:
    def run(calls: int) -> float:
        start = clock()
        for _ in range(calls):
            workload.call()
            workload.reset()
        torch.cuda.synchronize(workload.device)
        return clock() - start

    # The first call warms up, the second tells how many make a batch.
    run(1)
    batch = max(1, int(BATCH_S / max(run(1), 1e-6)))
    states: list[Reading] = []
    calls = batches = 0
    energy_before = device.energy_j()
    start = clock()
    while clock() - start < loop_s:
        run(batch)
        states += device.state(repeat=batches)
        batches += 1
        calls += batch
    energy_after = device.energy_j()
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
