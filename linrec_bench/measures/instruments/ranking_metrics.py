"""The rank of each target among all items or among drawn ones, and what follows from ranks.

One relevant item a query, so Recall@k = [rank <= k], NDCG@k = [rank <= k] / log2(rank + 1) (Järvelin and
Kekäläinen 2002, with an ideal gain of 1) and MRR@k = [rank <= k] / rank, each averaged over queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor


def ranks(
    scores: Float[Tensor, "Q V_plus_1"],
    targets: Int64[Tensor, " Q"],
    *,
    excluded_rows: Int64[Tensor, " E"] | None = None,
    excluded_items: Int64[Tensor, " E"] | None = None,
) -> Int64[Tensor, " Q"]:
    """Rank of each target, 1 for the best: 1 + the number of other candidates that score no lower.

    Candidates are the items 1..V (column 0 is padding) without the pairs (excluded_rows[e],
    excluded_items[e]), which are typically what the user has seen. The target always stays a candidate,
    also where it is excluded: a repeated purchase is a valid answer. Ties count against the model, and so
    does NaN: a candidate with a NaN score is ahead of the target, a target with a NaN score is last.
    """
    # "not lower" and "no lower" differ in NaN: the negation lets every comparison with NaN count as ahead.
    ahead = ~(scores < scores.gather(1, targets[:, None]))
    ahead[:, 0] = False
    if excluded_rows is not None and excluded_items is not None:
        ahead[excluded_rows, excluded_items] = False
    ahead.scatter_(1, targets[:, None], False)
    return 1 + ahead.sum(dim=1)


def ranks_among(
    target_scores: Float[Tensor, " Q"], candidate_scores: Float[Tensor, "Q C"]
) -> Int64[Tensor, " Q"]:
    """Rank of each target among C others and itself, ties and NaN against the model as in `ranks`."""
    return 1 + (~(candidate_scores < target_scores[:, None])).sum(dim=1)


def metrics(ranks: Int[np.ndarray, " Q"], ks: Sequence[int]) -> dict[str, float]:
    """`{"recall@5": ..., "ndcg@5": ..., "mrr@5": ..., ...}`: means over the queries, each in [0, 1].

    Raises `ValueError` when there is no query to average over.
    """
    if len(ranks) == 0:
        raise ValueError("no ranks to average; expected at least one query")
    values: dict[str, float] = {}
    for k in ks:
        hit = ranks <= k
        values[f"recall@{k}"] = float(np.mean(hit))
        values[f"ndcg@{k}"] = float(np.mean(hit / np.log2(ranks + 1.0)))
        values[f"mrr@{k}"] = float(np.mean(hit / ranks))
    return values


def history_groups(
    lengths: Int64[np.ndarray, " Q"], starts: Sequence[int]
) -> list[tuple[str, Bool[np.ndarray, " Q"]]]:
    """The queries by events in their history: the name of each group (`1-19`, `200+`) and who is in it.

    `starts`, ascending and above 1, begin a new group each; without any there are no groups. Groups without
    a query are left out.
    """
    if not starts:
        return []
    bounds = (1, *starts)
    names = [f"{low}-{high - 1}" if high - low > 1 else f"{low}" for low, high in pairwise(bounds)]
    number = np.searchsorted(starts, lengths, side="right")
    groups = [(name, number == group) for group, name in enumerate([*names, f"{bounds[-1]}+"])]
    return [(name, inside) for name, inside in groups if inside.any()]
