"""Matrix products with a transposed factor whose gradients come out in the layout of the factors.

Autograd takes a^T b as a product with a view of a, so that the gradient at a comes out transposed in memory,
and everything elementwise that follows walks it against the grain, which takes longer than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from linrec_bench.attention.ops.autograd import Context


class _LeftTransposed(torch.autograd.Function):
    """c = a^T b; da = b dc^T, db = a dc."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a.mT @ b

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        wants_a, wants_b = ctx.needs_input_grad
        return b @ grad.mT if wants_a else None, a @ grad if wants_b else None


class _RightTransposed(torch.autograd.Function):
    """c = a b^T, all of it or its lower triangle; da = dc b, db = dc^T a, with the same part of dc."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor, lower: bool) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.lower = lower
        product = a @ b.mT
        return product.tril_() if lower else product

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        a, b = ctx.saved_tensors
        wants_a, wants_b, _ = ctx.needs_input_grad
        if ctx.lower:
            grad = grad.tril()
        return grad @ b if wants_a else None, grad.mT @ a if wants_b else None, None


# `apply` is untyped in torch.
_left_transposed: Callable[..., Tensor] = _LeftTransposed.apply
_right_transposed: Callable[..., Tensor] = _RightTransposed.apply


def sum_of_outer(k: Float[Tensor, "*#B n f"], v: Float[Tensor, "*#B n e"]) -> Float[Tensor, "*B f e"]:
    """k^T v, the sum of the outer products k_j v_j^T."""
    return _left_transposed(k, v)


def inner(q: Float[Tensor, "*B n f"], k: Float[Tensor, "*B m f"]) -> Float[Tensor, "*B n m"]:
    """q k^T, the inner product of every q_i with every k_j."""
    return _right_transposed(q, k, False)


def causal_inner(q: Float[Tensor, "*B n f"], k: Float[Tensor, "*B n f"]) -> Float[Tensor, "*B n n"]:
    """The inner product of every q_i with the k_j up to it, zero above."""
    return _right_transposed(q, k, True)
