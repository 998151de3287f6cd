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
        features = FEATURES if models.registry()[name].needs_features else None
        model = models.build(name, n_items=N_ITEMS, item_features=features, **{**SMALL, **params})
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
