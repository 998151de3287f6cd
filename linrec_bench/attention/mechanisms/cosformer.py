"""cosFormer: ReLU features, reweighted by a cosine of the distance between tokens.

    o_i = sum_j w_ij v_j / max(sum_j w_ij, eps),    w_ij = relu(q_i) . relu(k_j) cos(pi (i - j) / (2 M))

Qin et al. 2022, "cosFormer: Rethinking Softmax in Attention" (ICLR 2022, arXiv 2202.08791), equations 9 and
10; j runs over all tokens, or up to i if causal. Upstream: OpenNLPLab/cosFormer, `cosformer.py`. By
cos(a - b) = cos a cos b + sin a sin b the weights are inner products of 2 d features, relu(x_i) cos(pi i / (2
M)) and relu(x_i) sin(pi i / (2 M)).

M is the distance at which the weight reaches zero; beyond it weights would be negative. Upstream takes the
length of the batch at hand, so that an output changes with the padding and decoding does not know M. Here M
belongs to the layer: its `seq_len`, or `length_scale` where that is given. Positions count real tokens.
"""

from __future__ import annotations

from functools import partial
from math import pi

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from linrec_bench.attention.ops.block_sizes import real_counts
from linrec_bench.attention.ops.blockwise import at_once, decoder, pads, scan, state_dtype, sum_then_read
from linrec_bench.attention.ops.causal_product import causal_product, chunk_length
from linrec_bench.attention.ops.feature_map_attention import with_ones
from linrec_bench.attention.ops.row_normalise import is_short, weigh
from linrec_bench.attention.ops.transposed_matmul import sum_of_outer
from linrec_bench.attention.spec import Mask, Spec, State, Tokens, Unsupported


class LengthScale(nn.Module):
    """M as a number that is not learnt: `length_scale`, or `seq_len` where that is 0.

    Raises `Unsupported` when more tokens may come than M, and `ValueError` when `length_scale` is negative.
    """

    longest: Tensor

    def __init__(self, hidden_size: int, heads: int, *, seq_len: int, length_scale: int = 0) -> None:
        super().__init__()
        del hidden_size, heads
        if length_scale < 0:
            raise ValueError(f"attention cosformer: length_scale is {length_scale}; expected 1 or more, or 0")
        if 0 < length_scale < seq_len:
            raise Unsupported(
                f"attention cosformer: {seq_len} tokens exceed length_scale {length_scale}, beyond which "
                f"weights are negative; expected {seq_len} or more, or 0 for the length of the layer"
            )
        self.register_buffer("longest", torch.tensor(length_scale or seq_len, dtype=torch.int64))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return {"longest": self.longest}


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    longest: Int[Tensor, ""],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-6,
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; `longest` is M, at least the number of tokens."""
    if is_short(q):
        direct = partial(_direct, causal=causal, eps=eps)
        return at_once(direct, (q, k, v), padding_mask, weights=(longest,))
    width = 2 * q.shape[-1]
    if causal:
        step = partial(_step, eps=eps)
        return scan(step, init_state(q), (q, k, v), padding_mask, weights=(longest,), width=width)
    positions = real_counts(q, pads(padding_mask)) - 1
    return sum_then_read(
        _summarise,
        partial(_read, eps=eps),
        (q, positions),
        (k, v, positions),
        padding_mask,
        weights=(longest,),
        width=width,
    )


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """Both sums = 0, [B, H, 2 d, d + 1], and how many tokens came, [B, 1, 1, 1]."""
    batch, heads, _, d = like.shape
    zeros = partial(like.new_zeros, dtype=state_dtype(like))
    return zeros(batch, heads, 2 * d, d + 1), zeros(batch, 1, 1, 1)


def _features(x: Tensor, positions: Tensor, longest: Tensor) -> Tensor:
    x = x.relu()
    angles = positions * (pi / 2) / longest
    return torch.cat((x * angles.cos(), x * angles.sin()), dim=-1)


def _direct(
    q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, longest: Tensor, *, causal: bool, eps: float
) -> Tensor:
    positions = real_counts(k, pad) - 1
    queries, keys = (_features(x, positions, longest) for x in (q, k))
    return weigh(queries @ keys.mT, v, pad, causal=causal, eps=eps, guard="clamp")


def _normalise(sums: Tensor, eps: float) -> Tensor:
    return sums[..., :-1] / sums[..., -1:].clamp(min=eps)


def _summarise(k: Tensor, v: Tensor, positions: Tensor, pad: Tensor | None, longest: Tensor) -> State:
    return (sum_of_outer(_features(k, positions, longest), with_ones(v, pad)),)


def _read(state: State, q: Tensor, positions: Tensor, longest: Tensor, *, eps: float) -> Tensor:
    return _normalise(_features(q, positions, longest) @ state[0], eps)


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, longest: Tensor, *, eps: float
) -> tuple[State, Tensor]:
    sums, count = state
    counts = count + real_counts(k, pad)
    queries, keys = (_features(x, counts - 1, longest) for x in (q, k))
    chunk = chunk_length(q.shape[-1])
    products, sums = causal_product(queries, keys, with_ones(v, pad), sums, chunk=chunk)
    return (sums, counts[:, :, -1:]), _normalise(products, eps)


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    longest: Int[Tensor, ""],
    padding_mask: Mask = None,
    causal: bool = False,
    eps: float = 1e-6,
) -> Tokens:
    """The N x N weights with the cosine of every distance, masked, divided by their row sums."""
    batch, _, length, _ = q.shape
    real = q.new_ones(batch, length) if padding_mask is None else padding_mask.to(q.dtype)
    places = real.cumsum(dim=1)
    distances = places[:, None, :, None] - places[:, None, None, :]
    weights = torch.einsum("bhid,bhjd->bhij", F.relu(q), F.relu(k)) * (pi * distances / (2 * longest)).cos()
    weights = weights * real[:, None, None, :]
    if causal:
        weights = weights.tril()
    weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=eps)
    return torch.einsum("bhij,bhjd->bhid", weights, v)


SPEC = Spec(
    name="cosformer",
    title="cosFormer",
    paper="cosFormer, ICLR 2022, arXiv 2202.08791",
    formula="weights relu(q_i) . relu(k_j) cos(pi (i - j) / 2M), divided by their sum",
    source="github.com/OpenNLPLab/cosFormer, cosformer.py",
    deviations=(
        "M is the longest sequence of the layer, or length_scale, and not the length of the batch at hand; "
        "a call without a layer takes its N unless length_scale is given",
        "positions count real tokens, and padded ones stay out of both sums",
    ),
    core=core,
    reference=reference,
    permutation_equivariant=False,
    complexity="8 N d^2 a head",
    decode_state="2 d^2 + 2 d numbers a head and a position",
    gate_module=LengthScale,
    init_state=init_state,
    step=decoder(_step, core, weights=("longest",)),
)
