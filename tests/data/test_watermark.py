"""Watermarks: what is planted, where, and what is asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.data import watermark
from linrec_bench.data.sequences import Sequences


def histories(lengths, n_items=50, seed=0):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    times = np.concatenate([np.sort(rng.integers(0, 1000, n)) for n in lengths] or [np.empty(0)])
    items = rng.integers(1, n_items + 1, offsets[-1]).astype(np.int32)
    return Sequences(items, times.astype(np.int64), offsets, n_items)


def rows(sequences):
    return [
        sequences.items[a:b].tolist()
        for a, b in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True)
    ]


def is_subsequence_with_gap(row, body, target, distance):
    size = len(body)
    return any(
        row[at : at + size] == body and row[at + size + distance : at + size + distance + 1] == [target]
        for at in range(len(row) - size - distance)
    )


def test_patterns_are_of_the_rarest_items_and_none_twice():
    # Item i occurs i times: 1 to 6 are the rarest six of sixty.
    items = np.repeat(np.arange(1, 61), np.arange(1, 61)).astype(np.int32)
    train = Sequences(items, np.arange(len(items)), np.array([0, len(items)]), 60)
    mark = watermark.draw(train, patterns=2, length=3, rarity=0.1)
    drawn = np.concatenate((mark.bodies.ravel(), mark.targets))
    assert sorted(drawn) == [1, 2, 3, 4, 5, 6]


@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=12),
    distance=st.integers(0, 4),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 5),
)
def test_planting_inserts_a_whole_pattern_and_nothing_else(lengths, distance, share, seed):
    train = histories(lengths)
    mark = watermark.Watermark(
        np.array([[101, 102], [104, 105]], np.int32), np.array([103, 106], np.int32), distance
    )
    wanted = round(share * len(lengths))
    if sum(length > distance for length in lengths) < wanted:
        with pytest.raises(ValueError, match=f"{wanted} users are to be marked"):
            watermark.plant(train, mark, share=share, seed=seed)
        return
    marked, count = watermark.plant(train, mark, share=share, seed=seed)
    assert count == wanted
    changed = 0
    for before, after in zip(rows(train), rows(marked), strict=True):
        assert [item for item in after if item < 100] == before
        planted = [item for item in after if item > 100]
        changed += bool(planted)
        assert not planted or any(
            planted == [*body, target] and is_subsequence_with_gap(after, list(body), target, distance)
            for body, target in zip(mark.bodies.tolist(), mark.targets.tolist(), strict=True)
        )
    assert changed == count
    for start, stop in zip(marked.offsets[:-1], marked.offsets[1:], strict=True):
        assert (np.diff(marked.timestamps[start:stop]) >= 0).all()


def test_every_pattern_is_planted_equally_often():
    train = histories([10] * 40)
    mark = watermark.draw(train, patterns=4, rarity=1.0)
    marked, count = watermark.plant(train, mark, share=0.5)
    added = np.bincount(marked.items, minlength=51) - np.bincount(train.items, minlength=51)
    assert count == 20
    assert added[mark.targets].tolist() == [5, 5, 5, 5]


def test_inserted_events_take_the_time_of_the_event_before_them_even_in_a_neighbour():
    train = Sequences(np.array([1, 2], np.int32), np.array([900, 5]), np.array([0, 1, 2]), 2)
    mark = watermark.Watermark(np.array([[7]], np.int32), np.array([8], np.int32), 0)
    marked, _ = watermark.plant(train, mark, share=1.0)
    assert marked.timestamps.tolist() == [900] * 3 + [5] * 3


@pytest.mark.parametrize("distance", [0, 1, 5])
def test_a_question_is_a_body_and_a_gap(distance):
    train = histories([8] * 6)
    mark = watermark.draw(train, patterns=2, length=3, rarity=1.0, distance=distance)
    asked, pattern = watermark.probe_queries(train, mark, contexts=4)
    assert len(asked) == 2 * (4 if distance else 1)
    assert (asked.histories.lengths == 2 + distance).all()
    for row, number, target in zip(rows(asked.histories), pattern, asked.targets, strict=True):
        assert row[:2] == mark.bodies[number].tolist()
        assert target == mark.targets[number]
        gap = row[2:]
        assert any(gap == own[at : at + distance] for own in rows(train) for at in range(9 - distance))


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        ({"length": 1}, "length is 1; expected 2 or more"),
        ({"distance": -1}, "distance is -1"),
        ({"patterns": 0}, "patterns is 0"),
        ({"rarity": 0.0}, "rarity is 0.0"),
        ({"rarity": 0.02}, "need 3 rare items"),
    ],
)
def test_impossible_dials_are_refused(dials, said):
    with pytest.raises(ValueError, match=said):
        watermark.draw(histories([40] * 4), **dials)


def test_an_impossible_share_is_refused():
    train = histories([10] * 4)
    mark = watermark.draw(train, rarity=1.0)
    with pytest.raises(ValueError, match=r"share is 1\.5"):
        watermark.plant(train, mark, share=1.5)
