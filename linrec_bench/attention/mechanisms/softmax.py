"""Softmax attention with its N x N weights in memory: the textbook form, and the quadratic yardstick.

    o = softmax(q k^T / sqrt(d)) v

Vaswani et al. 2017 (arXiv 1706.03762), equation 1. Causal: row i sees the columns up to i. A row that sees no
key at all (everything before it is padding) gives zero, where the formula would divide zero by zero.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.ops import kv_cache
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """o [B, H, N, d] in 4 N^2 d operations a head and O(N^2) memory."""
    length = q.shape[-2]
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    # The smallest finite number, not -inf: a row without a visible key stays finite until it is zeroed.
    lowest = torch.finfo(scores.dtype).min
    if causal:
        future = torch.ones(length, length, dtype=torch.bool, device=q.device).triu_(1)
        scores.masked_fill_(future, lowest)
    if padding_mask is None:
        return torch.matmul(scores.softmax(dim=-1), v)
    scores.masked_fill_(~padding_mask[:, None, None, :], lowest)
    seen = padding_mask.cumsum(dim=1) if causal else padding_mask.sum(dim=1, keepdim=True)
    return torch.matmul(scores.softmax(dim=-1), v).masked_fill(seen[:, None, :, None] == 0, 0)


def one_query(
    q: Float[Tensor, "B G M f"],
    k: Float[Tensor, "B G N f"],
    v: Float[Tensor, "B G N e"],
    *,
    seen: Bool[Tensor, "B N"],
    scale: float,
) -> Float[Tensor, "B G M e"]:
    """softmax(scale q k^T) v where each of M queries sees the same keys, one at least."""
    scores = (q * scale) @ k.mT
    scores.masked_fill_(~seen[:, None, None, :], torch.finfo(scores.dtype).min)
    return torch.matmul(scores.softmax(dim=-1), v)


def step(state: State, q: Events, k: Events, v: Events) -> tuple[State, Events]:
    """The next rows of the same weights, over the cached keys and values."""
    state = kv_cache.remember(state, k, v)
    keys, values = state
    scores = (q * q.shape[-1] ** -0.5) @ keys.mT
    if q.shape[-2] > 1:
        scores.masked_fill_(
            ~kv_cache.visible(q.shape[-2], keys.shape[-2], q.device), torch.finfo(scores.dtype).min
        )
    return state, torch.matmul(scores.softmax(dim=-1), values)


def reference(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """Exponentials of the scores, multiplied by what is visible, divided by their row sums."""
    batch, _, length, d = q.shape
    visible = q.new_ones(batch, 1, length, length)
    if padding_mask is not None:
        visible = visible * padding_mask[:, None, None, :]
    if causal:
        visible = visible.tril()
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / d**0.5
    highest = torch.where(visible > 0, scores, -torch.inf).amax(dim=-1, keepdim=True).clamp(min=-1e30)
    weights = torch.where(visible > 0, (scores - highest.detach()), -torch.inf).exp()
    total = weights.sum(dim=-1, keepdim=True)
    return torch.einsum("bhij,bhjd->bhid", weights / torch.where(total > 0, total, 1), v)


SPEC = Spec(
    name="softmax",
    title="Softmax attention, materialised",
    paper="Attention Is All You Need, NeurIPS 2017, arXiv 1706.03762",
    formula="softmax(q k^T / sqrt(d)) v",
    source="the paper's equation 1",
    deviations=("a query that sees no key gives zero",),
    core=core,
    reference=reference,
    time_exponent=2.0,
    memory_exponent=2.0,
    complexity="4 N^2 d a head",
    decode_state="2 N d numbers a head (keys and values)",
    state_exponent=1.0,
    init_state=kv_cache.init_state,
    remember=kv_cache.remember,
    step=step,
    one_query=one_query,
)
