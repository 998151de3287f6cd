"""Fronts over planted seeds: dominated only where the intervals say so."""

import pytest

from linrec_bench.analysis.pareto import pareto
from linrec_bench.analysis.seeds import across_seeds
from linrec_bench.analysis.summary import summarise


@pytest.fixture
def variants(planted, recommend_case):
    """`variants({mechanism: (qualities, seconds)})`, one value a seed."""

    def make(plan, **more):
        for attention, (qualities, seconds) in plan.items():
            for seed, (quality, spent) in enumerate(zip(qualities, seconds, strict=True)):
                case = recommend_case(attention, seed, **more)
                planted.add(case, "ndcg@10", quality, "1", phase="test")
                planted.add(case, "train_time", spent, "s")
                planted.close(case)
        return across_seeds(summarise(planted.frame(), reference="softmax"))

    return make


def standings(found):
    return dict(zip(found["attention"], found["standing"], strict=True))


def test_the_front_the_dominated_and_the_undecided(variants):
    found = pareto(
        variants(
            {
                "best": ([0.200, 0.201, 0.202], [100, 101, 102]),
                "quick": ([0.150, 0.151, 0.152], [10, 10.1, 10.2]),
                "worse": ([0.100, 0.101, 0.102], [200, 201, 202]),
                "near": ([0.150, 0.200, 0.240], [100, 110, 130]),
            }
        )
    )
    assert standings(found) == {
        "best": "front",
        "quick": "front",
        "worse": "dominated",
        "near": "undecided",
    }
    by = dict(zip(found["attention"], found["dominated_by"], strict=True))
    assert by == {"best": "", "quick": "", "worse": "best", "near": "best"}


@pytest.mark.parametrize(
    "other",
    [
        # Surely worse, not surely dearer; and the other way round.
        ([0.1, 0.101, 0.102], [95, 105, 115]),
        ([0.15, 0.199, 0.23], [200, 201, 202]),
    ],
)
def test_one_axis_alone_dominates_nothing(variants, other):
    found = pareto(variants({"a": ([0.2, 0.201, 0.202], [90, 100, 110]), "b": other}))
    assert standings(found) == {"a": "front", "b": "undecided"}


def test_one_seed_never_dominates(variants):
    found = pareto(variants({"a": ([0.2], [1.0]), "b": ([0.1], [100.0])}))
    assert standings(found) == {"a": "front", "b": "undecided"}


def test_equal_points_share_the_front_and_missing_costs_are_left_out(variants):
    made = variants({"a": ([0.2, 0.2], [5, 5]), "b": ([0.2, 0.2], [5, 5])})
    assert standings(pareto(made)) == {"a": "front", "b": "front"}
    assert pareto(made, cost="energy_j").empty
    with pytest.raises(ValueError, match="no column 'price'"):
        pareto(made, cost="price")


def test_settings_do_not_compete(variants):
    variants({"a": ([0.2, 0.2], [5, 5])}, hidden_size=64)
    found = pareto(variants({"b": ([0.1, 0.1], [50, 50])}, hidden_size=128))
    assert standings(found) == {"a": "front", "b": "front"}
