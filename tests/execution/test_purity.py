"""On a build of torch with CUDA: neither the fork server nor the parent of a run touches it."""

import subprocess
import sys
import textwrap

import pytest
import torch

BUILT = torch.accelerator.current_accelerator()

UNTOUCHED = """
import torch
module = torch.get_device_module(torch.accelerator.current_accelerator())
assert not module.is_initialized()
assert not module._is_in_bad_fork()
"""

FORKED = """
import os
if (child := os.fork()) == 0:
    os._exit(3 if module._is_in_bad_fork() else 0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "a fork could not use the device"
"""

PARENT = """
import sys
from linrec_bench.cli import main
sys.argv = ["linrec-bench", "run", "quick", "--device", "cpu", "--results", sys.argv[1]]
sys.argv += ["--only", "attention=linrec task=core seq_len<=256", "--set", "rounds=1"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""

LOCATED = """
from linrec_bench.execution.devices import locate
print(locate("auto").kind)
try:
    print(locate("cuda:99").kind)
except ValueError as refused:
    print(refused)
"""


PRELOAD = "from linrec_bench.execution import preload\n"


@pytest.mark.skipif(BUILT is None, reason="this build of torch has no accelerator")
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(PRELOAD + UNTOUCHED + FORKED, id="preload"),
        pytest.param(LOCATED + UNTOUCHED + FORKED, id="locate"),
        # Workers are forks of the server, never of the parent.
        pytest.param(PARENT + UNTOUCHED, id="run"),
    ],
)
def test_the_device_is_left_to_the_workers(tmp_path, code):
    script = tmp_path / "script.py"
    script.write_text("if __name__ == '__main__':\n" + textwrap.indent(code, "    "))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "results")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(BUILT is None, reason="this build of torch has no accelerator")
def test_a_fork_of_whoever_asked_cannot(tmp_path):
    """So that the test above can fail."""
    code = "import torch\nfrom torch._subclasses.fake_tensor import FakeTensorMode\n"
    code += "with FakeTensorMode(): pass\n"
    code += "module = torch.get_device_module(torch.accelerator.current_accelerator())\n"
    code += "torch.accelerator.device_count()\nimport os\n"
    code += "os._exit(3 if (c := os.fork()) == 0 and module._is_in_bad_fork() else 0 if not c else "
    code += "os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
