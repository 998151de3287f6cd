"""The delta rule in chunks: the algebra shared by every mechanism of the family

    S_t = a_t S_{t-1} + k_t u_t^T,    u_t = beta_t (v_t - a_t S_{t-1}^T k_t),    o_t = S_t^T q_t.

A token replaces what the state answers to its key, where linear attention only adds to it: Schlag et al. 2021
(arXiv 2102.11174, section 4.2) for a_t = 1, Yang et al. 2025 (arXiv 2412.06464, equation 10) with the decay
a_t = exp(log_decay_t). The decay comes first: what is replaced is the answer of the decayed state.

Within a chunk that finds the state S, let D_ij be what decays from token j to token i (1 on the diagonal, 0
above it) and b_i what decays from the start up to i. The u are the solution of one triangular system,

    (I + L) U = beta (V - b K S),    L = strictly lower part of beta (K K^T) D,

the WY (UT) form of Yang et al. 2024 (arXiv 2406.06484, section 3). Solved for [-beta b K | beta V] on the
right it gives U, and with that the state after the chunk, as affine functions of S. `affine_states` hands the
state through them, and o = (Q K^T D) U + b Q S.

With keys of at most unit length and beta in [0, 1] no linear map here has a norm above 1, so that nothing
grows, however many are multiplied. `blockwise` bounds the memory and differentiates it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.ops.causal_product import chunk_length
from linrec_bench.attention.ops.decayed_product import segment_decays
from linrec_bench.attention.ops.transposed_matmul import causal_inner, sum_of_outer


def delta_product(
    q: Float[Tensor, "B H N f"],
    k: Float[Tensor, "B H N f"],
    v: Float[Tensor, "B H N e"],
    beta: Float[Tensor, "B H N 1"],
    log_decay: Float[Tensor, "B H N 1"] | None,
    state: Float[Tensor, "B H f e"],
) -> tuple[Float[Tensor, "B H N e"], Float[Tensor, "B H f e"]]:
    """o_t for every t and the state after the last token; without `log_decay` nothing decays.

    All chunks at once: O(log N) operations, whose extra memory is N (C + f (f + e) / C) numbers a head for
    chunks of C tokens. Floating-point operations: N C (5 f + 3 e) + 2 N f (f + 3 e) and, to hand on the
    state, 2 N f^2 (f + 2 e) / C; that is 8 N d (C + d) + 6 N d^3 / C for f = e = d.
    """
    length, features = q.shape[-2:]
    if length == 1:
        return _one_token(q, k, v, beta, log_decay, state)
    chunk = min(chunk_length(features), length)
    whole = length - length % chunk
    if whole < length:
        chunks, state = delta_product(*_part(0, whole, q, k, v, beta, log_decay), state=state)
        rest, state = delta_product(*_part(whole, length - whole, q, k, v, beta, log_decay), state=state)
        return torch.cat((chunks, rest), dim=-2), state
    q, k, v, beta = (x.unflatten(-2, (-1, chunk)) for x in (q, k, v, beta))
    erase = k * beta
    lower, scores = causal_inner(erase, k), causal_inner(q, k)
    kept = torch.eye(features, features + v.shape[-1], dtype=q.dtype, device=q.device)
    if log_decay is not None:
        log_decay = log_decay.unflatten(-2, (-1, chunk))
        between, before = segment_decays(log_decay.squeeze(-1)), log_decay.cumsum(dim=-2).exp()
        lower, scores = lower * between, scores * between
        q, erase = q * before, erase * before
        k = k * between[..., -1, :, None]
        kept = kept * before[..., -1:, :]
    # The diagonal of `lower` is taken as 1, whatever stands there.
    updates = torch.linalg.solve_triangular(
        lower, torch.cat((-erase, v * beta), dim=-1), upper=False, unitriangular=True
    )
    states, state = affine_states(kept + sum_of_outer(k, updates), state)
    out = scores @ _applied(updates, states) + q @ states
    return out.flatten(-3, -2), state


def _part(
    start: int, rows: int, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    q, k, v, beta = (x.narrow(-2, start, rows) for x in (q, k, v, beta))
    return q, k, v, beta, None if log_decay is None else log_decay.narrow(-2, start, rows)


def _one_token(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence itself."""
    if log_decay is not None:
        state = state * log_decay.exp()
    state = state + k.mT * (beta * (v - k @ state))
    return q @ state, state


def affine_states(
    maps: Float[Tensor, "*B M f f_and_e"], first: Float[Tensor, "*B f e"]
) -> tuple[Float[Tensor, "*B M f e"], Float[Tensor, "*B f e"]]:
    """s_{m+1} = A_m s_m + B_m from s_0 = first, for maps [A | B]: s_0 .. s_{M-1}, and s_M.

    Every two maps are joined to one, which gives every other state, and those the ones between: O(log M)
    operations on tensors, 2 M f^2 (f + 2 e) floating-point ones.
    """
    count, features = maps.shape[-3:-1]
    if count == 1:
        return first.unsqueeze(-3), _applied(maps.squeeze(-3), first)
    if count % 2:
        states, last = affine_states(maps[..., :-1, :, :], first)
        after = _applied(maps[..., -1, :, :], last)
        return torch.cat((states, last.unsqueeze(-3)), dim=-3), after
    earlier, later = maps.unflatten(-3, (-1, 2)).unbind(-3)
    joined = later[..., :features] @ earlier + F.pad(later[..., features:], (features, 0))
    states, last = affine_states(joined, first)
    return torch.stack((states, _applied(earlier, states)), dim=-3).flatten(-4, -3), last


def _applied(maps: Float[Tensor, "*B n f_and_e"], x: Float[Tensor, "*B f e"]) -> Float[Tensor, "*B n e"]:
    """A x + B for maps [A | B]."""
    features = x.shape[-2]
    return maps[..., features:] + maps[..., :features] @ x
