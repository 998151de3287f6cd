"""The causal product of linear attention with decays: the algebra shared by every mechanism of the family

    S_t = diag(exp(g_t)) S_{t-1} + k_t v_t^T,    o_t = S_t^T q_t,    g_t <= 0.

The log decay g is one number for all tokens of a head (RetNet), one for each token (Mamba-2), or one for each
token and feature (gated linear attention). Within a chunk every pair of tokens is weighted by what decays
between them, chunks hand on the state; the chunk form is that of Yang et al. 2024 (arXiv 2312.06635, section
4) and, for one number a token, of Dao and Gu 2024 (arXiv 2405.21060, section 6).

Only sums of log decays over segments are ever exponentiated, so that nothing overflows; and no segment is the
difference of two longer ones, so that nothing cancels: a token that forgets everything leaves those after it
exact. `blockwise` bounds the memory and differentiates it; `causal_linear` is the form without decay.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.ops.causal_product import chunk_length
from linrec_bench.attention.ops.transposed_matmul import inner, sum_of_outer

RADIX = 16
"""Chunks whose states are made by one product; groups of them then count as chunks, and so on."""

SMALLEST_PRODUCT = 4
"""Rows below which many products of matrices are written as elementwise products and sums."""


def decayed_product(
    q: Float[Tensor, "B H N f"],
    k: Float[Tensor, "B H N f"],
    v: Float[Tensor, "B H N e"],
    log_decay: Float[Tensor, "#B #H #N #f"],
    state: Float[Tensor, "B H f e"],
) -> tuple[Float[Tensor, "B H N e"], Float[Tensor, "B H f e"]]:
    """o_t and the state after the last token; `log_decay` of one token or one feature holds for all of them.

    All chunks of C tokens at once: the number of operations is O(log N), the extra memory N (C + f e / C)
    numbers a head. Floating-point operations: 4 N C e (dense triangle, e = f) + 4 N f e + 2 N f e RADIX / C.
    """
    length = q.shape[-2]
    if length == 1:
        state = log_decay.mT.exp() * state + k.mT * v
        return q @ state, state
    chunk = min(_power_of_two(chunk_length(q.shape[-1])), 2 * _power_of_two(length - 1))
    missing = -length % chunk
    if missing:
        # Tokens that neither decay nor add to the state.
        log_decay = log_decay.expand(*log_decay.shape[:-2], length, -1)
        q, k, v, log_decay = (F.pad(x, (0, 0, 0, missing)) for x in (q, k, v, log_decay))
        out, state = decayed_product(q, k, v, log_decay, state)
        return out[..., :length, :], state
    q, k, v = (x.unflatten(-2, (-1, chunk)) for x in (q, k, v))
    if log_decay.shape[-2] == 1:
        log_decay = log_decay.unsqueeze(-3).expand(*log_decay.shape[:-2], 1, chunk, -1)
    else:
        log_decay = log_decay.unflatten(-2, (-1, chunk))
    within = _scalar_within if log_decay.shape[-1] == 1 else _vector_within
    scores, before, after, total = within(q, k, log_decay)
    updates = sum_of_outer(k * after.exp(), v)
    states, state = _between(total.squeeze(-2), updates, state)
    return (scores @ v + (q * before.exp()) @ states).flatten(-3, -2), state


def _power_of_two(number: int) -> int:
    """The largest that is at most `number`, and 1 for 0."""
    return 1 << max(number.bit_length() - 1, 0)


def segment_decays(log_decay: Float[Tensor, "*B n"]) -> Float[Tensor, "*B n n"]:
    """What is left at i of what was there at j <= i: exp(sum of log_decay over j + 1 .. i); 0 for j > i."""
    length = log_decay.shape[-1]
    steps = log_decay[..., None].expand(*log_decay.shape, length).tril(-1)
    return steps.cumsum(dim=-2).exp().tril()


def _scalar_within(
    q: Float[Tensor, "*B C f"], k: Float[Tensor, "*B C f"], log_decay: Float[Tensor, "*#B C 1"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `_vector_within`, with one number for all features."""
    scores = inner(q, k) * segment_decays(log_decay.squeeze(-1))
    before = log_decay.cumsum(dim=-2)
    return scores, before, _following(log_decay), before[..., -1:, :]


def _following(x: Float[Tensor, "*B C g"]) -> Float[Tensor, "*B C g"]:
    """The sum of what follows each token."""
    return F.pad(x[..., 1:, :], (0, 0, 0, 1)).flip(-2).cumsum(dim=-2).flip(-2)


