"""What HSTU and FuXi-Linear share: embeddings with places, blocks that know times, a temperature of cosines.

    x_0 = dropout(E[items] sqrt(D) + P)
    score(n, v) = cos(x_n, E[v]) / tau                       tied table

The form of meta-recsys/generative-recommenders, `research/modeling/sequential/`, from which FuXi's code
comes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.spec import State
from linrec_bench.models.blocks import check_share, check_sizes, item_table
from linrec_bench.models.dropout import Dropout
from linrec_bench.models.spec import Recommender
from linrec_bench.models.stack import Memory, Stack, decoding, past

_EPS = 1e-6
_INIT_STD = 0.02


class Transducer(Recommender):
    """Embeddings, causal blocks, states of length 1 / `temperature` against items of length 1."""

    def __init__(
        self,
        model: str,
        blocks: Iterable[nn.Module],
        *,
        n_items: int,
        attention: str,
        seq_len: int,
        hidden_size: int,
        dropout: float,
        temperature: float,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"model {model}: temperature is {temperature}; expected more than 0")
        self.items = item_table(model, n_items, hidden_size)
        self.positions = nn.Embedding(seq_len, hidden_size)
        _draw(self.items.weight[1:], _INIT_STD)
        _draw(self.positions.weight, hidden_size**-0.5)
        self.dropout = Dropout(dropout)
        self.stack = Stack(
            model, blocks, attention=attention, seq_len=seq_len, hidden_size=hidden_size, causal=True
        )
        self.scale, self.temperature = math.sqrt(hidden_size), temperature
        self.causal, self.needs_timestamps = True, self.stack.needs_timestamps

    def forward(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        return self._states(self.stack(self._embedded(items, 0), padding_mask, timestamps))

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D"]:
        return F.normalize(self.items.weight, dim=-1, eps=_EPS)

    def init_state(self, batch_size: int) -> Memory:
        return self.stack.init_state(batch_size)

    def step(
        self,
        memory: Memory,
        items: Int64[Tensor, "B n"],
        timestamps: Int64[Tensor, "B n_plus_1"] | None = None,
    ) -> tuple[Memory, Float[Tensor, "B n D"]]:
        memory, hidden = self.stack.step(memory, self._embedded(items, past(memory)), timestamps)
        return memory, self._states(hidden)

    def _embedded(self, items: Tensor, start: int) -> Tensor:
        stop = start + items.shape[1]
        self.stack.check_length(stop)
        embedded: Tensor = self.dropout(self.items(items) * self.scale + self.positions.weight[start:stop])
        return embedded

    def _states(self, hidden: Tensor) -> Tensor:
        return F.normalize(hidden, dim=-1, eps=_EPS) / self.temperature


class ResidualBlock(nn.Module):
    """x + attention(x), then `after` where there is one; norms and dropouts are those of the layer."""

    def __init__(self, attention: nn.Module, after: nn.Module | None = None) -> None:
        super().__init__()
        self.attention = attention
        self.after = nn.Identity() if after is None else after

    def forward(self, x: Float[Tensor, "B N D"], *tokens: Tensor | None) -> Float[Tensor, "B N D"]:
        """tokens: what the attention layer takes beside x."""
        out: Tensor = self.after(x + self.attention(x, *tokens))
        return out

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        return decoding(self.attention).init_state(x)

    def step(
        self, state: State, x: Float[Tensor, "B n D"], *moments: Tensor
    ) -> tuple[State, Float[Tensor, "B n D"]]:
        state, mixed = decoding(self.attention).step(state, x, *moments)
        out: Tensor = self.after(x + mixed)
        return state, out


def check(model: str, *, dropout: float, **sizes: int) -> None:
    """Raise `ValueError` for sizes below 1 and a dropout that leaves nothing."""
    check_sizes(model, **sizes)
    check_share(model, dropout=dropout)


def _draw(weight: Tensor, std: float) -> None:
    """Normal, cut off at two standard deviations."""
    # By the inverse of its distribution function: torch's own way reads numbers, which fake tensors lack.
    most = math.erf(math.sqrt(2))
    weight.detach().uniform_(-most, most).erfinv_().mul_(math.sqrt(2) * std)
