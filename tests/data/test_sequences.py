"""From a log of events to histories: core, order, numbering, exact times."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.data.sequences import Sequences, from_interactions

LOGS = st.lists(
    st.tuples(st.integers(-3, 4), st.integers(-3, 4), st.integers(-5, 5)), min_size=1, max_size=60
)


def plain_core(events, least):
    """The k-core, said event by event."""
    while True:
        users, items = Counter(e[0] for e in events), Counter(e[1] for e in events)
        kept = [e for e in events if users[e[0]] >= least and items[e[1]] >= least]
        if len(kept) == len(events):
            return events
        events = kept


def histories_of(sequences):
    bounds = zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True)
    return [
        list(zip(sequences.items[a:b].tolist(), sequences.timestamps[a:b].tolist(), strict=True))
        for a, b in bounds
    ]


@given(log=LOGS, least=st.integers(1, 4))
def test_agrees_with_the_rule_said_event_by_event(log, least):
    events = plain_core(log, least)
    columns = [np.array(column) for column in zip(*log, strict=True)]
    if not events:
        with pytest.raises(ValueError, match="lower min_interactions"):
            from_interactions(*columns, min_interactions=least)
        return
    number = {item: n for n, item in enumerate(sorted({e[1] for e in events}), start=1)}
    expected = [
        [(number[item], time) for who, item, time in sorted(events, key=lambda e: e[2]) if who == user]
        for user in sorted({e[0] for e in events})
    ]
    found = from_interactions(*columns, min_interactions=least)
    assert histories_of(found) == expected
    assert found.n_items == len(number)
    assert (found.items.dtype, found.timestamps.dtype, found.offsets.dtype) == (np.int32, np.int64, np.int64)


def test_times_that_float32_would_merge_keep_their_order_and_value():
    base = 1_700_000_000_000_000_000
    times = np.array([base + 2, base, base + 1])
    found = from_interactions(np.zeros(3, int), np.array([7, 5, 6]), times, min_interactions=1)
    assert found.timestamps.tolist() == [base, base + 1, base + 2]
    assert found.items.tolist() == [1, 2, 3]


def test_text_ids_are_numbered_in_their_order():
    found = from_interactions(
        np.array(["b", "a", "b"]), np.array(["y", "y", "x"]), np.array([1, 2, 3]), min_interactions=1
    )
    assert histories_of(found) == [[(2, 2)], [(2, 1), (1, 3)]]


@pytest.mark.parametrize(
    ("times", "ordinal"),
    [([0, 1, 2, 0, 1], True), ([1, 2, 3, 1, 2], True), ([0, 1, 2, 1, 2], False), ([0, 1, 3, 0, 1], False)],
)
def test_positions_are_told_from_times(times, ordinal):
    found = from_interactions(np.array([1, 1, 1, 2, 2]), np.arange(5), np.array(times), min_interactions=1)
    assert found.ordinal is ordinal


def test_positions_are_told_before_the_core_leaves_gaps():
    user, item = np.repeat([1, 2], 4), np.array([1, 9, 2, 3, 1, 2, 8, 3])
    found = from_interactions(user, item, np.tile(np.arange(4), 2), min_interactions=2)
    assert found.timestamps.tolist() == [0, 2, 3, 0, 1, 3]
    assert found.ordinal


@pytest.mark.parametrize(
    ("user", "times", "least", "message"),
    [
        ([1], np.array([1, 2]), 1, "1 users, 2 items and 2 timestamps"),
        ([1, 1], np.array([1.0, 2.0]), 1, "timestamps are float64; expected integers"),
        ([1, 1], np.array([1, 2], np.uint64), 1, "timestamps are uint64"),
        ([1, 1], np.array([1, 2]), 0, "min_interactions is 0; expected 1 or more"),
    ],
)
def test_mistakes_are_named(user, times, least, message):
    with pytest.raises(ValueError, match=message):
        from_interactions(np.array(user), np.array([1, 2]), times, min_interactions=least)


def test_first_copies_prefixes_of_the_users_asked_for():
    sequences = Sequences(np.arange(1, 7, dtype=np.int32), np.arange(6) * 10, np.array([0, 1, 4, 6]), 6)
    found = sequences.first(np.array([2, 0, 1]), user=np.array([1, 0, 2]))
    assert histories_of(found) == [[(2, 10), (3, 20)], [], [(5, 40)]]
