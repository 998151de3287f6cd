"""Our metrics against those of torchmetrics, on random and on tied scores."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.measures.instruments.ranking_metrics import metrics, ranks

retrieval = pytest.importorskip("torchmetrics.functional.retrieval", reason="a dependency of the tests")

KS = (1, 3, 10)


def theirs(scores, targets):
    """Means over queries; scores: [Q, V + 1], of which column 0 is padding."""
    functions = {
        "recall": retrieval.retrieval_recall,
        "ndcg": retrieval.retrieval_normalized_dcg,
        "mrr": retrieval.retrieval_reciprocal_rank,
    }
    found = {}
    for name, function in functions.items():
        for k in KS:
            values = []
            # Theirs takes what scores 0 or less for no candidate at all.
            positive = scores - scores.min() + 1
            for row, target in zip(positive[:, 1:], targets - 1, strict=True):
                relevant = torch.zeros_like(row, dtype=torch.int64)
                relevant[target] = 1
                values.append(float(function(row, relevant, top_k=min(k, len(row)))))
            found[f"{name}@{k}"] = float(np.mean(values))
    return found


def ours(scores, targets):
    return metrics(ranks(scores, targets).numpy(), KS)


@given(st.integers(1, 12), st.integers(2, 30), st.integers(0, 2**16))
def test_random_scores_give_the_same(queries, items, seed):
    draw = torch.Generator().manual_seed(seed)
    # All different: ranks of a permutation.
    scores = torch.stack([torch.randperm(items + 1, generator=draw) for _ in range(queries)]).float()
    targets = torch.randint(1, items + 1, (queries,), generator=draw)
    expected = theirs(scores, targets)
    for name, value in ours(scores, targets).items():
        assert value == pytest.approx(expected[name], abs=1e-6), name


@given(st.integers(1, 12), st.integers(2, 30), st.integers(0, 2**16))
def test_tied_scores_give_the_same_as_with_the_target_behind(queries, items, seed):
    draw = torch.Generator().manual_seed(seed)
    # Few values, so that most are tied. Theirs leaves a tie open or averages it: ours puts the target last.
    scores = torch.randint(0, 3, (queries, items + 1), generator=draw).float()
    targets = torch.randint(1, items + 1, (queries,), generator=draw)
    behind = scores + 0.001 * torch.arange(items + 1)
    behind[torch.arange(queries), targets] = scores[torch.arange(queries), targets] - 0.001
    expected = theirs(behind, targets)
    for name, value in ours(scores, targets).items():
        assert value == pytest.approx(expected[name], abs=1e-6), name
    optimistic = theirs(scores + torch.nn.functional.one_hot(targets, items + 1) * 0.001, targets)
    assert all(value <= optimistic[name] + 1e-6 for name, value in ours(scores, targets).items())
