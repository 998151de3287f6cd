"""Performer: softmax attention estimated by positive orthogonal random features (FAVOR+).

    o_i = sum_j phi(q_i) . phi(k_j) v_j / (sum_j phi(q_i) . phi(k_j) + eps)
    phi(x)_r = exp(w_r . y - |y|^2 / 2) / sqrt(m),  y = x / d^(1/4),  r = 1 .. m

Choromanski et al. 2021, "Rethinking Attention with Performers" (ICLR 2021, arXiv 2009.14794), lemma 1 and
section 2.4; j runs over all tokens, or up to i if causal. E phi(q) . phi(k) = exp(q . k / sqrt(d)) for w_r ~
N(0, 1), so that the quotient tends to softmax attention as m grows. The w_r are rows of random orthogonal
matrices, d at a time, with the lengths of normal vectors; all heads share them. Upstream:
google-research/performer, `fast_attention.py`.

Stable without a look at other tokens: the factor exp(-|y|^2 / 2) of a query cancels, and its largest
exponent may be subtracted; that of a key is at most |w_r|^2 / 2, as w . y - |y|^2 / 2 = |w|^2 / 2 -
|w - y|^2 / 2, which float32 holds for head sizes up to about 100 whatever the keys are.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.ops import feature_map_attention
from linrec_bench.attention.ops.feature_map_attention import FeatureMaps
from linrec_bench.attention.ops.row_normalise import weigh_plainly
from linrec_bench.attention.spec import Mask, Spec, State, Tokens


class RandomFeatures(nn.Module):
    """The projection [m, d], drawn once from torch's generator: a buffer, the same for every head.

    `features` is m; 0 stands for 4 d, which is the 256 of the paper's experiments at d = 64. Raises
    `ValueError` when it is negative.
    """

    projection: Tensor

    def __init__(self, hidden_size: int, heads: int, *, features: int = 0) -> None:
        super().__init__()
        d = hidden_size // heads
        drawn = orthogonal_features(feature_count(features, d), d)
        self.register_buffer("projection", drawn.to(torch.get_default_dtype()))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return {"projection": self.projection}


def feature_count(features: int, head_size: int) -> int:
    """m for the setting `features`; `ValueError` when it is negative."""
    if features < 0:
        raise ValueError(f"attention performer: features is {features}; expected 1 or more, or 0 for 4 d")
    return features or 4 * head_size


def orthogonal_features(features: int, head_size: int) -> Float[Tensor, "m d"]:
    """Rows that are each N(0, 1) in d dimensions, and orthogonal to the others of their d; float64."""
    blocks = -(-features // head_size)
    normal = torch.randn(blocks, head_size, head_size, dtype=torch.float64)
    directions, triangle = torch.linalg.qr(normal)
    # With the signs of the diagonal the factor is uniform over rotations (Mezzadri 2007, math-ph/0609050).
    directions = directions * triangle.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    lengths = torch.randn(features, head_size, dtype=torch.float64).norm(dim=-1, keepdim=True)
    drawn: Tensor = directions.mT.flatten(0, 1)[:features] * lengths
    return drawn


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    projection: Float[Tensor, "m d"],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-6,
) -> Tokens:
    """o [B, H, N, d] in O(N m d) operations; see the module for the equation."""
    weights = (projection,)
    return feature_map_attention.attend(
        MAPS, (q, k, v), padding_mask, weights=weights, features=len(projection), causal=causal, eps=eps
    )


def init_state(like: Float[Tensor, "B H _ d"], *, features: int = 0) -> State:
    """Both sums = 0: [B, H, m, d + 1]."""
    return feature_map_attention.init_state(like, features=feature_count(features, like.shape[-1]))


def _scaled(x: Tensor) -> Tensor:
    root: float = x.shape[-1] ** -0.25
    return x * root


def _queries(q: Tensor, projection: Tensor) -> Tensor:
    # Both factors 1 / sqrt(m) here. The maximum cancels but for eps.
    exponents = _scaled(q) @ projection.mT
    return (exponents - exponents.amax(dim=-1, keepdim=True)).exp() / projection.shape[0]


def _keys(k: Tensor, projection: Tensor) -> Tensor:
    k = _scaled(k)
    return (k @ projection.mT - k.square().sum(dim=-1, keepdim=True) / 2).exp()


MAPS = FeatureMaps(queries=_queries, keys=_keys)


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    projection: Float[Tensor, "m d"],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-6,
) -> Tokens:
    """The N x N estimates of exp(q . k / sqrt(d)), up to a factor for each query, divided by their sums."""
    size = q.shape[-1] ** 0.25
    queries = torch.einsum("bhid,md->bhim", q / size, projection)
    keys = torch.einsum("bhjd,md->bhjm", k / size, projection)
    keys = keys - (k / size).norm(dim=-1, keepdim=True) ** 2 / 2
    queries = queries - queries.max(dim=-1, keepdim=True).values
    weights = torch.einsum("bhim,bhjm->bhij", queries.exp(), keys.exp()) / projection.shape[0]
    return weigh_plainly(weights, v, padding_mask, causal=causal, eps=eps)


SPEC = Spec(
    name="performer",
    title="Performer (FAVOR+)",
    paper="Rethinking Attention with Performers, ICLR 2021, arXiv 2009.14794",
    formula="phi(q)(phi(k)^T v) / (phi(q) . sum phi(k) + eps), phi(x) = exp(W y - |y|^2/2), y = x / d^(1/4)",
    source="github.com/google-research/google-research, performer/fast_attention",
    deviations=(
        "no maximum over the keys is subtracted: exponents of keys are bounded, and a maximum over tokens "
        "would let the future and the batch in through eps",
        "eps stands in the denominator alone; the official code adds 1e-6 to every feature (1e-4 where its "
        "feature map is used alone), relative to the largest: outputs for standard normal q, k and v of 16 "
        "features, N = 200, differ by 0.003 to 0.004 in root mean square (0.09 to 0.13)",
        "m = 4 d features by default, 256 at head size 64; the paper's d log d is a setting away",
        "features are drawn once and not redrawn in training",
        "padded tokens stay out of both sums",
    ),
    core=core,
    reference=reference,
    complexity="8 N d m a head (m = 4 d features: 32 N d^2)",
    decode_state="m (d + 1) numbers a head (m = 4 d: 4 d^2 + 4 d)",
    gate_module=RandomFeatures,
    init_state=init_state,
    step=feature_map_attention.step_of(MAPS, core, "projection"),
)
