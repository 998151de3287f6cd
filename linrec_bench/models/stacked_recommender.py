"""A recommender that is an item table and a stack of blocks over its rows."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.models.spec import Recommender
from linrec_bench.models.stack import Memory, Settings, Stack


class StackedRecommender(Recommender):
    """A subclass sets `items` and `stack`.

    Override `_embedded` to transform the stack's input and `_states` to transform its output.
    """

    items: nn.Embedding
    stack: Stack

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.causal, self.needs_timestamps = settings.causal, settings.needs_timestamps

    def _embedded(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        embedded: Tensor = self.items(items)
        return embedded

    def _states(self, hidden: Float[Tensor, "*B D"]) -> Float[Tensor, "*B E"]:
        return hidden

    def forward(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N E"]:
        return self._states(self.stack(self._embedded(items), padding_mask, timestamps))

    def states_at(
        self,
        positions: Int64[Tensor, " B"],
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B E"]:
        return self._states(self.stack.at(positions, self._embedded(items), padding_mask, timestamps))

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 E"]:
        return self.items.weight

    def init_state(self, batch_size: int) -> Memory:
        return self.stack.init_state(batch_size)

    def step(
        self,
        memory: Memory,
        items: Int64[Tensor, "B n"],
        timestamps: Int64[Tensor, "B n_plus_1"] | None = None,
    ) -> tuple[Memory, Float[Tensor, "B n E"]]:
        memory, hidden = self.stack.step(memory, self._embedded(items), timestamps)
        return memory, self._states(hidden)
