"""LightSANs as published: attention to a few interests, and a position term that is N x N.

    o = softmax(q K'^T / sqrt(d)) V' + softmax(p_q p_k^T / sqrt(d)) v

K' and V' are r interests pooled from the tokens, see `lightsans_linear`; p_q and p_k [N, d] are projections
of a table of positions. Fan et al. 2021 (SIGIR 2021, doi 10.1145/3404835.3462978), sections 3.1 and 3.2, the
decoupled position encoding. Upstream: `recbole/model/layers.py` in RUCAIBox/RecBole, from which the gate
module takes the norm of the table and the scale 1 / sqrt(2 d) that p_q has beside the 1 / sqrt(d).

The first term is linear in N, the second is not: its weights are the same for the whole batch, and cost
2 N^2 d a head to make and 2 N^2 d to apply. With a padding mask they differ from row to row.

`normalise="keys"` makes both softmaxes those of the paper; `"queries"` those of the public code, over the
queries. Positions count real tokens. No causal form, since an interest sees all tokens.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.layer import split_heads
from linrec_bench.attention.mechanisms import lightsans_linear
from linrec_bench.attention.ops.compact_padding import inverse, real_first, take
from linrec_bench.attention.spec import Mask, Spec, Tokens, Unsupported


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    theta_k: Float[Tensor, "H d r"],
    theta_v: Float[Tensor, "H d r"],
    position_q: Float[Tensor, "H M d"],
    position_k: Float[Tensor, "H M d"],
    normalise: Literal["keys", "queries"] = "keys",
) -> Tokens:
    """o [B, H, N, d]; raises `Unsupported` where N exceeds the M positions of the table."""
    _check_length(q.shape[2], position_q.shape[1])
    del causal
    by_content = lightsans_linear.core(
        q, k, v, padding_mask=padding_mask, theta_k=theta_k, theta_v=theta_v, normalise=normalise
    )
    scores = _position_scores(q, position_q, position_k)
    if padding_mask is None:
        return by_content + _apply(scores.softmax(dim=-1 if normalise == "keys" else -2), v)
    order = real_first(padding_mask)
    pad = ~padding_mask.gather(1, order)
    lowest = torch.finfo(scores.dtype).min
    if normalise == "keys":
        weights = scores.masked_fill(pad[:, None, None, :], lowest).softmax(dim=-1)
    else:
        weights = scores.masked_fill(pad[:, None, :, None], lowest).softmax(dim=-2)
    values = take(v, order).masked_fill(pad[:, None, :, None], 0)
    return by_content + take(weights @ values, inverse(order))


def _position_scores(q: Tensor, position_q: Tensor, position_k: Tensor) -> Float[Tensor, "H N N"]:
    length = q.shape[2]
    queries: Tensor = position_q[:, :length] * q.shape[-1] ** -0.5
    return queries @ position_k[:, :length].mT


def _apply(weights: Float[Tensor, "H N N"], v: Tokens) -> Tokens:
    """The same weights for every row of the batch."""
    # Rows side by side as columns: broadcasting would copy the weights for each of them.
    columns = v.permute(1, 2, 0, 3)
    mixed = weights @ columns.flatten(2)
    apart: Tensor = mixed.unflatten(2, columns.shape[2:])
    return apart.permute(2, 0, 1, 3)


def _check_length(length: int, longest: int) -> None:
    if length > longest:
        raise Unsupported(
            f"attention lightsans was made for at most {longest} tokens, got {length}: its table has one row "
            "a position; expected a larger seq_len"
        )


class InterestsAndPositions(lightsans_linear.Interests):
    """theta_k, theta_v [H, d, r], and the queries and keys of the positions [H, seq_len, d]."""

    def __init__(self, hidden_size: int, heads: int, *, seq_len: int, interests: int = 15) -> None:
        super().__init__(hidden_size, heads, interests=interests)
        self.positions = nn.Parameter(torch.empty(1, seq_len, hidden_size).normal_(std=0.02))
        self.norm = nn.LayerNorm(hidden_size, eps=1e-12)
        self.to_q, self.to_k = (nn.Linear(hidden_size, hidden_size) for _ in range(2))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        rows = self.norm(self.positions)
        queries, keys = (split_heads(linear(rows), self.heads)[0] for linear in (self.to_q, self.to_k))
        queries = queries * (2 * queries.shape[-1]) ** -0.5
        return super().forward(x) | {"position_q": queries, "position_k": keys}


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    theta_k: Float[Tensor, "H d r"],
    theta_v: Float[Tensor, "H d r"],
    position_q: Float[Tensor, "H M d"],
    position_k: Float[Tensor, "H M d"],
    normalise: Literal["keys", "queries"] = "keys",
) -> Tokens:
    """Both terms for one row of the batch after another, its real tokens alone."""
    del causal
    out = lightsans_linear.reference(
        q, k, v, padding_mask=padding_mask, theta_k=theta_k, theta_v=theta_v, normalise=normalise
    )
    terms = torch.zeros_like(out)
    for row in range(q.shape[0]):
        real = torch.arange(q.shape[2], device=q.device)
        if padding_mask is not None:
            real = real[padding_mask[row]]
        count = len(real)
        scores = torch.einsum("hid,hjd->hij", position_q[:, :count], position_k[:, :count])
        scores = scores / q.shape[-1] ** 0.5
        terms[row, :, real] = scores.softmax(dim=-1 if normalise == "keys" else -2) @ v[row][:, real]
    return out + terms


SPEC = Spec(
    name="lightsans",
    title="LightSANs",
    paper="LightSANs, SIGIR 2021, doi 10.1145/3404835.3462978",
    formula="softmax(q K'^T / sqrt(d)) V' + softmax(p_q p_k^T / sqrt(d)) v, K' and V' pooled to r interests",
    source="github.com/RUCAIBox/RecBole, recbole/model/layers.py",
    deviations=(
        "softmax over keys, as in the paper; normalise='queries' is the code's, over the queries",
        "padded tokens stay out, and positions count real tokens; the official code lets padding in",
        "each layer has a table of positions of its own; the official code shares one",
    ),
    core=core,
    reference=reference,
    causal=False,
    permutation_equivariant=False,
    time_exponent=2.0,
    memory_exponent=2.0,
    complexity="12 N r d + 2 N^2 d (1 + 1 / B) a head, r interests",
    decode_state="none: no causal form",
    gate_module=InterestsAndPositions,
)
