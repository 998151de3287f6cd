"""Exact work: floating-point operations of matrix products, and elements touched by everything else.

A multiply-add is two operations. Causal kernels are counted in full, as torch's own counter does: the
figure is the work of the formula, not of the blocks that a kernel may skip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils.flop_counter import flop_registry

from linrec_bench.measures.instruments.operations import Watch, per_operation, tensors

aten = torch.ops.aten

_DOUBLE = (torch.float64, torch.complex128)

KNOWN = frozenset({"aten", "prim", "prims", "profiler", "linrec_bench"})
"""Namespaces of operations whose cost is known; what any other one does inside cannot be seen."""


class Work:
    """Counts the operations of a `Watch`, in `flops` and `elements`.

    flops: those of matrix products, convolutions, attention kernels, triangular solves and Fourier
    transforms. elements: for every other operation that computes or moves data the size of its largest
    tensor, read or written; views and bare allocations are free. A mechanism without any product (a copy,
    AFT) has its growth in `elements`. opaque: names of the operations of namespaces that are not `KNOWN`; of
    those the results alone are in the counts, which are too small by an unknown amount. dispatches: how many
    operations torch was asked for, views and allocations too: a loop over tokens in Python needs some for
    each. double_elements: those of results in float64.
    """

    def __init__(self) -> None:
        self.flops = 0
        self.elements = 0
        self.dispatches = 0
        self.double_elements = 0
        self.opaque: set[str] = set()

    def seen(
        self,
        func: OpOverload[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        out: object,
    ) -> None:
        self.dispatches += 1
        results = tensors(out)
        for tensor in results:
            if tensor.dtype in _DOUBLE:
                self.double_elements += tensor.numel()
        kind = _kind(func)
        if kind.opaque:
            self.opaque.add(func.name())
        if kind.formula is not None:
            self.flops += kind.formula(out, *args)
        elif kind.of_torch is not None:
            self.flops += int(kind.of_torch(*args, **kwargs, out_val=out))
        elif not kind.free:
            self.elements += max(
                (tensor.numel() for tensor in (*tensors((args, kwargs)), *results)), default=0
            )


def count(call: Callable[[], object]) -> int:
    """FLOPs of one call, on real or fake tensors."""
    work = Work()
    with Watch(work):
        call()
    return work.flops


def _attention(q: Tensor, k: Tensor, v: Tensor, *, score: int, value: int) -> int:
    """`score` products of the size of q k^T and `value` of that of p v; q [B, H, N, d], k, v [B, H, M, d]."""
    batch, heads, length, size = q.shape
    return 2 * batch * heads * length * k.shape[-2] * (score * size + value * v.shape[-1])


# Formulas take what the operation returned, then its arguments.
def _flash_cpu(_out: object, q: Tensor, k: Tensor, v: Tensor, *_: object) -> int:
    return _attention(q, k, v, score=1, value=1)


def _flash_cpu_backward(_out: object, _grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: object) -> int:
    # s = q k^T again, dq = ds k, dk = ds^T q; dv = p^T do, dp = do v^T. Dao et al. 2022, appendix B.
    return _attention(q, k, v, score=3, value=2)


def _inner(_out: object, matrix: Tensor, _vector: Tensor) -> int:
    """mv and dot: one multiply-add for each element of the first operand."""
    return 2 * matrix.numel()


def _inner_added(_out: object, _added: Tensor, matrix: Tensor, _vector: Tensor) -> int:
    return 2 * matrix.numel()


def _products_added(_out: object, _added: Tensor, a: Tensor, b: Tensor) -> int:
    return 2 * a.numel() * b.shape[-1]


def _triangular(out: Tensor, matrix: Tensor, _right: Tensor) -> int:
    """n^2 operations a right-hand side: n (n - 1) / 2 multiply-adds and n divisions."""
    return out.numel() * matrix.shape[-1]


def _fourier(out: Tensor, given: Tensor, dims: list[int], *_: object) -> int:
    """The customary 5 n log2 n for a complex transform of n points, half of it where one side is real."""
    full = given if given.numel() >= out.numel() else out
    work = 5 * full.numel() * math.log2(math.prod(full.shape[dim] for dim in dims))
    return round(work if given.is_complex() and out.is_complex() else work / 2)


# Operations that torch's own registry does not know, or counts as nothing.
_FORMULAS: dict[object, Callable[..., int]] = {
    aten._scaled_dot_product_flash_attention_for_cpu: _flash_cpu,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _flash_cpu_backward,
    aten.mv: _inner,
    aten.dot: _inner,
    aten.vdot: _inner,
    aten.addmv: _inner_added,
    aten.addmv_: _inner_added,
    aten.addmm_: _products_added,
    aten.addbmm: _products_added,
    aten.addbmm_: _products_added,
    aten.baddbmm_: _products_added,
    aten.linalg_solve_triangular: _triangular,
    aten._fft_c2c: _fourier,
    aten._fft_r2c: _fourier,
    aten._fft_c2r: _fourier,
}


class _Kind(NamedTuple):
    """How an operation is counted: by a formula of ours, by one of torch's, not at all, or by elements."""

    opaque: bool
    formula: Callable[..., int] | None
    of_torch: Callable[..., int] | None
    free: bool


@per_operation
def _kind(func: OpOverload[..., object]) -> _Kind:
    packet = func.overloadpacket
    return _Kind(
        opaque=func.namespace not in KNOWN,
        formula=_FORMULAS.get(packet),
        of_torch=flop_registry.get(packet),
        free=func.is_view or packet in _FREE,
    )


# Neither computed nor moved: memory handed out, or another name for the same memory.
_FREE: frozenset[object] = frozenset(
    {
        aten.empty,
        aten.empty_like,
        aten.empty_strided,
        aten.new_empty,
        aten.new_empty_strided,
        aten._unsafe_view,
        aten.lift_fresh,
        aten.resize_,
    }
)
