"""Watching a program operation by operation, on real and on fake tensors alike."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode


@runtime_checkable
class Observer(Protocol):
    """Receives each dispatched operation; arguments are of any type that a schema allows."""

    def seen(
        self,
        func: OpOverload[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        out: object,
    ) -> None:
        """One elementary operation has run: `out = func(*args, **kwargs)`."""


class Watch(TorchDispatchMode):
    """Passes each elementary operation that runs in its context to every observer.

    Composite operations are taken apart first. With gradients torch does that by itself; under
    `inference_mode` it does not, and attention would arrive here as one opaque operation.
    """

    def __init__(self, *observers: Observer) -> None:
        TorchDispatchMode.__init__(self)
        self._observers = observers
        self._elementary: set[OpOverload[..., object]] = set()

    def __torch_dispatch__(
        self,
        func: OpOverload[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        # Queries of fake tensors (`prim::device`) are no operations and cannot be taken apart.
        if func.namespace == "prim":
            return self.query(func, args, kwargs)
        if func not in self._elementary:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
            self._elementary.add(func)
        out = self.run(func, args, kwargs)
        for observer in self._observers:
            observer.seen(func, args, kwargs, out)
        return out

    def query(
        self, func: OpOverload[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        """A query of a tensor attribute, without an operation."""
        return func(*args, **kwargs)

    def run(
        self, func: OpOverload[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        """The result of one elementary operation."""
        return func(*args, **kwargs)


def tensors(tree: object) -> Iterator[Tensor]:
    """The tensors anywhere in nested lists, tuples and mappings."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, list | tuple):
        for branch in tree:
            yield from tensors(branch)
    elif isinstance(tree, Mapping):
        yield from tensors(tuple(tree.values()))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Python's cyclic collector does not run inside: neither its time nor its moment enters a measurement."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
