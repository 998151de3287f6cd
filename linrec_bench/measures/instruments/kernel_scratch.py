"""Memory that a kernel of the CPU takes for itself while it runs: no tensor, so that live bytes lack it.

Exact for attention in float32 and float64. Kernels of half types pack copies beside, and convolutions
rearrange theirs, each as the processor's vector instructions want it: for those a bound on AVX512.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch._ops import OpOverload

from linrec_bench.measures.instruments.operations import per_operation

aten = torch.ops.aten

KEYS_AT_ONCE = 512
"""Keys of a block in the attention kernels (aten/src/ATen/native/cpu/FlashAttentionKernel.cpp)."""

CHANNELS_AT_ONCE = 16
"""Channels of a block in oneDNN's convolutions."""

HEAP_BYTES = 2**28
"""Most that the heap was seen to hold beside live tensors, rounded up."""

LIBRARY_BYTES = 2**24
"""Most that code and the buffers of matrix products were seen to take at the first call of a size, rounded up
(softmax, N = 1,024, two threads: 14 MB)."""

Scratch = Callable[..., int]
"""Arguments of an operation -> bytes."""


def scratch_bytes(func: OpOverload[..., object], args: tuple[object, ...]) -> int:
    """Bytes that the kernel of `func` takes beside its results; 0 where none are known."""
    formula = _formula(func)
    return 0 if formula is None else formula(*args)


def register(func: OpOverload[..., object], formula: Scratch) -> None:
    """State the scratch of an operation of one's own."""
    _SCRATCH[func] = formula


def heap_holes(peak_bytes: int) -> int:
    """Bytes that a process on a CPU may hold beside a peak of tensors.

    glibc serves blocks up to 32 MiB from its heap once one of that size was freed (mallopt(3),
    M_MMAP_THRESHOLD), and what is freed inside the heap fits what follows or stays a hole: up to as much
    again as the tensors, and 168 MB at most in calls of up to 700 MB. Libraries take `LIBRARY_BYTES` more.
    """
    return min(peak_bytes, HEAP_BYTES) + LIBRARY_BYTES


def _block(q: Tensor, k: Tensor) -> tuple[int, int, int]:
    """Queries and keys of a block, and bytes of a number in which it is summed."""
    queries, keys = q.shape[-2], k.shape[-2]
    most = 256 if queries >= 768 else 64 if queries >= 192 else 32
    return min(queries, most), min(keys, KEYS_AT_ONCE), max(q.element_size(), 4)


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: object) -> int:
    """Scores, largest score, sum and output of one block of queries in every thread."""
    queries, keys, size = _block(q, k)
    in_half = queries * keys * q.element_size() if q.element_size() < size else 0
    return torch.get_num_threads() * ((keys + 2 + v.shape[-1]) * queries * size + in_half)


def _attention_backward(grad: Tensor, q: Tensor, k: Tensor, *_: object) -> int:
    """Two blocks of scores in every thread, a sum a query, and a copy of a gradient laid out otherwise."""
    queries, keys, size = _block(q, k)
    in_half = 2 * queries * keys * q.element_size() if q.element_size() < size else 0
    copy = 0 if grad.transpose(1, 2).is_contiguous() else grad.numel() * grad.element_size()
    return torch.get_num_threads() * (2 * queries * keys * size + in_half) + queries * size + copy


def _convolution(x: Tensor, weight: Tensor, *_: object) -> int:
    """Copies of the input and of the result, with channels filled up to whole blocks."""
    return _in_blocks(x) + _in_blocks(x, channels=weight.shape[0])


def _convolution_backward(grad: Tensor, x: Tensor, *_: object) -> int:
    """Copies of the gradient and of the input, and the gradient of the input before it is laid out again."""
    return _in_blocks(grad) + 2 * _in_blocks(x)


def _in_blocks(x: Tensor, *, channels: int = 0) -> int:
    own = x.shape[1]
    blocks = -(-(channels or own) // CHANNELS_AT_ONCE)
    return blocks * CHANNELS_AT_ONCE * (x.numel() // own) * x.element_size()


def _batches_apart(x: Tensor, *_: object) -> int:
    """A copy, unless the matrices follow one another."""
    return 0 if x.is_contiguous() else x.numel() * x.element_size()


_SCRATCH: dict[OpOverload[..., object], Scratch] = {
    aten._scaled_dot_product_flash_attention_for_cpu.default: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default: _attention_backward,
    aten.convolution.default: _convolution,
    aten.convolution_backward.default: _convolution_backward,
    aten.tril.default: _batches_apart,
    aten.triu.default: _batches_apart,
}

_formula = per_operation(_SCRATCH.get)
