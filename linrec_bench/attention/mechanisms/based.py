"""Based: the second-order Taylor polynomial of the exponential, as a feature map.

    o_i = sum_j w_ij v_j / (sum_j w_ij + eps),    w_ij = 1 + s + s^2 / 2,  s = q'_i . k'_j / sqrt(f)
    q' = q W_q,  k' = k W_k in f dimensions, by default 16

Arora et al. 2024, "Simple linear attention language models balance the recall-throughput tradeoff" (ICML
2024, arXiv 2402.18668), section 4; j runs over all tokens, or up to i if causal. Upstream:
HazyResearch/zoology, `mixers/based.py`. The features are 1, the f entries of x / f^(1/4), and the
f (f + 1) / 2 products of two of them: the products x_i x_j and x_j x_i of the upstream map are one feature of
weight sqrt(2). Every weight is at least 1/2, so that the denominator never vanishes.

The paper's models alternate this with sliding-window attention and short convolutions: they belong to a
model, the mechanism here is the Taylor part. The projections to few dimensions are of the mechanism, because
the number of features is quadratic in f; v keeps its d.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.backends import fla
from linrec_bench.attention.ops import feature_map_attention
from linrec_bench.attention.ops.causal_product import Kernel
from linrec_bench.attention.ops.feature_map_attention import FeatureMaps
from linrec_bench.attention.ops.feature_maps import squares
from linrec_bench.attention.ops.row_normalise import weigh_plainly
from linrec_bench.attention.spec import Mask, Spec, State, Tokens, Unsupported


class Projections(nn.Module):
    """W_q and W_k, [H, d, f] each, learnt; `feature_dim` is f, see `projected_size`."""

    def __init__(self, hidden_size: int, heads: int, *, feature_dim: int = 0) -> None:
        super().__init__()
        d = hidden_size // heads
        f = projected_size(feature_dim, d)
        self.query_projection = projection(heads, d, f)
        self.key_projection = projection(heads, d, f)

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return {"query_projection": self.query_projection, "key_projection": self.key_projection}


def projected_size(feature_dim: int, head_size: int) -> int:
    """f for the setting `feature_dim`: 0 stands for the published 16, or d where that is less, as more
    dimensions than d say nothing new. `ValueError` when it is negative."""
    if feature_dim < 0:
        raise ValueError(f"feature_dim is {feature_dim}; expected 1 or more, or 0 for 16 and at most d")
    return feature_dim or min(16, head_size)


def projection(heads: int, head_size: int, feature_dim: int) -> nn.Parameter:
    """A weight [H, d, f] that starts as the weights of `nn.Linear(d, f)` do."""
    bound: float = head_size**-0.5
    return nn.Parameter(torch.empty(heads, head_size, feature_dim).uniform_(-bound, bound))


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    query_projection: Float[Tensor, "H d f"],
    key_projection: Float[Tensor, "H d f"],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-12,
) -> Tokens:
    """o [B, H, N, d] in O(N f^2 d) operations; see the module for the equation."""
    weights, count = (query_projection, key_projection), _feature_count(query_projection.shape[-1])
    return feature_map_attention.attend(
        MAPS, (q, k, v), padding_mask, weights=weights, features=count, causal=causal, eps=eps
    )


def init_state(like: Float[Tensor, "B H _ d"], *, feature_dim: int = 0) -> State:
    """Both sums = 0: [B, H, 1 + f + f (f + 1) / 2, d + 1]."""
    f = projected_size(feature_dim, like.shape[-1])
    return feature_map_attention.init_state(like, features=_feature_count(f))


def _feature_count(feature_dim: int) -> int:
    return 1 + feature_dim + feature_dim * (feature_dim + 1) // 2


def _by_kernel(
    q: Tensor, k: Tensor, v: Tensor, *, query_projection: Tensor, key_projection: Tensor, eps: float = 1e-6
) -> Tensor:
    """`eps` is not used: the kernel has its own, 1e-6."""
    del eps
    feature_dim = query_projection.shape[-1]
    if feature_dim > 16:
        raise Unsupported(f"backend fla takes at most 16 dimensions here, got feature_dim {feature_dim}")
    return fla.taylor(_scaled(q @ query_projection), _scaled(k @ key_projection), v)


def _queries(q: Tensor, query_projection: Tensor, key_projection: Tensor) -> Tensor:
    del key_projection
    return _scaled(q @ query_projection)


def _keys(k: Tensor, query_projection: Tensor, key_projection: Tensor) -> Tensor:
    del query_projection
    return _scaled(k @ key_projection)


def _scaled(x: Tensor) -> Tensor:
    # Inner products are then s, with its sqrt(f).
    root: float = x.shape[-1] ** -0.25
    return x * root


def _polynomial(scores: Tensor) -> Tensor:
    return 1 + scores + scores.square() / 2


def _monomials(x: Tensor) -> Tensor:
    return torch.cat((torch.ones_like(x[..., :1]), x, squares(x) * 0.5**0.5), dim=-1)


TAYLOR = Kernel(_polynomial, _monomials)
"""1 + x . y + (x . y)^2 / 2."""

MAPS = FeatureMaps(queries=_queries, keys=_keys, kernel=TAYLOR)


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    query_projection: Float[Tensor, "H d f"],
    key_projection: Float[Tensor, "H d f"],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-12,
) -> Tokens:
    """The polynomial of the N x N scores, masked, divided by its row sums."""
    queries = torch.einsum("bhid,hdf->bhif", q, query_projection)
    keys = torch.einsum("bhjd,hdf->bhjf", k, key_projection)
    scores = torch.einsum("bhif,bhjf->bhij", queries, keys) / query_projection.shape[-1] ** 0.5
    weights = 1 + scores + scores**2 / 2
    return weigh_plainly(weights, v, padding_mask, causal=causal, eps=eps)


SPEC = Spec(
    name="based",
    title="Based (Taylor features)",
    paper="Simple linear attention language models, ICML 2024, arXiv 2402.18668",
    formula="weights 1 + s + s^2/2, s = (q W_q) . (k W_k) / sqrt(f), divided by their sum",
    source="github.com/HazyResearch/zoology, mixers/based.py",
    deviations=(
        "W_q and W_k project the q and k of each head; upstream projects the hidden state to f at once",
        "the Taylor part alone, without the sliding windows and convolutions of the paper's models",
        "equal products are one feature of weight sqrt(2): 1 + f + f (f + 1) / 2 features, not 1 + f + f^2",
        "padded tokens stay out of both sums",
    ),
    core=core,
    reference=reference,
    backends={"fla": fla.backend(_by_kernel)},
    complexity="4 N d D a head, D = 1 + f + f(f+1)/2 features (f = 16: 153)",
    decode_state="(d + 1) D numbers a head, D = 1 + f + f(f+1)/2 (f = 16: 153)",
    gate_module=Projections,
    init_state=init_state,
    step=feature_map_attention.step_of(MAPS, core, "query_projection", "key_projection"),
)
