import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from linrec_bench.data.batches import Batch, prefixes, windows
from linrec_bench.data.sequences import Sequences
from linrec_bench.models.spec import Recommender
from linrec_bench.training.objectives import loss_of

HISTORIES = [[1, 2, 3, 4], [5, 4], [3]]
SEQUENCES = Sequences(
    items=np.array([item for history in HISTORIES for item in history], dtype=np.int32),
    timestamps=np.arange(7),
    offsets=np.array([0, 4, 6, 7]),
    n_items=5,
)


class Table(Recommender):
    """The state after an item is a row of a random table, the same at every position."""

    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.causal = causal
        self.states = torch.randn(6, 3, generator=generator)
        self.outputs = nn.Parameter(torch.randn(6, 3, generator=generator))

    def forward(self, items, padding_mask=None):
        assert torch.equal(padding_mask, items > 0)
        return self.states[items]

    def item_embeddings(self):
        return self.outputs


def mean_loss(model: Table, steps: list[tuple[int, int]]) -> torch.Tensor:
    """Mean loss over pairs of a last item and the item after it."""
    last, following = torch.tensor(steps).T
    return F.cross_entropy(model.states[last] @ model.outputs[1:].T, following - 1)


def whole(rows) -> Batch:
    return rows.batch(np.arange(len(rows)))


# Each window and each prefix has other lengths, so that a batch has padding.
STEPS = [(1, 2), (2, 3), (3, 4), (5, 4)]


def test_all_positions_predict_what_follows_each():
    model = Table(causal=True)
    found = loss_of(model, whole(windows(SEQUENCES, 4)), "all_positions")
    torch.testing.assert_close(found, mean_loss(model, STEPS))


def test_positions_that_an_earlier_window_covers_do_not_count_twice():
    model = Table(causal=True)
    found = loss_of(model, whole(windows(SEQUENCES, 2)), "all_positions")
    torch.testing.assert_close(found, mean_loss(model, STEPS))


@pytest.mark.parametrize("causal", [True, False])
def test_the_last_position_predicts_what_follows_the_prefix(causal):
    model = Table(causal=causal)
    found = loss_of(model, whole(prefixes(SEQUENCES, 4)), "last_position")
    torch.testing.assert_close(found, mean_loss(model, STEPS))
