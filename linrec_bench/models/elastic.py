"""The network of EASRec, whose equations stand in `easrec`: that of the search, and that which is chosen.

Sizes are given; the search lays masks over them, and mixes the layers. What is chosen has neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench import attention
from linrec_bench.attention.layer import AttentionOp, check_heads, join_heads, split_heads
from linrec_bench.attention.spec import State, Unsupported
from linrec_bench.models.blocks import initialise, item_table
from linrec_bench.models.spec import Recommender
from linrec_bench.models.stack import Memory, Settings, past

_EPS = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class ElasticSettings(Settings):
    """What both networks are built from; `inner_size` and `hidden_size` are those of the widest layer."""

    model: ClassVar[str] = "easrec"

    heads: int = 4
    layers: int = 4
    attention: str = "linrec"
    causal: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.hidden_size, self.heads)

    def operations(self) -> int:
        """Floating-point operations of a layer on a row of `seq_len` tokens: products alone."""
        width, inner, tokens = self.hidden_size, self.inner, self.seq_len
        attention = 8 * width**2 + 4 * width * width // self.heads
        gates = 2 * (width * inner + inner**2) + 4 * width**2
        return tokens * (attention + 4 * width * inner + gates)


class Gate(nn.Module):
    """2 sigmoid(ReLU(x W_a + b_a) W_b + b_b): how much of each feature a token lets through."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(inputs, outputs), nn.Linear(outputs, outputs)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N E"]:
        gate: Tensor = 2 * self.out(F.relu(self.hidden(x))).sigmoid()
        return gate


class ElasticBlock(nn.Module):
    """One layer; see `easrec`. `wide` and `inner` are the masks, 1 where there are none."""

    def __init__(self, sizes: ElasticSettings) -> None:
        super().__init__()
        width, inner = sizes.hidden_size, sizes.inner
        self.heads, self.seq_len = sizes.heads, sizes.seq_len
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        spec = attention.registry()[sizes.attention]
        self.attention = AttentionOp(spec, causal=sizes.causal, **sizes.params())
        self.attention_norm, self.norm = (nn.LayerNorm(width, eps=_EPS) for _ in range(2))
        self.enter, self.leave = nn.Linear(width, inner), nn.Linear(inner, width)
        self.enter_gate, self.leave_gate = Gate(width, inner), Gate(width, width)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        first: Float[Tensor, "B N D"],
        padding_mask: Bool[Tensor, "B N"] | None,
        wide: Float[Tensor, " D"] | float = 1.0,
        inner: Float[Tensor, " E"] | float = 1.0,
    ) -> Float[Tensor, "B N D"]:
        mixed = join_heads(self.attention(*self._qkv(x, wide), padding_mask))
        return self._add(x, first, mixed, wide, inner)

    def step(
        self,
        state: State,
        x: Float[Tensor, "B n D"],
        first: Float[Tensor, "B n D"],
        wide: Float[Tensor, " D"] | float,
        inner: Float[Tensor, " E"] | float,
    ) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state of the mechanism after the events x, and what `forward` gives for them."""
        state, mixed = self.attention.step(state, *self._qkv(x, wide), seq_len=self.seq_len)
        return state, self._add(x, first, join_heads(mixed), wide, inner)

    def _qkv(self, x: Tensor, wide: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (split_heads(wide * part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return q, k, v

    def _add(
        self, x: Tensor, first: Tensor, mixed: Tensor, wide: Tensor | float, inner: Tensor | float
    ) -> Tensor:
        """What comes after the mechanism."""
        h = self.attention_norm(x + self.dropout(wide * self.out(mixed)))
        f = F.gelu(inner * self.enter(h) * (inner * self.enter_gate(first)))
        f = wide * self.leave(f) * (wide * self.leave_gate(first))
        states: Tensor = self.norm(h + self.dropout(f))
        return states


class Elastic(Recommender):
    """Embeddings and blocks of one width: the network that is trained anew, and the body of the search."""

    def __init__(self, sizes: ElasticSettings) -> None:
        super().__init__()
        self.sizes = sizes
        self.items = item_table("easrec", sizes.n_items, sizes.hidden_size)
        self.positions = nn.Embedding(sizes.seq_len, sizes.hidden_size)
        self.norm, self.dropout = nn.LayerNorm(sizes.hidden_size, eps=_EPS), nn.Dropout(sizes.dropout)
        self.blocks = nn.ModuleList(ElasticBlock(sizes) for _ in range(sizes.layers))
        self.causal = sizes.causal
        initialise(self)

    def forward(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        del timestamps
        return self._combined(self._layers(items, padding_mask))

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D"]:
        return self.items.weight

    def init_state(self, batch_size: int) -> Memory:
        sizes = self.sizes
        if not self.causal:
            raise Unsupported(
                "model easrec takes one event after another only where it looks back alone; "
                "expected causal: true"
            )
        like = self.items.weight.new_empty(batch_size, 1, sizes.hidden_size)
        heads, params = split_heads(like, sizes.heads), sizes.params()
        states = (
            attention.init_state(sizes.attention, heads, seq_len=sizes.seq_len, **params) for _ in self.blocks
        )
        return (like.new_empty(0, 0),), *states

    def step(
        self,
        memory: Memory,
        items: Int64[Tensor, "B n"],
        timestamps: Int64[Tensor, "B n_plus_1"] | None = None,
    ) -> tuple[Memory, Float[Tensor, "B n D"]]:
        del timestamps
        done = past(memory)
        first = x = self._embedded(items, done)
        after: list[State] = []
        layers: list[Tensor] = []
        for block, state in zip(self.blocks, memory[1:], strict=True):
            assert isinstance(block, ElasticBlock)
            state, x = block.step(state, x, first, *self._masks())
            after.append(state)
            layers.append(x)
        return ((x.new_empty(done + items.shape[1], 0),), *after), self._combined(layers)

    def _masks(self) -> tuple[Tensor | float, Tensor | float]:
        """Of the width and of the inner size; none here."""
        return 1.0, 1.0

    def _combined(self, layers: list[Float[Tensor, "B N D"]]) -> Float[Tensor, "B N D"]:
        """The states from what each layer gives; here those of the last."""
        return layers[-1]

    def _embedded(self, items: Tensor, start: int) -> Tensor:
        stop = start + items.shape[1]
        if stop > self.sizes.seq_len:
            raise ValueError(
                f"items hold {stop} positions; model easrec was built for at most {self.sizes.seq_len}"
            )
        embedded: Tensor = self.dropout(self.norm(self.items(items) + self.positions.weight[start:stop]))
        return embedded

    def _layers(self, items: Tensor, padding_mask: Tensor | None) -> list[Float[Tensor, "B N D"]]:
        """What each layer gives."""
        # A causal mechanism never looks at the padding on the right, so it is spared the mask.
        mask = None if self.causal else padding_mask
        first = x = self._embedded(items, 0)
        layers: list[Tensor] = []
        for block in self.blocks:
            x = block(x, first, mask, *self._masks())
            layers.append(x)
        return layers
