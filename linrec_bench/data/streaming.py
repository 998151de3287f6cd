"""Histories of a log that may exceed memory: read once, spilled to disk, sorted bucket by bucket.

    read      parts of the log -> records (user, item, time) of 16 bytes on disk, ids numbered as they come
    core      passes over the records until every user and item that is left has enough events
    spread    records -> one file a bucket, a bucket being a run of users with about BUCKET_EVENTS events
    sort      each bucket by user, then time, then place in the log; what the core keeps is written out

Memory holds a part of the log, one bucket (or the longest history, where that is longer), the ids and a few
numbers for each user and item: it does not grow with the number of events.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32, Int64

from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.events import Events
from linrec_bench.data.ids import Ids
from linrec_bench.data.sequences import Counts

BUCKET_EVENTS = 2**21
BLOCK_EVENTS = 2**20

_RECORD = np.dtype([("user", np.int32), ("item", np.int32), ("time", np.int64)])


@dataclass(frozen=True)
class Built:
    """Results of `build` that are not in items.npy, timestamps.npy and offsets.npy.

    item_ids: of the items 1..n_items, as in the log. log: what was read, before the core.
    dropped: the rows that were skipped, in words.
    """

    item_ids: pa.Array
    ordinal: bool
    dropped_rows: int
    log: Counts
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Core:
    """The k-core of a log, indexed by the numbers of the ids.

    users, items: whether they are kept; events: all events of each user; lengths: its kept events.
    """

    users: Bool[np.ndarray, " U"]
    items: Bool[np.ndarray, " I"]
    events: Int64[np.ndarray, " U"]
    lengths: Int64[np.ndarray, " U"]


def build(events: Events, folder: Path) -> Built:
    """Write the histories of a log into the empty `folder`, equal to those of `sequences.from_interactions`.

    Scratch files are in the same folder and are removed at the end. Raises `ValueError` for bad rows, unless
    they are dropped, for a `min_interactions` below 1, and if no event is left.
    """
    if events.min_interactions < 1:
        raise ValueError(f"min_interactions is {events.min_interactions}; expected 1 or more")
    log = folder / "log.scratch"
    users, items, bad_rows = Ids(), Ids(), list[BadRows]()
    total = _spill(events, log, users, items, bad_rows)
    _refuse(events, bad_rows)
    log_counts = Counts(len(users), len(items), total)
    core = _core(log, len(users), len(items), events.min_interactions)
    if not core.lengths.any():
        raise ValueError(_nothing_left(log_counts, events.min_interactions, bad_rows))
    user_ranks, item_ranks = users.ranks(), items.ranks()
    kept_users, kept_items = _by_rank(core.users, user_ranks), _by_rank(core.items, item_ranks)
    numbers = np.where(core.items, np.cumsum(kept_items, dtype=np.int32)[item_ranks], 0)
    buckets = _spread(log, _by_rank(core.events, user_ranks), user_ranks, numbers, folder)
    log.unlink()
    lengths = _by_rank(core.lengths, user_ranks)[kept_users]
    ordinal = sort_events(buckets, kept_users, int(lengths.sum()), folder, has_times=events.has_times)
    np.save(folder / "offsets.npy", np.concatenate(([0], np.cumsum(lengths))))
    assert items.known is not None
    dropped = tuple(rows.told() for rows in bad_rows if rows.count)
    ids = items.known.take(pa.array(np.argsort(item_ranks)[kept_items]))
    return Built(ids, ordinal, sum(rows.count for rows in bad_rows), log_counts, dropped)


def _spill(events: Events, log: Path, users: Ids, items: Ids, bad_rows: list[BadRows]) -> int:
    """Write the records of the log in its order; returns their number."""
    total = 0
    with log.open("wb") as file:
        for part in events.parts(bad_rows):
            if not len(part):
                continue
            records = np.empty(len(part), dtype=_RECORD)
            records["user"] = users.codes(part["user"])
            records["item"] = items.codes(part["item"])
            records["time"] = part["time"].to_numpy()
            records.tofile(file)
            total += len(part)
    return total


def _refuse(events: Events, bad_rows: list[BadRows]) -> None:
    summaries = [rows.summary() for rows in bad_rows if rows.count]
    if summaries and events.on_bad_rows == "refuse":
        raise ValueError("; ".join(summaries))


def _nothing_left(log: Counts, least: int, bad_rows: list[BadRows]) -> str:
    where = ", ".join(rows.where for rows in bad_rows)
    if not log.events:
        dropped = sum(rows.count for rows in bad_rows)
        why = f"all {dropped:,} rows were dropped" if dropped else "it has no rows"
        return f"{where}: no event: {why}"
    return (
        f"{where}: none of {log.events:,} events of {log.users:,} users and {log.items:,} items is left when "
        f"every user and item must have {least}; lower min_interactions"
    )


def _blocks(log: Path) -> Iterator[np.ndarray]:
    with log.open("rb") as file:
        while len(block := np.fromfile(file, dtype=_RECORD, count=BLOCK_EVENTS)):
            yield block


def _core(log: Path, n_users: int, n_items: int, least: int) -> _Core:
    """Remove users and items with too few events, both at once, until none is left."""
    users, items = np.ones(n_users, dtype=bool), np.ones(n_items, dtype=bool)
    before: np.ndarray | None = None
    while True:
        of_user, of_item = np.zeros(n_users, dtype=np.int64), np.zeros(n_items, dtype=np.int64)
        for block in _blocks(log):
            kept = users[block["user"]] & items[block["item"]]
            of_user += np.bincount(block["user"][kept], minlength=n_users)
            of_item += np.bincount(block["item"][kept], minlength=n_items)
        before = of_user if before is None else before
        few_users, few_items = users & (of_user < least), items & (of_item < least)
        if not (few_users.any() or few_items.any()):
            return _Core(users, items, before, of_user)
        users, items = users & ~few_users, items & ~few_items


def _by_rank(values: np.ndarray, ranks: Int32[np.ndarray, " I"]) -> np.ndarray:
    placed = np.empty_like(values)
    placed[ranks] = values
    return placed


def _spread(
    log: Path,
    events: Int64[np.ndarray, " U"],
    users: Int32[np.ndarray, " U"],
    items: Int32[np.ndarray, " I"],
    folder: Path,
) -> list[Path]:
    """Deal the records out to buckets of users next to each other, each in the order of the log.

    `events` are those of each user by rank. `users` and `items` are the numbers that records get: the rank of
    the user, and the number of the item, 0 where the core does without it.
    """
    bucket = np.unique((np.cumsum(events) - events) // BUCKET_EVENTS, return_inverse=True)[1]
    paths = [folder / f"bucket-{number}.scratch" for number in range(bucket[-1] + 1)]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for block in _blocks(log):
            block["user"], block["item"] = users[block["user"]], items[block["item"]]
            place = bucket[block["user"]]
            block = block[np.argsort(place, kind="stable")]
            ends = np.bincount(place, minlength=len(paths)).cumsum()
            for file, part in zip(files, np.split(block, ends[:-1]), strict=True):
                part.tofile(file)
    return paths


def sort_events(
    buckets: list[Path],
    kept_users: Bool[np.ndarray, " U"],
    left: int,
    folder: Path,
    *,
    has_times: bool = True,
) -> bool:
    """Sort each bucket, write out what is kept, remove the bucket. Without times, an event's is its position.

    Returns whether the times of all users, the dropped ones too, run on by ones from one and the same number.
    """
    starts = set[int]()
    with (folder / "items.npy").open("wb") as items, (folder / "timestamps.npy").open("wb") as times:
        for file, descr in ((items, "<i4"), (times, "<i8")):
            header = {"descr": descr, "fortran_order": False, "shape": (left,)}
            np.lib.format.write_array_header_1_0(file, header)
        for path in buckets:
            kept = _sorted(path, kept_users, starts, has_times=has_times)
            path.unlink()
            kept["item"].astype("<i4").tofile(items)
            kept["time"].astype("<i8").tofile(times)
            # Not to lie beside the next bucket.
            del kept
    return len(starts) == 1


def _sorted(
    path: Path, kept_users: Bool[np.ndarray, " U"], starts: set[int], *, has_times: bool
) -> np.ndarray:
    """The records of a bucket that are kept, in order; adds to `starts` where the times of all begin, if not
    known to differ."""
    records = np.fromfile(path, dtype=_RECORD)
    # lexsort is stable: events of one user at one time stay in the order of the log.
    records = records[np.lexsort((records["time"], records["user"]))]
    if not has_times:
        records["time"] = _positions(records["user"])
    if len(starts) < 2:
        starts.update(np.unique(records["time"] - _positions(records["user"]))[:2].tolist())
    kept: np.ndarray = records[kept_users[records["user"]] & (records["item"] > 0)]
    return kept


def _positions(users: Int32[np.ndarray, " E"]) -> Int64[np.ndarray, " E"]:
    """The position of each event in the history of its user; users in ascending order."""
    first = np.flatnonzero(np.diff(users, prepend=-1))
    return np.arange(len(users)) - np.repeat(first, np.diff(first, append=len(users)))
