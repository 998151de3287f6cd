"""Findings in sentences: what people quote."""

import math

import pandas as pd
import pytest

from linrec_bench.analysis.crossover import crossover
from linrec_bench.analysis.seeds import VARIANT, across_seeds
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.presentation.cost_sentences import LONGEST
from linrec_bench.presentation.sentences import headline
from linrec_bench.settings import TrainingSettings
from tests.planted import LENGTHS, plant_pair, plant_quality


def test_the_headline_says_length_phase_shape_and_memory(planted, layer_case):
    plant_pair(planted, layer_case, cross=700, phase="forward")
    plant_pair(planted, layer_case, cross=700, phase="forward_backward", batch_size=4)
    planted.close(layer_case("softmax", 128, phase="forward_backward", batch_size=4))
    for n in LENGTHS[1:]:
        planted.close(layer_case("softmax", n, phase="forward_backward", batch_size=4), status="oom")
    sentences = headline(summarise(planted.frame(), reference="sdpa"), "sdpa")
    assert len(sentences) == 2
    assert sentences[0].startswith("linrec overtakes sdpa at N = ")
    assert sentences[0].endswith("forward + backward, batch 4, hidden 64; 10x less memory at 16,384")
    assert sentences[1] == "softmax runs out of memory at N = 256, forward + backward, batch 4, hidden 64"


def test_quality_is_told_against_the_reference(planted, recommend_case):
    plant_quality(planted, recommend_case, "softmax", [0.2, 0.21])
    plant_quality(planted, recommend_case, "linrec", [0.19, 0.2])
    sentence = headline(summarise(planted.frame(), reference="softmax"), "softmax")[1]
    assert sentence.startswith("linrec: test NDCG@10 0.1950 [")
    assert "against 0.2050 [" in sentence
    assert "of softmax, trained in 1.0x its time (2 seeds" in sentence


def test_an_empty_summary_has_no_findings(planted):
    summary = summarise(planted.frame(), reference="sdpa")
    assert headline(summary, "sdpa") == []
    assert crossover(summary, challenger="linrec", incumbent="sdpa").empty


def test_the_headline_names_directions_and_tasks_where_there_are_several(planted, layer_case):
    plant_pair(planted, layer_case, cross=700)
    plant_pair(planted, layer_case, cross=3000, causal=True)
    both = headline(summarise(planted.frame(), reference="sdpa"), "sdpa")
    assert ["forward, bidirectional, batch" in both[0], "forward, causal, batch" in both[1]] == [True, True]
    plant_pair(planted, layer_case, cross=500, task="core")
    found = headline(summarise(planted.frame(), reference="sdpa"), "sdpa")
    assert "core forward, bidirectional" in found[0]
    assert "layer forward, causal" in found[2]


def test_the_headline_does_not_depend_on_the_order_of_rows(planted, layer_case, recommend_case):
    plant_pair(planted, layer_case, cross=700)
    plant_pair(planted, layer_case, cross=900, causal=True)
    for n in LENGTHS:
        planted.cost(layer_case("based", n), 2e-7 * n, memory=n * 50)
    plant_quality(planted, recommend_case, "softmax", [0.2, 0.21])
    plant_quality(planted, recommend_case, "linrec", [0.19, 0.2])
    summary = summarise(planted.frame(), reference="sdpa")
    expected = headline(summary, "sdpa")
    for seed in range(5):
        assert headline(summary.sample(frac=1, random_state=seed), "sdpa") == expected
    assert [sentence.split()[0] for sentence in expected[:3]] == ["based", "linrec", "linrec"]


def test_a_sentence_that_is_too_long_goes_without_its_last_clause(planted, layer_case):
    long = "linear-transformer(chunk=128,feature_map=elu,normaliser=running_sum,padding=ignore,scale=0.125)"
    for n in LENGTHS:
        planted.cost(layer_case("sdpa", n, causal=True, hidden_size=1024), 1e-9 * n**2, memory=n * 1000)
        planted.cost(layer_case("linrec", n, causal=True, hidden_size=1024), 1e-6 * n, memory=n * 100)
        planted.cost(layer_case("sdpa", n), 1e-9 * n**2)
    frame = planted.frame()
    frame["attention"] = frame["attention"].astype(object).replace("linrec", long)
    (sentence,) = headline(summarise(frame, reference="sdpa"), "sdpa")
    assert sentence.startswith(f"{long} overtakes sdpa at N = ")
    # With its clause on memory it would be longer still.
    assert len(f"{sentence}; 10x less memory at 16,384") > LONGEST
    assert sentence.endswith("batch 1, hidden 1,024")


