"""Nystromformer: softmax attention through landmarks, the means of consecutive tokens.

    o = softmax(q K~^T / sqrt(d)) pinv(softmax(Q~ K~^T / sqrt(d))) softmax(Q~ k^T / sqrt(d)) v

Xiong et al. 2021, Nystromformer (AAAI 2021, arXiv 2102.03902), equations 13 and 14; Q~ and K~ [m, d] are
means of m segments of the sequence. Upstream: mlpen/Nystromformer. The pseudo-inverse is that of the paper,
six steps of the third-order iteration of Razavi et al. 2014, from Z_0 = A^T / (|A|_1 |A|_inf):

    Z <- Z / 4 (13 I - A Z (15 I - A Z (7 I - A Z)))

so that it is an approximation, and part of the definition. With at most m tokens the landmarks would be the
tokens: the weights are then the exact ones of softmax, as in the official code.

Segments are those of the real tokens, wherever padding stands. Landmarks see all tokens: no causal form.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from linrec_bench.attention.layer import AttentionLayer, join_heads
from linrec_bench.attention.mechanisms.sdpa import kernel
from linrec_bench.attention.ops.blockwise import state_dtype
from linrec_bench.attention.ops.compact_padding import real_first, take
from linrec_bench.attention.spec import Mask, Spec, Tokens


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    landmarks: int = 64,
    iterations: int = 6,
) -> Tokens:
    """o [B, H, N, d] in O(N m d + m^3) operations; half types are computed in float32.

    A row of padding alone gives finite numbers without meaning.
    """
    del causal
    dtype, length = q.dtype, q.shape[2]
    # The pseudo-inverse amplifies roundings of what it is multiplied with.
    q, k, v = (x.to(state_dtype(x)) for x in (q, k, v))
    if length <= landmarks:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=_seen(padding_mask)).to(dtype)
    places, inside = _segments(padding_mask, q, landmarks)
    queries, keys = (_means(x, places, inside) for x in (q, k))
    pinv = _pinv((queries * q.shape[-1] ** -0.5 @ keys.mT).softmax(dim=-1), iterations)
    values = pinv @ F.scaled_dot_product_attention(queries, k, v, attn_mask=_seen(padding_mask))
    filled = None
    if padding_mask is not None:
        # A row with at most m real tokens has each in a segment of its own: exact softmax over these.
        few = padding_mask.sum(dim=1) <= landmarks
        values = torch.where(few[:, None, None, None], _means(v, places, inside), values)
        filled = _seen(inside.any(dim=-1))
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=filled).to(dtype)


def _seen(real: Mask) -> Bool[Tensor, "B 1 1 N"] | None:
    """A mask of keys; rows of padding alone see everything: kernels differ in what they give for nothing."""
    return None if real is None else (real | ~real.any(dim=1, keepdim=True))[:, None, None, :]


def _segments(
    padding_mask: Mask, like: Tokens, count: int
) -> tuple[Int[Tensor, "B m c"], Bool[Tensor, "B m c"]]:
    """The places of the tokens of each segment, and which of these places belong to it.

    Token t of n goes to segment floor(t m / n): sizes differ by one at most.
    """
    batch, _, length, _ = like.shape
    order = torch.arange(length, device=like.device).expand(batch, -1)
    real = order.new_full((batch,), length)
    if padding_mask is not None:
        order, real = real_first(padding_mask), padding_mask.sum(dim=1)
    starts = (torch.arange(count + 1, device=like.device) * real[:, None] + count - 1) // count
    offsets = torch.arange(-(-length // count), device=like.device)
    places = starts[:, :-1, None] + offsets
    inside = places < starts[:, 1:, None]
    return order.gather(1, places.clamp(max=length - 1).flatten(1)).view_as(places), inside


def _means(
    x: Tokens, places: Int[Tensor, "B m c"], inside: Bool[Tensor, "B m c"]
) -> Float[Tensor, "B H m d"]:
    """The mean of each segment, zero for an empty one."""
    inside = inside[:, None, :, :, None]
    tokens = take(x, places.flatten(1)).unflatten(2, places.shape[1:])
    sums: Tensor = tokens.masked_fill(~inside, 0).sum(dim=3)
    return sums / inside.sum(dim=3).clamp(min=1)


def _pinv(matrix: Float[Tensor, "B H m m"], iterations: int) -> Float[Tensor, "B H m m"]:
    """The approximate Moore-Penrose inverse of each matrix; its rows sum to one, so that |A|_inf is 1."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    # The norm of each matrix alone: the official code takes the largest of the batch.
    inverse = matrix.mT / matrix.sum(dim=-2).amax(dim=-1)[..., None, None]
    for _ in range(iterations):
        product = matrix @ inverse
        inner = 15 * identity - product @ (7 * identity - product)
        inverse = 0.25 * inverse @ (13 * identity - product @ inner)
    return inverse


