"""AFT-simple: no product of queries and keys, each feature averages the values on its own.

    o_i = sigmoid(q_i) * sum_j exp(k_j) * v_j / sum_j exp(k_j)        (* and / by element)

Zhai et al. 2021, "An Attention Free Transformer" (arXiv 2105.14103), section 3.2, AFT-simple: equation 2
without position biases; j runs over all tokens, or up to i if causal. No code of the authors is known.

Exponents are taken relative to the largest one of the feature: over the sequence, or over what a token has
seen so far (`running_max`), so that a large key in the future does not wipe out the past.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.ops.blockwise import decoder, scan, state_dtype, sum_then_read
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.ops.running_max import RADIX, Running, largest, lowest, prefixes
from linrec_bench.attention.spec import Mask, Spec, State, Tokens


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """o [B, H, N, d] in O(N d) operations; no token seen gives zero."""
    if causal:
        return scan(_step, init_state(q), (q, k, v), padding_mask, width=2 * RADIX * q.shape[-1])
    top = largest(k, padding_mask)
    return sum_then_read(_summarise, _read, (q,), (k, v), padding_mask, weights=(top,))


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """The maximum m of no key, [B, H, 1, 1, d], and both sums relative to it, 0: [B, H, 1, 2, d]."""
    batch, heads, _, d = like.shape
    sums = like.new_zeros(batch, heads, 1, 2, d, dtype=state_dtype(like))
    return torch.full_like(sums[..., :1, :], lowest(sums)), sums


def _summarise(k: Tensor, v: Tensor, pad: Tensor | None, top: Tensor) -> State:
    # Padding goes before the exponential, which may overflow there.
    exponents = k - top if pad is None else (k - top).masked_fill(pad, lowest(k))
    weights = exponents.exp()
    return (weights * v).sum(dim=2, keepdim=True), weights.sum(dim=2, keepdim=True)


def _read(state: State, q: Tensor, top: Tensor) -> Tensor:
    del top
    return q.sigmoid() * _quotient(*state)


def _step(state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> tuple[State, Tensor]:
    before = Running(state[0].detach(), state[1])
    seen = prefixes(before, _tokens(k, v, pad))
    after = seen.map(lambda x: x[:, :, -1:])
    return tuple(after), q.sigmoid() * _quotient(*seen.sums.unbind(3))


def _tokens(k: Tensor, v: Tensor, pad: Tensor | None) -> Running:
    """Each token alone: its key, and its value and 1 relative to it."""
    top = k.detach() if pad is None else k.detach().masked_fill(pad, lowest(k))
    # 1, with the derivative of exp(k) relative to exp(k).
    weight = drop_padding((k - k.detach()).exp(), pad)
    return Running(top.unsqueeze(3), torch.stack((weight * v, weight), dim=3))


def _quotient(sums: Tensor, totals: Tensor) -> Tensor:
    """Both 0 where nothing was seen; else totals are at least 1."""
    return sums / totals.masked_fill(totals == 0, 1)


def reference(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """The softmax of the keys over the whole sequence; if causal, over every prefix for its last query."""
    if padding_mask is not None:
        k = k.masked_fill(~padding_mask[:, None, :, None], -torch.inf)
    rows = []
    for end in range(1, k.shape[2] + 1) if causal else [k.shape[2]]:
        prefix = k[:, :, :end]
        weights = prefix.masked_fill((prefix == -torch.inf).all(dim=2, keepdim=True), 0).softmax(dim=2)
        weights = weights.masked_fill(prefix == -torch.inf, 0)
        rows.append((weights * v[:, :, :end]).sum(dim=2, keepdim=True))
    return q.sigmoid() * torch.cat(rows, dim=2)


SPEC = Spec(
    name="aft-simple",
    title="AFT-simple",
    paper="An Attention Free Transformer, arXiv 2105.14103",
    formula="sigmoid(q) * sum exp(k) * v / sum exp(k), by element",
    source="the paper's section 3.2; no code of the authors",
    deviations=(
        "exponents relative to the (running) maximum, which cancels",
        "padded tokens stay out of both sums; a query that sees no token gives zero",
    ),
    core=core,
    reference=reference,
    complexity="no product; O(N d) elements a head",
    decode_state="3 d numbers a head (two sums and a maximum)",
    init_state=init_state,
    step=decoder(_step, core),
)
