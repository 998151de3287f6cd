"""Whole-catalogue evaluation: one forward a query, one rank a query."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from linrec_bench.data import batches
from linrec_bench.data.sequences import Queries
from linrec_bench.measures import ranking
from linrec_bench.models.spec import Recommender

_BLOCK_BYTES = 32 * 2**20


def evaluate(
    model: Recommender, queries: Queries, *, seq_len: int, batch_size: int, exclude_seen: bool
) -> Int64[np.ndarray, " Q"]:
    """The rank of each query's target among all items, 1 for the best; leaves the model's mode as it was.

    The model sees the last `seq_len` items of each history. With `exclude_seen` all items of the whole
    history but the target are no candidates.
    """
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        states = last_states(model, queries, seq_len=seq_len, batch_size=batch_size)
        ranks = rank(states, model.item_embeddings(), queries, exclude_seen=exclude_seen)
    model.train(was_training)
    return ranks


def last_states(
    model: Recommender, queries: Queries, *, seq_len: int, batch_size: int
) -> Float[Tensor, "Q D"]:
    """The hidden state after the last item of each history, on the device of the model."""
    table = model.item_embeddings()
    states = torch.empty(len(queries.targets), table.shape[1], dtype=table.dtype, device=table.device)
    rows = batches.queries(queries, seq_len)
    # Rows of like length share a batch, which is padded to its longest.
    order = np.argsort(rows.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        batch = rows.batch(order[start : start + batch_size]).to(table.device)
        hidden = model(batch.items, batch.padding_mask)
        last = hidden[torch.arange(len(hidden), device=hidden.device), batch.lengths - 1]
        states[torch.as_tensor(batch.rows, device=table.device)] = last
    return states


def rank(
    states: Float[Tensor, "Q D"], table: Float[Tensor, "V_plus_1 D"], queries: Queries, *, exclude_seen: bool
) -> Int64[np.ndarray, " Q"]:
    """Ranks of the targets by states @ table.T, in blocks of queries so that the scores stay small."""
    device = states.device
    targets = torch.as_tensor(queries.targets, dtype=torch.int64, device=device)
    ranks = torch.empty_like(targets)
    history = queries.histories
    step = max(1, _BLOCK_BYTES // (len(table) * table.itemsize))
    for start in range(0, len(targets), step):
        stop = min(start + step, len(targets))
        seen_rows = seen_items = None
        if exclude_seen:
            first, last = history.offsets[start], history.offsets[stop]
            lengths = history.lengths[start:stop]
            seen_rows = torch.as_tensor(np.repeat(np.arange(stop - start), lengths), device=device)
            seen_items = torch.as_tensor(history.items[first:last], dtype=torch.int64, device=device)
        ranks[start:stop] = ranking.ranks(
            states[start:stop] @ table.T,
            targets[start:stop],
            excluded_rows=seen_rows,
            excluded_items=seen_items,
        )
    return ranks.cpu().numpy()
