"""NVIDIA's management library: what it tells of one card, and the reason for what it does not tell.

It numbers cards by bus address, whatever CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER say. So the card is found
by the identity that CUDA gives it. No failure of the library leaves this file as an exception.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

THROTTLING = {
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

_COMPUTE_MODES = {0: "default", 1: "exclusive_thread", 2: "prohibited", 3: "exclusive_process"}


class Card:
    """One card, or one slice of it. What it does not tell is None; `untold` holds the reasons by name."""

    def __init__(self, nvml: ModuleType | None, handle: object, untold: Mapping[str, str]) -> None:
        self._nvml, self._handle = nvml, handle
        self.untold: dict[str, str] = dict(untold)

    @property
    def answers(self) -> bool:
        """Whether NVML knows the card at all."""
        return self._nvml is not None

    def energy_j(self) -> float | None:
        """Energy used since the driver was loaded, by everything that runs on the card."""
        return _thousandth(self._told("energy", "nvmlDeviceGetTotalEnergyConsumption"))

    def sm_clock_mhz(self) -> int | None:
        found: int | None = self._told("sm_clock", "nvmlDeviceGetClockInfo", "NVML_CLOCK_SM")
        return found

    def memory_clock_mhz(self) -> int | None:
        found: int | None = self._told("memory_clock", "nvmlDeviceGetClockInfo", "NVML_CLOCK_MEM")
        return found

    def temperature_c(self) -> int | None:
        found: int | None = self._told("temperature", "nvmlDeviceGetTemperature", "NVML_TEMPERATURE_GPU")
        return found

    def throttling(self) -> list[str] | None:
        """The names of the reasons for which clocks are reduced now."""
        bits = self._told("throttled", "nvmlDeviceGetCurrentClocksThrottleReasons")
        return None if bits is None else [name for bit, name in THROTTLING.items() if bits & bit]

    def power_limit_w(self) -> float | None:
        return _thousandth(self._told("power_limit", "nvmlDeviceGetEnforcedPowerLimit"))

    def driver(self) -> str | None:
        found: str | None = self._answer("driver", lambda nvml: nvml.nvmlSystemGetDriverVersion())
        return found

    def compute_mode(self) -> str | None:
        mode = self._told("compute_mode", "nvmlDeviceGetComputeMode")
        return None if mode is None else _COMPUTE_MODES.get(mode, str(mode))

    def other_processes(self) -> int | None:
        """Processes that compute on the card beside this one; those of other containers may be hidden."""
        running = self._told("other_processes", "nvmlDeviceGetComputeRunningProcesses")
        return None if running is None else sum(process.pid != os.getpid() for process in running)

    def _told(self, name: str, function: str, *constants: str) -> Any:
        """What a function of NVML says of the card; the library types nothing."""
        return self._answer(
            name,
            lambda nvml: getattr(nvml, function)(self._handle, *(getattr(nvml, each) for each in constants)),
        )

    def _answer(self, name: str, query: Callable[[ModuleType], Any]) -> Any:
        if self._nvml is None:
            return None
        try:
            return query(self._nvml)
        # An older library lacks the function itself.
        except (self._nvml.NVMLError, AttributeError) as error:
            self.untold[name] = _reason(error)
            return None


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1e3


@contextmanager
def opened(uuid: str | None) -> Iterator[Card]:
    """The card of an identity as CUDA gives it, without `GPU-` or `MIG-`; for None one that tells nothing."""
    if uuid is None:
        yield Card(None, None, {"nvml": "the device is none of NVIDIA's"})
        return
    try:
        import pynvml
    except ImportError as error:
        yield Card(None, None, {"nvml": str(error)})
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        yield Card(None, None, {"nvml": _reason(error)})
        return
    try:
        yield _found(pynvml, uuid)
    finally:
        # What was asked has been answered.
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _found(nvml: ModuleType, uuid: str) -> Card:
    reasons = []
    for kind in ("GPU", "MIG"):
        try:
            return Card(nvml, nvml.nvmlDeviceGetHandleByUUID(f"{kind}-{uuid}"), {})
        except nvml.NVMLError as error:
            reasons.append(f"{kind}-{uuid}: {_reason(error)}")
    return Card(None, None, {"nvml": "; ".join(reasons)})


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
