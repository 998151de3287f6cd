"""Retention: linear attention that forgets at one rate a head, with rotary positions.

    o_n = sum_{m <= n} gamma^(n-m) (R_n q_n . R_m k_m) / sqrt(d) v_m,    gamma_h = 1 - 2^(-5-h)

Sun et al. 2023, "Retentive Network" (arXiv 2307.08621): equation 5 in parallel, 6 as a recurrence, 7 in
chunks, 8 for the rates. Upstream: microsoft/torchscale, `component/multiscale_retention.py`. R_n turns each
pair of neighbouring features by n times the angle of the pair, 10000^(-i / (d/2 - 1)) for pair i.

The paper's normalisations of scores (section 2.1) multiply a row by a positive number, which the norm of each
head in the layer removes but for its epsilon; `core` has none. The layer is equation 8: each head normalised,
a SiLU gate, a projection. Causal only. Padded tokens are no positions: the state neither decays nor grows at
them.
"""

from __future__ import annotations

from functools import partial
from math import log1p

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from linrec_bench.attention.backends import fla
from linrec_bench.attention.ops.blockwise import decoder, scan, state_dtype
from linrec_bench.attention.ops.decayed_product import decayed_product
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.published_layers import GatedLayer
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens
from linrec_bench.parameters import EAGER


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations. Raises `Unsupported` unless `causal`."""
    SPEC.check_direction(causal=causal)
    product, count = init_state(q)
    # Without padding all rows of the batch stand at the same positions.
    count = count[:1] if padding_mask is None else count
    return scan(_step, (product, count), (q, k, v), padding_mask)


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """Zeros: S [B, H, d, d], number of tokens so far [B, 1, 1, 1]."""
    batch, heads, _, d = like.shape
    zeros = partial(like.new_zeros, dtype=state_dtype(like))
    return zeros(batch, heads, d, d), zeros(batch, 1, 1, 1)


def log_rates(like: Float[Tensor, "B H _ d"]) -> Float[Tensor, "1 H 1 1"]:
    """log gamma_h. From gamma itself, rounded to float32, nothing would be left of it from h = 20 on."""
    rates = [log1p(-(2.0 ** (-5 - head))) for head in range(like.shape[1])]
    return like.new_tensor(rates)[None, :, None, None]


def rotate(x: Events, positions: Real[Tensor, "#B 1 n 1"]) -> Events:
    """R_n x_n; the last feature of an odd number of them stays."""
    pairs = x.shape[-1] // 2
    spacing = torch.arange(pairs, dtype=torch.float64, device=x.device) / max(pairs - 1, 1)
    # An angle of 10^6 leaves float32 a precision of 0.06.
    angles = positions.double() * 10_000.0**-spacing
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., : 2 * pairs].unflatten(-1, (pairs, 2)).unbind(-1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
    return torch.cat((turned, x[..., 2 * pairs :]), dim=-1) if x.shape[-1] % 2 else turned


def _by_kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    positions = torch.arange(1, q.shape[2] + 1, device=q.device)[None, None, :, None]
    queries, keys = rotate(q * q.shape[-1] ** -0.5, positions), rotate(k, positions)
    return fla.decayed_at_one_rate(queries, keys, v, log_rates(q.float()).flatten())


def _step(state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> tuple[State, Tensor]:
    product, count = state
    real = torch.ones_like(k[:1, :1, :, :1]) if pad is None else (~pad).to(k.dtype)
    positions = count.detach() + real.cumsum(dim=-2)
    rates = log_rates(q)
    log_decay = rates if pad is None else drop_padding(rates.expand(*k.shape[:-1], 1), pad)
    queries, keys = rotate(q * q.shape[-1] ** -0.5, positions), rotate(drop_padding(k, pad), positions)
    out, product = decayed_product(queries, keys, v, log_decay, product)
    return (product, positions[..., -1:, :]), out


def reference(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """(Q K^T * D) V with the N x N weights written out; pairs of features as complex numbers."""
    SPEC.check_direction(causal=causal)
    heads, length, d = q.shape[1:]
    real = q.new_ones(q.shape[0], length) if padding_mask is None else padding_mask.to(q.dtype)
    place = real.cumsum(dim=1)
    distance = place[:, None, :, None] - place[:, None, None, :]
    half = d // 2
    weights = q[..., 2 * half :] @ k[..., 2 * half :].mT
    for i in range(half):
        angle = 10_000.0 ** -(i / max(half - 1, 1))
        first, second = (torch.complex(x[..., 2 * i], x[..., 2 * i + 1]) for x in (q, k))
        turn = torch.polar(torch.ones_like(distance), angle * distance)
        weights = weights + (first[..., :, None] * turn * second.conj()[..., None, :]).real
    gamma = 1 - 2.0 ** (-5 - torch.arange(heads, dtype=q.dtype, device=q.device))
    weights = weights * gamma[:, None, None] ** distance.clamp(min=0) * real[:, None, None, :]
    return torch.matmul(weights.tril() / d**0.5, v)


class RetNetLayer(GatedLayer):
    """Multi-scale retention, equation 8: SiLU(x W_g) * norm of each head, projected."""

    def __init__(
        self, hidden_size: int, heads: int, *, causal: bool, seq_len: int, backend: str = EAGER
    ) -> None:
        SPEC.check_direction(causal=causal)
        norm = nn.LayerNorm(hidden_size // heads, elementwise_affine=False)
        super().__init__(hidden_size, heads, spec=SPEC, seq_len=seq_len, norm=norm, backend=backend)


SPEC = Spec(
    name="retnet",
    title="RetNet (multi-scale retention)",
    paper="Retentive Network, 2023, arXiv 2307.08621",
    formula="(rot(q) rot(k)^T / sqrt(d) * gamma^(n-m)) v, gamma_h = 1 - 2^(-5-h)",
    source="github.com/microsoft/torchscale, component/multiscale_retention.py",
    deviations=(
        "core: no normalisation of scores (paper, section 2.1); the norm of each head cancels it but for its "
        "epsilon: outputs of a layer of 8 features a head differ by 4e-4 of their root mean square",
        "values as wide as keys; the paper's are twice as wide",
        "layer: group norm as in the paper, without weights; the code has a root mean square norm, whose "
        "outputs differ by 27% of their root mean square",
        "an odd head size leaves its last feature without rotation",
        "padded tokens are no positions: no decay and no update",
    ),
    core=core,
    uses_float64=True,
    reference=reference,
    backends={"fla": fla.backend(_by_kernel)},
    bidirectional=False,
    complexity="4 N d (C + d) + 32 N d^2 / C a head, chunks of C",
    decode_state="d^2 numbers a head and a count",
    layer=RetNetLayer,
    init_state=init_state,
    step=decoder(_step, core),
)
