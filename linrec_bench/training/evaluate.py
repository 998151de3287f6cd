"""Evaluation: one forward a query, one rank a query, among the whole catalogue or among drawn candidates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from linrec_bench.data.sequences import Queries
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.device.names import ByKind
from linrec_bench.measures.instruments import ranking_metrics
from linrec_bench.models.spec import Baseline, Recommender
from linrec_bench.training import batches
from linrec_bench.training.objectives import query_states

BLOCK_BYTES = ByKind(cpu=32 * 2**20, accelerator=256 * 2**20)
"""Size of one block of scores."""

Scores = Callable[[int, int], Tensor]
"""`(start, stop) -> [stop - start, V + 1]`: the scores of all items for these queries."""


def evaluate(
    model: Recommender | Baseline,
    queries: Queries,
    *,
    seq_len: int,
    batch_size: int,
    exclude_seen: bool,
    candidates: Int64[np.ndarray, "Q C"] | None = None,
) -> Int64[np.ndarray, " Q"]:
    """The rank of each query's target, 1 for the best; leaves the model's mode as it was.

    The model sees the last `seq_len` items of each history. The target is ranked among the whole catalogue,
    or among `candidates` where those are given. With `exclude_seen` all items of the whole history but the
    target are no candidates.
    """
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        if isinstance(model, Baseline):
            device = model.fitted.device
            scores = _baseline_scores(model, queries, seq_len)
            ranks = _ranks(
                scores, queries, device, batch_size, exclude_seen=exclude_seen, candidates=candidates
            )
        else:
            states = all_states(model, queries, seq_len=seq_len, batch_size=batch_size)
            table = model.item_embeddings()
            ranks = rank_states(states, table, queries, exclude_seen=exclude_seen, candidates=candidates)
    model.train(was_training)
    return ranks


def all_states(
    model: Recommender, queries: Queries, *, seq_len: int, batch_size: int
) -> Float[Tensor, "Q D"]:
    """The hidden state that tells what comes after each history, on the device of the model."""
    table = model.item_embeddings()
    states = torch.empty(len(queries.targets), table.shape[1], dtype=table.dtype, device=table.device)
    rows = batches.queries(queries, seq_len, timed=model.needs_timestamps)
    # Rows of like length share a batch, which is padded to its longest.
    order = np.argsort(rows.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        batch = rows.batch(order[start : start + batch_size]).to(table.device)
        places = device_of(table.device).sent(torch.from_numpy(batch.rows))
        states.index_copy_(0, places, query_states(model, batch))
    return states


def rank_states(
    states: Float[Tensor, "Q D"],
    table: Float[Tensor, "V_plus_1 D"],
    queries: Queries,
    *,
    exclude_seen: bool,
    candidates: Int64[np.ndarray, "Q C"] | None = None,
) -> Int64[np.ndarray, " Q"]:
    """The rank of each query's target, as `evaluate` says, from the states that tell what comes next."""
    return _ranks(
        lambda start, stop: states[start:stop] @ table.T,
        queries,
        table.device,
        max(1, BLOCK_BYTES.on(table.device.type) // (len(table) * table.itemsize)),
        exclude_seen=exclude_seen,
        candidates=candidates,
    )


def _baseline_scores(model: Baseline, queries: Queries, seq_len: int) -> Scores:
    rows = batches.queries(queries, seq_len)

    def scores(start: int, stop: int) -> Tensor:
        batch = rows.batch(np.arange(start, stop)).to(model.fitted.device)
        return model.scores(batch.items, batch.padding_mask)

    return scores


def _ranks(
    scores: Scores,
    queries: Queries,
    device: torch.device,
    most: int,
    *,
    exclude_seen: bool,
    candidates: Int64[np.ndarray, "Q C"] | None,
) -> Int64[np.ndarray, " Q"]:
    """Ranks of the targets, in blocks of `most` queries so that the scores stay small."""
    targets = torch.as_tensor(queries.targets, dtype=torch.int64, device=device)
    ranks = torch.empty_like(targets)
    for start in range(0, len(targets), most):
        stop = min(start + most, len(targets))
        block, target = scores(start, stop), targets[start:stop]
        if candidates is not None:
            drawn = torch.as_tensor(candidates[start:stop], device=device)
            at_target = block.gather(1, target[:, None])[:, 0]
            ranks[start:stop] = ranking_metrics.ranks_among(at_target, block.gather(1, drawn))
            continue
        rows, items = _seen(queries, start, stop, device) if exclude_seen else (None, None)
        ranks[start:stop] = ranking_metrics.ranks(block, target, excluded_rows=rows, excluded_items=items)
    return ranks.cpu().numpy()


def _seen(queries: Queries, start: int, stop: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pairs of a row of the block and an item of its history."""
    history = queries.histories
    rows = np.repeat(np.arange(stop - start), history.lengths[start:stop])
    items = history.items[history.offsets[start] : history.offsets[stop]]
    return torch.as_tensor(rows, device=device), torch.as_tensor(items, dtype=torch.int64, device=device)
