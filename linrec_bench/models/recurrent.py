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
from linrec_bench.models.stack import Mechanism, Stack, decoding
from linrec_bench.models.stacked_recommender import StackedRecommender


class RecurrentBlock(nn.Module):
    """The recurrence and the feed-forward net of one layer; without `residual` nothing is added to what the
    recurrence gives."""

    def __init__(
        self,
        attention: nn.Module,
        *,
        hidden_size: int,
        inner_size: int,
        attention_dropout: float,
        dropout: float,
        eps: float,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.attention, self.residual = attention, residual
        self.attention_dropout = nn.Dropout(attention_dropout)
        self.attention_norm = nn.LayerNorm(hidden_size, eps=eps)
        self.feed_forward = nn.Sequential(
            nn.Linear(hidden_size, inner_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(inner_size, hidden_size),
            nn.Dropout(dropout),
        )
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=eps)

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
        self,
        mechanism: Mechanism,
        blocks: Iterable[nn.Module],
        *,
        n_items: int,
        dropout: float,
        eps: float,
        extra: int = 0,
    ) -> None:
        super().__init__(mechanism)
        size = mechanism.hidden_size
        self.items = item_table(mechanism.model, n_items, size + extra)
        self.norm, self.dropout = nn.LayerNorm(size, eps=eps), nn.Dropout(dropout)
        self.stack = Stack(mechanism, blocks)

    def _embedded(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        width = self.stack.mechanism.hidden_size
        embedded: Tensor = self.norm(self.dropout(self.items(items)[..., :width]))
        return embedded
