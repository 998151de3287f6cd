"""Watching a program operation by operation, on real and on fake tensors alike."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._ops import OpOverload
from torch._prims_common import is_non_overlapping_and_dense_or_false
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


Operation = OpOverload[..., object]
Known = TypeVar("Known")


def per_operation(make: Callable[[Operation], Known]) -> Callable[[Operation], Known]:
    """`make`, asked once for each operation, by its identity: torch hashes operations in Python, which takes
    longer than most questions about one."""
    known: dict[int, tuple[Operation, Known]] = {}

    def answer(func: Operation) -> Known:
        found = known.get(id(func))
        if found is None:
            # With the operation itself, so that no other gets its identity.
            found = known[id(func)] = func, make(func)
        return found[1]

    return answer


KERNELS_OF = "CPU"
"""The device whose kernels are taken, on real and on fake tensors: every build of torch has them."""


class Watch(TorchDispatchMode):
    """Passes each elementary operation that runs in its context to every observer.

    Composite operations are taken apart first, unless the CPU has a kernel for the whole (`silu_backward`):
    what would run is what counts. With gradients torch takes composites apart by itself; under
    `inference_mode` it does not, and attention would arrive here as one opaque operation.
    """

    def __init__(self, *observers: Observer) -> None:
        TorchDispatchMode.__init__(self)
        self._observers = observers

    def __torch_dispatch__(
        self,
        func: OpOverload[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        kind = _kind(func)
        if kind is _Kind.QUERY:
            return self.query(func, args, kwargs)
        if kind is _Kind.COMPOSITE:
            with self:
                return func._op_dk(DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        seen = _ADD_IN_PLACE if func is _ADD and _in_place_without_watch(args) else func
        out = self.run(func, args, kwargs)
        for observer in self._observers:
            observer.seen(seen, args, kwargs, out)
        return out

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch puts two calls around each that this mode sees, for code that is being compiled.
        return False

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


class _Kind(Enum):
    # Of fake tensors (`prim::device`): no operation, which cannot be taken apart.
    QUERY = 0
    COMPOSITE = 1
    ELEMENTARY = 2


@per_operation
def _kind(func: Operation) -> _Kind:
    if func.namespace == "prim":
        return _Kind.QUERY
    return _Kind.COMPOSITE if _is_composite(func) else _Kind.ELEMENTARY


def _is_composite(func: Operation) -> bool:
    """Whether the device has nothing for the operation but torch's code that makes it of others.

    That code is C++; torch's copies of it in Python (`OpOverload.decompose`) choose otherwise in places.
    """
    own, composite = (
        torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key)
        for key in (KERNELS_OF, "CompositeImplicitAutograd")
    )
    return composite and not own


_ADD = torch.ops.aten.add.Tensor
_ADD_IN_PLACE = torch.ops.aten.add_.Tensor

_NO_BACKWARD = -1
"""What torch calls the graph task outside of a backward pass."""


def _in_place_without_watch(args: tuple[object, ...]) -> bool:
    """Whether torch's own code would have written this sum over its first operand.

    Autograd does so when it accumulates a gradient that nobody else holds, and `linear` with its bias; while
    any dispatch mode is active both make a new tensor (`can_accumulate_inplace` in
    torch/csrc/autograd/input_buffer.cpp, `linear` in aten/src/ATen/native/Linear.cpp).
    """
    first, second = args[:2]
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return False
    # Those of the call itself, from C++ that holds it alone; a caller in Python has one more to the operand,
    # and the layer that records gradients one more to the tensor.
    references = (
        sys.getrefcount(first),
        # Known to torch, not to its stubs.
        first._use_count() + torch.is_inference_mode_enabled(),  # type: ignore[attr-defined]
        torch._C._storage_Use_Count(first.untyped_storage()._cdata),
    )
    if references != (4, 4, 2):
        return False
    if torch._C._current_graph_task_id() == _NO_BACKWARD:
        return second.dim() == 1 < first.dim()
    return not torch.is_grad_enabled() and is_non_overlapping_and_dense_or_false(first)


_NESTED = (list, tuple, dict)


def tensors(tree: object) -> list[Tensor]:
    """The tensors anywhere in nested lists, tuples and dicts."""
    if isinstance(tree, Tensor):
        return [tree]
    found: list[Tensor] = []
    if isinstance(tree, _NESTED):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            if isinstance(branch, Tensor):
                found.append(branch)
            elif isinstance(branch, _NESTED):
                found += tensors(branch)
    return found


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
