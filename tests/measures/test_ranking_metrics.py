import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linrec_bench.measures.instruments.ranking_metrics import history_groups, metrics, ranks, ranks_among

NAN = float("nan")


def rank_of(scores: list[float], target: int, *, excluded: list[int] | None = None) -> int:
    """One query; scores[i] is that of item i, item 0 is padding."""
    items = None if excluded is None else torch.tensor(excluded, dtype=torch.int64)
    rows = None if items is None else torch.zeros_like(items)
    found = ranks(torch.tensor([scores]), torch.tensor([target]), excluded_rows=rows, excluded_items=items)
    return int(found)


def test_the_best_item_has_rank_one_and_padding_is_no_candidate():
    assert rank_of([9.0, 1.0, 3.0, 2.0], 2) == 1
    assert rank_of([9.0, 1.0, 3.0, 2.0], 1) == 3


def test_ties_count_against_the_model():
    assert rank_of([0.0, 5.0, 5.0, 5.0, 1.0], 2) == 3
    assert rank_of([0.0] * 101, 7) == 100


def test_excluded_items_do_not_compete_but_the_target_always_does():
    scores = [0.0, 4.0, 3.0, 2.0, 1.0]
    assert rank_of(scores, 3, excluded=[1]) == 2
    assert rank_of(scores, 3, excluded=[1, 1, 2]) == 1
    assert rank_of(scores, 3, excluded=[3]) == 3
    assert rank_of(scores, 3, excluded=[]) == 3


def test_nan_is_the_worst_that_can_happen():
    assert rank_of([0.0, 1.0, NAN, 2.0], 2) == 3
    assert rank_of([0.0, 1.0, NAN, 2.0], 3) == 2
    assert rank_of([NAN, NAN, NAN, NAN], 1) == 3


def test_infinite_scores_are_ordered():
    assert rank_of([0.0, -math.inf, math.inf, 2.0], 1) == 3
    assert rank_of([0.0, -math.inf, math.inf, 2.0], 2) == 1


def slow_rank(scores: list[float], target: int, excluded: set[int]) -> int:
    """Sort the candidates by score, the target behind all that tie with it."""
    candidates = [item for item in range(1, len(scores)) if item == target or item not in excluded]
    candidates.sort(key=lambda item: (-scores[item], item == target))
    return candidates.index(target) + 1


@settings(max_examples=60)
@given(st.data())
def test_agrees_with_sorting(data):
    n_items = data.draw(st.integers(1, 8))
    queries = data.draw(st.integers(1, 4))
    # Few distinct scores, so that ties are common.
    scores = data.draw(
        st.lists(
            st.lists(st.integers(-2, 2).map(float), min_size=n_items + 1, max_size=n_items + 1),
            min_size=queries,
            max_size=queries,
        )
    )
    item = st.integers(1, n_items)
    targets = data.draw(st.lists(item, min_size=queries, max_size=queries))
    pairs = data.draw(st.lists(st.tuples(st.integers(0, queries - 1), item), max_size=10))
    excluded = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    found = ranks(
        torch.tensor(scores),
        torch.tensor(targets),
        excluded_rows=excluded[:, 0],
        excluded_items=excluded[:, 1],
    )
    expected = [
        slow_rank(scores[query], targets[query], {item for row, item in pairs if row == query})
        for query in range(queries)
    ]
    assert found.tolist() == expected


def test_metrics_by_hand():
    found = metrics(np.array([1, 3, 10, 11]), (5, 10))
    assert found["recall@5"] == pytest.approx(2 / 4)
    assert found["ndcg@5"] == pytest.approx((1 + 1 / 2) / 4)
    assert found["mrr@5"] == pytest.approx((1 + 1 / 3) / 4)
    assert found["recall@10"] == pytest.approx(3 / 4)
    assert found["ndcg@10"] == pytest.approx((1 + 1 / 2 + 1 / math.log2(11)) / 4)
    assert found["mrr@10"] == pytest.approx((1 + 1 / 3 + 1 / 10) / 4)


def test_metrics_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one query"):
        metrics(np.array([], dtype=np.int64), (10,))


def test_ranks_among_candidates_by_hand():
    scores = torch.tensor([[3.0, 1.0, 2.0, 0.5], [2.0, 2.0, 1.0, NAN], [0.0, -math.inf, 1.0, 1.0]])
    # 3 is ahead of 2; a tie and a NaN are ahead; two of 1 are ahead of a half, and so is everything of NaN.
    targets = torch.tensor([2.5, 2.0, 0.5])
    assert ranks_among(targets, scores).tolist() == [2, 4, 3]
    assert ranks_among(torch.full((3,), NAN), scores).tolist() == [5, 5, 5]


@settings(max_examples=60)
@given(st.data())
def test_ranks_among_all_others_are_those_of_the_catalogue(data):
    n_items, queries = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    row = st.lists(st.integers(-2, 2).map(float), min_size=n_items + 1, max_size=n_items + 1)
    scores = torch.tensor(data.draw(st.lists(row, min_size=queries, max_size=queries)))
    targets = torch.tensor(data.draw(st.lists(st.integers(1, n_items), min_size=queries, max_size=queries)))
    others = torch.tensor(
        [[item for item in range(1, n_items + 1) if item != target] for target in targets.tolist()]
    ).reshape(queries, n_items - 1)
    found = ranks_among(scores.gather(1, targets[:, None])[:, 0], scores.gather(1, others.long()))
    assert torch.equal(found, ranks(scores, targets))


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=20),
    st.lists(st.integers(1, 35), min_size=1, max_size=3, unique=True),
)
def test_metrics_agree_with_their_definitions_query_by_query(found, ks):
    expected = {}
    for k in ks:
        lists = [[rank == place for place in range(1, k + 1)] for rank in found]
        expected[f"recall@{k}"] = sum(any(hits) for hits in lists) / len(found)
        expected[f"ndcg@{k}"] = sum(
            hit / math.log2(place + 1) for hits in lists for place, hit in enumerate(hits, 1)
        ) / len(found)
        expected[f"mrr@{k}"] = sum(hit / place for hits in lists for place, hit in enumerate(hits, 1)) / len(
            found
        )
    assert metrics(np.array(found), ks) == pytest.approx(expected)


def test_groups_by_history_by_hand():
    lengths = np.array([1, 19, 20, 49, 50, 200, 1000])
    found = {name: inside.tolist() for name, inside in history_groups(lengths, (20, 50, 100, 200))}
    assert list(found) == ["1-19", "20-49", "50-99", "200+"]
    assert found["1-19"] == [True, True, False, False, False, False, False]
    assert found["20-49"] == [False, False, True, True, False, False, False]
    assert found["50-99"] == [False] * 4 + [True, False, False]
    assert found["200+"] == [False] * 5 + [True, True]


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=20),
    st.sets(st.integers(2, 250), max_size=4),
)
def test_every_query_is_in_one_group(lengths, starts):
    groups = history_groups(np.array(lengths), sorted(starts))
    if not starts:
        assert groups == []
        return
    assert sum(inside.astype(int) for _, inside in groups).tolist() == [1] * len(lengths)
    for name, inside in groups:
        low, _, high = name.rstrip("+").partition("-")
        for length in np.array(lengths)[inside]:
            assert int(low) <= length <= (10**9 if "+" in name else int(high or low))


def test_a_group_of_one_length_is_called_by_it():
    assert [name for name, _ in history_groups(np.array([1, 2, 3]), (2, 3))] == ["1", "2", "3+"]
