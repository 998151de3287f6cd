"""Histories as padded tensors. Padding is on the right and is item 0.

Rows are gathered from the flat arrays by index arithmetic, without a Python object per user. R is the number
of rows, B that of a batch, N the longest row of the batch (or `pad_to`). `timed` rows carry timestamps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int32, Int64
from torch import Tensor

from linrec_bench.data.sequences import Queries, Sequences
from linrec_bench.measures.device.lookup import device_of


@dataclass(frozen=True)
class Batch:
    """B rows of one forward pass; `rows` are their indices among all rows.

    targets: one per position for windows and spans (0: no loss there), one per row for prefixes and queries.
    timestamps: those of the events, then, after the last event, that of the request for the next one, which
    fills the remaining entries. None for rows without times.
    """

    items: Int64[Tensor, "B N"]
    targets: Int64[Tensor, "B N"] | Int64[Tensor, " B"]
    padding_mask: Bool[Tensor, "B N"]
    lengths: Int64[Tensor, " B"]
    rows: Int64[np.ndarray, " B"]
    timestamps: Int64[Tensor, "B N_plus_1"] | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on `device`, without waiting for them to arrive."""
        sent = device_of(device).sent
        return replace(
            self,
            items=sent(self.items),
            targets=sent(self.targets),
            padding_mask=sent(self.padding_mask),
            lengths=sent(self.lengths),
            timestamps=None if self.timestamps is None else sent(self.timestamps),
        )


@dataclass(frozen=True)
class Windows:
    """R windows of a training set: row r reads the events starts[r] up to starts[r] + lengths[r].

    Its first covered[r] positions carry no target: an earlier window has it.
    """

    events: Int32[np.ndarray, " E"]
    starts: Int64[np.ndarray, " R"]
    lengths: Int64[np.ndarray, " R"]
    covered: Int64[np.ndarray, " R"]
    times: Int64[np.ndarray, " E"] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, rows: Int64[np.ndarray, " B"], *, pad_to: int | None = None) -> Batch:
        """Rows with a target at every position: the event after it, 0 where covered or padded."""
        positions, real = _positions(self.lengths[rows], pad_to)
        has_target = real & (positions >= self.covered[rows, None])
        read = _gather(self.events, self.starts[rows], positions, real)
        answers = _gather(self.events, self.starts[rows] + 1, positions, has_target)
        return _batch(read, answers, real, rows, _moments(self.times, self.starts[rows], real, after=1))


@dataclass(frozen=True)
class Spans:
    """R pieces of histories to be restored: row r has the events starts[r] to starts[r] + lengths[r]."""

    events: Int32[np.ndarray, " E"]
    starts: Int64[np.ndarray, " R"]
    lengths: Int64[np.ndarray, " R"]
    times: Int64[np.ndarray, " E"] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, rows: Int64[np.ndarray, " B"], *, pad_to: int | None = None) -> Batch:
        """Rows whose target at each position is the item at that position, 0 at padding.

        The time of the request is that of the last event, because the next event may be another user's.
        """
        positions, real = _positions(self.lengths[rows], pad_to)
        read = _gather(self.events, self.starts[rows], positions, real)
        return _batch(read, read.copy(), real, rows, _moments(self.times, self.starts[rows], real, after=0))


@dataclass(frozen=True)
class Prefixes:
    """R histories with one target each: row r reads the events starts[r] up to starts[r] + lengths[r].

    request_times: those of the targets.
    """

    events: Int32[np.ndarray, " E"]
    starts: Int64[np.ndarray, " R"]
    lengths: Int64[np.ndarray, " R"]
    targets: Int32[np.ndarray, " R"]
    times: Int64[np.ndarray, " E"] | None = None
    request_times: Int64[np.ndarray, " R"] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, rows: Int64[np.ndarray, " B"], *, pad_to: int | None = None) -> Batch:
        """Rows with one target each: the event after the last real position."""
        positions, real = _positions(self.lengths[rows], pad_to)
        read = _gather(self.events, self.starts[rows], positions, real)
        moments = _moments(self.times, self.starts[rows], real, after=0)
        if moments is not None:
            assert self.request_times is not None, "rows with times have those of their targets"
            later = np.arange(moments.shape[1]) >= self.lengths[rows, None]
            moments = np.where(later, self.request_times[rows, None], moments)
        return _batch(read, self.targets[rows].astype(np.int64), real, rows, moments)


