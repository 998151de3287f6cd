"""Row-wise maps of the linear family, written so that their backward is cheap."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from linrec_bench.attention.ops.autograd import Context, differentiated


class _Elu(torch.autograd.Function):
    """Keeps the result, which gives the derivative without an exponential: 1, or elu(x) + 1 below zero."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        out = F.elu(x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        dx: Tensor = torch.ops.aten.elu_backward(grad, 1, 1, 1, True, out)
        return dx


# `apply` is untyped in torch.
_elu: Callable[..., Tensor] = _Elu.apply


def elu(x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
    """x where positive, exp(x) - 1 elsewhere."""
    return _elu(x) if differentiated(x) else F.elu(x)


def elu_plus_one(x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
    """1 + x where positive, exp(x) elsewhere: positive everywhere, also where elu(x) + 1 rounds to zero."""
    return x.clamp(max=0).exp().add(x.relu())


def reciprocal_root(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1 / sqrt(x), and 0 (with gradient 0) where x is 0; x is not negative."""
    return F.threshold(x, 0, inf).rsqrt()


class _Held(torch.autograd.Function):
    """x itself; dx = dy, and 0 at `where`."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, where: Tensor) -> Tensor:
        ctx.save_for_backward(where)
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor, None]:
        (where,) = ctx.saved_tensors
        return grad.masked_fill(where, 0), None


# `apply` is untyped in torch.
_held: Callable[..., Tensor] = _Held.apply


def hold(x: Float[Tensor, "*shape"], where: Tensor | bool) -> Float[Tensor, "*shape"]:
    """x, with gradient 0 at `where`, a boolean that broadcasts to x: for what is constant there."""
    if isinstance(where, bool):
        return _held(x, torch.ones((), dtype=torch.bool, device=x.device)) if where else x
    return _held(x, where)


def drop_padding(
    features: Float[Tensor, "B H n d"], pad: Bool[Tensor, "B 1 n 1"] | None
) -> Float[Tensor, "B H n d"]:
    """Rows of padding set to zero; after every map, because maps need not keep zeros."""
    return features if pad is None else features.masked_fill(pad, 0)


def _scaled(x: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """length x / |x|, and length / |x|."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scale = length / norm.masked_fill(norm == 0, inf)
    return x * scale, scale


class _UnitRows(torch.autograd.Function):
    """u = length x / |x|; dx = (length / |x|) (du - u (u . du) / length^2)."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, length: float) -> Tensor:
        unit, scale = _scaled(x, length)
        ctx.save_for_backward(unit, scale)
        ctx.length = length
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor, None]:
        unit, scale = ctx.saved_tensors
        along = (unit * grad).sum(dim=-1, keepdim=True) / ctx.length**2
        dx: Tensor = torch.addcmul(grad, unit, along, value=-1).mul_(scale)
        return dx, None


# `apply` is untyped in torch.
_unit_rows: Callable[..., Tensor] = _UnitRows.apply


def unit_rows(x: Float[Tensor, "*rows d"], *, length: float = 1.0) -> Float[Tensor, "*rows d"]:
    """Each row of x scaled to the L2 norm `length`; a row of zeros stays zero, and so does its gradient."""
    return _unit_rows(x, length) if differentiated(x) else _scaled(x, length)[0]


class _Squares(torch.autograd.Function):
    """y_ij = c_ij x_i x_j for i <= j, c_ii = 1, else sqrt(2); dx_i = sum_j c_ij dy_ij x_j + dy_ii x_i."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        first, second = torch.triu_indices(x.shape[-1], x.shape[-1], device=x.device)
        scale = x.new_full((len(first),), sqrt(2)).masked_fill_(first == second, 1)
        products: Tensor = x.index_select(-1, first).mul_(x.index_select(-1, second)).mul_(scale)
        return products

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        size = x.shape[-1]
        index = torch.arange(size, device=x.device)
        first, second = torch.minimum(index, index[:, None]), torch.maximum(index, index[:, None])
        # Where y_ij stands among the pairs in the order of rows, and likewise y_ji.
        place = first * (2 * size - first - 1) // 2 + second
        scale = x.new_full((size, size), sqrt(2)).masked_fill_(first == second, 2)
        whole = grad.index_select(-1, place.flatten()).unflatten(-1, (size, size))
        dx: Tensor = (whole * scale).mul_(x.unsqueeze(-2)).sum(dim=-1)
        return dx


# `apply` is untyped in torch.
_squares: Callable[..., Tensor] = _Squares.apply


def squares(x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows pairs"]:
    """The d (d + 1) / 2 products of two features, such that squares(x) . squares(y) = (x . y)^2."""
    return _squares(x)
