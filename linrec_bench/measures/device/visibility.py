"""Which devices a process sees. To be decided before it touches one."""

from __future__ import annotations

import os

import torch

from linrec_bench.measures.device.names import CPU, numbered, visible_devices

_VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")


def bind(device: str) -> None:
    """Leave this process with the device of that name as its only one, or as its current one where torch
    knows no variable for it. Raises `ValueError` where there is none."""
    kind, index = numbered(device)
    if kind == CPU or index is None:
        return
    if kind == "cuda":
        # Also for kernels and libraries that never ask torch for the current device.
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_devices(index, os.environ)
    else:
        torch.accelerator.set_device_index(index)


def hide_accelerators() -> None:
    """Leave this process without any: it can count on fake tensors, and can never hold a device."""
    os.environ.update(dict.fromkeys(_VARIABLES, ""))