class NystromformerLayer(AttentionLayer):
    """The published layer: to the mixed tokens it adds the values, convolved along the sequence.

    One kernel a head, of `kernel_size` tokens centred on each (section 4 of the paper, as a residual); padded
    tokens count as zeros.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        landmarks: int = 64,
        iterations: int = 6,
        kernel_size: int = 33,
    ) -> None:
        params: dict[str, object] = {"landmarks": landmarks, "iterations": iterations}
        super().__init__(hidden_size, heads, spec=SPEC, causal=causal, seq_len=seq_len, params=params)
        if kernel_size % 2 == 0:
            raise ValueError(
                f"attention nystromformer: kernel_size is {kernel_size}; expected an odd number, "
                "so that a token is in the middle"
            )
        self.conv = nn.Conv2d(
            heads, heads, (kernel_size, 1), padding=(kernel_size // 2, 0), groups=heads, bias=False
        )

    def mixed(self, x: Float[Tensor, "B N D"], padding_mask: Mask = None) -> Float[Tensor, "B N D"]:
        q, k, v, _ = self.enter(x)
        mixed = self.attention(q, k, v, padding_mask)
        if padding_mask is not None:
            v = v.masked_fill(~padding_mask[:, None, :, None], 0)
        return join_heads(mixed + self.conv(v))


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    landmarks: int = 64,
    iterations: int = 6,
) -> Tokens:
    """One row of the batch after another, its real tokens alone: the three matrices written out."""
    del causal
    out = torch.zeros_like(v)
    for row in range(q.shape[0]):
        real = torch.arange(q.shape[2], device=q.device)
        if padding_mask is not None:
            real = real[padding_mask[row]]
        if len(real):
            parts = (x[row][:, real] for x in (q, k, v))
            out[row, :, real] = _one_sequence(*parts, landmarks=landmarks, iterations=iterations)
    return out


def _one_sequence(q: Tensor, k: Tensor, v: Tensor, *, landmarks: int, iterations: int) -> Tensor:
    """q, k, v [H, n, d] without padding."""
    count, scale = q.shape[1], q.shape[2] ** -0.5
    if count <= landmarks:
        return torch.softmax(torch.einsum("hid,hjd->hij", q, k) * scale, dim=-1) @ v
    member = torch.arange(count, device=q.device) * landmarks // count
    belongs = (member == torch.arange(landmarks, device=q.device)[:, None]).to(q.dtype)
    queries, keys = (belongs @ x / belongs.sum(dim=1, keepdim=True) for x in (q, k))
    to_landmarks = torch.softmax(torch.einsum("hid,hjd->hij", q, keys) * scale, dim=-1)
    between = torch.softmax(torch.einsum("hid,hjd->hij", queries, keys) * scale, dim=-1)
    to_tokens = torch.softmax(torch.einsum("hid,hjd->hij", queries, k) * scale, dim=-1)
    identity = torch.eye(landmarks, dtype=q.dtype, device=q.device).expand_as(between)
    columns, rows = between.sum(dim=1).amax(dim=1), between.sum(dim=2).amax(dim=1)
    z = between.transpose(1, 2) / (columns * rows)[:, None, None]
    for _ in range(iterations):
        az = between @ z
        z = z @ (13 * identity - 15 * az + 7 * az @ az - az @ az @ az) / 4
    return to_landmarks @ (z @ (to_tokens @ v))


SPEC = Spec(
    name="nystromformer",
    title="Nystromformer (landmarks)",
    paper="Nystromformer, AAAI 2021, arXiv 2102.03902",
    formula="softmax(q K~^T) pinv(softmax(Q~ K~^T)) softmax(Q~ k^T) v, each over sqrt(d), six iterations",
    source="github.com/mlpen/Nystromformer",
    deviations=(
        "the pseudo-inverse starts from the norm of each matrix; the official code takes the largest of the "
        "batch and its heads: outputs of a layer differ by 0.1% of their root mean square",
        "segments hold real tokens only; the official code averages over padding too",
        "any N: segments differ by one token at most; the official code wants a multiple of the landmarks",
        "half types are computed in float32",
        "the convolution of the values belongs to the layer, not to the core",
    ),
    core=core,
    reference=reference,
    causal=False,
    permutation_equivariant=False,
    complexity="8 N m d + O(m^3) a head, m landmarks",
    decode_state="none: no causal form",
    layer=NystromformerLayer,
    kernel=kernel,
)
