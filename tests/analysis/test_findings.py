"""Seeds, crossovers and headlines: what people quote."""

import math

import numpy as np
import pandas as pd
import pytest

from linrec_bench.analysis.crossover import crossing, crossover, crossovers
from linrec_bench.analysis.headline import LONGEST, headline
from linrec_bench.analysis.seeds import VARIANT, across_seeds, mean_and_half_width
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case

LENGTHS = [128 * 2**k for k in range(8)]


def plant_pair(planted, layer_case, *, cross, rounds=3, **more):
    """sdpa ~ N^2 and linrec ~ N that cost the same at N = cross."""
    for n in LENGTHS:
        planted.cost(layer_case("sdpa", n, **more), 1e-9 * n**2, memory=n * 1000, rounds=rounds)
        planted.cost(layer_case("linrec", n, **more), 1e-9 * cross * n, memory=n * 100, rounds=rounds)


def test_a_planted_crossover_is_recovered_in_its_interval(planted, layer_case):
    plant_pair(planted, layer_case, cross=700)
    found = crossover(summarise(planted.frame(), reference="sdpa"), challenger="linrec", incumbent="sdpa")
    assert len(found) == 1
    first = found.iloc[0]
    assert first["outcome"] == "crosses"
    assert first["seq_len"] == pytest.approx(700, rel=0.06)
    assert first["seq_len_low"] < 700 < first["seq_len_high"]
    assert first["said"].startswith("N = ")


def test_without_paired_ratios_the_intervals_of_both_sides_are_joined(planted, layer_case):
    plant_pair(planted, layer_case, cross=700)
    found = crossover(summarise(planted.frame(), reference="linrec"), challenger="linrec", incumbent="sdpa")
    assert found["seq_len_low"].iloc[0] < 700 < found["seq_len_high"].iloc[0]


@pytest.mark.parametrize(
    ("cross", "outcome", "said"),
    [(10**6, "never", "none up to 16,384"), (10, "always", "at every length from 128")],
)
def test_no_crossover_is_said(planted, layer_case, cross, outcome, said):
    plant_pair(planted, layer_case, cross=cross)
    found = crossover(summarise(planted.frame(), reference="sdpa"), challenger="linrec", incumbent="sdpa")
    assert (found["outcome"].iloc[0], found["said"].iloc[0]) == (outcome, said)
    assert math.isnan(found["seq_len"].iloc[0])


def test_each_line_has_its_own_crossover_and_memory_has_one_too(planted, layer_case):
    plant_pair(planted, layer_case, cross=700)
    plant_pair(planted, layer_case, cross=3000, batch_size=4)
    summary = summarise(planted.frame(), reference="sdpa")
    times = crossover(summary, challenger="linrec", incumbent="sdpa")
    assert times.set_index("batch_size")["seq_len"].to_dict() == pytest.approx({1: 700, 4: 3000}, rel=0.08)
    memory = crossover(summary, challenger="linrec", incumbent="sdpa", cost="memory_bytes")
    assert set(memory["outcome"]) == {"always"}


def test_a_crossing_is_where_the_ratio_goes_below_one_for_good():
    lengths = np.array([100.0, 200.0, 400.0, 800.0])
    assert crossing(lengths, np.array([0.5, 2.0, 0.5, 0.1])) == pytest.approx(math.sqrt(200 * 400))
    assert crossing(lengths, np.array([2.0, 1.0, 0.5, 0.2])) == pytest.approx(200)
    assert crossing(lengths, np.array([0.5, 0.5, 0.5, 1.5])) == math.inf


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


def plant_quality(planted, recommend_case, attention, values):
    for seed, value in enumerate(values):
        case = recommend_case(attention, seed)
        planted.add(case, "ndcg@10", value, "1", phase="test")
        planted.add(case, "train_time", 10.0, "s")
        planted.close(case)


def test_seeds_have_a_t_interval(planted, recommend_case):
    plant_quality(planted, recommend_case, "linrec", [0.1, 0.2, 0.3])
    planted.close(recommend_case("linrec", 3), status="error", detail="loss is not finite")
    found = across_seeds(summarise(planted.frame(), reference="linrec")).iloc[0]
    assert (found["seeds"], found["failed"]) == (3, 1)
    assert found["ndcg@10"] == pytest.approx(0.2)
    # t(0.975, 2) = 4.3027, standard error 0.1 / sqrt(3).
    assert found["ndcg@10_high"] - 0.2 == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert found["interval"] == "95 % t interval over 3 seeds"


def test_one_seed_has_no_interval_and_says_so(planted, recommend_case):
    plant_quality(planted, recommend_case, "linrec", [0.1])
    summary = summarise(planted.frame(), reference="linrec")
    found = across_seeds(summary).iloc[0]
    assert found["interval"] == "one seed: no interval"
    assert math.isnan(found["ndcg@10_low"])
    assert headline(summary, "linrec") == ["linrec: test NDCG@10 0.1000 (1 seed, no interval, toy, N = 50)"]


def test_t_intervals_cover_the_truth():
    rng = np.random.default_rng(0)
    found = [mean_and_half_width(rng.normal(0.2, 0.01, 3)) for _ in range(2000)]
    assert np.mean([abs(mean - 0.2) <= half for mean, half in found]) == pytest.approx(0.95, abs=0.015)


