"""The backend `native` of causal softmax attention: a row of weights at a time, in C++, gradients by hand.

    o_i = sum_{j<=i} p_ij v_j,  p_ij = exp(s_ij - l_i),  s_ij = q_i . k_j / sqrt(d),
    l_i = log sum_{j<=i} exp(s_ij)

With a slope g at o and ds_ij = p_ij (g_i . v_j - g_i . o_i), as in FlashAttention (Dao et al. 2022, arXiv
2205.14135, section 3.1):

    dq_i = sum_j ds_ij k_j / sqrt(d),   dk_j = sum_i ds_ij q_i / sqrt(d),   dv_j = sum_i p_ij g_i

Saved for backward are q, k, v, o and l; each thread has the keys and values of one head, 3 (d + 6) N numbers
at most. Made for the histories that models train on, where a head fits a cache and torch's tiles are mostly
overhead; where torch's own kernel is faster, it refuses (`benchmarks/vector_widths.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.backends import native
from linrec_bench.attention.backends.native import Passes, empty, rows, state
from linrec_bench.attention.ops.autograd import Context
from linrec_bench.attention.ops.blockwise import refuse_second_derivatives
from linrec_bench.attention.spec import Request
from linrec_bench.attention.validation import check_alike

LONGEST, WIDEST_HEAD = 1024, 64


def refusal(request: Request) -> str | None:
    """Where it cannot run, or torch's fused kernel is faster."""
    if reason := native.refusal(request):
        return reason
    faster = "torch's own kernel is faster; use eager"
    if request.causal is False:
        return f"backend native of sdpa is causal: without causality {faster}"
    if request.length is not None and request.length > LONGEST:
        return f"backend native of sdpa takes at most {LONGEST:,} tokens: beyond, {faster}"
    if request.head_size is not None and request.head_size > WIDEST_HEAD:
        return f"backend native of sdpa takes at most {WIDEST_HEAD} features a head: beyond, {faster}"
    return None


def attend(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    *,
    padding_mask: Bool[Tensor, "B N"] | None,
    causal: bool,
) -> Float[Tensor, "B H N d"]:
    """o of `sdpa`, causal. Differentiable once.

    Raises `ValueError` unless q, k, v are of one shape and type.
    """
    assert causal, "anything else is refused"
    check_alike(q, k, v)
    mask = None if padding_mask is None else padding_mask.contiguous()
    return _attend(mask, q, k, v)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        passes = Passes("softmax.cpp", q, split=False)
        out, sums = empty(v), state(q, *q.shape[:3])
        space = state(q, passes.threads, passes.run("workspace", False))
        passes.run("attend", rows(q), rows(k), rows(v), mask, rows(out), sums, space)
        ctx.mask = mask
        ctx.save_for_backward(q, k, v, out, sums)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        q, k, v, out, sums = ctx.saved_tensors
        passes = Passes("softmax.cpp", q, split=False)
        dq, dk, dv = empty(q), empty(k), empty(v)
        space = state(q, passes.threads, passes.run("workspace", True))
        tokens = (rows(q), rows(k), rows(v), ctx.mask, rows(out), sums, rows(grad))
        passes.run("attend_back", *tokens, rows(dq), rows(dk), rows(dv), space)
        return None, dq, dk, dv


# `apply` is untyped in torch.
_attend: Callable[..., Tensor] = _Attend.apply
