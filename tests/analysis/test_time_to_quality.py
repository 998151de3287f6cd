import math
from dataclasses import replace

import pandas as pd
import pytest

from linrec_bench.analysis.seeds import across_seeds
from linrec_bench.analysis.summary import summarise
from linrec_bench.analysis.time_to_quality import COLUMNS, learning_curves, time_to_quality
from linrec_bench.presentation.sentences import headline


@pytest.fixture
def train(planted, recommend_case):
    """`train("linrec", [0.1, 0.2], epoch_s=3.0)`: a training whose validations read so."""

    def plant(
        attention, curve, *, epoch_s=1.0, joules=None, seed=0, round=0, status="ok", every=1, dataset="toy"
    ):
        case = recommend_case(attention, seed=seed, dataset=dataset)
        for number in range(1, len(curve) * every + 1):
            planted.add(case, "epoch_time", epoch_s, "s", repeat=number, round=round)
            if joules is not None:
                planted.add(case, "epoch_energy", joules, "J", repeat=number, round=round)
            if number % every == 0:
                value = curve[number // every - 1]
                planted.add(case, "ndcg@10", value, "1", phase="validation", repeat=number, round=round)
        if status == "ok":
            planted.add(case, "train_time", epoch_s * len(curve) * every, "s", round=round)
            planted.add(case, "ndcg@10", max(curve), "1", phase="test", round=round)
        planted.close(case, round=round, status=status)
        return case

    return plant


def only(found: pd.DataFrame) -> list[float]:
    (row,) = found[list(COLUMNS)].to_numpy(dtype=float).tolist()
    return row


def test_seconds_and_joules_up_to_the_first_validation_that_is_no_worse(planted, train):
    # Later validations that fall back do not matter.
    train("linrec", [0.10, 0.15, 0.12, 0.20], epoch_s=3.0, joules=50.0)
    assert only(time_to_quality(planted.frame(), target=0.15)) == [0.15, 6.0, 100.0]
    assert only(time_to_quality(planted.frame(), target=0.151)) == [0.151, 12.0, 200.0]


def test_epochs_without_a_validation_count(planted, train):
    train("linrec", [0.10, 0.20], epoch_s=3.0, every=4)
    target, seconds, joules = only(time_to_quality(planted.frame(), target=0.2))
    assert (target, seconds) == (0.2, 24.0)
    assert math.isnan(joules)


def test_a_search_for_the_architecture_is_no_epoch_of_the_training(planted, train):
    case = train("linrec", [0.10, 0.20], epoch_s=3.0, joules=50.0)
    for number in (1, 2, 3):
        planted.add(case, "epoch_time", 100.0, "s", phase="search", repeat=number)
        planted.add(case, "epoch_energy", 100.0, "J", phase="search", repeat=number)
    assert only(time_to_quality(planted.frame(), target=0.2)) == [0.2, 6.0, 100.0]


def test_a_target_that_is_never_reached_has_no_number(planted, train):
    train("linrec", [0.10, 0.20])
    target, seconds, _ = only(time_to_quality(planted.frame(), target=0.3))
    assert target == 0.3
    assert math.isnan(seconds)


def test_by_default_the_lowest_best_which_all_reach(planted, train):
    train("softmax", [0.1, 0.2, 0.3])
    train("linrec", [0.05, 0.25, 0.2], epoch_s=2.0)
    # Neither another data set nor a training that was stopped decides for these two.
    train("softmax", [0.01], dataset="other")
    train("copy", [0.02], status="timeout")
    found = time_to_quality(planted.frame()).set_index(["dataset", "attention"])
    assert found.loc[("toy", "softmax"), "quality_target"] == 0.25
    assert found["to_target_s"].to_dict() == pytest.approx(
        {
            ("toy", "softmax"): 3.0,
            ("toy", "linrec"): 4.0,
            ("other", "softmax"): 1.0,
            ("toy", "copy"): math.nan,
        },
        nan_ok=True,
    )
    targets = {("toy", "{}"): 0.1}
    by_name = time_to_quality(planted.frame(), targets=targets).set_index(["dataset", "attention"])
    assert by_name["quality_target"].to_dict()["toy", "linrec"] == 0.1
    assert by_name["quality_target"].to_dict()["other", "softmax"] == 0.01


def test_a_stopped_training_that_got_there_counts(planted, train):
    train("linrec", [0.1, 0.2], status="timeout")
    assert only(time_to_quality(planted.frame(), target=0.2))[:2] == [0.2, 2.0]
    assert learning_curves(planted.frame()).empty


def test_of_several_rounds_the_median_unless_one_never_got_there(planted, train):
    for round, epoch_s in enumerate((1.0, 2.0, 9.0)):
        train("linrec", [0.1, 0.2], epoch_s=epoch_s, round=round)
    assert only(time_to_quality(planted.frame(), target=0.2))[1] == 4.0
    train("linrec", [0.1, 0.1], round=3)
    assert math.isnan(only(time_to_quality(planted.frame(), target=0.2))[1])


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, math.nan])
def test_an_impossible_target_is_refused(planted, train, target):
    train("linrec", [0.1])
    with pytest.raises(ValueError, match="expected a validation NDCG@10 between 0 and 1"):
        time_to_quality(planted.frame(), target=target)
    with pytest.raises(ValueError, match="between 0 and 1"):
        time_to_quality(planted.frame(), targets={("toy", "{}"): target})


