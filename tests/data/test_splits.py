"""Nothing is asked that was trained on, nothing is lost, and the future changes nothing."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from linrec_bench.data.sequences import Sequences
from linrec_bench.data.splits import global_temporal, leave_one_out

N_ITEMS = 6
EVENTS = st.tuples(st.integers(0, 40), st.integers(1, N_ITEMS))
HISTORIES = st.lists(st.lists(EVENTS, max_size=9).map(lambda h: sorted(h, key=lambda e: e[0])), max_size=6)


def sequences_of(histories, **kwargs):
    events = [event for history in histories for event in history]
    return Sequences(
        items=np.array([item for _, item in events], dtype=np.int32),
        timestamps=np.array([time for time, _ in events], dtype=np.int64),
        offsets=np.cumsum([0, *map(len, histories)]),
        n_items=N_ITEMS,
        **kwargs,
    )


def histories_of(sequences):
    return [
        list(zip(sequences.timestamps[a:b].tolist(), sequences.items[a:b].tolist(), strict=True))
        for a, b in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True)
    ]


def asked_of(queries):
    triples = zip(
        queries.user.tolist(), histories_of(queries.histories), queries.targets.tolist(), strict=True
    )
    return {user: (history, target) for user, history, target in triples}


@given(histories=HISTORIES)
def test_leave_one_out_takes_the_last_two_events(histories):
    split = leave_one_out(sequences_of(histories))
    assert histories_of(split.train) == [h[:-2] if len(h) >= 3 else h for h in histories]
    long = {user: h for user, h in enumerate(histories) if len(h) >= 3}
    assert asked_of(split.validation) == {user: (h[:-2], h[-2][1]) for user, h in long.items()}
    assert asked_of(split.test) == {user: (h[:-1], h[-1][1]) for user, h in long.items()}
    # Counts are conserved: every event trains or is asked once.
    assert split.train.n_events + len(split.validation) + len(split.test) == sum(map(len, histories))


def cut(histories, **shares):
    """The split, where the times can be cut at all."""
    try:
        return global_temporal(sequences_of(histories), **shares)
    except ValueError:
        assume(False)


SHARES = st.floats(0.1, 0.4)


@given(histories=HISTORIES, validation_share=SHARES, test_share=SHARES)
def test_a_global_cut_separates_the_times(histories, validation_share, test_share):
    split = cut(histories, validation_share=validation_share, test_share=test_share)
    trained = histories_of(split.train)
    times = sorted(time for history in histories for time, _ in history)
    cuts = [times[int(s * len(times))] for s in (1 - validation_share - test_share, 1 - test_share)]
    known = {item for history in trained for _, item in history}
    assert trained == [[e for e in history if e[0] < cuts[0]] for history in histories]
    for queries, start, stop in ((split.validation, *cuts), (split.test, cuts[1], np.inf)):
        expected, no_history, unseen = {}, 0, 0
        for user, history in enumerate(histories):
            due = [n for n, (time, _) in enumerate(history) if start <= time < stop]
            if due and due[0] == 0:
                no_history += 1
            elif due and history[due[0]][1] not in known:
                unseen += 1
            elif due:
                expected[user] = (history[: due[0]], history[due[0]][1])
        assert asked_of(queries) == expected
        assert (queries.no_history, queries.unseen_target) == (no_history, unseen)


@given(histories=HISTORIES, data=st.data())
def test_a_shuffled_future_changes_nothing_that_is_trained_on(histories, data):
    split = cut(histories)
    future = min(
        [e[0] for h, kept in zip(histories, histories_of(split.train), strict=True) for e in h[len(kept) :]]
    )
    late = [item for history in histories for time, item in history if time >= future]
    shuffled = iter(data.draw(st.permutations(late)))
    other = [[(t, next(shuffled) if t >= future else item) for t, item in history] for history in histories]
    assert histories_of(cut(other).train) == histories_of(split.train)


@given(histories=HISTORIES, data=st.data())
def test_leave_one_out_trains_on_nothing_that_it_asks(histories, data):
    items = st.integers(1, N_ITEMS)
    other = [
        [*h[:-2], *[(time, data.draw(items)) for time, _ in h[-2:]]] if len(h) >= 3 else h for h in histories
    ]
    first, second = leave_one_out(sequences_of(histories)), leave_one_out(sequences_of(other))
    assert histories_of(first.train) == histories_of(second.train)


STEADY = [[(10 * u + t, 1 + (u + t) % N_ITEMS) for t in range(8)] for u in range(6)]


def test_users_without_history_and_unseen_targets_are_counted():
    late = [(53, 1), (54, 2)]
    novel = [(0, 1), (1, 2), (54, 6)]
    histories = [*[[(t, 1 + t % 3) for t in range(n, n + 10)] for n in (0, 10, 20, 30)], late, novel]
    split = global_temporal(sequences_of(histories), validation_share=0.2, test_share=0.1)
    assert (split.test.no_history, split.test.unseen_target) == (1, 1)


@pytest.mark.parametrize("shares", [(0.0, 0.1), (0.1, 0.0), (0.5, 0.5), (-0.1, 0.5), (float("nan"), 0.1)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ValueError, match="expected both above 0"):
        global_temporal(sequences_of(STEADY), validation_share=shares[0], test_share=shares[1])


def test_positions_cannot_be_cut():
    with pytest.raises(ValueError, match=r"positions in each history.*leave_one_out"):
        global_temporal(sequences_of(STEADY, ordinal=True))


def test_times_too_coarse_to_cut_are_refused():
    with pytest.raises(ValueError, match="20 events at 2 distinct times"):
        global_temporal(sequences_of([[(t, 1)] * 10 for t in (0, 1)]))
    with pytest.raises(ValueError, match="no events"):
        global_temporal(sequences_of([[], []]))


@pytest.mark.parametrize("split", [leave_one_out, global_temporal])
def test_queries_say_when_they_were_asked(split):
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, size=20)
    total = int(lengths.sum())
    offsets = np.concatenate(([0], lengths.cumsum()))
    times = np.concatenate([np.sort(rng.choice(10**12, size=n, replace=False)) for n in lengths])
    sequences = Sequences(rng.integers(1, 4, total).astype(np.int32), times, offsets, 3)
    for asked in (split(sequences).validation, split(sequences).test):
        event = sequences.offsets[asked.user] + asked.histories.lengths
        np.testing.assert_array_equal(asked.request_times, times[event])
        assert len(asked) > 0
