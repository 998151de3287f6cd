"""Item-KNN: items that the users of the history's items had too (Deshpande and Karypis 2004).

    sim(j, v) = |U_j and U_v| / (sqrt(|U_j| |U_v|) + shrink),    U_j: the users with an event of j
    score(v) = sum of sim(j, v) over the different items j of the history that have v among their
               `neighbours` most similar items

The cosine-based form of "Item-Based Top-N Recommendation Algorithms" (doi 10.1145/963770.963776). Order and
repetitions do not count. Equal similarities are cut off at the higher item id.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from linrec_bench.data.sequences import Sequences
from linrec_bench.models.parameter_checks import check_sizes
from linrec_bench.models.spec import Baseline, ModelSpec

BLOCK_PAIRS = 2**21
"""About as many pairs of items are compared at once, however many there are in all."""


class ItemKNN(Baseline):
    """`neighbours` an item, at most n_items - 1; `shrink` takes weight from pairs of few users."""

    nearest: Tensor
    similarities: Tensor

    def __init__(self, *, n_items: int, neighbours: int = 20, shrink: float = 0.0) -> None:
        super().__init__("item-knn", n_items=n_items)
        check_sizes("item-knn", neighbours=neighbours)
        if shrink < 0:
            raise ValueError(f"model item-knn: shrink is {shrink}; expected 0 or more")
        self.shrink = shrink
        shape = (n_items + 1, min(neighbours, max(n_items - 1, 1)))
        self.register_buffer("nearest", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("similarities", torch.zeros(shape, dtype=torch.float32))

    def _count(self, sequences: Sequences) -> None:
        width = self.nearest.shape[1]
        nearest = np.zeros(self.nearest.shape, dtype=np.int64)
        similarities = np.zeros(self.similarities.shape, dtype=np.float32)
        for item, other, similarity in _similar(_users_of(sequences), self.shrink):
            item, other, similarity, place = _nearest(item, other, similarity, width)
            nearest[item, place] = other
            similarities[item, place] = similarity
        self.nearest.copy_(torch.from_numpy(nearest))
        self.similarities.copy_(torch.from_numpy(similarities))

    def _scores(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B V_plus_1"]:
        # Different items only: in order, an item that repeats the one before it becomes padding.
        items = items.sort(dim=1).values
        first = torch.zeros_like(items[:, :1])
        items = items.masked_fill(items.diff(dim=1, prepend=first) == 0, 0)
        scores = self.similarities.new_zeros(len(items), self.n_items + 1)
        return scores.scatter_add_(1, self.nearest[items].flatten(1), self.similarities[items].flatten(1))


def _users_of(sequences: Sequences) -> sp.csr_array:
    """[n_items + 1, U], 1 where the user has an event of the item."""
    user = np.repeat(np.arange(sequences.n_users), sequences.lengths)
    ones = np.ones(sequences.n_events, dtype=np.float32)
    shape = (sequences.n_items + 1, sequences.n_users)
    users_of = sp.csr_array((ones, (sequences.items, user)), shape=shape)
    # The constructor adds up what is repeated.
    users_of.data[:] = 1
    return users_of


def _similar(
    users_of: sp.csr_array, shrink: float
) -> Iterator[tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"], Float[np.ndarray, " P"]]]:
    """Pairs of different items with users in common and their similarity, all of an item in one block."""
    count = users_of.sum(axis=1).astype(np.float64)
    items_of = users_of.T.tocsr()
    # At most so many items have users in common with each.
    bound = np.minimum(users_of @ items_of.sum(axis=1), len(count))
    starts = np.flatnonzero(np.diff(np.cumsum(bound) // BLOCK_PAIRS, prepend=-1)).tolist()
    for start, stop in zip(starts, (*starts[1:], len(count)), strict=True):
        shared = (users_of[start:stop] @ items_of).tocoo()
        item, other = shared.row.astype(np.int64) + start, shared.col.astype(np.int64)
        different = item != other
        item, other, common = item[different], other[different], shared.data[different]
        yield item, other, common / (np.sqrt(count[item] * count[other]) + shrink)


def _nearest(
    item: Int64[np.ndarray, " P"],
    other: Int64[np.ndarray, " P"],
    similarity: Float[np.ndarray, " P"],
    width: int,
) -> tuple[
    Int64[np.ndarray, " K"], Int64[np.ndarray, " K"], Float[np.ndarray, " K"], Int64[np.ndarray, " K"]
]:
    """The `width` most similar others of each item, and their places from 0; pairs come item after item."""
    # Sorting numbers is far cheaper than sorting pairs, so that most pairs are dropped first. Similarities
    # are at most 1: sums of twice the item and what is missing stay apart from item to item.
    distance = 2.0 * item - similarity
    last = np.searchsorted(item, item, side="right")
    last = np.minimum(last, np.searchsorted(item, item) + width) - 1
    near = np.flatnonzero(distance <= np.sort(distance)[last])
    near = near[np.lexsort((other[near], -similarity[near], item[near]))]
    place = np.arange(len(near)) - np.searchsorted(item[near], item[near])
    near, place = near[place < width], place[place < width]
    return item[near], other[near], similarity[near], place


SPEC = ModelSpec(
    name="item-knn",
    title="Item-KNN: items that were met by the same users",
    paper="Deshpande and Karypis 2004, Item-Based Top-N Recommendation Algorithms, doi 10.1145/963770.963776",
    deviations=(
        "an item counts once a user, as it does in a history",
        "neighbours are not normalised to a sum of 1, which the paper tries too",
    ),
    build=ItemKNN,
    trained_by_gradient=False,
)
