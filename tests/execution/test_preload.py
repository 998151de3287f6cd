"""What the fork server imports leaves accelerators alone, so that its forks can use them."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

GUARDED = """
import torch

def refuse(*args, **kwargs):
    raise AssertionError("an accelerator was asked for")

torch.cuda.is_available = torch.cuda.device_count = refuse
torch.accelerator.is_available = refuse
# Where they exist torch was built with CUDA; the preload must not count its devices.
for name in ("_cuda_getDeviceCount", "_cuda_init"):
    if hasattr(torch._C, name):
        setattr(torch._C, name, refuse)
"""


def guarded(code):
    return subprocess.run([sys.executable, "-c", GUARDED + code], capture_output=True, text=True)


def test_the_preload_asks_nothing_of_an_accelerator_starts_no_thread_and_leaves_nothing_to_import():
    done = guarded(
        "import sys, threading\n"
        "from linrec_bench.execution import preload\n"
        "assert not torch.cuda.is_initialized()\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "from linrec_bench.execution import worker\n"
        "from linrec_bench.measures.instruments import operations\n"
        "before = len(sys.modules)\n"
        "with operations.Watch(): torch.ones(2) + 1\n"
        "from linrec_bench.attention.ops.prefix_sums import sums_before\n"
        "sums_before(torch.ones(1, 1, 2, 1), torch.zeros(1, 1, 1))\n"
        "assert len(sys.modules) == before, len(sys.modules) - before\n"
    )
    assert done.returncode == 0, done.stderr


def test_what_the_preload_leaves_out_would_be_seen():
    done = guarded("from torch._subclasses.fake_tensor import FakeTensorMode\nwith FakeTensorMode(): pass\n")
    assert "an accelerator was asked for" in done.stderr
