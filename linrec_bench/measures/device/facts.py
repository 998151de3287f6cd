"""What is worth knowing of a device beside its numbers: what makes them comparable, and who else is on it."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import torch

from linrec_bench.measures.device import nvml
from linrec_bench.measures.device.lookup import device_of

ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING")
LIBRARIES = ("triton", "flash-linear-attention", "fla-core")


def facts_and_state(kind: str) -> tuple[dict[str, object], dict[str, object]]:
    """Of the current device of a kind: what makes numbers comparable, and what changes between two runs, with
    the reasons for what is missing.

    Creates the device's context: call it in a process of its own. Raises what torch does where the device
    cannot be used, see `refusal.refusal`.
    """
    measured = device_of(kind)
    # A context, a kernel and a copy: what a trial will need.
    torch.zeros(1, device=measured.device).item()
    properties = measured.properties()
    name = str(getattr(properties, "name", kind))
    with nvml.opened(measured.uuid()) as card:
        found: dict[str, object] = {
            "kind": kind,
            "name": name,
            "memory_bytes": measured.total_bytes(),
            "compute_capability": _capability(properties),
            "cache_bytes": getattr(properties, "L2_cache_size", None),
            "multiprocessors": getattr(properties, "multi_processor_count", None),
            "mig_profile": name.partition(" MIG ")[2] or None,
            "driver": card.driver(),
            "power_limit_w": card.power_limit_w(),
            "compute_mode": card.compute_mode(),
            "float32_products": torch.get_float32_matmul_precision(),
            "tf32_in_cudnn": torch.backends.cudnn.allow_tf32,
            "allocator": {name: os.environ[name] for name in ALLOCATOR_VARIABLES if name in os.environ},
            "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
            "spills_to_host": "microsoft" in platform.release().lower(),
        }
        state: dict[str, object] = {"other_processes": card.other_processes(), "untold": card.untold}
    return found, state


def _capability(properties: object) -> str | None:
    major, minor = (getattr(properties, part, None) for part in ("major", "minor"))
    return None if major is None else f"{major}.{minor}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