def test_decoding_is_told_with_its_state(planted):
    for n in LENGTHS:
        for attention, seconds, state in (("sdpa", 1e-7 * n, 100 * n), ("linrec", 7e-5, 5000)):
            case = Case(task="decode", phase="step", attention=attention, seq_len=n, causal=True)
            planted.cost(case, seconds)
            planted.add(case, "state_bytes", state, "B", round=0)
    (sentence,) = headline(summarise(planted.frame(), reference="sdpa"), "sdpa")
    assert sentence.startswith("linrec overtakes sdpa at N = ")
    assert sentence.endswith("decoding step, batch 1, hidden 64; 328x less state at 16,384")


def test_a_shape_at_which_the_reference_did_not_run_is_not_told(planted, layer_case):
    plant_pair(planted, layer_case, cross=700, batch_size=4)
    for n in LENGTHS:
        planted.close(layer_case("sdpa", n, batch_size=16), status="oom")
        planted.cost(layer_case("linrec", n, batch_size=16), 1e-6 * n)
    (sentence,) = headline(summarise(planted.frame(), reference="sdpa"), "sdpa")
    assert sentence.startswith("linrec overtakes sdpa at N = ")
    assert ", batch 4," in sentence


def paired(summary, **changes):
    """The one difference of linrec against softmax, as a run stores it."""
    rows = across_seeds(summary)
    own = rows[rows["attention"] == "linrec"].iloc[0]
    row = {column: own[column] for column in (*VARIANT, "model_name", "system")} | {
        "against": "softmax",
        "against_causal": own["causal"],
        "metric": "ndcg@10",
        "difference": -0.01,
        "low": -0.02,
        "high": -0.004,
        "p_holm": 0.012,
        "users": 6040,
        "seeds": 2,
    }
    return pd.DataFrame([row | changes])


def quality_of_two(planted, recommend_case):
    plant_quality(planted, recommend_case, "softmax", [0.2, 0.21])
    plant_quality(planted, recommend_case, "linrec", [0.19, 0.2])
    return summarise(planted.frame(), reference="softmax")


def test_a_paired_difference_is_told_in_the_sentence_of_its_variant(planted, recommend_case):
    summary = quality_of_two(planted, recommend_case)
    of_softmax, of_linrec = headline(summary, "softmax", paired(summary))
    assert of_softmax.startswith("softmax: test NDCG@10 0.2050 [")
    assert of_linrec == (
        "linrec: test NDCG@10 0.1950, 0.0100 [0.0040, 0.0200] below softmax, trained in 1.0x its time "
        "(2 seeds, 6,040 users, Holm-corrected p = 0.0120, toy, N = 50)"
    )
    assert len(of_linrec) <= LONGEST


def test_a_difference_that_chance_may_have_made_is_not_told_as_one(planted, recommend_case):
    summary = quality_of_two(planted, recommend_case)
    _, said = headline(summary, "softmax", paired(summary, p_holm=0.3, high=0.002))
    assert ", no difference from softmax shown, 0.0100 [-0.0020, 0.0200] below it (2 seeds" in said


@pytest.mark.parametrize(
    "changes", [{"against": "sdpa"}, {"seeds": 1}, {"low": math.nan, "high": math.nan, "p_holm": math.nan}]
)
def test_other_differences_have_a_sentence_of_their_own(planted, recommend_case, changes):
    summary = quality_of_two(planted, recommend_case)
    said = headline(summary, "softmax", paired(summary, **changes))
    assert len(said) == 3
    assert "against 0.2050 [" in said[1]
    assert said[2].startswith("linrec is 0.0100 ")


def test_one_seed_tests_no_mechanism(planted, recommend_case):
    plant_quality(planted, recommend_case, "linrec", [0.1])
    assert headline(summarise(planted.frame(), reference="linrec"), "linrec") == [
        "linrec: test NDCG@10 0.1000 (1 seed, the mechanisms are untested, toy, N = 50)"
    ]


def test_a_training_of_so_many_seconds_says_so(planted, recommend_case):
    for seed in (0, 1):
        case = recommend_case("linrec", seed, training=TrainingSettings(budget_seconds=20))
        planted.add(case, "ndcg@10", 0.2, "1", phase="test")
        planted.add(case, "train_time", 20.0, "s")
        planted.close(case)
    (sentence,) = headline(summarise(planted.frame(), reference="linrec"), "linrec")
    assert "(2 seeds, 20.0 s of training, quality depends on the machine, toy, N = 50)" in sentence