def test_quality_is_told_against_the_reference(planted, recommend_case):
    plant_quality(planted, recommend_case, "softmax", [0.2, 0.21])
    plant_quality(planted, recommend_case, "linrec", [0.19, 0.2])
    sentence = headline(summarise(planted.frame(), reference="softmax"), "softmax")[1]
    assert sentence.startswith("linrec: test NDCG@10 0.1950 [")
    assert "against 0.2050 [" in sentence
    assert "of softmax, trained in 1x its time (2 seeds" in sentence


def test_an_empty_summary_has_no_findings(planted):
    summary = summarise(planted.frame(), reference="sdpa")
    assert headline(summary, "sdpa") == []
    assert crossover(summary, challenger="linrec", incumbent="sdpa").empty


def test_a_counted_cost_crosses_between_measured_lengths(planted, layer_case):
    for n in LENGTHS:
        planted.cost(layer_case("sdpa", n), 1e-5 * n, memory=n**2)
        planted.cost(layer_case("linrec", n), 1e-5 * n, memory=700 * n)
    summary = summarise(planted.frame(), reference="sdpa")
    found = crossover(summary, challenger="linrec", incumbent="sdpa", cost="memory_bytes").iloc[0]
    assert found["seq_len"] == pytest.approx(700, rel=0.01)
    assert (found["seq_len_low"], found["seq_len_high"]) == (512, 1024)


def test_crossovers_tell_where_either_side_stops(planted, layer_case):
    plant_pair(planted, layer_case, cross=10**6)
    planted.close(layer_case("sdpa", 2 * LENGTHS[-1]), status="oom", detail="memory")
    planted.cost(layer_case("linrec", 2 * LENGTHS[-1]), 1.0)
    found = crossover(summarise(planted.frame(), reference="sdpa"), challenger="linrec", incumbent="sdpa")
    first = found.iloc[0]
    assert first["said"] == "none up to 16,384"
    assert first["incumbent_stops"] == 32768
    assert math.isnan(first["challenger_stops"])


def test_crossovers_against_the_reference_are_ordered_and_leave_floors_out(planted, layer_case):
    plant_pair(planted, layer_case, cross=700)
    for n in LENGTHS:
        planted.cost(layer_case("copy", n), 1e-8 * n, memory=n)
        planted.cost(layer_case("based", n), 2e-7 * n, memory=n * 50)
    rows = planted.frame()
    summary = summarise(rows, reference="sdpa")
    found = crossovers(summary, reference="sdpa")
    assert list(zip(found["cost"], found["challenger"], strict=True)) == [
        ("time_s", "based"), ("time_s", "linrec"), ("memory_bytes", "based"), ("memory_bytes", "linrec"),
    ]  # fmt: skip
    shuffled = summarise(rows.sample(frac=1, random_state=0), reference="sdpa")
    again = crossovers(shuffled, reference="sdpa")
    assert list(again["said"]) == list(found["said"])
    assert set(crossovers(summary, reference="sdpa", floors=True)["challenger"]) == {
        "based",
        "copy",
        "linrec",
    }
    assert crossovers(summary, reference="nobody").empty


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


def test_a_sentence_fits_a_line(planted, layer_case):
    long = "linear-transformer(chunk=128,feature_map=elu,normaliser=running_sum,padding=ignore,scale=0.125)"
    for n in LENGTHS:
        planted.cost(layer_case("sdpa", n, causal=True, hidden_size=1024), 1e-9 * n**2, memory=n * 1000)
        planted.cost(layer_case("linrec", n, causal=True, hidden_size=1024), 1e-6 * n, memory=n * 100)
        planted.cost(layer_case("sdpa", n), 1e-9 * n**2)
    frame = planted.frame()
    frame.loc[frame["attention"] == "linrec", "attention"] = long
    (sentence,) = headline(summarise(frame, reference="sdpa"), "sdpa")
    assert len(sentence) <= LONGEST
    assert sentence.startswith("linear-transformer(...) overtakes sdpa at N = ")
    assert sentence.endswith("10x less memory at 16,384")


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
    row = {column: own[column] for column in VARIANT} | {
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
        "linrec: test NDCG@10 0.1950, .0100 [.0040, .0200] below softmax, trained in 1x its time "
        "(2 seeds, 6,040 users, Holm-corrected p = .0120, toy, N = 50)"
    )
    assert len(of_linrec) <= LONGEST


def test_a_difference_that_chance_may_have_made_is_not_told_as_one(planted, recommend_case):
    summary = quality_of_two(planted, recommend_case)
    _, said = headline(summary, "softmax", paired(summary, p_holm=0.3, high=0.002))
    assert ", no difference from softmax shown, .0100 [-.0020, .0200] below it (2 seeds" in said


@pytest.mark.parametrize("changes", [{"against": "sdpa"}, {"seeds": 1}, {"p_holm": math.nan}])
def test_other_differences_have_a_sentence_of_their_own(planted, recommend_case, changes):
    summary = quality_of_two(planted, recommend_case)
    said = headline(summary, "softmax", paired(summary, **changes))
    assert len(said) == 3
    assert "against 0.2050 [" in said[1]
    assert said[2].startswith("linrec is .0100 ")
