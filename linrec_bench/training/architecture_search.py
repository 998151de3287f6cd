"""Steps of an architecture: between those of the weights, on the same batches, each group by its own Adam."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from linrec_bench.models.spec import Supernet


class ArchitectureSteps:
    """The steps of a model's architecture parameters, none of a model that has none.

    The first order of Liu et al. 2019 (DARTS, arXiv 1806.09055) as EASRec takes it: the loss is that of a
    training batch, and groups alternate.
    """

    def __init__(self, model: nn.Module, *, learning_rate: float) -> None:
        self.model = model if isinstance(model, Supernet) else None
        groups = () if self.model is None else self.model.architecture_parameters()
        self.optimizers = [torch.optim.Adam(group, lr=learning_rate) for group in groups]

    def total(self, loss: Tensor) -> Tensor:
        """The loss with the price of the architecture."""
        return loss if self.model is None else loss + self.model.auxiliary_loss()

    def after(self, steps: int, loss: Callable[[], Tensor]) -> None:
        """What follows the step number `steps` of the weights: nothing, or a step of each group in its turn.

        loss: that of the batch at hand, computed anew for each group.
        """
        if self.model is None or steps % self.model.search_every:
            return
        for optimizer in self.optimizers:
            self.model.zero_grad()
            torch.autograd.backward(self.total(loss()))
            optimizer.step()
        self.model.zero_grad()

    def state(self) -> list[Mapping[str, object]]:
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def restore(self, state: Sequence[Mapping[str, object]]) -> None:
        for optimizer, saved in zip(self.optimizers, state, strict=True):
            optimizer.load_state_dict(dict(saved))