def windows(train: Sequences, seq_len: int, *, timed: bool = False) -> Windows:
    """Windows of at most `seq_len` inputs that take each training target exactly once.

    A user of L events has L - 1 inputs and targets. They are cut from the start; the last window ends with
    the history and reaches back to `seq_len` inputs where there are that many, with no target at the
    positions that it repeats.
    """
    _check_seq_len(seq_len)
    inputs = np.maximum(train.lengths - 1, 0)
    count = -(-inputs // seq_len)
    user = np.repeat(np.arange(train.n_users), count)
    number = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    first_target = number * seq_len
    stop = np.minimum(first_target + seq_len, inputs[user])
    start = np.maximum(stop - seq_len, 0)
    times = train.timestamps if timed else None
    return Windows(train.items, train.offsets[user] + start, stop - start, first_target - start, times)


def spans(train: Sequences, seq_len: int, *, timed: bool = False) -> Spans:
    """Pieces of at most `seq_len` events that hold every training event of users with two or more.

    They are cut from the start; the last piece ends with the history and reaches back to `seq_len` events
    where there are that many, so that some events stand in two pieces.
    """
    _check_seq_len(seq_len)
    events = np.where(train.lengths > 1, train.lengths, 0)
    count = -(-events // seq_len)
    user = np.repeat(np.arange(train.n_users), count)
    number = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    stop = np.minimum((number + 1) * seq_len, events[user])
    start = np.maximum(stop - seq_len, 0)
    times = train.timestamps if timed else None
    return Spans(train.items, train.offsets[user] + start, stop - start, times)


def prefixes(train: Sequences, seq_len: int, *, timed: bool = False) -> Prefixes:
    """One row per training target: the (at most `seq_len`) events before it."""
    _check_seq_len(seq_len)
    position = np.arange(train.n_events) - np.repeat(train.offsets[:-1], train.lengths)
    target = np.flatnonzero(position)
    lengths = np.minimum(position[target], seq_len)
    rows = Prefixes(train.items, target - lengths, lengths, train.items[target])
    return replace(rows, times=train.timestamps, request_times=train.timestamps[target]) if timed else rows


def queries(held_out: Queries, seq_len: int, *, timed: bool = False) -> Prefixes:
    """One row per query: the last (at most `seq_len`) events of its history.

    Raises `ValueError` for timed rows of queries without request times.
    """
    _check_seq_len(seq_len)
    history = held_out.histories
    lengths = np.minimum(history.lengths, seq_len)
    assert lengths.all(), "a split has no query without a history"
    rows = Prefixes(history.items, history.offsets[1:] - lengths, lengths, held_out.targets)
    if not timed:
        return rows
    if held_out.request_times is None:
        raise ValueError("the mechanism needs the time of each request; the queries have no request_times")
    return replace(rows, times=history.timestamps, request_times=held_out.request_times)


def shuffled(
    lengths: Int64[np.ndarray, " R"], batch_size: int, rng: np.random.Generator, *, bucket: int = 32
) -> Iterator[Int64[np.ndarray, " B"]]:
    """Row numbers of each batch of one epoch, every row once, in an order that `rng` determines.

    Rows are shuffled, sorted by length within groups of `bucket` batches, so that a batch holds rows of like
    length and little padding, and the batches are shuffled again. bucket=1 does without the sorting. One
    batch is smaller where `batch_size` does not divide the number of rows.
    """
    if batch_size < 1 or bucket < 1:
        raise ValueError(f"batch_size {batch_size} and bucket {bucket}: expected both to be 1 or more")
    order = rng.permutation(len(lengths))
    group = np.arange(len(lengths)) // (batch_size * bucket)
    if bucket > 1:
        order = order[np.lexsort((lengths[order], group))]
    for start in rng.permutation(np.arange(0, len(lengths), batch_size)):
        yield order[start : start + batch_size]


def _check_seq_len(seq_len: int) -> None:
    if seq_len < 1:
        raise ValueError(f"seq_len is {seq_len}; expected 1 or more")


def _positions(
    lengths: Int64[np.ndarray, " B"], pad_to: int | None
) -> tuple[Int64[np.ndarray, "1 N"], Bool[np.ndarray, "B N"]]:
    """The positions of a batch, and which of them are real."""
    longest = int(lengths.max(initial=0))
    if pad_to is not None and pad_to < longest:
        raise ValueError(f"pad_to is {pad_to}, but a row of this batch has {longest} items")
    positions = np.arange(longest if pad_to is None else pad_to)[None, :]
    return positions, positions < lengths[:, None]


def _gather(
    events: Int32[np.ndarray, " E"],
    starts: Int64[np.ndarray, " B"],
    positions: Int64[np.ndarray, "1 N"],
    selected: Bool[np.ndarray, "B N"],
) -> Int64[np.ndarray, "B N"]:
    """events[starts + positions] where selected, 0 elsewhere."""
    # Index 0 elsewhere: an index past the end of a row may be past all events.
    return np.where(selected, events[np.where(selected, starts[:, None] + positions, 0)], 0).astype(np.int64)


def _moments(
    times: Int64[np.ndarray, " E"] | None,
    starts: Int64[np.ndarray, " B"],
    real: Bool[np.ndarray, "B N"],
    *,
    after: int,
) -> Int64[np.ndarray, "B N_plus_1"] | None:
    """The times of each row and of the `after` events behind it, the last of them repeated to the end."""
    if times is None:
        return None
    last = real.sum(axis=1)[:, None] - 1 + after
    moments: np.ndarray = times[starts[:, None] + np.minimum(np.arange(real.shape[1] + 1), last)]
    return moments


def _batch(
    items: Int64[np.ndarray, "B N"],
    targets: Int64[np.ndarray, "B N"] | Int64[np.ndarray, " B"],
    real: Bool[np.ndarray, "B N"],
    rows: Int64[np.ndarray, " B"],
    moments: Int64[np.ndarray, "B N_plus_1"] | None,
) -> Batch:
    return Batch(
        items=torch.from_numpy(items),
        targets=torch.from_numpy(targets),
        padding_mask=torch.from_numpy(real),
        lengths=torch.from_numpy(real.sum(axis=1)),
        rows=rows,
        timestamps=None if moments is None else torch.from_numpy(moments),
    )
