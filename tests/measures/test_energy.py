"""Readings of an NVML that is made up: what it tells, what it does not, and where it is absent."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from linrec_bench.measures.instruments import energy_meter
from linrec_bench.tasks.workloads import Workload


class NVMLError(Exception):
    pass


class NotSupported(NVMLError):
    pass


class NotFound(NVMLError):
    pass


class LibraryNotFound(NVMLError):
    pass


class NoPermission(NVMLError):
    pass


class FakeDevice:
    """Draws 50 J a second of its clock; a call takes half a second."""

    def __init__(self):
        self.now = 0.0
        self.calls = 0
        self.resets = 0
        self.reasons = 0x1
        self.open = 0

    def clock(self):
        return self.now

    def call(self):
        self.now += 0.5
        self.calls += 1

    def reset(self):
        self.resets += 1

    def init(self):
        self.open += 1

    def shutdown(self):
        self.open -= 1

    def handle(self, uuid):
        assert uuid == "GPU-1234"
        return "handle"


@pytest.fixture
def device():
    return FakeDevice()


@pytest.fixture
def nvml(monkeypatch, device):
    module = ModuleType("pynvml")
    vars(module).update(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=device.init,
        nvmlShutdown=device.shutdown,
        nvmlDeviceGetHandleByUUID=device.handle,
        nvmlDeviceGetTotalEnergyConsumption=lambda _: round(device.now * 50_000),
        nvmlDeviceGetClockInfo=lambda _, kind: {1: 1980, 2: 2619}[kind],
        nvmlDeviceGetTemperature=lambda _, __: 41,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda _: device.reasons,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234"))
    return module


def readings(device, kind="cuda"):
    work = Workload(device.call, torch.device(kind), minimum_bytes=0, reset=device.reset)
    return energy_meter.readings(work, loop_s=2.0, clock=device.clock)


def first(found, measure):
    return next(reading for reading in found if reading.measure == measure)


@pytest.mark.usefixtures("nvml")
def test_energy_a_call_and_the_state_of_the_device(device):
    found = readings(device)
    assert first(found, "energy").value == 25.0
    assert first(found, "energy").detail == "calls=4 seconds=2.000; the whole device"
    assert first(found, "power").value == 50.0
    assert [(r.value, r.repeat) for r in found if r.measure == "sm_clock"] == [(1980, n) for n in range(4)]
    assert first(found, "memory_clock").value == 2619
    assert first(found, "temperature").value == 41
    # An idle device is not throttled.
    assert first(found, "throttled").value == 0
    assert device.calls == device.resets == 2 + 4
    assert device.open == 0


@pytest.mark.usefixtures("nvml")
def test_a_meter_counts_between_start_and_stop(device):
    with energy_meter.metered(torch.device("cuda")) as meter:
        assert device.open == 1
        device.now = 10.0
        meter.start()
        device.call()
        assert meter.read() == 25.0
        device.call()
        assert meter.stop() == 50.0
        # Stopped, it counts nothing.
        device.call()
        assert meter.read() == 50.0
        meter.start()
        device.call()
        assert meter.stop() == 75.0
        meter.reset()
        assert meter.read() == 0.0
    assert device.open == 0


def test_a_meter_that_is_not_told_once_knows_nothing_until_its_reset(device, nvml):
    counter = nvml.nvmlDeviceGetTotalEnergyConsumption

    def refuse(*_):
        raise NotSupported

    with energy_meter.metered(torch.device("cuda")) as meter:
        meter.start()
        nvml.nvmlDeviceGetTotalEnergyConsumption = refuse
        assert meter.read() is None
        nvml.nvmlDeviceGetTotalEnergyConsumption = counter
        assert meter.stop() is None
        meter.reset()
        meter.start()
        device.call()
        assert meter.stop() == 25.0


def test_a_meter_of_a_cpu_tells_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with energy_meter.metered(torch.device("cpu")) as meter:
        meter.start()
        assert meter.stop() is None


@pytest.mark.usefixtures("nvml")
def test_reasons_of_throttling_are_named(device):
    device.reasons = 0x4 | 0x40
    throttled = first(readings(device), "throttled")
    assert (throttled.value, throttled.detail) == (1, "power_cap thermal_hardware")


@pytest.mark.parametrize("error", [NotSupported, NoPermission, NVMLError])
def test_what_the_device_does_not_tell_is_absent(device, nvml, error):
    def refuse(*_):
        raise error

    nvml.nvmlDeviceGetTotalEnergyConsumption = refuse
    nvml.nvmlDeviceGetTemperature = refuse
    assert {reading.measure for reading in readings(device)} == {"sm_clock", "memory_clock", "throttled"}


@pytest.mark.parametrize(
    ("function", "error"),
    [("nvmlInit", LibraryNotFound), ("nvmlDeviceGetHandleByUUID", NotFound)],
)
def test_no_nvml_for_the_device(device, nvml, function, error):
    def refuse(*_):
        raise error

    setattr(nvml, function, refuse)
    assert readings(device) == []
    with energy_meter.metered(torch.device("cuda")) as meter:
        meter.start()
        assert meter.stop() is None


def test_nothing_is_asked_of_a_cpu(device, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert readings(device, kind="cpu") == []
    assert device.calls == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_energy_on_cuda():
    a = torch.randn(4096, 4096, device="cuda")
    found = energy_meter.readings(Workload(lambda: a @ a, torch.device("cuda"), minimum_bytes=0), loop_s=1.0)
    assert all(reading.value >= 0 for reading in found)
