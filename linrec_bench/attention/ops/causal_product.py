"""The causal product of linear attention, in chunks: the algebra shared by every mechanism of the family

    S_t = S_{t-1} + k_t v_t^T,    o_t = S_t^T q_t.

Within a chunk the product is quadratic, between chunks it goes through the state:
o = q S + tril(q k^T) v, S <- S + k^T v. The recurrence is that of Katharopoulos et al. 2020 (arXiv
2006.16236, section 3.4), the chunk form that of Hua et al. 2022 (arXiv 2202.10447). `blockwise` bounds its
memory and differentiates it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from linrec_bench.attention.ops.autograd import Context, differentiated
from linrec_bench.attention.ops.prefix_sums import sums_before, sums_beyond
from linrec_bench.attention.ops.transposed_matmul import sum_of_outer


def chunk_length(head_size: int) -> int:
    """Tokens of one chunk. Extra numbers a token are C + d^2 / C, least at C = d; below 16 the products are
    too small to be worth a call."""
    return max(16, head_size)


@dataclass(frozen=True)
class Kernel:
    """A function of x . y that features have as their inner product, features(x) . features(y).

    of_scores: [*, n, m] -> [*, n, m], by element; features: [*, n, g] -> [*, n, f].
    """

    of_scores: Callable[[Tensor], Tensor]
    features: Callable[[Tensor], Tensor]


def _itself(x: Tensor) -> Tensor:
    return x


INNER_PRODUCT = Kernel(_itself, _itself)


def causal_product(
    q: Float[Tensor, "#B #H N g"],
    k: Float[Tensor, "#B #H N g"],
    v: Float[Tensor, "#B #H N e"],
    state: Float[Tensor, "#B #H f e"],
    *,
    chunk: int | None = None,
    kernel: Kernel = INNER_PRODUCT,
    held: Bool[Tensor, "#B #H N 1"] | None = None,
    backward_only: bool = False,
) -> tuple[Float[Tensor, "B H N e"], Float[Tensor, "B H f e"]]:
    """o_t = (state + sum_{s <= t} k_s v_s^T)^T q_t for every t, and the state after the last token, for the
    features of q and k that `kernel` has: q and k themselves unless it is given.

    All chunks at once: the number of calls hardly depends on N (see `running_sums`), the extra memory is
    N (C + f e / C) numbers a head. Floating-point operations: 2 N C (g + e) (dense triangle) + 4 N f e.
    `chunk` is C, by default that of g; where the features are many more than e, chunks of e tokens do less.
    Without a kernel, `held`: tokens whose q_t . k_t has no gradient at k_t; `backward_only`: o is wanted for
    its gradients alone, and zeros stand for it.
    """
    length = q.shape[-2]
    if length == 1 and kernel is INNER_PRODUCT and not differentiated(q, k, v, state):
        # A step of decoding: the recurrence itself.
        after = state + k.mT * v
        return q @ after, after
    chunk = min(chunk or chunk_length(q.shape[-1]), length)
    whole = length - length % chunk
    if whole < length:
        product = partial(causal_product, chunk=chunk, kernel=kernel, backward_only=backward_only)
        first, last = (None, None) if held is None else (held[..., :whole, :], held[..., whole:, :])
        chunks, state = product(q[..., :whole, :], k[..., :whole, :], v[..., :whole, :], state, held=first)
        rest, state = product(q[..., whole:, :], k[..., whole:, :], v[..., whole:, :], state, held=last)
        return torch.cat((chunks, rest), dim=-2), state
    q, k, v = (x.unflatten(-2, (-1, chunk)) for x in (q, k, v))
    # One copy at most, where a block of a longer tensor is no plain run of chunks.
    v = v.contiguous()
    # Features of positions alone are the same for every row and head.
    if kernel is INNER_PRODUCT and q.shape[:2] == k.shape[:2] == v.shape[:2]:
        held = None if held is None else held.unflatten(-2, (-1, chunk)).squeeze(-1)
        out, after = _product(q, k, v, state, held, backward_only)
    elif backward_only or held is not None:
        raise ValueError("`held` and `backward_only` need plain features, of each row and head its own")
    else:
        before, after = sums_before(sum_of_outer(kernel.features(k), v), state)
        out = kernel.of_scores(q @ k.mT).tril() @ v + kernel.features(q) @ before
    return out.flatten(-3, -2), after


class _Product(torch.autograd.Function):
    """o = q S + P v with P = tril(q k^T), of chunks [B, H, n, C, *], S the state before each; and the last.

    With a slope g at o, dP = tril(g v^T), and dS the slope at the state after a chunk, summed from the last
    on: dq = g S^T + dP k, dk = v dS^T + dP^T q, dv = k dS + P^T g. In dk, the diagonal of P is constant where
    `held`.
    """

    @staticmethod
    def forward(
        ctx: Context, q: Tensor, k: Tensor, v: Tensor, state: Tensor, held: Tensor | None, backward_only: bool
    ) -> tuple[Tensor, Tensor]:
        before, after = sums_beyond(k.mT @ v, state, backwards=False)
        within = (q @ k.mT).tril_()
        ctx.save_for_backward(q, k, v, before, within, held)
        if backward_only:
            return v.new_zeros(()).expand(v.shape), after
        return _add_product(q @ before, within, v), after

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor, last: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, before, within, held = ctx.saved_tensors
        wants_q, wants_k, wants_v, *_ = ctx.needs_input_grad
        # One copy at most, as of v.
        grad = grad.contiguous()
        after, first = sums_beyond(q.mT @ grad, last, backwards=True)
        slopes = (grad @ v.mT).tril_()
        dq = _add_product(grad @ before.mT, slopes, k) if wants_q else None
        if held is not None:
            slopes.diagonal(dim1=-2, dim2=-1).masked_fill_(held, 0)
        dk = _add_product(v @ after.mT, slopes.mT, q) if wants_k else None
        dv = _add_product(k @ after, within.mT, grad) if wants_v else None
        return dq, dk, dv, first, None, None


# `apply` is untyped in torch.
_product: Callable[..., tuple[Tensor, Tensor]] = _Product.apply


def _add_product(
    to: Float[Tensor, "B H n C m"], a: Float[Tensor, "B H n C D"], b: Float[Tensor, "B H n D m"]
) -> Float[Tensor, "B H n C m"]:
    """to + a b, written to `to`."""
    to.flatten(0, 2).baddbmm_(a.flatten(0, 2), b.flatten(0, 2))
    return to
