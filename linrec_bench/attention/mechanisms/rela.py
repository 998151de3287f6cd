"""RELA: linear attention with rotary positions after the features, the linear part of RecGRELA.

    y_i = [R_i phi(q_i)] S / (phi(q_i) . z + eps),    phi = elu + 1
    S = (1/n) sum_j (R_j phi(k_j))^T v_j,    z = (1/n) sum_j phi(k_j)

"RecGRELA" 2025 (arXiv 2506.13315). Upstream: TBI805/RecGRELA, `model/RecGRELA.py`,
`RotaryEnhancedLinearAttention`. The normaliser is not rotated. R_n turns each pair of neighbouring features
by n times the angle of the pair, 10000^(-2p / D) for pair p of all D = H d features: rotation comes before
the heads are split, so that heads have angles of their own. n is the number of tokens that are summed; but
for eps it cancels.

Published over the whole sequence; the causal form sums up to i and divides by i. Positions and n count real
tokens: upstream counts padding in n, and lets it into both sums.

The layer is q, k = x W + b, v = x, y = RELA(q, k, v) + SiLU(conv(v)), with a depth-wise causal convolution
over four tokens. The gate and the projections around it belong to the block of RecGRELA.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Real
from torch import Tensor, nn

from linrec_bench.attention.layer import MechanismLayer, join_heads, split_heads
from linrec_bench.attention.ops.block_sizes import real_counts
from linrec_bench.attention.ops.blockwise import decoder, pads, scan, state_dtype, sum_then_read
from linrec_bench.attention.ops.causal_product import causal_product
from linrec_bench.attention.ops.feature_maps import drop_padding, elu_plus_one
from linrec_bench.attention.ops.transposed_matmul import sum_of_outer
from linrec_bench.attention.published_layers import ShortConvolution
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens

BASE = 10_000.0


def core(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, eps: float = 1e-6
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; no token seen gives zero."""
    if causal:
        sums, total, count = init_state(q)
        # Without padding all rows of the batch stand at the same positions.
        count = count[:1] if padding_mask is None else count
        return scan(partial(_step, eps=eps), (sums, total, count), (q, k, v), padding_mask)
    positions = real_counts(q, pads(padding_mask))
    return sum_then_read(_summarise, partial(_read, eps=eps), (q, positions), (k, v, positions), padding_mask)


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """Both sums = 0, [B, H, d, d] and [B, H, 1, d], and how many tokens came, [B, 1, 1, 1]."""
    batch, heads, _, d = like.shape
    zeros = partial(like.new_zeros, dtype=state_dtype(like))
    return zeros(batch, heads, d, d), zeros(batch, heads, 1, d), zeros(batch, 1, 1, 1)


def rotate(x: Events, positions: Real[Tensor, "#B 1 n 1"]) -> Events:
    """R_n x_n over the H d features of a token; the last one of an odd number of them stays."""
    heads, d = x.shape[1], x.shape[-1]
    if d % 2 and heads > 1:
        # The features of a pair may belong to two heads.
        return split_heads(rotate(join_heads(x)[:, None], positions)[:, 0], heads)
    pairs = d // 2
    spacing = torch.arange(heads * pairs, dtype=torch.float64, device=x.device) / (heads * d / 2)
    # An angle of 10^6 leaves float32 a precision of 0.06.
    angles = positions.double() * (BASE**-spacing).view(heads, 1, pairs)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., : 2 * pairs].unflatten(-1, (pairs, 2)).unbind(-1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
    return torch.cat((turned, x[..., 2 * pairs :]), dim=-1) if d % 2 else turned


def _quotient(sums: Tensor, weight: Tensor, count: Tensor, eps: float) -> Tensor:
    """Means are sums over the count, which leaves eps multiplied by it."""
    return sums / (weight + eps * count.clamp(min=1))


def _summarise(k: Tensor, v: Tensor, positions: Tensor, pad: Tensor | None) -> State:
    keys = drop_padding(elu_plus_one(k), pad)
    real = torch.ones_like(positions) if pad is None else (~pad).to(k.dtype)
    products = sum_of_outer(rotate(keys, positions), v)
    return products, keys.sum(dim=2, keepdim=True), real.sum(dim=2, keepdim=True)


def _read(state: State, q: Tensor, positions: Tensor, *, eps: float) -> Tensor:
    products, total, count = state
    queries = elu_plus_one(q)
    return _quotient(rotate(queries, positions) @ products, queries @ total.mT, count, eps)


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, *, eps: float
) -> tuple[State, Tensor]:
    products, total, count = state
    positions = count.detach() + real_counts(k, pad)
    queries, keys = elu_plus_one(q), drop_padding(elu_plus_one(k), pad)
    totals = total + keys.cumsum(dim=2)
    weight = (queries * totals).sum(dim=-1, keepdim=True)
    sums, products = causal_product(rotate(queries, positions), rotate(keys, positions), v, products)
    return (products, totals[:, :, -1:], positions[:, :, -1:]), _quotient(sums, weight, positions, eps)


