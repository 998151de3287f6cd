"""One card of a management library that is made up: what it tells, and why it does not tell."""

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from linrec_bench.measures.device import nvml

ANSWERS = {
    "nvmlDeviceGetTotalEnergyConsumption": 5_000,
    "nvmlDeviceGetClockInfo": 1980,
    "nvmlDeviceGetTemperature": 41,
    "nvmlDeviceGetCurrentClocksThrottleReasons": 0x1 | 0x4,
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetComputeMode": 3,
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=os.getpid()), SimpleNamespace(pid=1)],
}


class NVMLError(Exception):
    pass


class Library(ModuleType):
    """Two cards in the order of their bus addresses; `failing` maps functions to what they raise."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, *known, failing=None):
        super().__init__("pynvml")
        self.known, self.failing, self.open = known, failing or {}, 0

    def __getattr__(self, name):
        if name not in ANSWERS:
            raise AttributeError(name)
        return lambda *_: self._do(name, ANSWERS[name])

    def _do(self, name, answer):
        if name in self.failing:
            raise self.failing[name]
        return answer

    def nvmlInit(self):
        self._do("nvmlInit", None)
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1
        self._do("nvmlShutdown", None)

    def nvmlDeviceGetHandleByUUID(self, uuid):
        if uuid not in self.known:
            raise NVMLError("Not Found")
        return uuid

    def nvmlSystemGetDriverVersion(self):
        return self._do("nvmlSystemGetDriverVersion", "580.65")


def asked(monkeypatch, library, uuid="b"):
    monkeypatch.setitem(sys.modules, "pynvml", library)
    with nvml.opened(uuid) as card:
        found = {
            "energy": card.energy_j(),
            "sm_clock": card.sm_clock_mhz(),
            "memory_clock": card.memory_clock_mhz(),
            "temperature": card.temperature_c(),
            "throttled": card.throttling(),
            "power_limit": card.power_limit_w(),
            "driver": card.driver(),
            "compute_mode": card.compute_mode(),
            "other_processes": card.other_processes(),
        }
    return found, card


def test_the_card_is_found_by_its_identity(monkeypatch):
    library = Library("GPU-a", "GPU-b")
    found, card = asked(monkeypatch, library)
    assert found == {
        "energy": 5.0,
        "sm_clock": 1980,
        "memory_clock": 1980,
        "temperature": 41,
        "throttled": ["power_cap"],
        "power_limit": 700.0,
        "driver": "580.65",
        "compute_mode": "exclusive_process",
        "other_processes": 1,
    }
    assert not card.untold
    assert library.open == 0


def test_a_slice_is_found(monkeypatch):
    assert asked(monkeypatch, Library("MIG-b"))[1].answers


FUNCTIONS = {
    "energy": "nvmlDeviceGetTotalEnergyConsumption",
    "temperature": "nvmlDeviceGetTemperature",
    "throttled": "nvmlDeviceGetCurrentClocksThrottleReasons",
    "power_limit": "nvmlDeviceGetEnforcedPowerLimit",
    "driver": "nvmlSystemGetDriverVersion",
    "compute_mode": "nvmlDeviceGetComputeMode",
    "other_processes": "nvmlDeviceGetComputeRunningProcesses",
}


@pytest.mark.parametrize("reason", ["Not Supported", "Insufficient Permissions", "Unknown Error"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_the_card_does_not_tell_is_absent_with_the_reason(monkeypatch, name, reason):
    found, card = asked(monkeypatch, Library("GPU-b", failing={FUNCTIONS[name]: NVMLError(reason)}))
    assert [key for key, value in found.items() if value is None] == [name]
    assert card.untold == {name: reason}


@pytest.mark.parametrize("reason", ["Driver/library version mismatch", "NVML Shared Library Not Found"])
def test_without_the_library_everything_is_absent(monkeypatch, reason):
    found, card = asked(monkeypatch, Library("GPU-b", failing={"nvmlInit": NVMLError(reason)}))
    assert set(found.values()) == {None}
    assert card.untold == {"nvml": reason}
    assert not card.answers


def test_without_the_package_everything_is_absent(monkeypatch):
    found, card = asked(monkeypatch, None)
    assert set(found.values()) == {None}
    assert "pynvml" in card.untold["nvml"]


def test_a_card_that_the_library_does_not_know(monkeypatch):
    library = Library("GPU-a")
    _, card = asked(monkeypatch, library)
    assert card.untold == {"nvml": "GPU-b: Not Found; MIG-b: Not Found"}
    assert library.open == 0


def test_a_library_that_fails_to_close_is_no_failure(monkeypatch):
    found, _ = asked(monkeypatch, Library("GPU-b", failing={"nvmlShutdown": NVMLError("Unknown Error")}))
    assert found["temperature"] == 41


def test_a_device_of_another_maker(monkeypatch):
    found, card = asked(monkeypatch, Library("GPU-b"), uuid=None)
    assert set(found.values()) == {None}
    assert card.untold == {"nvml": "the device is none of NVIDIA's"}


def test_the_reasons_are_those_of_the_real_module():
    pynvml = pytest.importorskip("pynvml")
    bits = {
        value
        for name, value in vars(pynvml).items()
        if name.startswith("nvmlClocksEventReason") and isinstance(value, int) and value.bit_count() == 1
    }
    assert set(nvml.THROTTLING) == bits - {pynvml.nvmlClocksEventReasonGpuIdle}
