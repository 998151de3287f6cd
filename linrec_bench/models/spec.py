"""What a recommender is, and what a model file declares."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.layer import Mixer
from linrec_bench.parameters import check_parameters, parameters_of


class Recommender(nn.Module, ABC):
    """Item ids in, hidden states out; the scores of a state are its products with the item embeddings.

    `causal`: whether the state at a position depends on the items up to it alone.
    """

    causal: bool

    @abstractmethod
    def forward(
        self, items: Int64[Tensor, "B N"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Hidden states; items: 1..n_items, 0 for padding on the right; padding_mask: True where real.

        States at padded positions carry no meaning. A causal model needs no mask: padding on the right lies
        in the future of every real item.
        """

    @abstractmethod
    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D"]:
        """The output table; row 0 is padding and never a candidate."""

    def mixers(self) -> list[nn.Module]:
        """The modules in which tokens mix, in the order of the layers."""
        return [module for module in self.modules() if isinstance(module, Mixer)]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Declaration of one model: `build(*, n_items, **params)` makes it, its keywords are the parameters."""

    name: str
    title: str
    paper: str
    deviations: tuple[str, ...]
    build: Callable[..., Recommender]

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The keyword parameters beyond `n_items`: name -> typed, defaulted parameter."""
        return {name: p for name, p in parameters_of(self.build).items() if name != "n_items"}

    def check_params(self, params: Mapping[str, object]) -> None:
        """Raise `ValueError` when a parameter is unknown or has a value that its annotation excludes."""
        check_parameters(f"model {self.name}", self.parameters, params)
