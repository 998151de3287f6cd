"""The backend `native` of softmax attention: a row of weights at a time, in C++, with gradients by hand.

    o_i = sum_j p_ij v_j,  p_ij = exp(s_ij - l_i),  s_ij = q_i . k_j / sqrt(d),  l_i = log sum_j exp(s_ij)

With a slope g at o and ds_ij = p_ij (g_i . v_j - g_i . o_i), as in FlashAttention (Dao et al. 2022, arXiv
2205.14135, section 3.1):

    dq_i = sum_j ds_ij k_j / sqrt(d),   dk_j = sum_i ds_ij q_i / sqrt(d),   dv_j = sum_i p_ij g_i

Saved for backward are q, k, v, o and l; each thread has the keys and values of one head, 3 (d + 6) N numbers
at most. Made for the histories that models train on, where a head fits a cache and torch's tiles are mostly
overhead.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.backends.native import Passes, empty, rows, state
from linrec_bench.attention.ops.autograd import Context
from linrec_bench.attention.ops.blockwise import refuse_second_derivatives
from linrec_bench.attention.validation import check_alike


def attend(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    *,
    padding_mask: Bool[Tensor, "B N"] | None,
    causal: bool,
) -> Float[Tensor, "B H N d"]:
    """o of `sdpa`. Differentiable once.

    Raises `ValueError` unless q, k, v are of one shape and type.
    """
    check_alike(q, k, v)
    mask = None if padding_mask is None else padding_mask.contiguous()
    return _attend(causal, mask, q, k, v)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, causal: bool, mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        passes = Passes("softmax.cpp", q, split=False)
        out, sums = empty(v), state(q, *q.shape[:3])
        space = state(q, passes.threads, passes.run("workspace", False))
        passes.run("attend", rows(q), rows(k), rows(v), mask, causal, rows(out), sums, space)
        ctx.causal, ctx.mask = causal, mask
        ctx.save_for_backward(q, k, v, out, sums)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        q, k, v, out, sums = ctx.saved_tensors
        passes = Passes("softmax.cpp", q, split=False)
        dq, dk, dv = empty(q), empty(k), empty(v)
        space = state(q, passes.threads, passes.run("workspace", True))
        tokens = (rows(q), rows(k), rows(v), ctx.mask, ctx.causal, rows(out), sums, rows(grad))
        passes.run("attend_back", *tokens, rows(dq), rows(dk), rows(dv), space)
        return None, None, dq, dk, dv


# `apply` is untyped in torch.
_attend: Callable[..., Tensor] = _Attend.apply
