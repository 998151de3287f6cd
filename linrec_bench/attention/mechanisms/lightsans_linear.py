"""LightSANs without its position term: every token attends to a few interests instead of to all tokens.

    K' = softmax_N(k theta_k)^T k,  V' = softmax_N(v theta_v)^T v,    o = softmax(q K'^T / sqrt(d)) V'

Fan et al. 2021, "Lighter and Better: Low-Rank Decomposed Self-Attention Networks for Next-Item
Recommendation" (SIGIR 2021, doi 10.1145/3404835.3462978), section 3.1, the item-to-interest aggregation and
interaction. theta [D, r] scores each token, seen whole across the heads, for each of r interests. Upstream:
BELIEVEfxy/LightSANs, and `recbole/model/layers.py` in RUCAIBox/RecBole.

This is the part that is linear in N. What the paper adds for the order of the tokens is N x N, see
`lightsans`; here the order is what the model's own position embedding says.

`normalise="keys"` is the softmax of the paper, over the interests of a query. The public code takes it over
the queries instead, for each interest: `normalise="queries"`. Either way an interest sees all tokens: there
is no causal form.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from linrec_bench.attention.spec import Mask, Spec, Tokens


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    theta_k: Float[Tensor, "H d r"],
    theta_v: Float[Tensor, "H d r"],
    normalise: Literal["keys", "queries"] = "keys",
) -> Tokens:
    """o [B, H, N, d] in 12 N r d operations a head."""
    del causal
    pad = None if padding_mask is None else ~padding_mask[:, None, :, None]
    keys, values = _interests(k, theta_k, pad), _interests(v, theta_v, pad)
    scores = (q * q.shape[-1] ** -0.5) @ keys.mT
    weights = scores.softmax(dim=-1) if normalise == "keys" else _hide(scores, pad).softmax(dim=-2)
    return weights @ values


def _interests(
    x: Tokens, theta: Float[Tensor, "H d r"], pad: Bool[Tensor, "B 1 N 1"] | None
) -> Float[Tensor, "B H r d"]:
    """Weighted means of the tokens; the weights are those of the whole token, the same for all heads."""
    scores = (x @ theta).sum(dim=1, keepdim=True)
    return torch.einsum("bnr,bhnd->bhrd", _hide(scores, pad).softmax(dim=-2)[:, 0], x)


def _hide(scores: Tensor, pad: Bool[Tensor, "B 1 N 1"] | None) -> Tensor:
    """Padded rows at the smallest finite number: where there is nothing else, numbers stay finite."""
    return scores if pad is None else scores.masked_fill(pad, torch.finfo(scores.dtype).min)


class Interests(nn.Module):
    """theta_k and theta_v [H, d, r], standard normal at first, as in the public code."""

    def __init__(self, hidden_size: int, heads: int, *, interests: int = 15) -> None:
        super().__init__()
        self.heads = heads
        self.theta_k, self.theta_v = (nn.Parameter(torch.randn(hidden_size, interests)) for _ in range(2))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return {
            "theta_k": self.theta_k.unflatten(0, (self.heads, -1)),
            "theta_v": self.theta_v.unflatten(0, (self.heads, -1)),
        }


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    theta_k: Float[Tensor, "H d r"],
    theta_v: Float[Tensor, "H d r"],
    normalise: Literal["keys", "queries"] = "keys",
) -> Tokens:
    """One row of the batch after another, its real tokens alone, the heads side by side for the pooling."""
    del causal
    heads, out = q.shape[1], torch.zeros_like(v)

    def pooled(x: Tensor, theta: Tensor) -> Tensor:
        whole = x.transpose(0, 1).flatten(1)
        weights = torch.softmax(whole @ theta.flatten(0, 1), dim=0)
        apart: Tensor = (weights.T @ whole).unflatten(1, (heads, -1))
        return apart.transpose(0, 1)

    for row in range(q.shape[0]):
        real = torch.arange(q.shape[2], device=q.device)
        if padding_mask is not None:
            real = real[padding_mask[row]]
        if len(real):
            keys, values = pooled(k[row][:, real], theta_k), pooled(v[row][:, real], theta_v)
            scores = torch.einsum("hnd,hrd->hnr", q[row][:, real], keys) / q.shape[-1] ** 0.5
            out[row, :, real] = scores.softmax(dim=-1 if normalise == "keys" else -2) @ values
    return out


SPEC = Spec(
    name="lightsans-linear",
    title="LightSANs without the position term",
    paper="LightSANs, SIGIR 2021, doi 10.1145/3404835.3462978",
    formula="softmax(q K'^T / sqrt(d)) V', K' = softmax_N(k theta_k)^T k, V' = softmax_N(v theta_v)^T v",
    source="github.com/RUCAIBox/RecBole, recbole/model/layers.py",
    deviations=(
        "the paper's position term, which is N x N, is left out: `lightsans` has it",
        "softmax over the interests, as in the paper; normalise='queries' is the code's, over the queries",
        "padded tokens stay out of the pooling; the official code lets them in",
    ),
    core=core,
    reference=reference,
    causal=False,
    complexity="12 N r d a head, r interests",
    decode_state="none: no causal form",
    gate_module=Interests,
)
