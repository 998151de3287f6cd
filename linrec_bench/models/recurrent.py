"""What Mamba4Rec and LRURec share: a recurrence and a feed-forward net a layer, normalised after each sum.

    x_0 = LN(dropout(E[items]))
    x <- LN(x + dropout(attention(x)))
    x <- LN(x + dropout(W2 dropout(GELU(W1 x + b1)) + b2))

No positions: a recurrence knows the order.
"""

from __future__ import annotations

from collections.abc import Iterable

from jaxtyping import Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.spec import State
from linrec_bench.models.blocks import item_table
from linrec_bench.models.stack import Settings, Stack, decoding
from linrec_bench.models.stacked_recommender import StackedRecommender


class RecurrentBlock(nn.Module):
    """The recurrence and the feed-forward net of one layer; without `residual` nothing is added to what the
    recurrence gives."""

    def __init__(
        self, settings: Settings, *, attention_dropout: float, eps: float, residual: bool = True
    ) -> None:
        super().__init__()
        attention, size, inner = settings.layer(), settings.hidden_size, settings.inner
        self.attention, self.residual = attention, residual
        self.attention_dropout = nn.Dropout(attention_dropout)
        self.attention_norm = nn.LayerNorm(size, eps=eps)
        self.feed_forward = nn.Sequential(
            nn.Linear(size, inner),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(inner, size),
            nn.Dropout(settings.dropout),
        )
        self.feed_forward_norm = nn.LayerNorm(size, eps=eps)

    def forward(self, x: Float[Tensor, "B N D"], *tokens: Tensor | None) -> Float[Tensor, "B N D"]:
        """tokens: what the attention layer takes beside x."""
        return self._add(x, self.attention(x, *tokens))

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        return decoding(self.attention).init_state(x)

    def step(
        self, state: State, x: Float[Tensor, "B n D"], *moments: Tensor
    ) -> tuple[State, Float[Tensor, "B n D"]]:
        state, mixed = decoding(self.attention).step(state, x, *moments)
        return state, self._add(x, mixed)

    def _add(self, x: Tensor, mixed: Tensor) -> Tensor:
        mixed = self.attention_dropout(mixed)
        x = self.attention_norm(x + mixed if self.residual else mixed)
        added: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return added


class RecurrentRecommender(StackedRecommender):
    """Embeddings and a stack of `RecurrentBlock`; states are those of the last. `extra` columns of the item
    table are no part of the embeddings."""

    def __init__(
        self, settings: Settings, blocks: Iterable[nn.Module], *, eps: float, extra: int = 0
    ) -> None:
        super().__init__(settings)
        size = settings.hidden_size
        self.items = item_table(settings.model, settings.n_items, size + extra)
        self.norm, self.dropout = nn.LayerNorm(size, eps=eps), nn.Dropout(settings.dropout)
        self.stack = Stack(settings, blocks)

    def _embedded(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        width = self.stack.settings.hidden_size
        embedded: Tensor = self.norm(self.dropout(self.items(items)[..., :width]))
        return embedded
