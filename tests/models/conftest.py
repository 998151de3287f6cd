"""Small models, rows and features that the tests of this folder share."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from linrec_bench import models

N_ITEMS = 20
SMALL = {"seq_len": 16, "hidden_size": 16, "heads": 2, "layers": 2}
# Items have 3, 1, 2 or no features, and none is the first of row 0.
FEATURES = np.array(
    [[0, 0, 0], *([[1, 2, 3], [3, 0, 0], [0, 4, 2], [0, 0, 0]] * (N_ITEMS // 4))], dtype=np.int64
)


@pytest.fixture
def recommender() -> Callable[..., models.Recommender]:
    """`recommender(name, **params)`: a small model of 20 items in double precision, not training."""

    def make(name: str, **params: object) -> models.Recommender:
        torch.manual_seed(0)
        spec = models.registry()[name]
        features = FEATURES if spec.needs_features else None
        sizes = {size: value for size, value in SMALL.items() if size in spec.parameters}
        if "attention" not in spec.parameters:
            # It mixes in its own way, which a sweep calls no-op.
            params.pop("attention", None)
        model = models.build(name, n_items=N_ITEMS, item_features=features, **{**sizes, **params})
        return model.double().eval()

    return make


@pytest.fixture
def rows() -> Callable[..., torch.Tensor]:
    """`rows(batch, length)`: the same items at each call."""

    def make(batch: int = 3, length: int = 12) -> torch.Tensor:
        return torch.randint(1, N_ITEMS + 1, (batch, length), generator=torch.Generator().manual_seed(1))

    return make


@pytest.fixture
def features() -> np.ndarray:
    return FEATURES


@pytest.fixture
def times() -> Callable[..., torch.Tensor | None]:
    """`times(model, items)`: of events ever further apart, None for a model that needs none."""

    def make(model: models.Recommender, items: torch.Tensor) -> torch.Tensor | None:
        if not model.needs_timestamps:
            return None
        return torch.arange(items.shape[1] + 1).square().expand(len(items), -1)

    return make


@pytest.fixture
def states(times: Callable[..., torch.Tensor | None]) -> Callable[..., torch.Tensor]:
    """`states(model, items, mask=None)`: what the model makes of them, told times where it needs them."""
    return lambda model, items, mask=None: model(items, mask, times(model, items))


@pytest.fixture
def scores(times: Callable[..., torch.Tensor | None]) -> Callable[..., torch.Tensor]:
    """`scores(model, items, mask=None)`, likewise."""
    return lambda model, items, mask=None: model.scores(items, mask, times(model, items))
