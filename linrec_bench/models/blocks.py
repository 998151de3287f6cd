"""What the recommenders are made of: blocks around a mechanism, an encoder of them, item table, weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.layer import AttentionLayer
from linrec_bench.attention.spec import State
from linrec_bench.models.dropout import Dropout
from linrec_bench.models.parameter_checks import check_sizes
from linrec_bench.models.stack import Settings, Stack, decoding

Activation = Literal["relu", "gelu"]
"""Between the two products of a feed-forward net."""

Norm = Literal["pre", "post"]
"""Where the layer norms stand: before attention and feed-forward net, and after the last block (Kang and
McAuley 2018); or after each sum, and after the embeddings (Vaswani et al. 2017, Devlin et al. 2019)."""

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}
_EPS: dict[Norm, float] = {"pre": 1e-8, "post": 1e-12}
# Those of the official code of SASRec and of BERT.

_INIT_STD = 0.02


class Block(nn.Module):
    """Attention, then a feed-forward net at each position; each is dropped out and added to what it read.

    pre:  x <- x + drop(attention(LN(x)));  x <- x + drop(W2 act(W1 LN(x) + b1) + b2)
    post: x <- LN(x + drop(attention(x)));  x <- LN(x + drop(W2 act(W1 x + b1) + b2))
    """

    def __init__(
        self,
        attention: nn.Module,
        *,
        hidden_size: int,
        inner_size: int,
        dropout: float,
        activation: Activation,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.norm_first = norm == "pre"
        self.attention_norm = nn.LayerNorm(hidden_size, eps=_EPS[norm])
        self.attention = attention
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=_EPS[norm])
        self.feed_forward = nn.Sequential(
            nn.Linear(hidden_size, inner_size),
            _ACTIVATIONS[activation](),
            nn.Linear(inner_size, hidden_size),
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "B N D"], *tokens: Tensor | None) -> Float[Tensor, "B N D"]:
        """tokens: what the attention layer takes beside x, the padding mask and perhaps timestamps."""
        return self._add(x, self.attention(self._read(x), *tokens))

    def at(
        self, positions: Int64[Tensor, " B"], x: Float[Tensor, "B N D"], *tokens: Tensor | None
    ) -> Float[Tensor, "B D"]:
        """Row b of `forward` at positions[b]: tokens mix at every position, what follows is done at one."""
        rows = torch.arange(len(x), device=x.device)
        layer = self.attention
        # A subclass with another `forward` would need another `at`.
        if isinstance(layer, AttentionLayer) and type(layer).forward is AttentionLayer.forward:
            mixed = layer.at(positions, self._read(x), *tokens)
        else:
            mixed = layer(self._read(x), *tokens)[rows, positions]
        return self._add(x[rows, positions], mixed)

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """That of the attention layer, before the first event."""
        state: State = decoding(self.attention).init_state(x)
        return state

    def step(
        self, state: State, x: Float[Tensor, "B n D"], *moments: Tensor
    ) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state after the events x and their outputs, as `forward` gives them."""
        state, mixed = decoding(self.attention).step(state, self._read(x), *moments)
        return state, self._add(x, mixed)

    def _read(self, x: Tensor) -> Tensor:
        return self.attention_norm(x) if self.norm_first else x

    def _add(self, x: Tensor, mixed: Tensor) -> Tensor:
        """What comes after the attention layer, at each position alone."""
        x = x + self.dropout(mixed)
        if self.norm_first:
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
            return x
        x = self.attention_norm(x)
        x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return x


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderSettings(Settings):
    """Those of an `Encoder`."""

    norm: ClassVar[Norm] = "post"

    activation: Activation = "gelu"


@dataclass(frozen=True, kw_only=True, eq=False)
class RecBoleSettings(EncoderSettings):
    """With the defaults of RecBole."""

    seq_len: int = 50
    inner_size: int | None = 256
    dropout: float = 0.5


class Encoder(Stack):
    """Embeddings -> hidden states: positions added, then `layers` blocks around one mechanism.

    With P the position table, drop(x + P) enters the first block where `norm` is pre, and the states are
    normalised after the last; where it is post, drop(LN(x + P)) enters and the states are what the last block
    gives. Without `positions` there is no P, for a mechanism that has its own.
    """

    def __init__(self, settings: EncoderSettings, *, positions: bool = True) -> None:
        super().__init__(settings)
        size, norm = settings.hidden_size, settings.norm
        self.norm_first = norm == "pre"
        self.positions = nn.Embedding(settings.tokens, size) if positions else None
        self.norm = nn.LayerNorm(size, eps=_EPS[norm])
        self.dropout = Dropout(settings.dropout)
        self.blocks = nn.ModuleList(
            Block(
                settings.layer(),
                hidden_size=size,
                inner_size=settings.inner,
                dropout=settings.dropout,
                activation=settings.activation,
                norm=norm,
            )
            for _ in range(settings.layers)
        )

    def enter(self, x: Float[Tensor, "B n D"], start: int) -> Float[Tensor, "B n D"]:
        if self.positions is not None:
            x = x + self.positions.weight[start : start + x.shape[1]]
        entered: Tensor = self.dropout(x if self.norm_first else self.norm(x))
        return entered

    def leave(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        hidden: Tensor = self.norm(x) if self.norm_first else x
        return hidden


def item_table(model: str, n_items: int, width: int, *, extra: int = 0) -> nn.Embedding:
    """Rows for the padding, which stays 0, for the items 1..n_items, and for `extra` tokens."""
    check_sizes(model, n_items=n_items, hidden_size=width)
    return nn.Embedding(n_items + 1 + extra, width, padding_idx=0)


def initialise(model: nn.Module) -> None:
    """Weights N(0, 0.02), biases 0, rows of padding 0; what a mechanism made for itself stays as it is."""
    published = {part for block in model.modules() if isinstance(block, Block) for part in _inner(block)}
    for module in model.modules():
        if module in published:
            continue
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=_INIT_STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            with torch.no_grad():
                module.weight[module.padding_idx].zero_()


def _inner(block: Block) -> Iterator[nn.Module]:
    """The modules of a published attention layer, or of the gate module of any other."""
    layer = block.attention
    if not isinstance(layer, AttentionLayer):
        yield from layer.modules()
    elif layer.gates is not None:
        yield from layer.gates.modules()
