"""Statistics of a data set: counts and history lengths. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from linrec_bench.data.sequences import Counts, Sequences

BLOCK_EVENTS = 2**22


def describe(sequences: Sequences) -> dict[str, int | float]:
    """Counts, the lengths of the histories in events, and the share of user-item pairs that occur.

    Removed users, items and events are those that `min_interactions` left out.

    Raises `ValueError` if there is no user.
    """
    if not sequences.n_users:
        raise ValueError("there are no users to describe")
    lengths = sequences.lengths
    log = sequences.log or Counts(sequences.n_users, sequences.n_items, sequences.n_events)
    median, p90, p99 = np.percentile(lengths, [50, 90, 99])
    return {
        "users": sequences.n_users,
        "items": sequences.n_items,
        "events": sequences.n_events,
        "dropped_rows": sequences.dropped_rows,
        "removed_users": log.users - sequences.n_users,
        "removed_items": log.items - sequences.n_items,
        "removed_events": log.events - sequences.n_events,
        "min_length": int(lengths.min()),
        "mean_length": float(lengths.mean()),
        "median_length": float(median),
        "p90_length": float(p90),
        "p99_length": float(p99),
        "max_length": int(lengths.max()),
        "density": _pairs(sequences) / (sequences.n_users * sequences.n_items),
    }


def _pairs(sequences: Sequences) -> int:
    """How many user-item pairs occur, counted over a block of users at a time."""
    block = sequences.offsets[:-1] // BLOCK_EVENTS
    bounds = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), sequences.n_users]
    pairs = 0
    for first, last in pairwise(bounds):
        events = slice(sequences.offsets[first], sequences.offsets[last])
        user = np.repeat(np.arange(last - first), sequences.lengths[first:last])
        pairs += len(np.unique(user * (sequences.n_items + 1) + sequences.items[events]))
    return pairs


@dataclass(frozen=True)
class Bin:
    """Users whose history has `first` to `last` events, both included."""

    first: int
    last: int
    users: int


def length_bins(lengths: Int64[np.ndarray, " U"]) -> list[Bin]:
    """Histories by length, from the shortest to the longest: 1, 2-3, 4-7, ... , each twice as wide."""
    power = np.frexp(lengths)[1] - 1
    counts = np.bincount(power)
    return [
        Bin(2**number, 2 ** (number + 1) - 1, int(counts[number]))
        for number in range(int(power.min()), len(counts))
    ]
