"""FuXi-Linear: what, when and where, in three linear channels; here the first of them, and their layer.

    o_i = sum_{j <= i} (q_i . k_j) exp(-g_h (i - j + 1)) v_j,    g_h = exp(-sum_{l <= h} softplus(a_l))

The retention channel of FuXi-Linear 2026 (arXiv 2602.23671): one learnt rate g_h a head, each smaller than
the one before, no softmax and no normaliser. Upstream: USTC-StarTeam/fuxi-linear, `fuxi_modules/attn.py`,
`Retention`, and `fuxi_linear.py` for the block. The other two channels are `fuxi_temporal` and
`fuxi_positional`. Causal only. Padded tokens are no positions: neither decay nor update.

The layer joins the channels, n = LN(x):

    [u, q, k, v] = SiLU(n W),    y = W_0 dropout(u * [LN(retention) || LN(temporal) || LN(positional)])

with u as wide as all three. Norms have no weights. The residual connection and the feed-forward network
behind it are the model's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from linrec_bench.attention.layer import AttentionOp, join_heads, split_heads
from linrec_bench.attention.mechanisms.fuxi_positional import PositionalChannel
from linrec_bench.attention.mechanisms.fuxi_temporal import TemporalChannel
from linrec_bench.attention.ops.blockwise import decoder, scan, zero_state
from linrec_bench.attention.ops.decayed_product import decayed_product
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.spec import Mask, Spec, State, Tokens


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    rate: Float[Tensor, "H 1 1"],
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; `rate` is g > 0. Raises `Unsupported` unless `causal`."""
    SPEC.check_direction(causal=causal)
    return scan(_step, zero_state(q), (q, k, v), padding_mask, weights=(rate,))


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, rate: Tensor
) -> tuple[State, Tensor]:
    log_decay = -rate[None]
    if pad is not None:
        log_decay = drop_padding(log_decay.expand(*k.shape[:-1], 1), pad)
    # A token itself has decayed once when it is read.
    out, after = decayed_product(q * (-rate).exp(), drop_padding(k, pad), v, log_decay, state[0])
    return (after,), out


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    rate: Float[Tensor, "H 1 1"],
) -> Tokens:
    """The N x N weights written out, with distances that count real tokens."""
    SPEC.check_direction(causal=causal)
    batch, _, length, _ = q.shape
    real = q.new_ones(batch, length) if padding_mask is None else padding_mask.to(q.dtype)
    place = real.cumsum(dim=1)[:, None]
    distance = (place[..., :, None] - place[..., None, :] + 1).clamp(min=0)
    weights = torch.einsum("bhid,bhjd->bhij", q, k) * (-rate * distance).exp()
    return (weights * real[:, None, None, :]).tril() @ v


class Rates(nn.Module):
    """g_h from one learnt number a head, drawn as upstream draws them: near 1/2, 1/4, 1/8 and on."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        del hidden_size
        self.steps = nn.Parameter(0.02 * torch.randn(heads))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return {"rate": (-F.softplus(self.steps).cumsum(dim=0)).exp()[:, None, None]}


class FuXiLinearLayer(nn.Module):
    """Retention, temporal and positional channel side by side, normalised, gated and projected."""

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        base: int = 2,
        start: int = 10,
        stride: int = 3,
        position_size: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.seq_len = heads, seq_len
        self.project = nn.Linear(hidden_size, 6 * hidden_size, bias=False)
        nn.init.normal_(self.project.weight, std=0.02)
        self.gates = Rates(hidden_size, heads)
        self.attention = AttentionOp(SPEC, causal=causal)
        self.temporal = TemporalChannel(
            hidden_size, heads, causal=causal, seq_len=seq_len, base=base, start=start, stride=stride
        )
        self.positional = PositionalChannel(
            hidden_size, heads, causal=causal, seq_len=seq_len, position_size=position_size
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(3 * hidden_size, hidden_size, bias=False)

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Mask, timestamps: Shaped[Tensor, "B N_plus_1"]
    ) -> Float[Tensor, "B N D"]:
        normed, gate, q, k, v = self._split(x)
        what = join_heads(self.attention(q, k, v, padding_mask, **self.gates(x)))
        when = self.temporal(normed, padding_mask, timestamps)
        where = self.positional(normed, padding_mask)
        return self._leave(gate, what, when, where)

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The states of the three channels in their order, before the first event."""
        what = self.attention.init_state(split_heads(x, self.heads), seq_len=self.seq_len)
        return (*what, *self.temporal.init_state(x), *self.positional.init_state(x))

    def step(
        self, state: State, x: Float[Tensor, "B n D"], timestamps: Shaped[Tensor, "B n_plus_1"]
    ) -> tuple[State, Float[Tensor, "B n D"]]:
        """The states after the events x and their outputs, as `forward` gives them. The old are spent."""
        normed, gate, q, k, v = self._split(x)
        first, mixed = self.attention.step(state[:1], q, k, v, seq_len=self.seq_len, **self.gates(x))
        second, when = self.temporal.step(state[1:3], normed, timestamps)
        third, where = self.positional.step(state[3:], normed)
        return (*first, *second, *third), self._leave(gate, join_heads(mixed), when, where)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """n, u, and q, k, v in heads."""
        size = x.shape[-1]
        normed = F.layer_norm(x, (size,), eps=1e-6)
        gate, *qkv = F.silu(self.project(normed)).split((3 * size, size, size, size), dim=-1)
        q, k, v = (split_heads(part, self.heads) for part in qkv)
        return normed, gate, q, k, v

    def _leave(self, gate: Tensor, *channels: Tensor) -> Tensor:
        normed = [F.layer_norm(channel, channel.shape[-1:], eps=1e-6) for channel in channels]
        out: Tensor = self.out(self.dropout(gate * torch.cat(normed, dim=-1)))
        return out


SPEC = Spec(
    name="fuxi-linear",
    title="FuXi-Linear (core: retention channel; layer: all three channels)",
    paper="FuXi-Linear, 2026, arXiv 2602.23671",
    formula="(q k^T * exp(-g_h (i - j + 1))) v, g_h = exp(-cumsum softplus(a))",
    source="github.com/USTC-StarTeam/fuxi-linear, modeling/sequential/fuxi_linear.py",
    deviations=(
        "padded tokens are no positions and take no time: no decay and no update in any channel",
        "values as wide as queries and keys, together as wide as x",
        "layer: the residual connection and the feed-forward network are left to the model",
    ),
    core=core,
    uses_float64=True,
    reference=reference,
    bidirectional=False,
    permutation_equivariant=False,
    complexity="4 N d (C + d) + 32 N d^2 / C a head, chunks of C",
    decode_state="d^2 numbers a head; the layer's other channels 2 d and 32 d more",
    gate_module=Rates,
    layer=FuXiLinearLayer,
    timestamps=True,
    init_state=zero_state,
    step=decoder(_step, core, weights=("rate",)),
)
