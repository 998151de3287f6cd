"""What torch says of itself on this machine; it is imported only where nothing is known from before."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from linrec_bench import allotment
from linrec_bench.results.kept import kept

_VARIABLES = ("ATEN_", "GOMP_", "KMP_", "LD_", "MKL_", "OMP_", "PYTORCH_", "TORCH_")
"""How the names begin of what torch and the libraries that it starts threads with read."""

_SYSTEM = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/cpuinfo"))


class TorchFacts(TypedDict):
    """`cuda` is the version that it was built with, `cpu_capability` the kernels that it chose, `threads`
    those of an operation, `accelerator` the kind of device that it was built for; None: there is none."""

    version: str
    cuda: str | None
    cpu_capability: str
    threads: int
    accelerator: str | None


def torch_facts() -> TorchFacts:
    """What torch says now, or what it said before to a process in the same circumstances."""
    if "torch" in sys.modules or entry_points(group="torch.backends"):
        return _asked()
    return kept("torch", _asked, under=circumstances())


def _asked() -> TorchFacts:
    import torch

    accelerator = torch.accelerator.current_accelerator()
    return {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        # As torch reads OMP_NUM_THREADS, which may be a list, a word or empty.
        "threads": torch.get_num_threads(),
        "accelerator": None if accelerator is None else accelerator.type,
    }


def circumstances() -> str:
    """All that its answers depend on: which torch, the machine since it was started, what this process may
    use of it, and the environment variables that are read."""
    spec = find_spec("torch")
    version = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    installed = [str(version), version.stat().st_mtime_ns, version.read_text()] if version else []
    machine = [platform.node(), platform.platform(), os.cpu_count(), allotment.affinity(), allotment.cpus()]
    machine += map(_told_by, _SYSTEM)
    variables = {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}
    return json.dumps([sys.version, installed, machine, sorted(variables.items())])


def _told_by(path: Path) -> str:
    """The text of a file of the kernel without clock rates, which change all the time; empty where it is not
    there."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return "\n".join(line for line in lines if "MHz" not in line)
