"""The backend `native` of LinRec: its sums in C++, with gradients by hand.

One pass over the tokens computes what eager operations take a dozen for: a tile of 16 tokens is loaded,
mapped by elu, scaled, multiplied and written while it is in the innermost cache. For the token norm (q' and
k' are rows of elu scaled to one length) and a slope g at o:

    bidirectional   S = sum k'_j v_j^T, o_i = S^T q'_i;  dS = sum q'_i g_i^T, dq'_i = S g_i, dk'_j = dS v_j,
                    dv_j = dS^T k'_j
    causal          the same with S_t and, from the last token on, dS_t = sum over i >= t

For the column norm keys are elu(k), and S is scaled by 1 / sqrt(N c^2), c_t^2 = sum elu(k_j)^2, which has a
slope of its own: see `linrec_column`. Saved for backward are q, k, v and the sums. Beside outputs and
gradients there are d^2 numbers a head and, causal with the column norm, d + 1 for every tile.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.backends.native import TILE, Passes, check_alike, empty, rows, state
from linrec_bench.attention.ops.autograd import Context
from linrec_bench.attention.ops.blockwise import refuse_second_derivatives, state_dtype
from linrec_bench.attention.ops.feature_maps import reciprocal_root

_SOURCE = "linrec.cpp"


def attend(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H _ d"],
    v: Float[Tensor, "B H _ d"],
    *,
    padding_mask: Bool[Tensor, "B N"] | None,
    causal: bool,
    column: bool,
) -> Float[Tensor, "B H N d"]:
    """o of `linrec` or, if `column`, of `linrec-column`. Differentiable once.

    Raises `ValueError` unless q, k, v are of one shape and type: the library reads memory by those of q.
    """
    check_alike(q, k, v)
    mask = None if padding_mask is None else padding_mask.contiguous()
    return (_causal if causal else _bidirectional)(column, mask, q, k, v)


def _scaled(sums: Tensor, squares: Tensor, count: Tensor | int) -> Tensor:
    """diag(1 / sqrt(N c^2)) S, which queries of the column norm read."""
    return reciprocal_root(count * squares).unsqueeze(-1) * sums


class _Bidirectional(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, column: bool, mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        d = q.shape[-1]
        passes = Passes(_SOURCE, q, split=True)
        sums, squares = state(q, *passes.parts, d, d), state(q, *passes.parts, d)
        passes.run("summarise", rows(k), rows(v), mask, column, sums, squares)
        sums, squares = sums.sum(dim=0), squares.sum(dim=0)
        ctx.column, ctx.mask = column, mask
        ctx.count = q.shape[2] if mask is None else mask.sum(dim=1)[:, None, None]
        out = empty(v)
        passes.run("read", rows(q), _scaled(sums, squares, ctx.count) if column else sums, rows(out))
        ctx.save_for_backward(q, k, v, sums, squares)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        q, k, v, sums, squares = ctx.saved_tensors
        passes = Passes(_SOURCE, q, split=True)
        dsums, dsquares, read = state(q, *passes.parts, *sums.shape[2:]), None, sums
        if ctx.column:
            with torch.enable_grad():
                leaves = sums.detach().requires_grad_(), squares.detach().requires_grad_()
                read = _scaled(*leaves, ctx.count)
        dq = empty(q)
        passes.run("read_back", rows(q), read, rows(grad), rows(dq), dsums)
        dsums = dsums.sum(dim=0)
        if ctx.column:
            dsums, dsquares = torch.autograd.grad(read, leaves, dsums)
        dk, dv = empty(k), empty(v)
        passes.run(
            "summarise_back",
            *(rows(k), rows(v), ctx.mask, ctx.column, dsums, dsquares, rows(dk), rows(dv)),
        )
        if ctx.column:
            # A column of one key does not depend on its size: see `linrec_column`.
            dk[(torch.as_tensor(ctx.count) == 1).expand(len(dk), 1, 1).flatten()] = 0
        return None, None, dq, dk, dv


class _Causal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, column: bool, mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = empty(v)
        Passes(_SOURCE, q, split=False).run("scan", rows(q), rows(k), rows(v), mask, column, rows(out))
        ctx.column, ctx.mask = column, mask
        ctx.save_for_backward(q, k, v)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        q, k, v = ctx.saved_tensors
        dq, dk, dv = empty(q), empty(k), empty(v)
        # The slopes at c_t^2 wait where dk will be, unless that is of a half type.
        dsquares = dk if dk.dtype == state_dtype(dk) else torch.empty_like(dk, dtype=state_dtype(dk))
        before = state(q, *q.shape[:2], ceil(q.shape[2] / TILE), q.shape[3] + 1)
        passes = Passes(_SOURCE, q, split=False)
        tokens = (rows(q), rows(k), rows(v), ctx.mask, ctx.column, rows(grad))
        passes.run("scan_back_queries", *tokens, rows(dq), rows(dsquares), before)
        passes.run("scan_back_keys", *tokens, rows(dsquares), before, rows(dk), rows(dv))
        return None, None, dq, dk, dv


# `apply` is untyped in torch.
_bidirectional: Callable[..., Tensor] = _Bidirectional.apply
_causal: Callable[..., Tensor] = _Causal.apply
