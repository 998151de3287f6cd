"""Inputs that no call had before, at no cost to it: a window that moves over a store of random numbers.

A call that meets the tensors of an earlier one again, or the same numbers elsewhere, could answer from
memory. A window moves by one line of the caches (64 bytes, or a few of them): each call has other numbers at
every position, at another address of the same alignment, and the caches are as warm as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from linrec_bench.case import Case

LINE_BYTES = 64

MOVES = 1024
"""After so many moves the store is drawn anew."""


class Window:
    """A tensor `now` of normal numbers; `move` makes another one, further on in the store by `lines` lines.

    Windows that belong together move at different speeds: where rows are as short as a line, no two rows meet
    twice. The numbers come from torch's generator, later ones from one of its own that `seed` and `lines`
    decide. `now` is a leaf, and takes a gradient once `differentiate` was called.
    """

    def __init__(
        self, shape: Sequence[int], dtype: torch.dtype, device: torch.device, *, lines: int = 1, seed: int = 0
    ) -> None:
        self._differentiable = False
        self._shape, self._count = tuple(shape), prod(shape)
        self._step = lines * max(1, LINE_BYTES // dtype.itemsize)
        self._moved = 0
        self._seed = (seed, lines)
        self._generator: torch.Generator | None = None
        self._store = torch.randn(self._count + MOVES * self._step, dtype=dtype, device=device)
        self.now = self._cut()
        self._last = self.now

    def move(self) -> None:
        """Let `now` be numbers that it never was; the gradient of the tensor before is dropped."""
        self.now.grad = None
        self._last = self.now
        self._moved += 1
        if self._moved > MOVES:
            self._moved = 0
            self._store = self._drawn()
        self.now = self._cut()

    def back(self) -> None:
        """Let `now` be the tensor that it was before the last move."""
        self.now = self._last

    def differentiate(self) -> None:
        """Let `now`, and all that come after it, take gradients."""
        self._differentiable = True
        self.now.requires_grad_()

    def _cut(self) -> Tensor:
        start = self._moved * self._step
        cut: Tensor = self._store[start : start + self._count].view(self._shape)
        return cut.requires_grad_() if self._differentiable else cut

    def _drawn(self) -> Tensor:
        if self._generator is None:
            seed, lines = self._seed
            # Far from small numbers: a generator of the same seed elsewhere would give the same stream.
            far = (seed + 1) * 2_654_435_761 + lines
            self._generator = torch.Generator(self._store.device).manual_seed(far)
        size, like = self._store.shape, self._store
        return torch.randn(size, dtype=like.dtype, device=like.device, generator=self._generator)


def fresh_tokens(case: Case, count: int, *, length: int) -> list[Window]:
    """That many windows [B, H, N, d] from the case's seed."""
    torch.manual_seed(case.seed)
    shape = (case.batch_size, case.heads, length, case.head_size)
    dtype, device = getattr(torch, case.dtype), torch.device(case.device)
    return [Window(shape, dtype, device, lines=1 + number, seed=case.seed) for number in range(count)]
