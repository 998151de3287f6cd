import numpy as np
import pytest
import torch
from torch import nn

from linrec_bench import models
from linrec_bench.data.sequences import Queries, Sequences
from linrec_bench.measures.device.names import ByKind
from linrec_bench.models.spec import Recommender
from linrec_bench.training import evaluate as module
from linrec_bench.training.evaluate import evaluate


class LastItem(Recommender):
    """Scores items by closeness to the last one: state and embedding of item i are (i, 1) and (2 i, -i^2)."""

    causal = True

    def __init__(self, n_items: int) -> None:
        super().__init__()
        ids = torch.arange(n_items + 1, dtype=torch.float32)
        self.table = nn.Parameter(torch.stack((2 * ids, -(ids**2)), dim=1))
        self.widths: list[int] = []

    def forward(self, items, padding_mask=None, timestamps=None):
        assert not self.training
        assert torch.equal(padding_mask, items > 0)
        self.widths.append(items.shape[1])
        return torch.stack((items.float(), torch.ones_like(items, dtype=torch.float32)), dim=2)

    def item_embeddings(self):
        return self.table


def queries(histories: list[list[int]], targets: list[int], *, n_items: int) -> Queries:
    items = np.array([item for history in histories for item in history], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, histories)])
    sequences = Sequences(items, np.arange(len(items)), offsets, n_items)
    return Queries(sequences, np.array(targets, dtype=np.int32), np.arange(len(targets)))


HISTORIES = [[7, 1, 5], [3], [9, 8, 6, 7], [2, 4]]
TARGETS = [6, 3, 5, 7]
# By distance to the last item (5, 3, 7, 4), ties against the model, all ten items or without the seen ones.
WITH_SEEN = [3, 1, 5, 7]
WITHOUT_SEEN = [2, 1, 1, 5]


@pytest.mark.parametrize("batch_size", [1, 3, 10])
@pytest.mark.parametrize(("exclude_seen", "expected"), [(False, WITH_SEEN), (True, WITHOUT_SEEN)])
def test_ranks_by_hand(monkeypatch, batch_size, exclude_seen, expected):
    asked = queries(HISTORIES, TARGETS, n_items=10)
    # Blocks of one query, and one block for all, have to agree.
    for block_bytes in (1, 2**20):
        monkeypatch.setattr(module, "BLOCK_BYTES", ByKind(block_bytes, block_bytes))
        found = evaluate(LastItem(10), asked, seq_len=200, batch_size=batch_size, exclude_seen=exclude_seen)
        assert found.tolist() == expected


def test_long_histories_are_cut_for_the_model_but_not_for_what_was_seen():
    model = LastItem(10)
    asked = queries([[4, 6, 1, 2, 5]], [7], n_items=10)
    found = evaluate(model, asked, seq_len=2, batch_size=4, exclude_seen=True)
    # Of the items as near to 5 as 7 is, or nearer (3, 4, 5, 6), only 3 was not seen.
    assert found.tolist() == [2]
    assert model.widths == [2]


def test_leaves_the_mode_of_the_model_as_it_was():
    model = LastItem(10)
    asked = queries(HISTORIES, TARGETS, n_items=10)
    for training in (True, False):
        model.train(training)
        evaluate(model, asked, seq_len=8, batch_size=2, exclude_seen=True)
        assert model.training is training


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_ranks_among_candidates_by_hand(monkeypatch, batch_size):
    asked = queries(HISTORIES, TARGETS, n_items=10)
    # By distance to the last item: 6 to 5 against 4, 8, 10; 3 to 3 against others; 5 to 7; 7 to 4.
    drawn = np.array([[4, 8, 10], [1, 2, 4], [8, 9, 10], [1, 3, 10]])
    for block_bytes in (1, 2**20):
        monkeypatch.setattr(module, "BLOCK_BYTES", ByKind(block_bytes, block_bytes))
        found = evaluate(
            LastItem(10), asked, seq_len=8, batch_size=batch_size, exclude_seen=True, candidates=drawn
        )
        assert found.tolist() == [2, 1, 3, 3]


def test_candidates_cost_one_forward_a_query():
    model = LastItem(10)
    asked = queries(HISTORIES, TARGETS, n_items=10)
    drawn = np.array([[4, 8, 10]] * 4)
    evaluate(model, asked, seq_len=8, batch_size=4, exclude_seen=True, candidates=drawn)
    assert len(model.widths) == 1


def test_a_floor_is_ranked_by_its_scores():
    train = Sequences(np.array([1, 1, 1, 2, 2, 3], dtype=np.int32), np.arange(6), np.array([0, 6]), 4)
    floor = models.build("popularity", n_items=4)
    floor.fit(train)
    asked = queries([[1, 2], [3], [4]], [3, 2, 1], n_items=4)
    for batch_size in (1, 10):
        options = {"seq_len": 5, "batch_size": batch_size}
        assert evaluate(floor, asked, exclude_seen=False, **options).tolist() == [3, 2, 1]
        assert evaluate(floor, asked, exclude_seen=True, **options).tolist() == [1, 2, 1]


def test_item_knn_ranks_each_query_by_its_own_history():
    """Items 1, 2 and 3 go together, and so do 4, 5 and 6."""
    train = Sequences(
        np.array([1, 2, 3] * 2 + [4, 5, 6] * 2, dtype=np.int32), np.arange(12), np.array([0, 3, 6, 9, 12]), 6
    )
    model = models.build("item-knn", n_items=6)
    model.fit(train)
    asked = queries([[1, 2], [4], [5, 6], [3]], [3, 6, 4, 1], n_items=6)
    for batch_size in (1, 3, 10):
        # Of two equal neighbours of the only item, the one that is no target counts as well placed.
        found = evaluate(model, asked, seq_len=5, batch_size=batch_size, exclude_seen=True)
        assert found.tolist() == [1, 2, 1, 2]


class Moment(LastItem):
    """Scores items by closeness to the seconds between the last event and the request."""

    needs_timestamps = True

    def forward(self, items, padding_mask=None, timestamps=None):
        waits = (timestamps[:, 1:] - timestamps[:, :-1]).float()
        return torch.stack((waits, torch.ones_like(waits)), dim=2)


def test_a_model_that_needs_times_is_given_those_of_the_events_and_the_request():
    asked = queries([[1, 2, 3], [4]], [5, 2], n_items=6)
    timed = Queries(
        Sequences(asked.histories.items, np.array([0, 1, 10, 20]), asked.histories.offsets, 6),
        asked.targets,
        asked.user,
        request_times=np.array([15, 22]),
    )
    options = {"seq_len": 2, "batch_size": 4, "exclude_seen": False}
    assert evaluate(Moment(6), timed, **options).tolist() == [1, 1]
    with pytest.raises(ValueError, match="request_times"):
        evaluate(Moment(6), asked, **options)
