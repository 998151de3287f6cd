"""Gated linear attention: each feature of the state forgets at a rate that the token sets.

    S_t = diag(alpha_t) S_{t-1} + k_t v_t^T,    o_t = S_t^T q_t,    alpha_t = sigmoid(x_t W_1 W_2 + b)^(1/tau)

Yang et al. 2024, "Gated Linear Attention Transformers with Hardware-Efficient Training" (ICML 2024, arXiv
2312.06635): section 4.1 for the recurrence, 4.4 for the gate and the layer. Upstream:
fla-org/flash-linear-attention, `layers/gla.py`. `core` takes log alpha, since products of many alphas vanish;
the gate module makes it with the rank 16 and tau = 16 of the paper. Causal only. Padded tokens neither decay
nor add to the state.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.backends import fla
from linrec_bench.attention.layer import split_heads
from linrec_bench.attention.ops.blockwise import decoder, scan, zero_state
from linrec_bench.attention.ops.decayed_product import decayed_product
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.published_layers import GatedLayer, norm_of_unscaled
from linrec_bench.attention.spec import Mask, Spec, State, Tokens
from linrec_bench.parameters import EAGER


def core(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, log_decay: Tokens
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; log_decay <= 0. Raises `Unsupported` unless `causal`."""
    SPEC.check_direction(causal=causal)
    return scan(_step, zero_state(q), (q, k, v, log_decay), padding_mask)


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, pad: Tensor | None
) -> tuple[State, Tensor]:
    out, after = decayed_product(q, drop_padding(k, pad), v, drop_padding(log_decay, pad), state[0])
    return (after,), out


def reference(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, log_decay: Tokens
) -> Tokens:
    """The recurrence as written, one token after another."""
    SPEC.check_direction(causal=causal)
    batch, heads, length, d = q.shape
    real = torch.ones_like(q[:, 0, :, 0]) if padding_mask is None else padding_mask.to(q.dtype)
    state = q.new_zeros(batch, heads, d, d)
    rows = []
    for t in range(length):
        here = real[:, t, None, None, None]
        decay = log_decay[:, :, t, :, None].exp() * here + (1 - here)
        state = decay * state + here * k[:, :, t, :, None] * v[:, :, t, None, :]
        rows.append((q[:, :, t, :, None] * state).sum(dim=2))
    return torch.stack(rows, dim=2)


class LowRankGate(nn.Module):
    """log alpha = logsigmoid(x W_1 W_2 + b) / tau, W_1 of width `gate_rank`."""

    def __init__(self, hidden_size: int, heads: int, *, gate_rank: int = 16, tau: float = 16.0) -> None:
        super().__init__()
        self.heads, self.tau = heads, tau
        self.down = nn.Linear(hidden_size, gate_rank, bias=False)
        self.up = nn.Linear(gate_rank, hidden_size)

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        log_decay = F.logsigmoid(self.up(self.down(x))) / self.tau
        return {"log_decay": split_heads(log_decay, self.heads)}


class GlaLayer(GatedLayer):
    """The GLA layer, section 4.4: SiLU(x W_g) * norm of each head, projected."""

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        gate_rank: int = 16,
        tau: float = 16.0,
        backend: str = EAGER,
    ) -> None:
        SPEC.check_direction(causal=causal)
        super().__init__(
            hidden_size,
            heads,
            spec=SPEC,
            seq_len=seq_len,
            norm=norm_of_unscaled(hidden_size // heads),
            gates=LowRankGate(hidden_size, heads, gate_rank=gate_rank, tau=tau),
            backend=backend,
        )


SPEC = Spec(
    name="gla",
    title="Gated linear attention (GLA)",
    paper="Gated Linear Attention Transformers, ICML 2024, arXiv 2312.06635",
    formula="S_t = diag(alpha_t) S_(t-1) + k_t v_t^T, o_t = S_t^T q_t, alpha = sigmoid(x W1 W2 + b)^(1/16)",
    source="github.com/fla-org/flash-linear-attention, fla/layers/gla.py",
    deviations=(
        "keys as wide as values; the paper's are half as wide",
        "core: no scale 1 / sqrt(d) on q, as in the paper; the code has it; layer: d times the epsilon in "
        "the norm of the output, which gives the same outputs",
        "layer: root mean square norm and an output gate without bias, as in the code",
        "padded tokens neither decay nor add to the state",
    ),
    core=core,
    reference=reference,
    backends={"fla": fla.backend(fla.gated, tokens=("log_decay",))},
    bidirectional=False,
    complexity="N d (3 C + 4 d) + 32 N d^2 / C a head, chunks of C; gates of rank r 4 N d r",
    decode_state="d^2 numbers a head",
    tokens=("log_decay",),
    gate_module=LowRankGate,
    layer=GlaLayer,
    init_state=zero_state,
    step=decoder(_step, core, tokens=("log_decay",)),
)
