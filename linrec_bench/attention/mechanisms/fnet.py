"""FNet: tokens mixed by a Fourier transform, without weights and without regard to what they are.

    o = Re(F_N v F_d),    F_n[a, b] = exp(-2 pi i a b / n)

Lee-Thorp et al. 2021, FNet (NAACL 2022, arXiv 2105.03824), equation 3: the real part of a transform over the
features and one over the sequence, not normalised, so that outputs grow with sqrt(N d). Upstream:
google-research/f_net, `layers.py`. Queries and keys have no part in it.

Every output is a sum over all positions with weights that depend on N: there is no causal form, and padding
cannot be left out.

The published layer has no heads and no projections: `FourierMixing`, which a model gets, transforms the whole
hidden size. `core` transforms each head alone.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.layer import AttentionOp, join_heads, split_heads
from linrec_bench.attention.ops.blockwise import state_dtype
from linrec_bench.attention.spec import Mask, Spec, Tokens


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """o [B, H, N, d] in 5 N d log2(N d) operations a head; half types are transformed in float32."""
    del q, k, padding_mask, causal
    mixed: Tensor = torch.fft.fft2(v.to(state_dtype(v)))
    return mixed.real.to(v.dtype)


class FourierMixing(nn.Module):
    """x -> Re(F_N x F_D): the sublayer of the paper, without a weight. `heads` is not used."""

    def __init__(self, hidden_size: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        del hidden_size, heads
        self.attention = AttentionOp(SPEC, causal=causal)

    def forward(self, x: Float[Tensor, "B N D"], padding_mask: Mask = None) -> Float[Tensor, "B N D"]:
        whole = split_heads(x, 1)
        return join_heads(self.attention(whole, whole, whole, padding_mask))


def reference(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """The cosines and sines of both transforms as matrices; exp(-i(a + b)) has the real part
    cos a cos b - sin a sin b."""
    del q, k, padding_mask, causal
    tokens, features = _angles(v.shape[2], v), _angles(v.shape[3], v)
    return tokens.cos() @ v @ features.cos() - tokens.sin() @ v @ features.sin()


def _angles(points: int, like: Tensor) -> Tensor:
    """2 pi a b / n, with a b taken modulo n while it is a whole number."""
    steps = torch.arange(points, device=like.device)
    return (torch.outer(steps, steps) % points).to(like.dtype) * (2 * math.pi / points)


SPEC = Spec(
    name="fnet",
    title="FNet (Fourier transform)",
    paper="FNet, NAACL 2022, arXiv 2105.03824",
    formula="Re(F_N v F_d)",
    source="github.com/google-research/google-research, f_net",
    deviations=(
        "the core transforms the features of each head; the layer, as published, the whole hidden size",
        "half types are transformed in float32",
    ),
    core=core,
    reference=reference,
    causal=False,
    honours_padding=False,
    permutation_equivariant=False,
    # N log N, between 16k and 1M tokens.
    time_exponent=1.06,
    complexity="5 N d log2(N d) a head",
    decode_state="none: no causal form",
    layer=FourierMixing,
)
