"""Users' histories as flat arrays, without a Python object per user: twelve bytes per event."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int32, Int64, Shaped


@dataclass(frozen=True)
class Counts:
    """How many users, items and events a log has."""

    users: int
    items: int
    events: int


@dataclass(frozen=True)
class Sequences:
    """U histories of E events in all, each in time order.

    items: [E] int32 in 1..n_items (0 is padding and never occurs); timestamps: [E] int64, exact; offsets: [U
    + 1] int64, user u has the events offsets[u]:offsets[u + 1]. `ordinal`: timestamps are positions in each
    history, so that those of two users cannot be compared. item_features: row i holds the features of item i,
    numbered from 1 and padded with 0; None for a source without features. dropped_rows: number of bad rows
    skipped with `on_bad_rows: drop`; `dropped` says which. log: what was read before `min_interactions`
    removed some; None for a source that is generated.
    """

    items: Int32[np.ndarray, " E"]
    timestamps: Int64[np.ndarray, " E"]
    offsets: Int64[np.ndarray, " U_plus_1"]
    n_items: int
    ordinal: bool = False
    item_features: Int64[np.ndarray, "V_plus_1 F"] | None = None
    dropped_rows: int = 0
    log: Counts | None = None
    dropped: tuple[str, ...] = ()

    @property
    def n_users(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_events(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> Int64[np.ndarray, " U"]:
        return np.diff(self.offsets)

    def first(self, counts: Int64[np.ndarray, " Q"], *, user: Int64[np.ndarray, " Q"]) -> Sequences:
        """Q histories: the first counts[i] events of the user user[i], copied."""
        offsets = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        events = np.arange(offsets[-1]) + np.repeat(self.offsets[user] - offsets[:-1], counts)
        return replace(self, items=self.items[events], timestamps=self.timestamps[events], offsets=offsets)


@dataclass(frozen=True)
class Queries:
    """Q ranking queries: a history and its next item, the target. `user` indexes the source's users.

    `request_times` are the times of the targets; None if no model needs them. `no_history` and
    `unseen_target` count the queries that the split excluded: those of users without an earlier event, and
    those whose target never occurs in the training data.
    """

    histories: Sequences
    targets: Int32[np.ndarray, " Q"]
    user: Int64[np.ndarray, " Q"]
    no_history: int = 0
    unseen_target: int = 0
    request_times: Int64[np.ndarray, " Q"] | None = None

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Split:
    """Training histories, validation queries (they choose the epoch) and test queries (reported)."""

    train: Sequences
    validation: Queries
    test: Queries


def from_interactions(
    user: Shaped[np.ndarray, " E"],
    item: Shaped[np.ndarray, " _"],
    timestamp: Shaped[np.ndarray, " _"],
    *,
    min_interactions: int = 5,
) -> Sequences:
    """Histories of a log of events in any order.

    Users and items with fewer than `min_interactions` events are removed until none is left (the k-core; 1
    keeps all). A history is ordered by time, then by position in the input. Users are ordered by id; items
    are numbered from 1 in the order of their ids; repeated events are kept. Timestamps keep their integer
    value. `Sequences.ordinal` is set if the timestamps of every user are consecutive from one common number.

    Raises `ValueError` for arrays of different lengths, timestamps that are not integers within int64, a
    `min_interactions` below 1, and if no event is left.
    """
    if not len(user) == len(item) == len(timestamp):
        raise ValueError(
            f"{len(user)} users, {len(item)} items and {len(timestamp)} timestamps; "
            "expected one of each an event"
        )
    if timestamp.dtype.kind not in "iu" or not np.can_cast(timestamp.dtype, np.int64):
        raise ValueError(f"timestamps are {timestamp.dtype}; expected integers within int64")
    if min_interactions < 1:
        raise ValueError(f"min_interactions is {min_interactions}; expected 1 or more")
    users = np.unique(user, return_inverse=True)[1]
    items = np.unique(item, return_inverse=True)[1]
    # lexsort is stable: events of one user at one time stay in the order of the input.
    order = np.lexsort((timestamp, users))
    users, items, times = users[order], items[order], timestamp[order].astype(np.int64)
    ordinal = len(times) > 0 and bool(np.ptp(times - _positions(users)) == 0)

    kept = _core(users, items, min_interactions)
    if not len(kept):
        raise ValueError(
            f"none of {len(user)} events is left when every user and item must have {min_interactions}; "
            "lower min_interactions"
        )
    _, counts = np.unique(users[kept], return_counts=True)
    known, numbers = np.unique(items[kept], return_inverse=True)
    return Sequences(
        items=(numbers + 1).astype(np.int32),
        timestamps=times[kept],
        offsets=np.concatenate(([0], counts.cumsum())),
        n_items=len(known),
        ordinal=ordinal,
    )


def _positions(users: Int64[np.ndarray, " E"]) -> Int64[np.ndarray, " E"]:
    """The position of each event in its history; users: 0, 1, ... in order, none missing."""
    counts = np.bincount(users)
    return np.arange(len(users)) - np.repeat(counts.cumsum() - counts, counts)


def _core(
    users: Int64[np.ndarray, " E"], items: Int64[np.ndarray, " E"], least: int
) -> Int64[np.ndarray, " K"]:
    """The events of the k-core: each user and item has at least `least` of them."""
    kept = np.arange(len(users))
    while True:
        enough = (np.bincount(users[kept])[users[kept]] >= least) & (
            np.bincount(items[kept])[items[kept]] >= least
        )
        if enough.all():
            return kept
        kept = kept[enough]