def test_nothing_validated_gives_an_empty_table(planted, layer_case):
    planted.cost(layer_case("linrec"), 1e-3)
    found = time_to_quality(planted.frame())
    assert found.empty
    assert set(COLUMNS) < set(found.columns)


def test_the_mean_over_seeds_and_none_where_one_seed_never_got_there(planted, train):
    for seed, epoch_s in enumerate((1.0, 2.0, 3.0)):
        train("softmax", [0.1, 0.2], epoch_s=epoch_s, seed=seed)
        train("linrec", [0.1, 0.2 if seed else 0.1], epoch_s=epoch_s, seed=seed)
    summary = summarise(planted.frame(), reference="softmax", targets={("toy", "{}"): 0.2})
    found = across_seeds(summary).set_index("attention")
    assert found["to_target_s"].to_dict() == pytest.approx({"softmax": 4.0, "linrec": math.nan}, nan_ok=True)
    # The t interval of 2, 4, 6.
    assert found.loc["softmax", "to_target_s_low"] == pytest.approx(4 - 4.303 * 2 / 3**0.5, rel=1e-3)
    assert found["reached"].to_dict() == {"softmax": 3, "linrec": 2}
    (sentence,) = [text for text in headline(summary, "softmax") if "validation" in text]
    assert sentence.startswith("linrec reaches validation NDCG@10 0.2000 with 2 of 3 seeds, softmax with all")


def test_the_finding_compares_at_one_quality(planted, train):
    train("softmax", [0.1, 0.2])
    train("linrec", [0.1, 0.1, 0.2], epoch_s=2.0)
    summary = summarise(planted.frame(), reference="softmax")
    (sentence,) = [text for text in headline(summary, "softmax") if "validation" in text]
    assert sentence == (
        "training time to validation NDCG@10 0.2000 over that of softmax: linrec 3.0x "
        "(1 seed, the mechanisms are untested, toy, N = 50)"
    )


def test_a_ratio_over_seeds_is_shown_or_not(planted, train):
    for seed, epoch_s in enumerate((1.0, 1.01, 0.99)):
        train("softmax", [0.1, 0.2], epoch_s=epoch_s, seed=seed)
        train("linrec", [0.1, 0.2], epoch_s=3 * epoch_s, seed=seed)
        train("based", [0.1, 0.2], epoch_s=epoch_s + 0.02 * seed, seed=seed)
    summary = summarise(planted.frame(), reference="softmax")
    (sentence,) = [text for text in headline(summary, "softmax") if "validation" in text]
    assert sentence.startswith(
        "training time to validation NDCG@10 0.2000 over that of softmax: linrec 3.0x ["
    )
    assert "; no difference shown: based 1.0x [" in sentence


def test_the_finding_names_direction_and_model_where_there_are_several(planted, train, recommend_case):
    train("softmax", [0.1, 0.2])
    train("linrec", [0.1, 0.2])
    bidirectional = replace(recommend_case("softmax"), causal=False)
    planted.add(bidirectional, "ndcg@10", 0.2, "1", phase="test")
    planted.close(bidirectional)
    sentences = headline(
        summarise(planted.frame(), reference="softmax", targets={("toy", "{}"): 0.2}), "softmax"
    )
    (sentence,) = [text for text in sentences if text.startswith("training time to")]
    assert ", causal, toy, N = " in sentence
