"""Why a device cannot be used, in one line: what it was, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

OLD_DRIVER, NO_DRIVER, BUSY = "old_driver", "no_driver", "busy"
FORBIDDEN, NO_DEVICE, NOT_BUILT = "forbidden", "no_device", "not_built"

_KNOWN = (
    (
        OLD_DRIVER,
        r"driver version is insufficient|driver on your system is too old|UnsupportedPtx|"
        r"no kernel image is available|forward compatibility was attempted",
        "its driver is older than this build of torch needs",
        "update the driver, or install a torch built for an older CUDA",
    ),
    (
        NO_DRIVER,
        r"no NVIDIA driver|NVIDIA driver.*not.*(found|loaded)|incorrectly set up environment",
        "no driver was found",
        "install the driver, or use --device cpu",
    ),
    (
        BUSY,
        r"busy or unavailable|DevicesUnavailable|exclusive",
        "another process holds it exclusively, or its compute mode forbids any",
        "end that process, or set the compute mode with nvidia-smi -c DEFAULT",
    ),
    (
        FORBIDDEN,
        r"not permitted|NotPermitted|insufficient permissions|NoPermission",
        "this user may not use it, such as a MIG slice without access to /dev/nvidia-caps",
        "ask for permission, or name a permitted slice in CUDA_VISIBLE_DEVICES",
    ),
    (
        NO_DEVICE,
        r"invalid device ordinal|no CUDA-capable device|No CUDA GPUs|InvalidDevice|devices visible",
        "there is no such card here",
        "name one that torch sees, or use --device cpu",
    ),
    (
        NOT_BUILT,
        r"not compiled with|not linked with|no .* accelerator",
        "this build of torch has no support for it",
        "install a build that has, or use --device cpu",
    ),
)


@dataclass(frozen=True)
class Refusal:
    """Why a device cannot be used: a `kind` for code, and a `line` for people."""

    kind: str
    line: str


def refusal(device: str, reason: str) -> Refusal:
    """What torch said of a device that it could not use, and what to do.

    The order of the known reasons counts: a driver that is too old also finds no device.
    """
    first_line = reason.strip().partition("\n")[0]
    for kind, pattern, meaning, remedy in _KNOWN:
        if re.search(pattern, reason, re.IGNORECASE):
            return Refusal(kind, f"--device {device}: {meaning}; {remedy} ({first_line})")
    line = f"--device {device}: it cannot be used; expected a device that torch can use ({first_line})"
    return Refusal("unknown", line)
