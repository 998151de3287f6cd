"""LinRec as the paper states it: ELU features, queries scaled by row, keys scaled by column.

    o = q' (k'^T v),    q'_i = elu(q_i) / (sqrt(d) |elu(q_i)|),    k'_:j = elu(k)_:j / (sqrt(N) |elu(k)_:j|)

The norm of k runs over the sequence axis, one number a feature ("column norm"). Liu et al. 2023, LinRec
(SIGIR 2023, arXiv 2411.01537), its L2-normalised linear attention; the equation is taken from two
re-implementations that agree, its number is not known here. The official code computes another function: see
`linrec`. Every implied row of weights has an L2 norm of at most 1 / sqrt(N).

The column norm is diagonal on the axis that is summed over, so it moves off the keys: with S = elu(k)^T v and
c_j^2 = sum elu(k)_:j^2 the output is q' diag(1 / (sqrt(N) c)) S. Its causal form is exact: at step t the sums
run over the first t tokens, o_t = S_t^T (q'_t / (sqrt(t) c_t)), which is the equation applied to the prefix.

A column of one key is the sign of that key, +1 or -1, whatever its size: its gradient there is zero. By the
chain rule it is the difference of two terms of size 1 / |k|, one through S and one through c, of which
rounding leaves eps / |k|. Where a sum holds a single token neither term is formed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from linrec_bench.attention.backends import compiled, fla, native, native_linrec
from linrec_bench.attention.backends.triton import linrec as triton_linrec
from linrec_bench.attention.ops.autograd import Context, differentiated
from linrec_bench.attention.ops.blockwise import decoder, scan, state_dtype, sum_then_read
from linrec_bench.attention.ops.causal_product import causal_product
from linrec_bench.attention.ops.feature_maps import drop_padding, elu, hold, reciprocal_root, unit_rows
from linrec_bench.attention.ops.prefix_sums import sums_beyond
from linrec_bench.attention.ops.transposed_matmul import sum_of_outer
from linrec_bench.attention.spec import Mask, Spec, State, Tokens


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; N in the equation is the number of tokens that are real."""
    if causal:
        return scan(
            _step, init_state(q), (q, k, v), padding_mask, backward_step=partial(_step, backward_only=True)
        )
    count = q.shape[2] if padding_mask is None else padding_mask.sum(dim=1)[:, None, None, None]
    summarise, read = partial(_summarise, count=count), partial(_read, count=count)
    return sum_then_read(summarise, read, (q,), (k, v), padding_mask)


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """Zeros: S [B, H, d, d], c^2 [B, H, 1, d], t [B, 1, 1, 1]."""
    batch, heads, _, d = like.shape
    zeros = partial(like.new_zeros, dtype=state_dtype(like))
    return zeros(batch, heads, d, d), zeros(batch, heads, 1, d), zeros(batch, 1, 1, 1)


