"""Efficient attention: queries normalised over features, keys over the sequence, each by a softmax.

    o = rho_q(q) (rho_k(k)^T v),    rho_q = softmax over the d features, rho_k = softmax over the N tokens

Shen et al. 2021, "Efficient Attention: Attention with Linear Complexities" (WACV 2021, arXiv 1812.01243),
section 3, with the softmax normalisation; upstream: cmsflash/efficient-attention, `efficient_attention.py`.
Neither q nor k is scaled by a root of d, there as here.

Causal: the softmax of the keys runs over the tokens so far. Its denominator z_t is one number a feature and
moves to the query: o_t = (rho_q(q_t) / z_t) S_t, S_t = sum_{s <= t} exp(k_s) v_s^T, z_t = sum_{s <= t}
exp(k_s). Exponents are taken relative to the running maximum m_t of their feature (`running_max`), so that
S decays where the maximum grows, S_t = diag(exp(m_{t-1} - m_t)) S_{t-1} + exp(k_t - m_t) v_t^T: the future
changes nothing, not even by underflow.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.ops.blockwise import decoder, scan, state_dtype, sum_then_read
from linrec_bench.attention.ops.decayed_product import decayed_product
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.ops.running_max import RADIX, Running, largest, lowest, prefixes
from linrec_bench.attention.ops.transposed_matmul import sum_of_outer
from linrec_bench.attention.spec import Mask, Spec, State, Tokens


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; no token seen gives zero."""
    if causal:
        return scan(_step, init_state(q), (q, k, v), padding_mask, width=RADIX * q.shape[-1])
    return sum_then_read(_summarise, _read, (q,), (k, v), padding_mask, weights=(largest(k, padding_mask),))


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """The maximum m of no key and z = 0 relative to it, [B, H, 1, d], and S = 0, [B, H, d, d]."""
    batch, heads, _, d = like.shape
    total = like.new_zeros(batch, heads, 1, d, dtype=state_dtype(like))
    return torch.full_like(total, lowest(total)), total, total.new_zeros(batch, heads, d, d)


def _summarise(k: Tensor, v: Tensor, pad: Tensor | None, top: Tensor) -> State:
    # Padding goes before the exponential, which may overflow there.
    exponents = k - top if pad is None else (k - top).masked_fill(pad, lowest(k))
    weights = exponents.exp()
    return weights.sum(dim=2, keepdim=True), sum_of_outer(weights, v)


def _read(state: State, q: Tensor, top: Tensor) -> Tensor:
    del top
    total, product = state
    return q.softmax(dim=-1) @ (product / _at_least_one(total).mT)


def _step(state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> tuple[State, Tensor]:
    top, total, product = state
    top = top.detach()
    # 1, with the derivative of exp(k) relative to exp(k).
    alone = drop_padding((k - k.detach()).exp(), pad)
    k = k if pad is None else k.masked_fill(pad, lowest(k))
    seen = prefixes(Running(top, total), Running(k.detach(), alone))
    out, product = decayed_product(
        q.softmax(dim=-1) / _at_least_one(seen.sums),
        (k - seen.top).exp(),
        drop_padding(v, pad),
        torch.cat((top, seen.top[:, :, :-1]), dim=2) - seen.top,
        product,
    )
    last = seen.map(lambda x: x[:, :, -1:])
    return (last.top, last.sums, product), out


def _at_least_one(total: Tensor) -> Tensor:
    """A sum with its largest term 1, and 1 where nothing was summed."""
    return total.masked_fill(total == 0, 1)


def reference(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """The two softmaxes as written; if causal, that of the keys over every prefix for its last query."""
    if padding_mask is not None:
        k = k.masked_fill(~padding_mask[:, None, :, None], -torch.inf)
    q = q.softmax(dim=3)
    length = k.shape[2]
    rows = []
    for end in range(1, length + 1) if causal else [length]:
        prefix = k[:, :, :end]
        weights = prefix.masked_fill((prefix == -torch.inf).all(dim=2, keepdim=True), 0).softmax(dim=2)
        weights = weights.masked_fill(prefix == -torch.inf, 0)
        queries = q[:, :, end - 1 : end] if causal else q
        rows.append(queries @ (weights.mT @ v[:, :, :end]))
    return torch.cat(rows, dim=2)


SPEC = Spec(
    name="efficient-attention",
    title="Efficient attention (softmax over features and over tokens)",
    paper="Efficient Attention, WACV 2021, arXiv 1812.01243",
    formula="softmax_d(q) (softmax_N(k)^T v)",
    source="github.com/cmsflash/efficient-attention, efficient_attention.py",
    deviations=(
        "a causal form: the softmax of the keys over every prefix; the paper has none",
        "padded tokens stay out of the softmax of the keys; a query that sees no token gives zero",
        "q, k and v of one projection of the hidden size; the official code makes them with convolutions",
    ),
    core=core,
    reference=reference,
    complexity="4 N d^2 a head",
    decode_state="d^2 + 2 d numbers a head (sums and a maximum)",
    init_state=init_state,
    step=decoder(_step, core),
)