def reference(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, eps: float = 1e-6
) -> Tokens:
    """The N x N weights above and below the line, pair of features by pair, as complex numbers."""
    batch, heads, length, d = q.shape
    queries, keys = F.elu(q) + 1, F.elu(k) + 1
    visible = q.new_ones(batch, 1, length, length)
    if padding_mask is not None:
        visible = visible * padding_mask[:, None, None, :]
    if causal:
        visible = visible.tril()
    real = q.new_ones(batch, length) if padding_mask is None else padding_mask.to(q.dtype)
    place = real.cumsum(dim=1)
    distance = place[:, :, None] - place[:, None, :]
    above = []
    for head in range(heads):
        # Everything but the features of this head is zero, and pairs that straddle heads stay pairs.
        apart = torch.zeros(batch, length, 2, heads * d + 1, dtype=q.dtype, device=q.device)
        apart[:, :, 0, head * d : (head + 1) * d] = queries[:, head]
        apart[:, :, 1, head * d : (head + 1) * d] = keys[:, head]
        weight = q.new_zeros(batch, length, length)
        for pair in range(head * d // 2, ((head + 1) * d + 1) // 2):
            angle = BASE ** (-2 * pair / (heads * d)) if 2 * pair + 1 < heads * d else 0.0
            first, second = torch.complex(apart[..., 2 * pair], apart[..., 2 * pair + 1]).unbind(2)
            turn = torch.polar(torch.ones_like(distance), angle * distance)
            weight = weight + (first[:, :, None] * turn * second.conj()[:, None, :]).real
        above.append(weight)
    count = visible.sum(dim=-1, keepdim=True).clamp(min=1)
    below = (torch.einsum("bhid,bhjd->bhij", queries, keys) * visible).sum(dim=-1, keepdim=True) / count
    return (torch.stack(above, dim=1) * visible / count) @ v / (below + eps)


class RELALayer(MechanismLayer):
    """Queries and keys projected, values as they come, and the local shortcut added; see the module."""

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        eps: float = 1e-6,
        kernel_size: int = 4,
    ) -> None:
        super().__init__(heads, spec=SPEC, causal=causal, seq_len=seq_len, params={"eps": eps})
        self.qk = nn.Linear(hidden_size, 2 * hidden_size)
        self.shortcut = ShortConvolution(hidden_size, kernel_size=kernel_size)

    def enter(self, x: Float[Tensor, "B n D"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        q, k = self.qk(x).chunk(2, dim=-1)
        return split_heads(q, self.heads), split_heads(k, self.heads), split_heads(x, self.heads), x

    def leave(self, mixed: Events, kept: Tensor) -> Float[Tensor, "B n D"]:
        """`kept` is the local shortcut here."""
        return join_heads(mixed) + kept

    def forward(self, x: Float[Tensor, "B N D"], padding_mask: Mask = None) -> Float[Tensor, "B N D"]:
        *qkv, _ = self.enter(x)
        near: Tensor = self.shortcut(x, padding_mask)
        return self.leave(self.attention(*qkv, padding_mask), near)

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The tokens that the convolution remembers, then the sums, before the first event."""
        return (*self.shortcut.init_state(x), *super().init_state(x))

    def step(self, state: State, x: Float[Tensor, "B n D"]) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state after the events x and their outputs, as `forward` gives them. The old one is spent."""
        *qkv, _ = self.enter(x)
        past, near = self.shortcut.step(state[:1], x)
        sums, mixed = self.attention.step(state[1:], *qkv, seq_len=self.seq_len)
        return (*past, *sums), self.leave(mixed, near)


SPEC = Spec(
    name="rela",
    title="RELA (rotary linear attention of RecGRELA)",
    paper="RecGRELA, 2025, arXiv 2506.13315",
    formula="rot(phi(q)) mean_j rot(phi(k_j))^T v_j / (phi(q) . mean_j phi(k_j) + eps), phi = elu + 1",
    source="github.com/TBI805/RecGRELA, model/RecGRELA.py",
    deviations=(
        "padded tokens stay out of the sums, of the convolution, of positions and of 1/n; the official code "
        "counts them in all four",
        "a causal form, which the official code lacks",
        "the convolution has its SiLU always; without its CUDA kernel the official code forgets it",
    ),
    core=core,
    uses_float64=True,
    reference=reference,
    permutation_equivariant=False,
    complexity="4 N d^2 a head, and 12 N d for the rotations",
    decode_state="d^2 + d numbers a head and a position; the layer's convolution 3 d more",
    layer=RELALayer,
    init_state=init_state,
    step=decoder(_step, core),
)
