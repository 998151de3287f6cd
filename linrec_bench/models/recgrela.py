"""RecGRELA (2025, arXiv 2506.13315): gated blocks around rotary linear attention with a local shortcut.

With E the item table and no position table, per layer

    x_0 = LN(dropout(E[items]))
    n = LN(x),    z = n W_in + b_in
    x <- x + droppath((RELA(z) * SiLU(n W_g + b_g)) W_out + b_out)
    x <- x + dropout(W2 dropout(GELU(W1 LN(x) + b1)) + b2)
    scores = x_L E^T                                          tied table

RELA, with the causal convolution of its local shortcut, is the mechanism `rela`. Order reaches the model
through its rotations and the convolution alone. Upstream: TBI805/RecGRELA, `model/RecGRELA.py` and
`config/RecGRELA.yaml`. As published it sees the whole prefix and is read at its last position; `causal: true`
is a state for every position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.spec import State
from linrec_bench.models.blocks import initialise, item_table
from linrec_bench.models.dropout import Dropout
from linrec_bench.models.parameter_checks import check_share
from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.stack import Settings, Stack, decoding
from linrec_bench.models.stacked_recommender import StackedRecommender

_EPS = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class RecGRELASettings(Settings):
    """`drop_path` is the share of rows that a block's attention leaves unchanged in training."""

    model: ClassVar[str] = "recgrela"

    heads: int = 4
    layers: int = 4
    dropout: float = 0.1
    drop_path: float = 0.1
    attention: str = "rela"
    causal: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("recgrela", drop_path=self.drop_path)


class RecGRELA(StackedRecommender):
    """Items and a stack of gated blocks; see the module."""

    def __init__(self, settings: RecGRELASettings) -> None:
        super().__init__(settings)
        self.items = item_table("recgrela", settings.n_items, settings.hidden_size)
        self.norm = nn.LayerNorm(settings.hidden_size, eps=_EPS)
        self.dropout = Dropout(settings.dropout)
        self.stack = Stack(settings, (GatedBlock(settings) for _ in range(settings.layers)))
        initialise(self)

    def _embedded(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        embedded: Tensor = self.norm(self.dropout(self.items(items)))
        return embedded


class GatedBlock(nn.Module):
    """The gated attention and the feed-forward net of one layer; see the module."""

    def __init__(self, settings: RecGRELASettings) -> None:
        super().__init__()
        # Made first: that is the order of the numbers drawn.
        layer, hidden_size = settings.layer(), settings.hidden_size
        self.norm = nn.LayerNorm(hidden_size, eps=_EPS)
        self.gate, self.enter, self.leave = (nn.Linear(hidden_size, hidden_size) for _ in range(3))
        self.attention = layer
        self.drop_path = settings.drop_path
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(hidden_size, eps=_EPS),
            nn.Linear(hidden_size, settings.inner),
            nn.GELU(),
            Dropout(settings.dropout),
            nn.Linear(settings.inner, hidden_size),
            Dropout(settings.dropout),
        )

    def forward(self, x: Float[Tensor, "B N D"], *tokens: Tensor | None) -> Float[Tensor, "B N D"]:
        """tokens: what the attention layer takes beside x."""
        normed = self.norm(x)
        return self._add(x, normed, self.attention(self.enter(normed), *tokens))

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        return decoding(self.attention).init_state(x)

    def step(
        self, state: State, x: Float[Tensor, "B n D"], *moments: Tensor
    ) -> tuple[State, Float[Tensor, "B n D"]]:
        normed = self.norm(x)
        state, mixed = decoding(self.attention).step(state, self.enter(normed), *moments)
        return state, self._add(x, normed, mixed)

    def _add(self, x: Tensor, normed: Tensor, mixed: Tensor) -> Tensor:
        branch = self.leave(mixed * F.silu(self.gate(normed)))
        x = x + (drop_rows(branch, self.drop_path) if self.training else branch)
        added: Tensor = x + self.feed_forward(x)
        return added


def drop_rows(x: Float[Tensor, "B N D"], share: float) -> Float[Tensor, "B N D"]:
    """x, that share of its rows at zero, the others scaled up (Huang et al. 2016, arXiv 1603.09382)."""
    kept = torch.rand(x.shape[0], 1, 1, device=x.device) >= share
    return x * kept / (1 - share)


SPEC = ModelSpec(
    name="recgrela",
    title="RecGRELA: gated blocks of rotary linear attention with a local shortcut",
    paper="RecGRELA, 2025, arXiv 2506.13315",
    deviations=(
        "padded items stay out of attention and convolution, and count as no positions; the official code "
        "lets them into both, and gives them an embedding that is never trained",
        "the sums around attention and feed-forward net stand with one layer too; the official code leaves "
        "them out then",
        "causal where the suite asks for it, which the official code is not",
    ),
    build=RecGRELA,
    settings=RecGRELASettings,
    objectives=("last_position", "all_positions"),
    mechanisms=("rela",),
    streams=True,
)
