"""Linear transformer: positive features, normalised by their own sum.

    o_i = phi(q_i) S / (phi(q_i) . z + eps),    S = sum_j phi(k_j)^T v_j,  z = sum_j phi(k_j),  phi = elu + 1

Katharopoulos et al. 2020, "Transformers are RNNs" (ICML 2020, arXiv 2006.16236), section 3.2 and, causal,
3.3; j runs over all tokens, or up to i if causal. Upstream: idiap/fast-transformers, `linear_attention.py`
and `causal_linear_attention.py`. The normaliser is one more column of v, of ones: one sum then serves both.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.backends import fla
from linrec_bench.attention.ops.blockwise import decoder, scan, state_dtype, sum_then_read
from linrec_bench.attention.ops.causal_product import causal_product
from linrec_bench.attention.ops.feature_maps import drop_padding, elu_plus_one
from linrec_bench.attention.ops.row_normalise import weigh_plainly
from linrec_bench.attention.ops.transposed_matmul import sum_of_outer
from linrec_bench.attention.spec import Mask, Spec, State, Tokens


def core(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, eps: float = 1e-6
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations. Keys are masked after phi, since phi(0) = 1."""
    if causal:
        return scan(partial(_step, eps=eps), init_state(q), (q, k, v), padding_mask)
    return sum_then_read(_summarise, partial(_read, eps=eps), (q,), (k, v), padding_mask)


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """S and z = 0, side by side: [B, H, d, d + 1]."""
    batch, heads, _, d = like.shape
    return (like.new_zeros(batch, heads, d, d + 1, dtype=state_dtype(like)),)


def _by_kernel(q: Tensor, k: Tensor, v: Tensor, *, eps: float = 1e-6) -> Tensor:
    return fla.averages(elu_plus_one(q), elu_plus_one(k), v, eps=eps)


def _with_ones(v: Tensor) -> Tensor:
    return F.pad(v, (0, 1), value=1.0)


def _normalise(sums: Tensor, eps: float) -> Tensor:
    return sums[..., :-1] / (sums[..., -1:] + eps)


def _summarise(k: Tensor, v: Tensor, pad: Tensor | None) -> State:
    return (sum_of_outer(drop_padding(elu_plus_one(k), pad), _with_ones(v)),)


def _read(state: State, q: Tensor, *, eps: float) -> Tensor:
    return _normalise(elu_plus_one(q) @ state[0], eps)


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, *, eps: float
) -> tuple[State, Tensor]:
    keys = drop_padding(elu_plus_one(k), pad)
    sums, after = causal_product(elu_plus_one(q), keys, _with_ones(v), state[0])
    return (after,), _normalise(sums, eps)


def reference(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, eps: float = 1e-6
) -> Tokens:
    """The N x N weights phi(q_i) . phi(k_j), masked, divided by their row sums."""
    weights = torch.einsum("bhid,bhjd->bhij", F.elu(q) + 1, F.elu(k) + 1)
    return weigh_plainly(weights, v, padding_mask, causal=causal, eps=eps)


SPEC = Spec(
    name="linear-transformer",
    title="Linear transformer (elu + 1)",
    paper="Transformers are RNNs, ICML 2020, arXiv 2006.16236",
    formula="phi(q)(phi(k)^T v) / (phi(q) . sum phi(k) + eps), phi = elu + 1",
    source="github.com/idiap/fast-transformers",
    deviations=("padded tokens stay out of both sums",),
    core=core,
    reference=reference,
    backends={"fla": fla.backend(_by_kernel)},
    complexity="4 N d^2 a head",
    decode_state="d^2 + d numbers a head",
    init_state=init_state,
    step=decoder(_step, core),
)
