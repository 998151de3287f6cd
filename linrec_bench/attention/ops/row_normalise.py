"""N x N weights divided by their row sums: how references and short sequences of linear mechanisms are done.

For a sequence of one chunk this is less work than sums over features. It is also accurate where all weights
of a query nearly vanish, because rounding then is the same above and below the line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from linrec_bench.attention.ops.autograd import Context
from linrec_bench.attention.ops.causal_product import chunk_length

Guard = Literal["add", "clamp"]
"""How a denominator stays off zero: eps is added to the sum, or is the least that it may be."""


class _Shares(torch.autograd.Function):
    """y = x / c by rows, c = sum x + eps or max(sum x, eps); dx = (dy - y . dy) / c, or dy / c where c = eps.

    Where one weight m makes up a row, dy_m - y . dy is the rounding of two equal numbers, and c may be small.
    So dy is taken relative to dy_m: with e = dy - dy_m it is e - y . e + dy_m (1 - sum y), and 1 - sum y is
    eps / c where eps is added, 0 where it is not.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor, eps: float, guard: Guard) -> Tensor:
        total = x.sum(dim=-1, keepdim=True)
        divisor = total + eps if guard == "add" else total.clamp(min=eps)
        shares = x / divisor
        ctx.save_for_backward(shares, divisor)
        ctx.eps, ctx.guard = eps, guard
        return shares

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor, None, None]:
        shares, divisor = ctx.saved_tensors
        largest = grad.gather(-1, shares.argmax(dim=-1, keepdim=True))
        apart = grad - largest
        slope = apart - (shares * apart).sum(dim=-1, keepdim=True)
        if ctx.guard == "add":
            slope = slope + largest * (ctx.eps / divisor)
        else:
            slope = torch.where(divisor <= ctx.eps, grad, slope)
        return slope / divisor, None, None


# `apply` is untyped in torch.
_shares: Callable[..., Tensor] = _Shares.apply


def is_short(q: Float[Tensor, "B H N d"]) -> bool:
    """Whether a sequence is no longer than a chunk."""
    return q.shape[2] <= chunk_length(q.shape[3])


def weigh(
    weights: Float[Tensor, "B H N N"],
    v: Float[Tensor, "B H N d"],
    pad: Bool[Tensor, "B 1 N 1"] | None,
    *,
    causal: bool,
    eps: float,
    guard: Guard = "add",
) -> Float[Tensor, "B H N d"]:
    """o of a short sequence, by weights of all its pairs of tokens."""
    if causal:
        weights = weights.tril()
    if pad is not None:
        weights = weights.masked_fill(pad.mT, 0)
    return _shares(weights, eps, guard) @ v


def weigh_plainly(
    weights: Float[Tensor, "B H N N"],
    v: Float[Tensor, "B H N d"],
    padding_mask: Bool[Tensor, "B N"] | None,
    *,
    causal: bool,
    eps: float,
) -> Float[Tensor, "B H N d"]:
    """For references: o of any sequence, eps added, in a few lines that autograd differentiates."""
    if causal:
        weights = weights.tril()
    if padding_mask is not None:
        weights = weights * padding_mask[:, None, None, :]
    weights = weights / (weights.sum(dim=-1, keepdim=True) + eps)
    return torch.einsum("bhij,bhjd->bhid", weights, v)
