"""Blocks one after another: over whole rows, or event by event with what each of them remembers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench import attention
from linrec_bench.attention import make_layer
from linrec_bench.attention.spec import State, Unsupported
from linrec_bench.models.parameter_checks import check_share, check_sizes

Memory = tuple[State, ...]
"""What a model remembers of a history: first how many events came, as the length of a tensor without
elements, so that one too many is refused without reading a number from a device; then the state of each
block."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Settings:
    """What a model of blocks around a mechanism is built from; a model has a subclass with its own defaults.

    `hidden_size` D is a multiple of `heads`. A row holds at most `seq_len` items. `inner_size` is that of the
    feed-forward nets, `widening` D where None. `attention` names the mechanism, `attention_params` are its
    own. Raises `ValueError` for sizes below 1 and shares of dropout outside [0, 1); for all else that is
    wrong when a layer is made.
    """

    model: ClassVar[str]
    widening: ClassVar[int] = 4

    n_items: int
    seq_len: int = 200
    hidden_size: int = 64
    heads: int = 2
    layers: int = 2
    inner_size: int | None = None
    dropout: float = 0.2
    attention: str = "softmax"
    attention_params: dict[str, object] | None = None
    causal: bool = True

    def __post_init__(self) -> None:
        check_sizes(
            self.model,
            seq_len=self.seq_len,
            hidden_size=self.hidden_size,
            heads=self.heads,
            layers=self.layers,
            inner_size=self.inner,
        )
        check_share(self.model, dropout=self.dropout)

    @property
    def inner(self) -> int:
        """The size of the feed-forward nets."""
        return self.widening * self.hidden_size if self.inner_size is None else self.inner_size

    @property
    def tokens(self) -> int:
        """The longest row that reaches the mechanism."""
        return self.seq_len

    @property
    def needs_timestamps(self) -> bool:
        return attention.registry()[self.attention].timestamps

    def params(self) -> dict[str, object]:
        """The settings of the mechanism."""
        return dict(self.attention_params or {})

    def layer(self) -> nn.Module:
        """A new layer of the mechanism; see `make_layer`."""
        sizes = (self.hidden_size, self.heads)
        return make_layer(
            self.attention, *sizes, causal=self.causal, seq_len=self.tokens, params=self.params()
        )


@runtime_checkable
class Decoding(Protocol):
    """What takes one event after another: an attention layer, or a block around one."""

    def init_state(self, x: Tensor) -> State: ...

    def step(self, state: State, x: Tensor, *moments: Tensor) -> tuple[State, Tensor]: ...


@runtime_checkable
class Positional(Protocol):
    """A block that can be asked about one position of each row."""

    def at(self, positions: Tensor, x: Tensor, *tokens: Tensor | None) -> Tensor: ...


def decoding(module: nn.Module) -> Decoding:
    """The same module, as one that decodes; raises `Unsupported` where it does not."""
    if not hasattr(module, "step"):
        raise Unsupported(f"{type(module).__name__} has no init_state and step to decode with")
    return cast(Decoding, module)


class Stack(nn.Module):
    """Blocks around a mechanism each; a row holds at most its `seq_len` tokens.

    A block is called with x and what its attention layer takes beside x: the padding mask, and timestamps
    where the mechanism asks for them. To decode it has `init_state(x)` and `step(state, x, *timestamps)`.
    A subclass that has weights of its own before those of the blocks sets `blocks` itself.
    """

    def __init__(self, settings: Settings, blocks: Iterable[nn.Module] | None = None) -> None:
        super().__init__()
        self.settings, self.needs_timestamps = settings, settings.needs_timestamps
        if blocks is not None:
            self.blocks = nn.ModuleList(blocks)

    def enter(self, x: Float[Tensor, "B n D"], start: int) -> Float[Tensor, "B n D"]:
        """What the first block reads of tokens that stand at `start` and after it."""
        del start
        return x

    def leave(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """The states from what the last block gives."""
        return x

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """See `Recommender.forward`; raises `ValueError` for rows that are too long."""
        tokens = self._tokens(x, padding_mask, timestamps)
        x = self.enter(x, 0)
        for block in self.blocks:
            x = block(x, *tokens)
        return self.leave(x)

    def at(
        self,
        positions: Int64[Tensor, " B"],
        x: Float[Tensor, "B N D"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B D"]:
        """Row b of `forward` at positions[b]; a last block with an `at` of its own is spared the others."""
        tokens = self._tokens(x, padding_mask, timestamps)
        x = self.enter(x, 0)
        *before, last = self.blocks
        for block in before:
            x = block(x, *tokens)
        if hasattr(last, "at"):
            return self.leave(cast(Positional, last).at(positions, x, *tokens))
        out: Tensor = last(x, *tokens)
        return self.leave(out[torch.arange(len(x), device=x.device), positions])

    def init_state(self, batch_size: int) -> Memory:
        """See `Recommender.init_state`."""
        if not self.settings.causal:
            raise Unsupported(
                f"model {self.settings.model} takes one event after another only where it looks back alone; "
                "expected causal: true"
            )
        like = next(self.parameters()).new_empty(batch_size, 1, self.settings.hidden_size)
        return (like.new_empty(0, 0),), *(decoding(block).init_state(like) for block in self.blocks)

    def step(
        self,
        memory: Memory,
        x: Float[Tensor, "B n D"],
        timestamps: Int64[Tensor, "B n_plus_1"] | None = None,
    ) -> tuple[Memory, Float[Tensor, "B n D"]]:
        """The memory after the events x and their outputs, as `forward` gives them. The old one is spent."""
        (seen,), *states = memory
        count = seen.shape[0] + x.shape[1]
        self._check_length(count)
        x = self.enter(x, seen.shape[0])
        after: list[State] = []
        for block, state in zip(self.blocks, states, strict=True):
            state, x = decoding(block).step(state, x, *self._moments(x, timestamps))
            after.append(state)
        return ((seen.new_empty(count, 0),), *after), self.leave(x)

    def _check_length(self, length: int) -> None:
        """Raise `ValueError` for more tokens than the stack was built for."""
        model, most = self.settings.model, self.settings.tokens
        if length > most:
            raise ValueError(f"items hold {length} positions; model {model} was built for at most {most}")

    def _tokens(
        self, x: Tensor, padding_mask: Tensor | None, timestamps: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """What each block takes beside x."""
        self._check_length(x.shape[1])
        # A causal mechanism never looks at the padding on the right, so it is spared the mask.
        return None if self.settings.causal else padding_mask, *self._moments(x, timestamps)

    def _moments(self, x: Tensor, timestamps: Tensor | None) -> tuple[Tensor, ...]:
        """The timestamps where the mechanism asks for them, checked; nothing where it does not."""
        if not self.needs_timestamps:
            return ()
        expected = f"expected integers of [{x.shape[0]}, {x.shape[1] + 1}]: each event and the request after"
        if timestamps is None:
            name, model = self.settings.attention, self.settings.model
            raise Unsupported(f"attention {name} needs timestamps and model {model} got none; {expected}")
        if timestamps.shape != (x.shape[0], x.shape[1] + 1):
            raise ValueError(f"timestamps have shape {list(timestamps.shape)}; {expected}")
        return (timestamps,)


def past(memory: Memory) -> int:
    """How many events a memory holds."""
    return memory[0][0].shape[0]
