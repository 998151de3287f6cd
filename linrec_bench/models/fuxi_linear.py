"""FuXi-Linear (2026, arXiv 2602.23671): three linear channels for what, when and where, and a gated net.

With E the item and P the position table, per layer

    x_0 = dropout(E[items] sqrt(D) + P)
    x <- x + W_0 dropout(u * [LN(retention) || LN(temporal) || LN(positional)])
    r = dropout(RMSNorm(x)),    x <- x + W2 (SiLU(W1 r) * W3 r)
    score(n, v) = cos(x_n, E[v]) / tau                       tied table

The channels and their gate u are the layer of the mechanism `fuxi-linear`. Norms have no weights and products
no biases. Causal only, trained in chunks and decoded from states of one size; it needs timestamps, the next
event's among them, and where a data set has mere positions for times, one event is one unit. Upstream:
USTC-StarTeam/fuxi-linear, `modeling/sequential/fuxi_linear.py` and
`configs/kuairand-27k/linear-4b-l1024-b64x2.gin`, whose sizes are the defaults; for ML-20M the same code has
N 200, 8 blocks, D 256, 8 heads, dropout 0.2, and periods 16^h (`base: 16, start: 0, stride: 1`). They train
with a softmax over 128 sampled negatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.transducer import ResidualBlock, Transducer, TransducerSettings

_INIT_STD = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class FuXiLinearSettings(TransducerSettings):
    """`inner_size` of the gated net is D where None. `attention_params` are the periods (base, start, stride)
    and the size of the places."""

    model: ClassVar[str] = "fuxi-linear"
    widening: ClassVar[int] = 1

    seq_len: int = 1024
    hidden_size: int = 128
    heads: int = 4
    layers: int = 4
    dropout: float = 0.5
    attention: str = "fuxi-linear"


class FuXiLinear(Transducer):
    """Items and a stack of three linear channels and a gated net; see the module."""

    def __init__(self, settings: FuXiLinearSettings) -> None:
        size, inner, dropout = settings.hidden_size, settings.inner, settings.dropout
        blocks = [
            ResidualBlock(settings.layer(), GatedNet(size, inner, dropout=dropout))
            for _ in range(settings.layers)
        ]
        super().__init__(settings, blocks)
        for name, weight in self.stack.named_parameters():
            if name.endswith("attention.out.weight"):
                nn.init.normal_(weight, std=_INIT_STD)


class GatedNet(nn.Module):
    """x + W2 (SiLU(W1 r) * W3 r), r = dropout(RMSNorm(x)): a GLU at each position, and the sum around it."""

    def __init__(self, hidden_size: int, inner_size: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.gate, self.enter = (nn.Linear(hidden_size, inner_size, bias=False) for _ in range(2))
        self.leave = nn.Linear(inner_size, hidden_size, bias=False)
        for linear in (self.gate, self.enter, self.leave):
            nn.init.normal_(linear.weight, std=_INIT_STD)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        read = self.dropout(F.rms_norm(x, x.shape[-1:], eps=1e-6))
        out: Tensor = x + self.leave(F.silu(self.gate(read)) * self.enter(read))
        return out


SPEC = ModelSpec(
    name="fuxi-linear",
    title="FuXi-Linear: retention, time and place in three linear channels",
    paper="FuXi-Linear, 2026, arXiv 2602.23671",
    deviations=(
        "tables of seq_len places; the official code has room for 11 more",
        "the deviations of the mechanisms fuxi-linear, fuxi-temporal and fuxi-positional",
    ),
    build=FuXiLinear,
    settings=FuXiLinearSettings,
    objectives=("all_positions", "last_position"),
    mechanisms=("fuxi-linear",),
    streams=True,
)
