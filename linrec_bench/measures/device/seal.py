"""What measures, as it was before any plugin was imported: whoever changes it afterwards breaks the seal.

The harness holds its clocks by references of its own, which a patch of `time` does not reach; that there was
one is told all the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType

import torch

_CALLS: tuple[tuple[object, tuple[str, ...]], ...] = (
    (torch, ("equal", "allclose", "isclose", "inference_mode", "set_grad_enabled")),
    (torch.cuda, ("synchronize", "Event", "Stream", "current_stream", "stream", "max_memory_allocated")),
    (torch.accelerator, ("synchronize", "memory_stats", "current_stream")),
    (torch.Event, ("record", "synchronize", "elapsed_time", "query", "wait")),
    (torch.cuda.Event, ("record", "synchronize", "elapsed_time", "query", "wait")),
    (torch.cuda.Stream, ("synchronize", "query", "wait_stream", "wait_event")),
    (
        torch.Tensor,
        ("backward", "clone", "copy_", "detach", "double", "item", "norm", "abs", "max", "sub", "to"),
    ),
)
"""Calls of torch by which something is timed or compared."""

_PACKAGE = f"{__name__.partition('.')[0]}."

_SETTINGS: dict[str, Callable[[], object]] = {
    "precision of float32 matrix products": torch.get_float32_matmul_precision,
    "allow_tf32 of cuBLAS": lambda: torch.backends.cuda.matmul.allow_tf32,
    "allow_tf32 of cuDNN": lambda: torch.backends.cudnn.allow_tf32,
    "reduced sums of cuBLAS in float16": lambda: (
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
    ),
    "reduced sums of cuBLAS in bfloat16": lambda: (
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    ),
    "default dtype": torch.get_default_dtype,
    "number of threads": torch.get_num_threads,
    "dispatch modes": torch._C._len_torch_dispatch_stack,
    "function modes": torch._C._len_torch_function_stack,
}
"""Settings of the whole process that change what is computed, or how fast."""


@dataclass(frozen=True)
class Seal:
    """The callables and settings of a moment."""

    callables: dict[str, tuple[object, object]]
    settings: dict[str, object]

    def broken(self) -> list[str]:
        """One phrase for each callable that is another one now, and each setting that has another value."""
        now = dict(_callables())
        replaced = [
            f"{name} was replaced" for name, held in self.callables.items() if not _same(now.get(name), held)
        ]
        changed = [
            f"the {name} of the process went from {before} to {read()}"
            for name, read in _SETTINGS.items()
            if read() != (before := self.settings[name])
        ]
        return replaced + changed


def seal() -> Seal:
    """The seal of this moment."""
    return Seal(dict(_callables()), {name: read() for name, read in _SETTINGS.items()})


def _same(one: tuple[object, object] | None, other: tuple[object, object]) -> bool:
    return one is not None and one[0] is other[0] and one[1] == other[1]


def _callables() -> Iterator[tuple[str, tuple[object, object]]]:
    """Name -> the object, and what of it could be changed without replacing it."""
    for name in dir(time):
        if callable(getattr(time, name)):
            yield f"time.{name}", _held(getattr(time, name))
    for owner, names in _CALLS:
        for name in names:
            yield f"{_name(owner)}.{name}", _held(getattr(owner, name))
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(_PACKAGE):
            for name, value in list(vars(module).items()):
                if getattr(value, "__module__", None) == module_name:
                    yield from _of_module(f"{module_name}.{name}", value)


def _of_module(name: str, value: object) -> Iterator[tuple[str, tuple[object, object]]]:
    """A function or a class of this package, with its methods."""
    if isinstance(value, FunctionType):
        yield name, _held(value)
    elif isinstance(value, type):
        yield name, _held(value)
        for method, function in list(vars(value).items()):
            if isinstance(function, FunctionType):
                yield f"{name}.{method}", _held(function)


def _held(value: object) -> tuple[object, object]:
    if isinstance(value, FunctionType):
        defaults = tuple((value.__kwdefaults__ or {}).items())
        return value, (
            id(value.__code__),
            tuple(map(id, value.__defaults__ or ())),
            tuple((name, id(default)) for name, default in defaults),
        )
    return value, None


def _name(owner: object) -> str:
    if isinstance(owner, type):
        return f"{owner.__module__}.{owner.__qualname__}"
    return str(getattr(owner, "__name__", owner))
