"""How a sequence is cut into blocks, for the functions of `blockwise`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.ops.causal_product import chunk_length
from linrec_bench.attention.spec import State
from linrec_bench.measures.device.names import ByKind

BLOCK_BYTES = ByKind(cpu=1 << 20, accelerator=1 << 24)
"""Size of one tensor's block: a handful of them should fit the cache next to the arithmetic."""

MAX_BLOCKS = 16
"""Bounds the number of calls at any N; longer sequences get longer blocks."""

SHORTEST_BLOCK = ByKind(cpu=1 << 9, accelerator=1 << 14)
"""Tokens below which the cost of the calls outweighs what a smaller block saves."""

_counted_as: str | None = None


@contextmanager
def blocks_as_on(device_type: str) -> Iterator[None]:
    """Inside, every sequence is cut as on `device_type`: for counts of another device on fake CPU tensors."""
    global _counted_as
    before, _counted_as = _counted_as, device_type
    try:
        yield
    finally:
        _counted_as = before


def _on_device(numbers: ByKind[int], x: Tensor) -> int:
    return numbers.on(_counted_as or x.device.type)


def state_dtype(x: Tensor) -> torch.dtype:
    """The type that states and sums have for inputs like `x`: float32 for half types, else that of `x`."""
    return torch.promote_types(x.dtype, torch.float32)


def zero_state(like: Float[Tensor, "B H _ d"]) -> State:
    """S = 0, [B, H, d, d]: what S_t = S_(t-1) + k_t v_t^T starts from, with a decay or without."""
    batch, heads, _, d = like.shape
    return (like.new_zeros(batch, heads, d, d, dtype=state_dtype(like)),)


def real_counts(like: Tensor, pad: Tensor | None) -> Float[Tensor, "#B 1 N 1"]:
    """The real tokens up to each one, in the type of the state."""
    real = torch.ones_like(like[:1, :1, :, :1]) if pad is None else ~pad
    return real.cumsum(dim=2, dtype=state_dtype(like))


def pads(padding_mask: Tensor | None) -> Tensor | None:
    """[B, 1, N, 1], True at padding; None where nothing is padded."""
    return None if padding_mask is None else ~padding_mask[:, None, :, None]


def spans_of(x: Tensor, width: int | None = None) -> list[tuple[int, int]]:
    """Start and length of every block of x [B, H, N, d], whole chunks but for the last.

    `width`: the numbers a token that the widest tensor of a block has, d if None.
    """
    batch, heads, length, head_size = x.shape
    # A block of at least eight chunks: the states kept for backward stay below an eighth of one input.
    unit = 8 * chunk_length(head_size)
    in_cache = _on_device(BLOCK_BYTES, x) // max(4 * batch * heads * (width or head_size), 1)
    # A short sequence is not cut finer than calls are worth, a longer one into eight or more: what a block
    # needs for a moment then stays a fraction of the whole.
    wanted = min(in_cache, max(_on_device(SHORTEST_BLOCK, x), length // 8))
    rows = unit * max(1, wanted // unit, ceil(length / (MAX_BLOCKS * unit)))
    return [(start, min(rows, length - start)) for start in range(0, length, rows)]


def cut(span: tuple[int, int], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The block `span` of each tensor, in the type of the state."""
    start, rows = span
    return tuple(x.narrow(-2, start, rows).to(state_dtype(x)) for x in tensors)


def cut_pad(span: tuple[int, int], pad: Tensor | None) -> Tensor | None:
    return None if pad is None else pad.narrow(-2, span[0], span[1])


def paste(span: tuple[int, int], targets: Sequence[Tensor | None], blocks: Sequence[Tensor | None]) -> None:
    for target, block in zip(targets, blocks, strict=True):
        if target is not None and block is not None:
            target.narrow(-2, span[0], span[1]).copy_(block)
