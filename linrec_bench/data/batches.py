"""Histories as padded tensors. Padding stands on the right, everywhere, and is item 0.

Rows are gathered from the flat arrays by index arithmetic: no Python object a user. R rows in all, B rows in
a batch, N the longest row of the batch (or `pad_to`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int32, Int64
from torch import Tensor

from linrec_bench.data.sequences import Queries, Sequences


@dataclass(frozen=True)
class Batch:
    """B rows of one forward pass; `rows` are their numbers in the `Windows` or `Prefixes` they come from.

    targets: one a position for windows (0 where no loss is taken), one a row for prefixes and queries.
    """

    items: Int64[Tensor, "B N"]
    targets: Int64[Tensor, "B N"] | Int64[Tensor, " B"]
    padding_mask: Bool[Tensor, "B N"]
    lengths: Int64[Tensor, " B"]
    rows: Int64[np.ndarray, " B"]

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on `device`."""
        return replace(
            self,
            items=self.items.to(device),
            targets=self.targets.to(device),
            padding_mask=self.padding_mask.to(device),
            lengths=self.lengths.to(device),
        )


@dataclass(frozen=True)
class Windows:
    """R windows of a training set: row r reads the events starts[r] up to starts[r] + lengths[r].

    Its first covered[r] positions carry no target: they are context that an earlier window was asked about.
    """

    events: Int32[np.ndarray, " E"]
    starts: Int64[np.ndarray, " R"]
    lengths: Int64[np.ndarray, " R"]
    covered: Int64[np.ndarray, " R"]

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, rows: Int64[np.ndarray, " B"], *, pad_to: int | None = None) -> Batch:
        """Rows with a target at every position: the event after it, 0 where covered or padded."""
        positions, real = _positions(self.lengths[rows], pad_to)
        asked = real & (positions >= self.covered[rows, None])
        read = _gather(self.events, self.starts[rows], positions, real)
        answers = _gather(self.events, self.starts[rows] + 1, positions, asked)
        return _batch(read, answers, real, rows)


@dataclass(frozen=True)
class Prefixes:
    """R histories with one target each: row r reads the events starts[r] up to starts[r] + lengths[r]."""

    events: Int32[np.ndarray, " E"]
    starts: Int64[np.ndarray, " R"]
    lengths: Int64[np.ndarray, " R"]
    targets: Int32[np.ndarray, " R"]

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, rows: Int64[np.ndarray, " B"], *, pad_to: int | None = None) -> Batch:
        """Rows with one target, what follows the last real position."""
        positions, real = _positions(self.lengths[rows], pad_to)
        read = _gather(self.events, self.starts[rows], positions, real)
        return _batch(read, self.targets[rows].astype(np.int64), real, rows)


def windows(train: Sequences, seq_len: int) -> Windows:
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
    return Windows(train.items, train.offsets[user] + start, stop - start, first_target - start)


def prefixes(train: Sequences, seq_len: int) -> Prefixes:
    """One row a training target: the (at most `seq_len`) events before it."""
    _check_seq_len(seq_len)
    position = np.arange(train.n_events) - np.repeat(train.offsets[:-1], train.lengths)
    target = np.flatnonzero(position)
    lengths = np.minimum(position[target], seq_len)
    return Prefixes(train.items, target - lengths, lengths, train.items[target])


def queries(asked: Queries, seq_len: int) -> Prefixes:
    """One row a query: the last (at most `seq_len`) events of its history."""
    _check_seq_len(seq_len)
    lengths = np.minimum(asked.histories.lengths, seq_len)
    assert lengths.all(), "a split asks nothing of a user without a history"
    return Prefixes(asked.histories.items, asked.histories.offsets[1:] - lengths, lengths, asked.targets)


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
    wanted: Bool[np.ndarray, "B N"],
) -> Int64[np.ndarray, "B N"]:
    """events[starts + positions] where wanted, 0 elsewhere."""
    # Event 0 stands in for what is not wanted: the index past the end of a row may be past all events.
    return np.where(wanted, events[np.where(wanted, starts[:, None] + positions, 0)], 0).astype(np.int64)


def _batch(
    items: Int64[np.ndarray, "B N"],
    targets: Int64[np.ndarray, "B N"] | Int64[np.ndarray, " B"],
    real: Bool[np.ndarray, "B N"],
    rows: Int64[np.ndarray, " B"],
) -> Batch:
    return Batch(
        items=torch.from_numpy(items),
        targets=torch.from_numpy(targets),
        padding_mask=torch.from_numpy(real),
        lengths=torch.from_numpy(real.sum(axis=1)),
        rows=rows,
    )
