"""Devices by name, as the command line and cases write them. Without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args

T = TypeVar("T")

CPU = "cpu"

Kind = Literal["cpu", "cuda", "xpu", "mps"]
KINDS: tuple[str, ...] = get_args(Kind)
"""Kinds of device that a suite may name; ROCm calls its devices cuda, as torch does."""


@dataclass(frozen=True)
class ByKind(Generic[T]):
    """A value that is one on a CPU (and for tensors without data) and another on every accelerator."""

    cpu: T
    accelerator: T

    def on(self, kind: str) -> T:
        return self.cpu if kind in (CPU, "meta") else self.accelerator


def numbered(name: str) -> tuple[str, int | None]:
    """Kind and index of a name such as `cuda:1`; the index is None where there is none.

    Raises `ValueError` for a name that is no device.
    """
    kind, colon, index = name.partition(":")
    if not kind.isidentifier() or (colon and not index.isdecimal()):
        raise ValueError(f"device {name!r}; expected a kind and an index, such as cpu, cuda or cuda:1")
    return kind, int(index) if colon else None


def visible_devices(index: int, environment: Mapping[str, str]) -> str:
    """The value of CUDA_VISIBLE_DEVICES that leaves only the device that is `index` now.

    Raises `ValueError` where the variable leaves fewer devices visible than that.
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return str(index)
    names = [name.strip() for name in listed.split(",") if name.strip()]
    if index >= len(names):
        raise ValueError(f"cuda:{index}: CUDA_VISIBLE_DEVICES={listed} leaves {len(names)} devices visible")
    return names[index]
