"""Every target once, padding on the right, orders that a seed determines."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.data.sequences import Queries, Sequences
from linrec_bench.training.batches import prefixes, queries, shuffled, spans, windows

LENGTHS = st.lists(st.integers(0, 13), max_size=7)
SEQ_LENS = st.integers(1, 9)


def numbered(lengths):
    """Histories in which event number e holds item e + 1, so that an item tells where it came from."""
    total = sum(lengths)
    return Sequences(
        np.arange(1, total + 1, dtype=np.int32), np.arange(total), np.cumsum([0, *lengths]), total
    )


def targets_of(sequences):
    """Every item that follows another in its history."""
    firsts = set(sequences.items[sequences.offsets[:-1][sequences.lengths > 0]].tolist())
    return sorted(set(sequences.items.tolist()) - firsts)


def assert_padded_right(batch):
    width = batch.items.shape[1]
    assert batch.items.dtype == batch.targets.dtype == batch.lengths.dtype == torch.int64
    expected = torch.arange(width)[None, :] < batch.lengths[:, None]
    assert torch.equal(batch.padding_mask, expected)
    assert torch.equal(batch.items > 0, expected)


@given(lengths=LENGTHS, seq_len=SEQ_LENS)
def test_windows_ask_for_every_target_exactly_once(lengths, seq_len):
    sequences = numbered(lengths)
    cut = windows(sequences, seq_len)
    batch = cut.batch(np.arange(len(cut)))
    assert_padded_right(batch)
    asked = batch.targets > 0
    assert sorted(batch.targets[asked].tolist()) == targets_of(sequences)
    # Numbered items: what follows an item is the next number.
    assert torch.equal(batch.targets[asked], batch.items[asked] + 1)
    assert asked.any(dim=1).all()


@given(lengths=LENGTHS, seq_len=SEQ_LENS)
def test_windows_are_full_where_the_history_allows(lengths, seq_len):
    cut = windows(numbered(lengths), seq_len)
    expected = [min(n - 1, seq_len) for n in lengths for _ in range(-(-max(n - 1, 0) // seq_len))]
    assert cut.lengths.tolist() == expected


def test_windows_by_hand():
    cut = windows(numbered([1, 3, 6]), 3)
    batch = cut.batch(np.array([2, 0, 1]))
    assert batch.items.tolist() == [[7, 8, 9], [2, 3, 0], [5, 6, 7]]
    assert batch.targets.tolist() == [[0, 9, 10], [3, 4, 0], [6, 7, 8]]
    assert batch.rows.tolist() == [2, 0, 1]


@given(lengths=LENGTHS, seq_len=SEQ_LENS)
def test_prefixes_are_one_row_a_target(lengths, seq_len):
    sequences = numbered(lengths)
    rows = prefixes(sequences, seq_len)
    assert len(rows) == sum(max(n - 1, 0) for n in lengths)
    batch = rows.batch(np.arange(len(rows)))
    assert_padded_right(batch)
    assert batch.targets.tolist() == targets_of(sequences)
    assert rows.lengths.tolist() == [min(p, seq_len) for n in lengths for p in range(1, n)]
    if len(rows):
        last = batch.items[torch.arange(len(rows)), batch.lengths - 1]
        assert torch.equal(last, batch.targets - 1)


@given(lengths=st.lists(st.integers(1, 13), min_size=1, max_size=7), seq_len=SEQ_LENS)
def test_queries_keep_the_end_of_each_history(lengths, seq_len):
    histories = numbered(lengths)
    targets = np.arange(len(lengths), dtype=np.int32) + 1
    rows = queries(Queries(histories, targets, np.arange(len(lengths))), seq_len)
    batch = rows.batch(np.arange(len(rows)))
    assert_padded_right(batch)
    assert batch.targets.tolist() == targets.tolist()
    for row, end in zip(batch.items.tolist(), histories.offsets[1:].tolist(), strict=True):
        kept = [item for item in row if item]
        assert kept == list(range(end - len(kept) + 1, end + 1))
    assert batch.lengths.tolist() == [min(n, seq_len) for n in lengths]


def test_a_batch_is_as_wide_as_its_longest_row_or_as_asked():
    rows = prefixes(numbered([2, 6]), 5)
    assert rows.batch(np.array([0, 1])).items.shape == (2, 1)
    assert rows.batch(np.array([0, 5])).items.shape == (2, 5)
    fixed = rows.batch(np.array([0, 1]), pad_to=8)
    assert fixed.items.shape == fixed.padding_mask.shape == (2, 8)
    assert_padded_right(fixed)
    assert windows(numbered([3]), 5).batch(np.array([0]), pad_to=4).targets.tolist() == [[2, 3, 0, 0]]
    with pytest.raises(ValueError, match="pad_to is 2, but a row of this batch has 5 items"):
        rows.batch(np.array([5]), pad_to=2)


@given(
    lengths=st.lists(st.integers(1, 50), max_size=60),
    batch_size=st.integers(1, 9),
    bucket=st.integers(1, 5),
    seed=st.integers(0, 3),
)
def test_an_epoch_holds_every_row_once_and_repeats_by_seed(lengths, batch_size, bucket, seed):
    def epoch():
        rng = np.random.default_rng(seed)
        return [
            rows.tolist()
            for rows in shuffled(np.array(lengths, dtype=np.int64), batch_size, rng, bucket=bucket)
        ]

    batches = epoch()
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    assert sorted(map(len, batches), reverse=True)[:-1] == [batch_size] * (len(batches) - 1)
    assert batches == epoch()


def test_buckets_hold_rows_of_like_length_and_epochs_differ():
    lengths = np.random.default_rng(0).integers(1, 200, size=2048)

    def padded(bucket, seed=0):
        rng = np.random.default_rng(seed)
        return sum(lengths[rows].max() * len(rows) for rows in shuffled(lengths, 32, rng, bucket=bucket))

    assert padded(bucket=32) < 1.1 * lengths.sum()
    assert padded(bucket=1) > 1.8 * lengths.sum()
    # The fewer rows are sorted together, the more chance is left in the order, and padding.
    assert 1.1 * lengths.sum() < padded(bucket=4) < 1.6 * lengths.sum()
    rng = np.random.default_rng(0)
    first, second = (np.concatenate(list(shuffled(lengths, 32, rng))) for _ in range(2))
    assert not np.array_equal(first, second)


@given(lengths=LENGTHS, seq_len=SEQ_LENS)
def test_spans_hold_every_event_of_users_with_two(lengths, seq_len):
    sequences = numbered(lengths)
    cut = spans(sequences, seq_len)
    batch = cut.batch(np.arange(len(cut)))
    assert_padded_right(batch)
    assert torch.equal(batch.items, batch.targets)
    alone = sequences.items[sequences.offsets[:-1][sequences.lengths == 1]]
    assert set(batch.items[batch.padding_mask].tolist()) == set(sequences.items) - set(alone)
    # One history a span: its numbers run on, and its length is the most there can be.
    assert all((row.diff() == 1).all() for row in (r[r > 0] for r in batch.items))
    assert cut.lengths.tolist() == [
        min(n, seq_len) for n in lengths if n > 1 for _ in range(-(-n // seq_len))
    ]


def test_rows_have_times_only_where_asked():
    for cut in (windows, prefixes, spans):
        assert cut(numbered([3]), 2).batch(np.array([0])).timestamps is None


@given(lengths=LENGTHS, seq_len=SEQ_LENS, pad=st.integers(0, 2))
def test_times_are_those_of_the_events_and_of_the_request(lengths, seq_len, pad):
    sequences = numbered(lengths)
    # Exact where a float32 would not be.
    sequences = Sequences(sequences.items, sequences.timestamps + 2**40, sequences.offsets, sequences.n_items)
    for cut, after in ((windows, 1), (prefixes, 1), (spans, 0)):
        rows = cut(sequences, seq_len, timed=True)
        if not len(rows):
            continue
        batch = rows.batch(np.arange(len(rows)), pad_to=int(rows.lengths.max()) + pad)
        assert batch.timestamps.shape == (len(rows), batch.items.shape[1] + 1)
        for moments, items, length in zip(batch.timestamps, batch.items, batch.lengths, strict=True):
            events = items[:length] - 1 + 2**40
            assert torch.equal(moments[:length], events)
            assert (moments[length:] == events[-1] + after).all()


def test_a_query_comes_at_its_own_time():
    sequences = numbered([2, 1])
    asked = Queries(
        sequences, np.array([1, 1], dtype=np.int32), np.arange(2), request_times=np.array([50, 60])
    )
    batch = queries(asked, 5, timed=True).batch(np.arange(2))
    assert batch.timestamps.tolist() == [[0, 1, 50], [2, 60, 60]]
    with pytest.raises(ValueError, match="no request_times"):
        queries(Queries(sequences, asked.targets, asked.user), 5, timed=True)


def test_batches_move_with_their_rows():
    batch = windows(numbered([4]), 3, timed=True).batch(np.array([0])).to(torch.device("meta"))
    assert {batch.items.device.type, batch.targets.device.type, batch.timestamps.device.type} == {"meta"}
    assert {batch.padding_mask.device.type, batch.lengths.device.type} == {"meta"}
    assert batch.rows.tolist() == [0]


@pytest.mark.parametrize("cut", [windows, prefixes, spans])
def test_a_seq_len_below_one_is_refused(cut):
    with pytest.raises(ValueError, match="seq_len is 0; expected 1 or more"):
        cut(numbered([3]), 0)
    with pytest.raises(ValueError, match="batch_size 0"):
        next(shuffled(np.array([1]), 0, np.random.default_rng(0)))
