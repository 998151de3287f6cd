"""What a recommender is, and what a model file declares."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.layer import AttentionOp
from linrec_bench.attention.spec import Unsupported
from linrec_bench.data.sequences import Sequences
from linrec_bench.models.stack import Memory, Settings
from linrec_bench.parameters import check_parameters, parameters_of

_NOT_PARAMETERS = frozenset({"n_items", "item_features"})


@runtime_checkable
class Ranker(Protocol):
    """What ranks a catalogue: every model, trained or counted."""

    def scores(
        self, items: Int64[Tensor, "B N"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B V_plus_1"]:
        """Higher is better; column 0 is padding and never a candidate."""


class Recommender(nn.Module, ABC):
    """Item ids in, hidden states out; the scores of a state are its products with the item embeddings.

    `causal`: whether the state at a position depends on the items up to it alone. `needs_timestamps`: whether
    `forward` has to be given them. `mask_token`: the id that stands for an unknown item, of a model that has
    one.
    """

    causal: bool
    needs_timestamps: bool = False
    mask_token: int | None = None

    @abstractmethod
    def forward(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N E"]:
        """Hidden states; items: 1..n_items, 0 for padding on the right; padding_mask: True where real.

        States at padded positions carry no meaning. A causal model needs no mask: padding on the right lies
        in the future of every real item. timestamps: entry n is when event n was, the entry after the last
        event when the request came; later ones carry no meaning. They reach the mechanisms that ask for them;
        raises `Unsupported` where one does and none are given. E, the width of the states, is that of the
        item embeddings.
        """

    @abstractmethod
    def item_embeddings(self) -> Float[Tensor, "V_plus_1 E"]:
        """The output table; row 0 is padding and never a candidate. In training it may be drawn anew by each
        call, so that a loss asks for it once."""

    def states_at(
        self,
        positions: Int64[Tensor, " B"],
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B E"]:
        """Row b of `forward` at positions[b]; a model may spare itself what only other positions need.

        While training, dropout draws another mask than in `forward`.
        """
        hidden: Tensor = self(items, padding_mask, timestamps)
        return hidden[torch.arange(len(hidden), device=hidden.device), positions]

    def query(
        self, items: Int64[Tensor, "B N"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> tuple[Int64[Tensor, "B M"], Bool[Tensor, "B M"], Int64[Tensor, " B"]]:
        """What to feed to learn the next item, its mask, and the position of the state that tells it.

        M is N, or N + 1 for a model that appends its mask token. Every row has an item.
        """
        mask = torch.ones_like(items, dtype=torch.bool) if padding_mask is None else padding_mask
        return items, mask, mask.sum(dim=1) - 1

    def scores(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B V_plus_1"]:
        """Of every item as the next one. Raises `Unsupported` where timestamps are needed and missing."""
        fed, mask, position = self.query(items, padding_mask)
        if timestamps is not None and fed.shape[1] > items.shape[1]:
            # An appended mask token stands at the time of the request.
            timestamps = torch.cat((timestamps, timestamps[:, -1:]), dim=1)
        return self.states_at(position, fed, mask, timestamps) @ self.item_embeddings().T

    def init_state(self, batch_size: int) -> Memory:
        """What is remembered of `batch_size` users before their first event.

        Raises `Unsupported` for a model, a direction or a mechanism without a form that takes one event
        after another.
        """
        del batch_size
        raise Unsupported(f"model {type(self).__name__} has no form that takes one event after another")

    def step(
        self,
        memory: Memory,
        items: Int64[Tensor, "B n"],
        timestamps: Int64[Tensor, "B n_plus_1"] | None = None,
    ) -> tuple[Memory, Float[Tensor, "B n E"]]:
        """The memory after n >= 1 more events of each user, and their states as `forward` gives them.

        The last of the states ranks what comes next. timestamps: of these events, and of the request or the
        event after them. No row is padded, and the old memory must not be used again: caches are written in
        place. Raises as `forward` does, for more events than the model was built for too.
        """
        del memory, items, timestamps
        raise Unsupported(f"model {type(self).__name__} has no form that takes one event after another")

    def attention_ops(self) -> list[nn.Module]:
        """The modules in which tokens mix, in the order of the layers."""
        return [module for module in self.modules() if isinstance(module, AttentionOp)]


class Supernet(Recommender):
    """A recommender that searches for its own architecture while it is trained; the one that it chooses is
    then trained anew."""

    search_epochs: int
    search_every: int = 10
    """Batches after which the architecture takes its steps."""

    @abstractmethod
    def auxiliary_loss(self) -> Float[Tensor, ""]:
        """What is added to the loss of a batch: the price of the architecture."""

    @abstractmethod
    def architecture_parameters(self) -> tuple[tuple[nn.Parameter, ...], ...]:
        """Groups of parameters that take steps of their own, one group after another; no other step moves
        them."""

    @abstractmethod
    def choice(self) -> Mapping[str, int]:
        """The sizes that the search prefers, by name."""

    @abstractmethod
    def chosen(self) -> Recommender:
        """A model of those sizes with new weights."""


class Baseline(nn.Module, ABC):
    """A ranker that counts instead of learning, below which no trained model should fall.

    It has buffers and no parameters. `fit` comes before `scores`, which raises `ValueError` otherwise.
    """

    fitted: Tensor

    def __init__(self, name: str, *, n_items: int) -> None:
        super().__init__()
        if n_items < 1:
            raise ValueError(f"model {name}: n_items is {n_items}; expected at least 1")
        self.name, self.n_items = name, n_items
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, sequences: Sequences) -> None:
        """Count the training histories, in place of what was counted before."""
        if sequences.n_items != self.n_items:
            raise ValueError(
                f"the sequences have {sequences.n_items} items; model {self.name} expects {self.n_items}"
            )
        self._count(sequences)
        self.fitted.fill_(True)

    def scores(
        self, items: Int64[Tensor, "B N"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B V_plus_1"]:
        """Of every item as the next one; items: 1..n_items, 0 for padding on the right."""
        if not self.fitted:
            raise ValueError(f"model {self.name} has counted nothing yet; call fit(sequences) first")
        return self._scores(items if padding_mask is None else items.masked_fill(~padding_mask, 0))

    @abstractmethod
    def _count(self, sequences: Sequences) -> None:
        """Fill the buffers."""

    @abstractmethod
    def _scores(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B V_plus_1"]:
        """`scores` with 0 at every padded position."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Declaration of one model: `build(settings)` makes it, and the fields of `settings` are the parameters;
    `build(*, n_items, **params)` where there are no `settings`, and its keywords are the parameters.

    `objectives`: those of `all_positions`, `last_position` and `cloze` that the model can be trained by, the
    paper's first; `all_positions` needs a causal mechanism besides. `mechanisms`: those that belong to the
    model, the paper's first, where it takes no other; a model that mixes in another way than the mechanisms
    do has `no-op`. `streams`: whether it has `init_state` and `step`. `check` raises `ValueError` for
    parameters that their types do not exclude, where that can be told from them alone. `needs_features`:
    `build` takes `item_features` too. A model that is not `trained_by_gradient` is a `Baseline`, any other a
    `Recommender`.
    """

    name: str
    title: str
    paper: str
    deviations: tuple[str, ...]
    build: Callable[..., Recommender | Baseline]
    settings: type[Settings] | None = None
    objectives: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    streams: bool = False
    check: Callable[[Mapping[str, object]], None] | None = None
    needs_features: bool = False
    trained_by_gradient: bool = True

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The settings, name -> typed, defaulted parameter: the keywords of `build` beyond the data."""
        return {
            name: p
            for name, p in parameters_of(self.settings or self.build).items()
            if name not in _NOT_PARAMETERS
        }

    def make(self, **params: Any) -> Recommender | Baseline:
        """The model of these parameters, the number of items and what else it is built from."""
        return self.build(**params) if self.settings is None else self.build(self.settings(**params))

    def check_params(self, params: Mapping[str, object]) -> None:
        """Raise `ValueError` when a parameter is unknown or has a value that its annotation excludes."""
        check_parameters(f"model {self.name}", self.parameters, params)
        if self.check is not None:
            self.check(params)

    def check_attention(self, name: object) -> None:
        """Raise `ValueError` for a mechanism that is not among those of the model, where it has its own."""
        if self.mechanisms and name not in self.mechanisms:
            raise ValueError(
                f"model {self.name} has its own way of mixing tokens, of which {name} is no part; "
                f"expected attention: {' or '.join(self.mechanisms)}"
            )
