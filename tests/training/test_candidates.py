import numpy as np
import pytest

from linrec_bench.data.sequences import Queries, Sequences
from linrec_bench.training import candidates
from linrec_bench.training.candidates import draw


def queries(histories: list[list[int]], targets: list[int], *, n_items: int) -> Queries:
    items = np.array([item for history in histories for item in history], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, histories)])
    sequences = Sequences(items, np.arange(len(items)), offsets, n_items)
    return Queries(sequences, np.array(targets, dtype=np.int32), np.arange(100, 100 + len(targets)))


def many(count: int, *, n_items: int = 12) -> Queries:
    return queries([[1, 2, 2]] * count, [3] * count, n_items=n_items)


POPULARITY = np.array([7, 9, 9, 9, 40, 30, 20, 10, 5, 5, 5, 5, 0])


@pytest.mark.parametrize("kind", ["uni100", "pop100"])
def test_no_candidate_was_seen_is_the_target_padding_or_there_twice(kind):
    found = draw(many(500), kind, popularity=POPULARITY, seed=0, count=5)
    assert found.shape == (500, 5)
    assert all(len(set(row)) == 5 for row in found.tolist())
    assert not np.isin(found, [0, 1, 2, 3]).any()


def test_uniform_draws_take_every_unseen_item_alike():
    found = draw(many(20_000), "uni100", popularity=POPULARITY, seed=0, count=3)
    shares = np.bincount(found.ravel(), minlength=13) / len(found)
    np.testing.assert_allclose(shares[4:], 3 / 9, atol=0.02)


def test_popular_draws_are_successive_without_replacement():
    found = draw(many(40_000), "pop100", popularity=POPULARITY, seed=0, count=2)
    shares = np.bincount(found.ravel(), minlength=13) / len(found)
    weights = np.where(np.arange(13) > 3, POPULARITY, 0) / POPULARITY[4:].sum()
    # The chance to be drawn first, and second after each other item.
    second = np.array(
        [sum(weights[j] * w / (1 - weights[j]) for j in range(13) if j != i) for i, w in enumerate(weights)]
    )
    np.testing.assert_allclose(shares, weights + second, atol=0.01)
    assert shares[12] == 0


def test_the_seed_decides_and_blocks_do_not(monkeypatch):
    whole = draw(many(50), "pop100", popularity=POPULARITY, seed=1, count=4)
    monkeypatch.setattr(candidates, "BLOCK_ENTRIES", 40)
    np.testing.assert_array_equal(draw(many(50), "pop100", popularity=POPULARITY, seed=1, count=4), whole)
    assert not np.array_equal(draw(many(50), "pop100", popularity=POPULARITY, seed=2, count=4), whole)


def test_a_user_with_too_few_items_left_is_named():
    asked = queries([[1], [4, 5, 6, 7]], [2, 3], n_items=12)
    with pytest.raises(ValueError, match=r"pop100: user 101 has 6 unseen items .*expected 7 or more"):
        draw(asked, "pop100", popularity=POPULARITY, seed=0, count=7)
    draw(asked, "uni100", popularity=POPULARITY, seed=0, count=7)
