"""What HSTU and FuXi-Linear share: embeddings with places, blocks that know times, a temperature of cosines.

    x_0 = dropout(E[items] sqrt(D) + P)
    score(n, v) = cos(x_n, E[v]) / tau                       tied table

The form of meta-recsys/generative-recommenders, `research/modeling/sequential/`, from which FuXi's code
comes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.spec import State
from linrec_bench.models.blocks import item_table
from linrec_bench.models.dropout import Dropout
from linrec_bench.models.stack import Settings, Stack, decoding
from linrec_bench.models.stacked_recommender import StackedRecommender

_EPS = 1e-6
_INIT_STD = 0.02


class PlacedStack(Stack):
    """Its first block reads dropout(x + P)."""

    def __init__(self, settings: Settings, blocks: Iterable[nn.Module]) -> None:
        super().__init__(settings)
        self.positions = nn.Embedding(settings.seq_len, settings.hidden_size)
        self.dropout = Dropout(settings.dropout)
        self.blocks = nn.ModuleList(blocks)

    def enter(self, x: Float[Tensor, "B n D"], start: int) -> Float[Tensor, "B n D"]:
        entered: Tensor = self.dropout(x + self.positions.weight[start : start + x.shape[1]])
        return entered


@dataclass(frozen=True, kw_only=True, eq=False)
class TransducerSettings(Settings):
    """`temperature` divides the cosines; the dropout is that of the mechanism too."""

    temperature: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise ValueError(f"model {self.model}: temperature is {self.temperature}; expected more than 0")

    def params(self) -> dict[str, object]:
        return {"dropout": self.dropout, **super().params()}


class Transducer(StackedRecommender):
    """Embeddings, causal blocks, states of length 1 / `temperature` against items of length 1."""

    def __init__(self, settings: TransducerSettings, blocks: Iterable[nn.Module]) -> None:
        super().__init__(settings)
        size = settings.hidden_size
        self.items = item_table(settings.model, settings.n_items, size)
        self.stack = PlacedStack(settings, blocks)
        _draw(self.items.weight[1:], _INIT_STD)
        _draw(self.stack.positions.weight, size**-0.5)
        self.scale, self.temperature = math.sqrt(size), settings.temperature

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D"]:
        return F.normalize(self.items.weight, dim=-1, eps=_EPS)

    def _embedded(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        return super()._embedded(items) * self.scale

    def _states(self, hidden: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
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


def _draw(weight: Tensor, std: float) -> None:
    """Normal, cut off at two standard deviations."""
    # By the inverse of its distribution function: torch's own way reads numbers, which fake tensors lack.
    most = math.erf(math.sqrt(2))
    weight.detach().uniform_(-most, most).erfinv_().mul_(math.sqrt(2) * std)