def _formula(q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> Tensor:
    count = q.shape[2] if pad is None else (~pad).sum(dim=2, keepdim=True)
    return _read(_summarise(k, v, pad, count=count), q, count=count)


def _causal_formula(q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> Tensor:
    return _step(init_state(q), q, k, v, pad)[1]


def _by_kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    features = elu(k)
    squares = features.float().square().cumsum(dim=2)
    count = torch.arange(1, q.shape[2] + 1, device=q.device)[:, None]
    queries = unit_rows(elu(q).float(), length=q.shape[-1] ** -0.5) * reciprocal_root(count * squares)
    return fla.linear(queries, features, v)


def _summarise(k: Tensor, v: Tensor, pad: Tensor | None, *, count: Tensor | int) -> State:
    features = hold(drop_padding(elu(k), pad), count == 1)
    return sum_of_outer(features, v), features.square().sum(dim=-2, keepdim=True)


def _read(state: State, q: Tensor, *, count: Tensor | int) -> Tensor:
    product, squares = state
    return unit_rows(elu(q), length=q.shape[-1] ** -0.5) @ (reciprocal_root(count * squares).mT * product)


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, *, backward_only: bool = False
) -> tuple[State, Tensor]:
    product, squares, count = state
    features = drop_padding(elu(k), pad)
    if q.shape[-2] == 1 and pad is None and not differentiated(q, k, v, product, squares):
        # A step of decoding: the equation, read from sums that the event has entered.
        product, squares, count = product + features.mT * v, squares + features.square(), count + 1
        queries = unit_rows(elu(q), length=q.shape[-1] ** -0.5) * reciprocal_root(count * squares)
        return (product, squares, count), queries @ product
    real = torch.ones_like(k[:1, :1, :, :1]) if pad is None else (~pad).to(k.dtype)
    count = count + real.cumsum(dim=-2)
    # The first token, which reads itself alone.
    alone = (count == 1) & (real == 1)
    scaled, squares = _over_prefix(elu(q), features, squares, count, alone)
    out, product = causal_product(scaled, features, v, product, held=alone, backward_only=backward_only)
    return (product, squares, count[..., -1:, :]), out


class _OverPrefix(torch.autograd.Function):
    """p_t = q_t / (|q_t| sqrt(d n_t) c_t), c_t^2 = squares + sum_{s <= t} k_s^2, by feature; c^2 in the end.

    With a_t = dp_t . p_t, a sum over features, and h_t = -dp_t p_t / c_t^2, which is 2 dc_t^2, and 0 where a
    token is `alone` or c_t = 0:
    dq_t = (dp_t / c_t - q_t a_t sqrt(d n_t) / |q_t|) / (|q_t| sqrt(d n_t)),
    dk_s = k_s (sum_{t >= s} h_t + 2 dlast), dsquares = sum_t h_t / 2 + dlast.
    """

    @staticmethod
    def forward(
        ctx: Context, q: Tensor, k: Tensor, squares: Tensor, count: Tensor, alone: Tensor
    ) -> tuple[Tensor, Tensor]:
        sums, last = sums_beyond(k.square(), squares.squeeze(2), backwards=False, own=True)
        inverse = torch.threshold_(sums, 0, inf).rsqrt_()
        norm = torch.linalg.vector_norm(q, dim=-1, keepdim=True)
        rows, area = 1 / norm.masked_fill_(norm == 0, inf), count * q.shape[-1]
        scale = rows * reciprocal_root(area)
        scaled = (q * scale).mul_(inverse)
        ctx.save_for_backward(q, k, scaled, inverse, scale, rows * area.sqrt(), alone)
        return scaled, last.unsqueeze(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor, last: Tensor) -> tuple[Tensor | None, ...]:
        q, k, scaled, inverse, scale, weight, alone = ctx.saved_tensors
        product = grad * scaled
        along = product.sum(dim=-1, keepdim=True)
        dq = (grad * inverse).addcmul_(q, along * weight, value=-1).mul_(scale)
        h = product.mul_(inverse).mul_(inverse).mul_(torch.where(alone, 0.0, -1.0))
        later, all_of_it = sums_beyond(h, 2 * last.squeeze(2), backwards=True, own=True)
        return dq, later.mul_(k), all_of_it.unsqueeze(2) / 2, None, None


# `apply` is untyped in torch.
_over_prefix: Callable[..., tuple[Tensor, Tensor]] = _OverPrefix.apply


def reference(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """The equation as written, on the whole sequence; if causal, on every prefix for its last query."""
    length, d = q.shape[2:]
    real = q.new_ones(q.shape[0], length) if padding_mask is None else padding_mask.to(q.dtype)
    q = F.elu(q)
    q = _divide(q, d**0.5 * q.norm(dim=3, keepdim=True))
    k = F.elu(k) * real[:, None, :, None]
    rows = []
    for end in range(1, length + 1) if causal else [length]:
        prefix = k[:, :, :end]
        count = real[:, :end].sum(dim=1)[:, None, None, None]
        scaled = _divide(prefix, count.sqrt() * prefix.norm(dim=2, keepdim=True))
        # Of one key the same numbers, with a gradient that is zero and not a difference of two large terms.
        prefix = torch.where(count == 1, prefix.sign(), scaled)
        queries = q[:, :, end - 1 : end] if causal else q
        rows.append(queries @ (prefix.mT @ v[:, :, :end]))
    return torch.cat(rows, dim=2)


def _divide(x: Tensor, by: Tensor) -> Tensor:
    """x / by, and 0 where by is 0."""
    return torch.where(by > 0, x / torch.where(by > 0, by, 1), 0)


SPEC = Spec(
    name="linrec-column",
    title="LinRec, the paper's equation (column norm)",
    paper="LinRec, SIGIR 2023, arXiv 2411.01537",
    formula="q'(k'^T v), q' = elu in rows of length 1/sqrt(d), k' = elu in columns of length 1/sqrt(N)",
    source="the paper's equation, as two re-implementations agree on it",
    deviations=(
        "padded tokens stay out of the norm, of N and of the sum; the paper is silent on padding",
        "a feature row or column of zeros gives zero",
        "a causal form: the equation applied to every prefix; the paper has none",
        "d is the head size, as in re-implementations; the paper does not say which",
    ),
    core=core,
    reference=reference,
    backends={
        "compile": compiled.backend(_formula, _causal_formula),
        "native": native.backend(partial(native_linrec.attend, column=True)),
        "triton": triton_linrec.backend(column=True),
        "fla": fla.backend(_by_kernel),
    },
    complexity="4 N d^2 a head",
    decode_state="d^2 + d numbers a head and a count",
    init_state=init_state,
    step=decoder(_step, core),
)
