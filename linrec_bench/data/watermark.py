"""Watermarks: runs of rare items, planted in training histories, to see whether a model learns them.

After data watermarking for sequential recommenders (DWRS, arXiv 2411.12989): a pattern is a body of rare
items and a target; a model trained on marked histories predicts the target after the body, one trained on
clean histories does not. Here it is a probe of memory with one more parameter: `distance` ordinary events of
the user lie between body and target, so that it shows how far back an exact sequence is learnt.

    ... e_p  b_1 ... b_L  e_{p+1} ... e_{p+distance}  y  e_{p+distance+1} ...

A query is the body and `distance` ordinary events after it. Deviations: only training histories are marked,
so that validation and test are those of the clean data; several patterns can be planted at once, one per
marked user; items are drawn among those that occur in training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from linrec_bench.data.sequences import Queries, Sequences

SHARE = 0.01
"""Default share of users to mark."""


@dataclass(frozen=True)
class Watermark:
    """P patterns: bodies of L items each, and the target that follows `distance` events after its body."""

    bodies: Int32[np.ndarray, "P L"]
    targets: Int32[np.ndarray, " P"]
    distance: int

    @property
    def span(self) -> int:
        """Events from the first item of a body up to the target, without it: the context a model needs."""
        return int(self.bodies.shape[1]) + self.distance


def draw(
    train: Sequences,
    *,
    patterns: int = 1,
    length: int = 3,
    rarity: float = 0.1,
    distance: int = 0,
    seed: int = 0,
) -> Watermark:
    """Patterns of `length` rare items each (the last is the target), no item twice.

    `rarity` is the share of the items met in training that counts as rare, by how often they occur (equal
    counts: the higher item id is rarer). Raises `ValueError` for invalid parameters, and if
    there are too few rare items.
    """
    _check(patterns=(patterns, 1), length=(length, 2), distance=(distance, 0))
    if not 0 < rarity <= 1:
        raise ValueError(f"watermark: rarity is {rarity}; expected a share above 0 and at most 1")
    counts = np.bincount(train.items, minlength=train.n_items + 1)
    known = np.flatnonzero(counts)
    rare = known[np.lexsort((-known, counts[known]))][: int(rarity * len(known))]
    wanted = patterns * length
    if len(rare) < wanted:
        raise ValueError(
            f"watermark: {patterns} patterns of {length} items need {wanted} rare items; rarity {rarity:g} "
            f"of {len(known)} items in training leaves {len(rare)}. Raise rarity or lower patterns or length"
        )
    items = np.random.default_rng(seed).permutation(rare)[:wanted].reshape(patterns, length).astype(np.int32)
    return Watermark(items[:, :-1], items[:, -1], distance)


def plant(train: Sequences, mark: Watermark, *, share: float = SHARE, seed: int = 0) -> tuple[Sequences, int]:
    """The histories with a pattern in a random `share` of all users', and how many users that are.

    Only users with more than `distance` events can be marked; the place is uniform over the history. Inserted
    events happen at the time of the event before them (at the start: of the first), so that order and times
    agree. Raises `ValueError` for a share outside [0, 1], and where too few users can be marked.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"watermark: share is {share}; expected a share of the users from 0 to 1")
    marked = round(share * train.n_users)
    able = np.flatnonzero(train.lengths > mark.distance)
    if len(able) < marked:
        raise ValueError(
            f"watermark: {marked} users are to be marked (share {share:g}); only {len(able)} have more than "
            f"{mark.distance} events in training. Lower share or distance"
        )
    rng = np.random.default_rng(seed)
    users = np.sort(rng.choice(able, marked, replace=False))
    pattern = rng.permutation(np.arange(marked) % len(mark.targets))
    # Events before the body: what is left of a history behind it holds the gap.
    before = rng.integers(0, train.lengths[users] - mark.distance, endpoint=True)
    body_at = train.offsets[users] + before
    target_at = body_at + mark.distance
    length = mark.bodies.shape[1]
    # np.insert keeps the order given at equal places: a target after its body, and user after user.
    at = np.concatenate((np.repeat(body_at, length), target_at))
    items = np.concatenate((mark.bodies[pattern].ravel(), mark.targets[pattern]))
    owner = np.concatenate((np.repeat(np.arange(marked), length), np.arange(marked)))
    order = np.lexsort((np.arange(len(at)) >= marked * length, owner))
    at, items, owner = at[order], items[order], owner[order]
    # An event inserted at the end of a history takes the time of the last one, which is its own.
    source = np.clip(at - 1, train.offsets[users][owner], train.offsets[users + 1][owner] - 1)
    added = np.zeros(train.n_users, dtype=np.int64)
    added[users] = length + 1
    offsets = train.offsets + np.concatenate(([0], np.cumsum(added)))
    return (
        Sequences(
            np.insert(train.items, at, items),
            np.insert(train.timestamps, at, train.timestamps[source]),
            offsets,
            train.n_items,
            train.ordinal,
            train.item_features,
        ),
        marked,
    )


def probe_queries(
    train: Sequences, mark: Watermark, *, contexts: int = 20, seed: int = 0
) -> tuple[Queries, Int64[np.ndarray, " Q"]]:
    """`contexts` queries for the target of each pattern, and the index of the pattern of each query.

    A history is the body followed by `distance` consecutive events of a user drawn at random. At distance 0
    all contexts are equal and there is one query per pattern. Raises `ValueError` if no user has enough
    events.
    """
    _check(contexts=(contexts, 1))
    count = contexts if mark.distance else 1
    pattern = np.repeat(np.arange(len(mark.targets)), count)
    gaps = _gaps(train, mark.distance, len(pattern), np.random.default_rng(seed))
    items = np.concatenate((mark.bodies[pattern], gaps), axis=1).astype(np.int32)
    offsets = np.arange(len(pattern) + 1, dtype=np.int64) * mark.span
    times = np.tile(np.arange(mark.span, dtype=np.int64), len(pattern))
    histories = Sequences(items.ravel(), times, offsets, train.n_items, ordinal=True)
    request_times = np.full(len(pattern), mark.span, dtype=np.int64)
    return Queries(histories, mark.targets[pattern], pattern, request_times=request_times), pattern


def _gaps(train: Sequences, distance: int, count: int, rng: np.random.Generator) -> Int32[np.ndarray, "Q g"]:
    """`count` runs of `distance` consecutive events, each of a user drawn at random."""
    able = np.flatnonzero(train.lengths >= max(distance, 1))
    if not len(able):
        raise ValueError(f"watermark: no user has {distance} events in training; lower distance")
    user = rng.choice(able, count)
    start = train.offsets[user] + rng.integers(0, train.lengths[user] - distance, endpoint=True)
    gaps: np.ndarray = train.items[start[:, None] + np.arange(distance)]
    return gaps


def _check(**dials: tuple[int, int]) -> None:
    for name, (value, least) in dials.items():
        if value < least:
            raise ValueError(f"watermark: {name} is {value}; expected {least} or more")
