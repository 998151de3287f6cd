"""Popularity and item-KNN, on histories that one can count by hand."""

import io
import math

import numpy as np
import pytest
import torch

from linrec_bench import models
from linrec_bench.data.sequences import Sequences
from linrec_bench.models import item_knn

FLOORS = [name for name, spec in models.registry().items() if not spec.trained_by_gradient]
HISTORIES = [[1, 2, 2], [2, 1, 3], [1, 3], [4]]


def sequences(histories=HISTORIES, n_items=5) -> Sequences:
    items = np.array([item for history in histories for item in history], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, histories)])
    return Sequences(items, np.arange(len(items)), offsets, n_items)


def floor(name, histories=HISTORIES, n_items=5, **params):
    made = models.build(name, n_items=n_items, **params)
    made.fit(sequences(histories, n_items))
    return made


def test_popularity_counts_events():
    scores = floor("popularity").scores(torch.tensor([[1, 2], [4, 0]]))
    assert scores.tolist() == [[0, 3, 3, 2, 1, 0]] * 2


def test_item_knn_by_hand():
    # Users of 1, 2, 3: {0, 1, 2}, {0, 1}, {1, 2}; 4 was never met with another item, 5 never.
    one_two, one_three, two_three = 2 / math.sqrt(6), 2 / math.sqrt(6), 1 / 2
    scores = floor("item-knn").scores(torch.tensor([[1, 0, 0], [2, 3, 0], [4, 5, 0]]))
    expected = [
        [0, 0, one_two, one_three, 0, 0],
        [0, one_two + one_three, two_three, two_three, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    torch.testing.assert_close(scores[:, 1:], torch.tensor(expected)[:, 1:])


def test_item_knn_keeps_the_nearest_and_the_lower_id_of_equals():
    scores = floor("item-knn", neighbours=1).scores(torch.tensor([[1], [2], [3]]))
    # 1 is as near to 2 as to 3.
    assert (scores[:, 1:] > 0).int().tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]


def test_shrinking_takes_weight_from_rare_pairs():
    scores = floor("item-knn", shrink=2.0).scores(torch.tensor([[1]]))
    assert scores[0, 2].item() == pytest.approx(2 / (math.sqrt(6) + 2))


@pytest.mark.parametrize("block_pairs", [1, 100, 10**6])
def test_item_knn_is_the_cosine_of_the_columns(monkeypatch, block_pairs):
    monkeypatch.setattr(item_knn, "BLOCK_PAIRS", block_pairs)
    generator = np.random.default_rng(0)
    histories = [generator.integers(1, 31, size=size).tolist() for size in (1, 4, 9, 12, 3, 7, 20, 5)]
    met = np.zeros((8, 31))
    for user, history in enumerate(histories):
        met[user, history] = 1
    shared = met.T @ met
    with np.errstate(invalid="ignore"):
        cosine = np.nan_to_num(shared / np.sqrt(np.outer(met.sum(axis=0), met.sum(axis=0))))
    np.fill_diagonal(cosine, 0)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :6]
    kept = np.zeros_like(cosine)
    np.put_along_axis(kept, nearest, np.take_along_axis(cosine, nearest, axis=1), axis=1)
    found = floor("item-knn", histories, n_items=30, neighbours=6).scores(torch.tensor([[7, 30, 2, 7, 0]]))
    np.testing.assert_allclose(found[0, 1:], kept[[2, 7, 30]].sum(axis=0)[1:], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", FLOORS)
def test_order_repetitions_and_padding_are_no_matter(name):
    made = floor(name)
    expected = made.scores(torch.tensor([[1, 2]]))
    for items in ([[2, 1]], [[1, 2, 1, 2]], [[1, 2, 0, 0]]):
        assert torch.equal(made.scores(torch.tensor(items)), expected)
    filled, mask = torch.tensor([[1, 2, 3]]), torch.tensor([[True, True, False]])
    assert torch.equal(made.scores(filled, mask), expected)


@pytest.mark.parametrize("name", FLOORS)
def test_a_second_fit_forgets_the_first(name):
    made = floor(name, [[3, 4, 5], [4, 5]])
    made.fit(sequences())
    assert torch.equal(made.scores(torch.tensor([[1, 4]])), floor(name).scores(torch.tensor([[1, 4]])))


@pytest.mark.parametrize("name", FLOORS)
def test_a_checkpoint_restores_the_counts(name):
    made, other = floor(name), models.build(name, n_items=5)
    file = io.BytesIO()
    torch.save(made.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(made.scores(torch.tensor([[1, 2]])), other.scores(torch.tensor([[1, 2]])))


@pytest.mark.parametrize("name", FLOORS)
def test_nothing_is_learnt_and_nothing_is_guessed(name):
    made = models.build(name, n_items=5)
    assert not list(made.parameters())
    with pytest.raises(ValueError, match=rf"model {name} has counted nothing yet; call fit"):
        made.scores(torch.tensor([[1]]))
    with pytest.raises(ValueError, match=rf"the sequences have 4 items; model {name} expects 5"):
        made.fit(sequences([[1, 2]], n_items=4))
    with pytest.raises(ValueError, match=rf"model {name}: n_items is 0; expected at least 1"):
        models.build(name, n_items=0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"neighbours": 0}, "neighbours is 0; expected at least 1"),
        ({"shrink": -1.0}, "shrink is -1.0; expected 0 or more"),
        ({"neighbors": 3}, "has no parameter 'neighbors'.*mean 'neighbours'"),
    ],
)
def test_impossible_values_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        models.build("item-knn", n_items=5, **params)
