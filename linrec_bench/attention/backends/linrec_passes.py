"""LinRec by passes over tokens, with gradients by hand: what the backends `native` and `triton` share.

For the token norm (q' and k' are rows of elu scaled to one length) and a slope g at o:

    bidirectional   S = sum k'_j v_j^T, o_i = S^T q'_i;  dS = sum q'_i g_i^T, dq'_i = S g_i, dk'_j = dS v_j,
                    dv_j = dS^T k'_j
    causal          the same with S_t and, from the last token on, dS_t = sum over i >= t

For the column norm keys are elu(k), and S is scaled by 1 / sqrt(N c^2), c_t^2 = sum elu(k_j)^2, which has a
slope of its own: see `linrec_column`. Saved for backward are q, k, v and, bidirectional, the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from linrec_bench.attention.ops.autograd import Context
from linrec_bench.attention.ops.blockwise import refuse_second_derivatives
from linrec_bench.attention.ops.feature_maps import reciprocal_root
from linrec_bench.attention.validation import check_alike


@runtime_checkable
class Passes(Protocol):
    """Passes over q, k, v and slopes [B, H, N, d] of one type; mask: [B, N], True where a token is real.

    Sums are in the type of the state: S [B, H, f, f] and c^2 [B, H, f], f >= d. Gradients are laid out as
    what they belong to. With `column`, keys are elu(k) as it is, and causal queries read the column norm.
    """

    def summarise(self, k: Tensor, v: Tensor, mask: Tensor | None, *, column: bool) -> tuple[Tensor, Tensor]:
        """S = k'^T v, and c^2 = sum of elu(k)^2."""

    def read(self, q: Tensor, sums: Tensor) -> Tensor:
        """o = q' S."""

    def read_back(self, q: Tensor, sums: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """dq, and dS."""

    def summarise_back(
        self, k: Tensor, v: Tensor, mask: Tensor | None, dsums: Tensor, dsquares: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """dk and dv; `dsquares` (the slope at c^2) is there for the column norm."""

    def scan(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, column: bool) -> Tensor:
        """o, causal."""

    def scan_back(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, grad: Tensor, *, column: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """dq, dk and dv, causal."""


def attend(
    passes: Passes,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    padding_mask: Tensor | None,
    causal: bool,
    column: bool,
) -> Tensor:
    """o [B, H, N, d] of `linrec` or, if `column`, of `linrec-column`. Differentiable once.

    Raises `ValueError` unless q, k, v are of one shape and type: passes read memory by those of q.
    """
    check_alike(q, k, v)
    mask = None if padding_mask is None else padding_mask.contiguous()
    return (_causal if causal else _bidirectional)(passes, column, mask, q, k, v)


def _scaled(sums: Tensor, squares: Tensor, count: Tensor | int) -> Tensor:
    """diag(1 / sqrt(N c^2)) S, which queries of the column norm read."""
    return reciprocal_root(count * squares).unsqueeze(-1) * sums


class _Bidirectional(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, passes: Passes, column: bool, mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor
    ) -> Tensor:
        sums, squares = passes.summarise(k, v, mask, column=column)
        ctx.passes, ctx.column, ctx.mask = passes, column, mask
        ctx.count = q.shape[2] if mask is None else mask.sum(dim=1)[:, None, None]
        ctx.save_for_backward(q, k, v, sums, squares)
        return passes.read(q, _scaled(sums, squares, ctx.count) if column else sums)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        q, k, v, sums, squares = ctx.saved_tensors
        read, dsquares = sums, None
        if ctx.column:
            with torch.enable_grad():
                leaves = sums.detach().requires_grad_(), squares.detach().requires_grad_()
                read = _scaled(*leaves, ctx.count)
        dq, dsums = ctx.passes.read_back(q, read.detach(), grad)
        if ctx.column:
            dsums, dsquares = torch.autograd.grad(read, leaves, dsums)
        dk, dv = ctx.passes.summarise_back(k, v, ctx.mask, dsums, dsquares)
        if ctx.column:
            # A column of one key does not depend on its size: see `linrec_column`.
            alone = torch.as_tensor(ctx.count, device=dk.device) == 1
            dk.masked_fill_(alone.expand(len(dk), 1, 1).unsqueeze(-1), 0)
        return None, None, None, dq, dk, dv


class _Causal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, passes: Passes, column: bool, mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor
    ) -> Tensor:
        ctx.passes, ctx.column, ctx.mask = passes, column, mask
        ctx.save_for_backward(q, k, v)
        return passes.scan(q, k, v, mask, column=column)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        return None, None, None, *ctx.passes.scan_back(*ctx.saved_tensors, ctx.mask, grad, column=ctx.column)


# `apply` is untyped in torch.
_bidirectional: Callable[..., Tensor] = _Bidirectional.apply
_causal: Callable[..., Tensor] = _Causal.apply
