"""Linear attention by features whose inner products are the weights, divided by their own sum.

    o_i = phi_q(q_i) S / (phi_q(q_i) . z + eps),    S = sum_j phi_k(k_j) v_j^T,  z = sum_j phi_k(k_j)

What FAVOR+, Based, ReBased and Hedgehog have in common; they differ in phi. The form is that of
Katharopoulos et al. 2020 (arXiv 2006.16236, section 3.2): j runs over all tokens, or up to i if causal. z is
the sum of one more column of v, of ones. Features are made inside a block and never for a whole sequence;
within a chunk, the weights of a `Kernel` come from its scores without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.ops.blockwise import Step, at_once, decoder, scan, state_dtype, sum_then_read
from linrec_bench.attention.ops.causal_product import INNER_PRODUCT, Kernel, causal_product, chunk_length
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.ops.row_normalise import is_short, weigh
from linrec_bench.attention.ops.transposed_matmul import sum_of_outer
from linrec_bench.attention.spec import Mask, State, Tokens

Map = Callable[..., Tensor]
"""(x [B, H, n, d], *weights) -> [B, H, n, g]; both maps are given all the weights."""


@dataclass(frozen=True, kw_only=True)
class FeatureMaps:
    """What becomes of queries and of keys before `kernel` weighs them, whose features are the mapped queries
    and keys themselves where nothing else is said.

    `vanishing` says that a weight can be far smaller than its gradient: (x . y)^2, but no exponential. The
    gradient of a first token, whose weight is all there is, would then be the rounding of two large numbers.
    Causal sums are therefore taken of values relative to those of the first real token, which is what they
    average to as long as it is alone.
    """

    queries: Map
    keys: Map
    kernel: Kernel = INNER_PRODUCT
    vanishing: bool = False


def attend(
    maps: FeatureMaps,
    tokens: tuple[Tokens, Tokens, Tokens],
    padding_mask: Mask,
    *,
    weights: Sequence[Tensor],
    features: int,
    causal: bool,
    eps: float,
) -> Tokens:
    """o of q, k, v in 4 N d f operations a head for f `features`, and the making of the features."""
    q, _, v = tokens
    if is_short(q):
        direct = partial(_direct, maps=maps, causal=causal, eps=eps)
        return at_once(direct, tokens, padding_mask, weights=weights)
    if causal:
        centred = maps.vanishing
        step = partial(_step, maps=maps, eps=eps, centred=centred)
        start = init_state(q, features=features)
        more = (_first_real(v, padding_mask),) if centred else ()
        return scan(step, start, tokens, padding_mask, weights=(*weights, *more), width=features)
    return sum_then_read(
        partial(_summarise, maps=maps),
        partial(_read, maps=maps, eps=eps),
        (q,),
        tokens[1:],
        padding_mask,
        weights=weights,
        width=features,
    )


def init_state(like: Float[Tensor, "B H _ d"], *, features: int) -> State:
    """S and z = 0, side by side: [B, H, f, d + 1]."""
    batch, heads, _, d = like.shape
    return (like.new_zeros(batch, heads, features, d + 1, dtype=state_dtype(like)),)


def step_of(maps: FeatureMaps, core: Callable[..., Tensor], *weights: str) -> Step:
    """The `step` of a SPEC: S and z after each event, and the quotient that it reads; names of `weights`."""
    return decoder(partial(_step, maps=maps), core, weights=weights)


def with_ones(
    v: Float[Tensor, "B H n d"], pad: Bool[Tensor, "B 1 n 1"] | None
) -> Float[Tensor, "B H n d_and_1"]:
    """v and a column of ones, whose weighted sum is the sum of the weights; rows of padding are zeros."""
    return drop_padding(F.pad(v, (0, 1), value=1.0), pad)


def _direct(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pad: Tensor | None,
    *weights: Tensor,
    maps: FeatureMaps,
    causal: bool,
    eps: float,
) -> Tensor:
    scores = maps.queries(q, *weights) @ maps.keys(k, *weights).mT
    return weigh(maps.kernel.of_scores(scores), v, pad, causal=causal, eps=eps)


def _first_real(
    v: Float[Tensor, "B H N d"], padding_mask: Bool[Tensor, "B N"] | None
) -> Float[Tensor, "B H 1 d"]:
    """The value of the first real token, of a row of padding any. No output depends on it: no gradient."""
    v = v.detach()
    if padding_mask is None:
        return v[:, :, :1]
    first = padding_mask.to(torch.uint8).argmax(dim=1)
    return v.gather(2, first[:, None, None, None].expand(-1, v.shape[1], 1, v.shape[3]))


def _normalise(sums: Tensor, eps: float) -> Tensor:
    return sums[..., :-1] / (sums[..., -1:] + eps)


def _summarise(k: Tensor, v: Tensor, pad: Tensor | None, *weights: Tensor, maps: FeatureMaps) -> State:
    features = maps.kernel.features(maps.keys(k, *weights))
    return (sum_of_outer(features, with_ones(v, pad)),)


def _read(state: State, q: Tensor, *weights: Tensor, maps: FeatureMaps, eps: float) -> Tensor:
    return _normalise(maps.kernel.features(maps.queries(q, *weights)) @ state[0], eps)


def _step(
    state: State,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pad: Tensor | None,
    *weights: Tensor,
    maps: FeatureMaps,
    eps: float,
    centred: bool = False,
) -> tuple[State, Tensor]:
    centre = None
    if centred:
        *weights, centre = weights  # type: ignore[assignment]
        v = v - centre
    sums, after = causal_product(
        maps.queries(q, *weights),
        maps.keys(k, *weights),
        with_ones(v, pad),
        state[0],
        # By the size of v: with many features the triangles of their chunks would outweigh all else.
        chunk=chunk_length(v.shape[-1]),
        kernel=maps.kernel,
    )
    if centre is None:
        return (after,), _normalise(sums, eps)
    # The quotient of the values themselves: all weights together are one, but for eps.
    return (after,), centre + (sums[..., :-1] - eps * centre) / (sums[..., -1:] + eps)
