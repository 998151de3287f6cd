"""Mechanisms, layers, models and optimiser steps on fake tensors of an accelerator, in another process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("fake_accelerator.py")

NO_KERNEL = ("flex-attention", "gru4rec")
"""Compiled for its device, and one kernel of cuDNN: the device that stands for an accelerator has neither."""


def test_every_case_runs_on_fake_tensors_of_an_accelerator():
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    failed = {case: e for case, e in found.items() if e and not any(name in case for name in NO_KERNEL)}
    refused = {case: error for case, error in failed.items() if error.startswith("unsupported: ")}
    assert {case: failed[case] for case in failed.keys() - refused.keys()} == {}
    assert len(found) > 100
    assert len(refused) < len(found) / 10, refused


def test_mixed_devices_and_a_number_that_is_read_would_be_seen():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fake_accelerator as f, torch\n"
        "f.register()\n"
        "with f.FakeTensorMode():\n"
        "    try: torch.ones(3, device=f.KIND) + torch.ones(3)\n"
        "    except Exception as error: print(error)\n"
        "    float(torch.ones((), device=f.KIND))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(SCRIPT.parent)], capture_output=True, text=True)
    assert "found at least two devices" in done.stdout
    assert "_local_scalar_dense" in done.stderr
