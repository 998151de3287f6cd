"""Where and how a run is measured: what goes into environment.json, and the fingerprint of what matters."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import linrec_bench
from linrec_bench import allotment
from linrec_bench.results.source_hash import code_hash, short_hash
from linrec_bench.results.torch_facts import torch_facts

MATTERS = ("linrec_bench", "python", "torch", "machine", "device", "allocator", "threads", "plugins")
"""The parts whose change makes stored numbers incomparable."""


def describe(
    *,
    device: Mapping[str, object],
    device_state: Mapping[str, object] | None = None,
    allocator: Mapping[str, str],
    plugins: Sequence[Path] = (),
) -> dict[str, object]:
    """The environment of a run on a device of these facts; `allocator` holds the variables that workers run
    with. `device_state` is what makes no two runs incomparable, such as other processes there."""
    torch = torch_facts()
    found: dict[str, object] = {
        "linrec_bench": {"version": linrec_bench.__version__, "code": code_hash()},
        "python": platform.python_version(),
        "torch": {name: fact for name, fact in torch.items() if name not in ("threads", "accelerator")},
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "libc": " ".join(platform.libc_ver()),
            "processor": _processor(),
            "vector_extensions": _vector_extensions(),
            "cores": allotment.cpus(),
            "memory_bytes": allotment.total_bytes(),
        },
        "device": dict(device),
        "allocator": dict(allocator),
        "threads": torch["threads"],
        "plugins": {path.name: short_hash(path.read_bytes()) for path in plugins},
    }
    found["fingerprint"] = fingerprint(found)
    if device_state:
        found["device_state"] = dict(device_state)
    found["affinity"] = allotment.affinity()
    if untold := _untold():
        found["untold"] = untold
    found["command"] = shlex.join(["linrec-bench", *sys.argv[1:]])
    return found


def fingerprint(environment: Mapping[str, object]) -> str:
    """Twelve hexadecimal digits over the parts that make numbers comparable."""
    parts = {key: environment[key] for key in MATTERS}
    return short_hash(json.dumps(parts, sort_keys=True).encode())


VECTOR_EXTENSIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "asimd", "sve")
"""Those of a processor that decide which kernels libraries run, as the kernel of Linux names them."""


def _processor() -> str:
    """`AMD EPYC 7R13 Processor (family 25, model 1)`: names of models alone are often those of no product."""
    found = _cpuinfo()
    family = [f"{part} {found[key]}" for part, key in _FAMILY.items() if key in found]
    name = found.get("model name") or platform.processor()
    return f"{name} ({', '.join(family)})" if family else name


_FAMILY = {"family": "cpu family", "model": "model"}


def _vector_extensions() -> list[str]:
    found = _cpuinfo()
    flags = set(found.get("flags", found.get("Features", "")).split())
    return [name for name in VECTOR_EXTENSIONS if name in flags]


def _untold() -> dict[str, str]:
    """What this system does not tell, and why."""
    missing = f"{platform.system()} has no {_CPUINFO}"
    found = {} if _cpuinfo() else {"machine.vector_extensions": missing}
    if allotment.affinity() is None:
        found["affinity"] = f"{platform.system()} has no sched_getaffinity"
    return found


_CPUINFO = Path("/proc/cpuinfo")


def _cpuinfo() -> dict[str, str]:
    """Of the first processor; empty where there is no such file."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
