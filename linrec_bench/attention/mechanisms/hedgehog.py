"""Hedgehog: a learnt map whose features are softmaxes, spiky as the softmax that it mimics.

    o_i = phi_q(q_i) S / (phi_q(q_i) . z + eps),    S = sum_j phi_k(k_j) v_j^T,  z = sum_j phi_k(k_j)
    phi(x) = [softmax(x W), softmax(-x W)], over the d features each

Zhang et al. 2024, "The Hedgehog & the Porcupine" (ICLR 2024, arXiv 2402.04347), section 4; j runs over all
tokens, or up to i if causal. Queries and keys of every head have a W of their own, the identity at first.
Upstream: HazyResearch/lolcats, `src/model/feature_map.py`, by the same authors, with the map that it ascribes
to the paper: both halves are normalised apart. Other code takes one softmax of all 2 d numbers, whose
features differ in a factor for each half of a row.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.backends import fla
from linrec_bench.attention.ops import feature_map_attention
from linrec_bench.attention.ops.feature_map_attention import FeatureMaps
from linrec_bench.attention.ops.row_normalise import weigh_plainly
from linrec_bench.attention.spec import Mask, Spec, State, Tokens


class LearntMaps(nn.Module):
    """W of queries and of keys, [H, d, d] each: learnt, the identity at first."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        identity = torch.eye(hidden_size // heads).expand(heads, -1, -1)
        self.query_map = nn.Parameter(identity.clone())
        self.key_map = nn.Parameter(identity.clone())

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return {"query_map": self.query_map, "key_map": self.key_map}


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    query_map: Float[Tensor, "H d d"],
    key_map: Float[Tensor, "H d d"],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-12,
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; see the module for the equation."""
    weights = (query_map, key_map)
    return feature_map_attention.attend(
        MAPS, (q, k, v), padding_mask, weights=weights, features=2 * q.shape[-1], causal=causal, eps=eps
    )


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """Both sums = 0: [B, H, 2 d, d + 1]."""
    return feature_map_attention.init_state(like, features=2 * like.shape[-1])


def _queries(q: Tensor, query_map: Tensor, key_map: Tensor) -> Tensor:
    del key_map
    return _spikes(q @ query_map)


def _keys(k: Tensor, query_map: Tensor, key_map: Tensor) -> Tensor:
    del query_map
    return _spikes(k @ key_map)


MAPS = FeatureMaps(queries=_queries, keys=_keys)


def _by_kernel(
    q: Tensor, k: Tensor, v: Tensor, *, query_map: Tensor, key_map: Tensor, eps: float = 1e-12
) -> Tensor:
    return fla.averages(_spikes(q @ query_map), _spikes(k @ key_map), v, eps=eps)


def _spikes(x: Tensor) -> Tensor:
    return torch.cat((x.softmax(dim=-1), x.neg().softmax(dim=-1)), dim=-1)


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    query_map: Float[Tensor, "H d d"],
    key_map: Float[Tensor, "H d d"],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-12,
) -> Tokens:
    """The N x N weights, one half of the features at a time, masked, divided by their row sums."""
    queries = torch.einsum("bhid,hdf->bhif", q, query_map)
    keys = torch.einsum("bhjd,hdf->bhjf", k, key_map)
    half, other = (
        torch.einsum("bhif,bhjf->bhij", (sign * queries).softmax(dim=-1), (sign * keys).softmax(dim=-1))
        for sign in (1, -1)
    )
    return weigh_plainly(half + other, v, padding_mask, causal=causal, eps=eps)


SPEC = Spec(
    name="hedgehog",
    title="Hedgehog (learnt softmax features)",
    paper="The Hedgehog & the Porcupine, ICLR 2024, arXiv 2402.04347",
    formula="phi(q)(phi(k)^T v) / (phi(q) . sum phi(k) + eps), phi(x) = [softmax(x W), softmax(-x W)]",
    source="github.com/HazyResearch/lolcats, src/model/feature_map.py",
    deviations=(
        "trained by the task from the identity; the paper first trains W to imitate the weights of a softmax",
        "features are not clamped at 1e-12 from below; eps in the denominator serves",
        "padded tokens stay out of both sums",
    ),
    core=core,
    reference=reference,
    backends={"fla": fla.backend(_by_kernel)},
    complexity="12 N d^2 a head, of which 4 N d^2 in the two maps",
    decode_state="2 d^2 + 2 d numbers a head",
    gate_module=LearntMaps,
    init_state=init_state,
    step=feature_map_attention.step_of(MAPS, core, "query_map", "key_map"),
)