def _vector_within(
    q: Float[Tensor, "*B C f"], k: Float[Tensor, "*B C f"], log_decay: Float[Tensor, "*#B C f"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of a chunk: q_i . (decay from j to i) k_j [*B, C, C], 0 for j > i; and the sums of log decays up to and
    with each token [*B, C, f], after each token [*B, C, f], and over all of them [*B, 1, f].

    Runs of tokens, at first of one token each, are joined in pairs until one is left: log2 C times. Between
    the two of a pair the decay is what is left at their border of the key, times what is left of that at the
    query; neither is above 1, and scores are a plain product. No number for each pair of tokens and feature.
    """
    scores = (q * k).sum(dim=-1)[..., None, None]
    before = total = log_decay.unsqueeze(-2)
    after = torch.zeros_like(before)
    for run in (1 << level for level in range(q.shape[-2].bit_length() - 1)):
        keys, _ = _pairs(k.unflatten(-2, (-1, run)))
        _, queries = _pairs(q.unflatten(-2, (-1, run)))
        (before_first, before_second), (after_first, after_second) = _pairs(before), _pairs(after)
        (total_first, total_second), (scores_first, scores_second) = _pairs(total), _pairs(scores)
        across = _dots(queries * before_second.exp(), keys * after_first.exp())
        scores = torch.cat(
            (F.pad(scores_first, (0, run)), torch.cat((across, scores_second), dim=-1)), dim=-2
        )
        before = torch.cat((before_first, total_first + before_second), dim=-2)
        after = torch.cat((after_first + total_second, after_second), dim=-2)
        total = total_first + total_second
    return scores.squeeze(-3), before.squeeze(-3), after.squeeze(-3), total.squeeze(-3)


def _pairs(x: Float[Tensor, "*B runs n g"]) -> tuple[Tensor, Tensor]:
    """The first and the second of every two runs."""
    first, second = x.unflatten(-3, (-1, 2)).unbind(-3)
    return first, second


def _dots(q: Float[Tensor, "*B n f"], k: Float[Tensor, "*B n f"]) -> Float[Tensor, "*B n n"]:
    """q k^T. A product of matrices this small costs more in the call than in the arithmetic."""
    if q.shape[-2] < SMALLEST_PRODUCT:
        return (q[..., :, None, :] * k[..., None, :, :]).sum(dim=-1)
    return inner(q, k)


def _between(
    log_decay: Float[Tensor, "*#B #M g"], updates: Float[Tensor, "*B M f e"], state: Float[Tensor, "*B f e"]
) -> tuple[Float[Tensor, "*B M f e"], Float[Tensor, "*B f e"]]:
    """The state before each of M chunks, and after the last."""
    count, features, _ = updates.shape[-3:]
    log_decay = log_decay.expand(*log_decay.shape[:-2], count, -1)
    if log_decay.shape[-1] == 1:
        states, last = decayed_states(log_decay.squeeze(-1), updates.flatten(-2), state.flatten(-2))
        return states.unflatten(-1, (features, -1)), last.unflatten(-1, (features, -1))
    states, last = decayed_states(log_decay.mT, updates.transpose(-3, -2), state)
    return states.transpose(-3, -2), last


def decayed_states(
    log_decay: Float[Tensor, "*#B M"], updates: Float[Tensor, "*B M x"], first: Float[Tensor, "*B x"]
) -> tuple[Float[Tensor, "*B M x"], Float[Tensor, "*B x"]]:
    """s_{m+1} = exp(log_decay_m) s_m + updates_m from s_0 = first: s_0 .. s_{M-1}, and s_M.

    A scan by groups of RADIX, and of groups of groups: O(log M) operations and 2 M x RADIX floating-point
    ones, where a product over all M would take M^2 x.
    """
    count = updates.shape[-2]
    if count == 1:
        return first.unsqueeze(-2), log_decay.exp() * first + updates.squeeze(-2)
    group = min(RADIX, count)
    missing = -count % group
    if missing:
        log_decay, updates = F.pad(log_decay, (0, missing)), F.pad(updates, (0, 0, 0, missing))
    log_decay, updates = log_decay.unflatten(-1, (-1, group)), updates.unflatten(-2, (-1, group))
    after = _following(log_decay[..., None])
    totals = sum_of_outer(after.exp(), updates).squeeze(-2)
    starts, last = decayed_states(log_decay.sum(dim=-1), totals, first)
    # Chunk m finds what its group started with, and the updates before m: everything moves on by one.
    arrived = torch.cat((starts.unsqueeze(-2), updates[..., :-1, :]), dim=-2)
    left = segment_decays(F.pad(log_decay[..., :-1], (1, 0)))
    states = (left @ arrived).flatten(-3, -2)
    return states[..., :count, :], last
