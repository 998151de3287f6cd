"""Negatives to rank a target among, for comparison with tables that were made so (uni100, pop100).

Drawn once a seed, the same for every mechanism: none that the user has seen, none twice, never the target.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from linrec_bench.data.sequences import Queries

COUNT = 100

BLOCK_ENTRIES = 2**23
# Of the tables of users by items, which exist for some users at a time.


def draw(
    queries: Queries,
    kind: Literal["uni100", "pop100"],
    *,
    popularity: Int64[np.ndarray, " V_plus_1"],
    seed: int,
    count: int = COUNT,
) -> Int64[np.ndarray, "Q C"]:
    """`count` items for each query, drawn one after the other without replacement.

    Each draw is uniform over what is left (`uni100`), or in proportion to `popularity`, how often each item
    occurs in training (`pop100`). The draws of a query depend on nothing but `seed`, its place among the
    queries and what its user has seen. Raises `ValueError` where a user has too few items left to draw from.
    """
    weights = np.ones(len(popularity)) if kind == "uni100" else popularity.astype(np.float64)
    weights[0] = 0
    rng = np.random.default_rng(seed)
    found = np.empty((len(queries), count), dtype=np.int64)
    step = max(1, BLOCK_ENTRIES // len(weights))
    for start in range(0, len(queries), step):
        stop = min(start + step, len(queries))
        barred = _seen(queries, start, stop, len(weights))
        left = (~barred & (weights > 0)).sum(axis=1)
        if left.min() < count:
            raise ValueError(
                f"candidates {kind}: user {queries.user[start + int(left.argmin())]} has {left.min()} unseen "
                f"items that could be drawn; expected {count} or more. Use candidates: full"
            )
        found[start:stop] = _without_replacement(weights, barred, count, rng)
    return found


def _seen(queries: Queries, start: int, stop: int, width: int) -> Bool[np.ndarray, "B V_plus_1"]:
    """The items of the history and the target of each query from `start` up to `stop`."""
    history = queries.histories
    seen = np.zeros((stop - start, width), dtype=bool)
    rows = np.repeat(np.arange(stop - start), history.lengths[start:stop])
    seen[rows, history.items[history.offsets[start] : history.offsets[stop]]] = True
    seen[np.arange(stop - start), queries.targets[start:stop]] = True
    return seen


def _without_replacement(
    weights: Float64[np.ndarray, " V_plus_1"],
    barred: Bool[np.ndarray, "B V_plus_1"],
    count: int,
    rng: np.random.Generator,
) -> Int64[np.ndarray, "B C"]:
    """The `count` smallest of exponential waiting times at these rates: successive draws without replacement
    (Efraimidis and Spirakis 2006)."""
    waits = rng.standard_exponential(barred.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        waits /= weights
    waits[barred] = np.inf
    return np.argpartition(waits, count - 1, axis=1)[:, :count]
