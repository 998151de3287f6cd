"""Which devices a run may use, and why not: in one line, before anything is written."""

import pytest
import torch

from linrec_bench.execution import devices
from linrec_bench.measures.device.refusal import refusal

BUILT_FOR = torch.accelerator.current_accelerator()


def test_a_cpu_needs_nothing():
    assert devices.locate("cpu") == devices.Located("cpu", ("cpu",), {"kind": "cpu"}, {})


@pytest.mark.skipif(BUILT_FOR is not None, reason="this torch has an accelerator")
def test_without_an_accelerator_auto_is_the_cpu():
    assert devices.locate("auto").kind == "cpu"


@pytest.mark.skipif(BUILT_FOR is not None, reason="this torch has an accelerator")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "cuda:0,cuda:1", "xpu"])
def test_a_build_without_support(device):
    with pytest.raises(ValueError, match=f"^--device {device}: this build of torch has no support for it; "):
        devices.locate(device)


@pytest.mark.parametrize(
    "device", ["cpu,cpu", "cpu,cuda", "cuda:0,cuda:0", "cuda:x", "", "cuda:0,", "cuda:0;cuda:1"]
)
def test_no_device_at_all(device):
    with pytest.raises(ValueError, match=r"expected (one device|a kind and an index)"):
        devices.locate(device)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU", "no_driver"),
        ("The NVIDIA driver on your system is too old (found version 11040). Please update", "old_driver"),
        ("CUDA error: CUDA driver version is insufficient for CUDA runtime version", "old_driver"),
        ("CUDA error: no kernel image is available for execution on the device", "old_driver"),
        ("No CUDA GPUs are available", "no_device"),
        ("CUDA error: invalid device ordinal\nGPU device may be out of range", "no_device"),
        ("cuda:1: CUDA_VISIBLE_DEVICES=0 leaves 1 devices visible", "no_device"),
        ("CUDA error: CUDA-capable device(s) is/are busy or unavailable", "busy"),
        ("CUDA error: operation not permitted", "forbidden"),
        ("Torch not compiled with CUDA enabled", "not_built"),
        ("CUDA error: unspecified launch failure", "unknown"),
    ],
)
def test_what_a_driver_says_becomes_one_line(said, kind):
    found = refusal("cuda:1", said)
    assert found.kind == kind
    assert found.line.startswith("--device cuda:1: ")
    assert found.line.endswith(f"({said.splitlines()[0]})")
    assert "\n" not in found.line
