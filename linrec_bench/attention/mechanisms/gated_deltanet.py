"""Gated DeltaNet: the delta rule on a state that decays, by a number of each token and head.

    S_t = a_t (I - beta_t k'_t k'_t^T) S_{t-1} + beta_t k'_t v_t^T,    o_t = S_t^T q'_t,    a_t = exp(g_t)

with q' = q / |q|, k' = k / |k|, beta_t = sigmoid(w . x_t) and, as in Mamba-2 (arXiv 2405.21060),
g_t = -exp(A) softplus(w' . x_t + b). Yang, Kautz and Hatamizadeh 2025, "Gated Delta Networks" (ICLR 2025,
arXiv 2412.06464), equation 10 and section 3.4. Upstream: NVlabs/GatedDeltaNet and
fla-org/flash-linear-attention, `fla/layers/gated_deltanet.py`. Causal only. Padded tokens have beta 0 and
decay 1, and leave the state as it is.

The core takes q and k as they come and scales each row to unit length itself. The layer is

    q, k, v = SiLU(conv(x W)),    y = W_o (norm(o) * SiLU(x W_g))

with a depth-wise causal convolution over 4 tokens and one RMS norm over each head.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.backends import fla
from linrec_bench.attention.layer import split_heads
from linrec_bench.attention.ops.blockwise import decoder, scan, zero_state
from linrec_bench.attention.ops.delta_rule import delta_product
from linrec_bench.attention.ops.feature_maps import drop_padding, unit_rows
from linrec_bench.attention.published_layers import (
    ConvolvedLayer,
    GatedOutput,
    ShortConvolution,
    norm_of_unscaled,
)
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens
from linrec_bench.parameters import EAGER

RATES = (1.0, 16.0)
"""Where exp(A) starts, of each head uniformly."""

STEP_SIZES = (0.001, 0.1)
"""Where softplus(b) starts, of each head with a uniform logarithm."""


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    beta: Float[Tensor, "B H N 1"],
    log_decay: Float[Tensor, "B H N 1"],
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; log_decay <= 0. Raises `Unsupported` unless `causal`."""
    SPEC.check_direction(causal=causal)
    # The solution of a block is a row of 2 d numbers for each token.
    return scan(_step, zero_state(q), (q, k, v, beta, log_decay), padding_mask, width=2 * q.shape[-1])


def _by_kernel(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor) -> Tensor:
    return fla.delta(unit_rows(q), unit_rows(k), v, beta, log_decay)


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor, pad: Tensor | None
) -> tuple[State, Tensor]:
    beta, log_decay = drop_padding(beta, pad), drop_padding(log_decay, pad)
    out, after = delta_product(unit_rows(q), unit_rows(k), v, beta, log_decay, state[0])
    return (after,), out


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    beta: Float[Tensor, "B H N 1"],
    log_decay: Float[Tensor, "B H N 1"],
) -> Tokens:
    """The recurrence in the order of the paper's equation 10, a token at a time."""
    SPEC.check_direction(causal=causal)
    lengths = [x.norm(dim=-1, keepdim=True) for x in (q, k)]
    q, k = (x / torch.where(size > 0, size, 1) for x, size in zip((q, k), lengths, strict=True))
    decay = log_decay.exp()
    if padding_mask is not None:
        real = padding_mask[:, None, :, None]
        beta, decay = beta * real, torch.where(real, decay, 1)
    identity = torch.eye(q.shape[-1], dtype=q.dtype, device=q.device)
    state, rows = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1]), []
    for t in range(q.shape[2]):
        column = k[:, :, t, :, None]
        strength = beta[:, :, t, :, None]
        replaced = identity - strength * column * column.mT
        state = decay[:, :, t, :, None] * (replaced @ state) + strength * column * v[:, :, t, None, :]
        rows.append((q[:, :, t, None, :] @ state).squeeze(2))
    return torch.stack(rows, dim=2)


class BetaAndDecay(nn.Module):
    """beta = sigmoid(x W) and log_decay = -exp(A) softplus(x W' + b), [B, H, N, 1] each."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.beta = nn.Linear(hidden_size, heads, bias=False)
        self.step_size = nn.Linear(hidden_size, heads, bias=False)
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(*RATES).log())
        smallest, largest = map(log, STEP_SIZES)
        sizes = torch.empty(heads).uniform_(smallest, largest).exp()
        # The inverse of softplus.
        self.step_bias = nn.Parameter(sizes + torch.log(-torch.expm1(-sizes)))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        log_decay = -self.log_rate.exp() * F.softplus(self.step_size(x) + self.step_bias)
        return {
            "beta": split_heads(self.beta(x).sigmoid(), self.heads),
            "log_decay": split_heads(log_decay, self.heads),
        }


class GatedDeltaNetLayer(ConvolvedLayer):
    """Projections, short convolutions, the gated delta rule, a norm for each head, a gate, a projection."""

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        kernel_size: int = 4,
        backend: str = EAGER,
    ) -> None:
        super().__init__(heads, spec=SPEC, causal=causal, seq_len=seq_len, params={"backend": backend})
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.convolution = ShortConvolution(3 * hidden_size, kernel_size=kernel_size, bias=False)
        self.gates = BetaAndDecay(hidden_size, heads)
        self.out = GatedOutput(hidden_size, norm=norm_of_unscaled(hidden_size // heads))

    def leave(self, mixed: Events, kept: Tensor) -> Float[Tensor, "B n D"]:
        out: Tensor = self.out(mixed, kept)
        return out


SPEC = Spec(
    name="gated-deltanet",
    title="Gated DeltaNet",
    paper="Gated Delta Networks: Improving Mamba2 with Delta Rule, ICLR 2025, arXiv 2412.06464",
    formula="S = a (I - beta k k^T) S + beta k v^T, S^T q, q and k scaled to unit rows",
    source="github.com/NVlabs/GatedDeltaNet; fla-org/flash-linear-attention, fla/layers/gated_deltanet.py",
    deviations=(
        "padded tokens leave the state as it is; upstream removes them from the sequence",
        "core: no scale 1 / sqrt(d) on q; layer: d times the epsilon in the norm of the output, which gives "
        "the same outputs",
        "a row of zeros gives zero, without the epsilon of 1e-6 in the norms of q and k: outputs of a layer "
        "of 8 features a head differ by 5e-6 of their root mean square",
        "values have the head size of the keys; upstream gives them twice as much by default",
        "exp(A) starts between 1 and 16, as in Mamba-2; upstream starts from 0, whose logarithm is infinite",
    ),
    core=core,
    reference=reference,
    backends={"fla": fla.backend(_by_kernel, tokens=("beta", "log_decay"), widest_head=fla.WIDEST_HEAD)},
    bidirectional=False,
    permutation_equivariant=False,
    complexity="8 N d (C + d) + 6 N d^3 / C a head, C = max(16, d): 22 N d^2 from d = 16 on",
    decode_state="d^2 numbers a head, 3 D (kernel_size - 1) a layer",
    tokens=("beta", "log_decay"),
    gate_module=BetaAndDecay,
    layer=GatedDeltaNetLayer,
    init_state=zero_state,
    step=decoder(_step, core, tokens=("beta", "log_decay")),
)
