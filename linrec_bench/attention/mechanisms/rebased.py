"""ReBased: a quadratic kernel of normalised, affinely mapped queries and keys.

    o_i = sum_j w_ij v_j / (sum_j w_ij + eps),    w_ij = (q'_i . k'_j)^2 / f
    q' = gamma_q * norm(q W_q) + beta_q,  k' = gamma_k * norm(k W_k) + beta_k  in f dimensions, by default 16

Aksenov et al. 2024, "Linear Transformers with Learnable Kernel Functions are Better In-Context Models" (ACL
2024, arXiv 2402.10644), section 3; j runs over all tokens, or up to i if causal. norm subtracts the mean of a
row and divides by its standard deviation. Upstream: corl-team/rebased, `src/mixers/rebased.py`. Unlike the
polynomial of `based`, the kernel can give a token no weight at all. Its features are the f (f + 1) / 2
products of two entries of q' or k'.

A weight may vanish faster than its gradient. The weight of a token that is alone cancels, and values are
taken relative to its own, so that the gradient cancels, too; where all of several weights nearly vanish, the
quotient itself is ill-conditioned, and loses digits in proportion to |q'| |k'| / |q' . k'|.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.mechanisms.based import projected_size, projection
from linrec_bench.attention.ops import feature_map_attention
from linrec_bench.attention.ops.causal_product import Kernel
from linrec_bench.attention.ops.feature_map_attention import FeatureMaps
from linrec_bench.attention.ops.feature_maps import squares
from linrec_bench.attention.spec import Mask, Spec, State, Tokens


class LearnableKernel(nn.Module):
    """W_q and W_k [H, d, f], gamma (ones at first) and beta (zeros) of queries and keys [H, 1, f]; learnt.

    `feature_dim` is f: 0 stands for the published 16, or d where that is less.
    """

    def __init__(self, hidden_size: int, heads: int, *, feature_dim: int = 0) -> None:
        super().__init__()
        d = hidden_size // heads
        f = projected_size(feature_dim, d)
        self.query_projection = projection(heads, d, f)
        self.key_projection = projection(heads, d, f)
        self.query_gamma = nn.Parameter(torch.ones(heads, 1, f))
        self.query_beta = nn.Parameter(torch.zeros(heads, 1, f))
        self.key_gamma = nn.Parameter(torch.ones(heads, 1, f))
        self.key_beta = nn.Parameter(torch.zeros(heads, 1, f))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return dict(self.named_parameters())


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    query_projection: Float[Tensor, "H d f"],
    query_gamma: Float[Tensor, "H 1 f"],
    query_beta: Float[Tensor, "H 1 f"],
    key_projection: Float[Tensor, "H d f"],
    key_gamma: Float[Tensor, "H 1 f"],
    key_beta: Float[Tensor, "H 1 f"],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-12,
) -> Tokens:
    """o [B, H, N, d] in O(N f^2 d) operations; see the module for the equation."""
    weights = (query_projection, query_gamma, query_beta, key_projection, key_gamma, key_beta)
    count = _feature_count(query_projection.shape[-1])
    return feature_map_attention.attend(
        MAPS, (q, k, v), padding_mask, weights=weights, features=count, causal=causal, eps=eps
    )


def init_state(like: Float[Tensor, "B H _ d"], *, feature_dim: int = 0) -> State:
    """Both sums = 0: [B, H, f (f + 1) / 2, d + 1]."""
    f = projected_size(feature_dim, like.shape[-1])
    return feature_map_attention.init_state(like, features=_feature_count(f))


def _feature_count(feature_dim: int) -> int:
    return feature_dim * (feature_dim + 1) // 2


SQUARE = Kernel(torch.square, squares)
"""(x . y)^2."""


def _queries(q: Tensor, *weights: Tensor) -> Tensor:
    return _affine(q, *weights[:3])


def _keys(k: Tensor, *weights: Tensor) -> Tensor:
    return _affine(k, *weights[3:])


def _affine(x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    x = x @ weight
    # Squares of inner products are then divided by f.
    root: float = x.shape[-1] ** -0.25
    return (F.layer_norm(x, x.shape[-1:]) * gamma + beta) * root


MAPS = FeatureMaps(queries=_queries, keys=_keys, kernel=SQUARE, vanishing=True)


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    query_projection: Float[Tensor, "H d f"],
    query_gamma: Float[Tensor, "H 1 f"],
    query_beta: Float[Tensor, "H 1 f"],
    key_projection: Float[Tensor, "H d f"],
    key_gamma: Float[Tensor, "H 1 f"],
    key_beta: Float[Tensor, "H 1 f"],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-12,
) -> Tokens:
    """The squares of the N x N scores, masked, and the average of the values that they weigh.

    Values are taken relative to that of the heaviest token of each row: for a single one the gradient of the
    plain quotient is the rounding of two large numbers.
    """

    def mapped(x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        x = torch.einsum("bhnd,hdf->bhnf", x, weight)
        x = x - x.mean(dim=-1, keepdim=True)
        x = x / (x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        return x * gamma + beta

    queries = mapped(q, query_projection, query_gamma, query_beta)
    keys = mapped(k, key_projection, key_gamma, key_beta)
    scores = torch.einsum("bhif,bhjf->bhij", queries, keys)
    weights = scores**2 / query_projection.shape[-1]
    if causal:
        weights = weights.tril()
    if padding_mask is not None:
        weights = weights * padding_mask[:, None, None, :]
    heaviest = weights.argmax(dim=-1)[..., None].expand(-1, -1, -1, v.shape[-1])
    centre = v.detach().gather(2, heaviest)
    apart = torch.einsum("bhij,bhijd->bhid", weights, v[:, :, None] - centre[:, :, :, None])
    return centre + (apart - eps * centre) / (weights.sum(dim=-1, keepdim=True) + eps)


SPEC = Spec(
    name="rebased",
    title="ReBased (learnable quadratic kernel)",
    paper="Linear Transformers with Learnable Kernel Functions, ACL 2024, arXiv 2402.10644",
    formula="weights (q' . k')^2 / f, x' = gamma norm(x W) + beta, divided by their sum",
    source="github.com/corl-team/rebased, src/mixers/rebased.py",
    deviations=(
        "W_q and W_k project the q and k of each head; upstream projects the hidden state to f at once",
        "norm runs over the f entries of a head; upstream's runs over all heads together",
        "without the sliding windows and convolutions of the paper's models",
        "padded tokens stay out of both sums",
    ),
    core=core,
    reference=reference,
    complexity="4 N d D a head, D = f(f+1)/2 features (f = 16: 136)",
    decode_state="(d + 1) D numbers a head, D = f(f+1)/2 (f = 16: 136)",
    gate_module=LearnableKernel,
    init_state=init_state,
    step=feature_map_attention.step_of(
        MAPS, core, "query_projection", "query_gamma", "query_beta", "key_projection", "key_gamma", "key_beta"
    ),
)
