"""Exact counts of a program that does the same work many times, from doing it once.

The operations of a block, the most that is alive and saved meanwhile, and the form of what comes out follow
from the form of what goes in. So on fake tensors, which hold no numbers, a block of a known form is not run:
its operations are added, its peak is raised above the bytes that are alive by now, and its results are made,
in storages of the same sizes. Every block still has its inputs, its results and its place in time, so that
whatever lies between blocks is counted as it happens.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from linrec_bench.measures.instruments.memory import LiveBytes, SavedBytes
from linrec_bench.measures.instruments.work import Work


@dataclass(frozen=True)
class _Form:
    """A result: a view of the storage number `storage` of them."""

    storage: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype


@dataclass(frozen=True)
class _Block:
    """What a block of one form adds: operations, and bytes at its peaks above those at its start. `results`
    has a `_Form` or a plain value in each place of `tree`; `storages` are bytes."""

    flops: int
    elements: int
    dispatches: int
    double_elements: int
    live: int
    with_scratch: int
    saved: int
    tree: pytree.TreeSpec
    results: tuple[object, ...]
    storages: tuple[int, ...]


class Repeats:
    """A taker of `repetition.taken_by`: runs the first block of each form, and adds up the others."""

    def __init__(self, work: Work, live: LiveBytes, saved: SavedBytes) -> None:
        self._work, self._live, self._saved = work, live, saved
        # None for a form that has to run every time.
        self._known: dict[Hashable, _Block | None] = {}

    def __call__(self, function: Callable[..., object], inputs: tuple[object, ...]) -> object:
        given: dict[int, int] = {}
        form = self._form((partial(function), inputs), given)
        if torch.is_grad_enabled() or not _hashable(form):
            # A graph, which results of its own would not have, may lead back through the block.
            return function(*inputs)
        if form not in self._known:
            return self._run(form, function, inputs, given)
        block = self._known[form]
        return function(*inputs) if block is None else self._repeat(block)

    def _form(self, value: object, given: dict[int, int]) -> Hashable:
        """All that the counts of a call can depend on. `given`: the storages of the inputs, by address, in
        their order."""
        if isinstance(value, Tensor):
            address = value.untyped_storage()._cdata
            storage = given.setdefault(address, len(given))
            # A storage that exists outside the call, or is saved already, adds nothing when it is saved.
            adds = 0 if self._saved.holds(value) else self._live.size_of(value)
            return storage, adds, tuple(value.shape), value.stride(), value.dtype, value.requires_grad
        if isinstance(value, tuple | list):
            return (type(value), *(self._form(item, given) for item in value))
        if isinstance(value, partial):
            named = tuple((name, self._form(item, given)) for name, item in sorted(value.keywords.items()))
            return (
                value.func if not isinstance(value.func, partial) else self._form(value.func, given),
                self._form(value.args, given),
                named,
            )
        # 1 and True are equal, and yet different arguments.
        return type(value), value

    def _run(
        self,
        form: Hashable,
        function: Callable[..., object],
        inputs: tuple[object, ...],
        given: dict[int, int],
    ) -> object:
        work, live, saved = self._work, self._live, self._saved
        flops, elements, dispatches = work.flops, work.elements, work.dispatches
        double_elements = work.double_elements
        alive, held, peak_alive, peak_held = live.current, saved.current, live.peak, saved.peak
        with_scratch = live.peak_with_scratch
        live.peak, live.peak_with_scratch, saved.peak = alive, alive, held
        out = function(*inputs)
        leaves, tree = pytree.tree_flatten(out)
        storages: dict[int, int] = {}
        block = _Block(
            flops=work.flops - flops,
            elements=work.elements - elements,
            dispatches=work.dispatches - dispatches,
            double_elements=work.double_elements - double_elements,
            live=live.peak - alive,
            with_scratch=live.peak_with_scratch - alive,
            saved=saved.peak - held,
            tree=tree,
            results=tuple(_describe(leaf, storages) for leaf in leaves),
            storages=tuple(storages.values()),
        )
        live.peak, saved.peak = max(live.peak, peak_alive), max(saved.peak, peak_held)
        live.peak_with_scratch = max(live.peak_with_scratch, with_scratch)
        # All that is left of the block must be its results, in storages of their own.
        alone = not storages.keys() & given.keys() and live.current - alive == sum(storages.values())
        self._known[form] = block if alone and saved.current == held else None
        return out

    def _repeat(self, block: _Block) -> object:
        self._work.flops += block.flops
        self._work.elements += block.elements
        self._work.dispatches += block.dispatches
        live = self._live
        live.peak = max(live.peak, live.current + block.live)
        live.peak_with_scratch = max(live.peak_with_scratch, live.current + block.with_scratch)
        self._saved.peak = max(self._saved.peak, self._saved.current + block.saved)
        self._work.double_elements += block.double_elements
        dispatches, double_elements = self._work.dispatches, self._work.double_elements
        results = list(_made(block))
        # Making them took operations that the block does not have.
        self._work.dispatches, self._work.double_elements = dispatches, double_elements
        return pytree.tree_unflatten(results, block.tree)


def _hashable(form: Hashable) -> bool:
    try:
        hash(form)
    except TypeError:
        return False
    return True


def _describe(leaf: object, storages: dict[int, int]) -> object:
    if not isinstance(leaf, Tensor):
        return leaf
    storage = leaf.untyped_storage()
    storages.setdefault(storage._cdata, storage.nbytes())
    place = list(storages).index(storage._cdata)
    return _Form(place, tuple(leaf.shape), leaf.stride(), int(leaf.storage_offset()), leaf.dtype)


def _made(block: _Block) -> Iterator[object]:
    bases: dict[int, Tensor] = {}
    for form in block.results:
        if not isinstance(form, _Form):
            yield form
            continue
        if form.storage not in bases:
            count = block.storages[form.storage] // form.dtype.itemsize
            bases[form.storage] = torch.empty(count, dtype=form.dtype)
        yield torch.as_strided(bases[form.storage], form.size, form.stride, form.offset)
