"""Seeds, crossovers and headlines: what people quote."""

import math

import numpy as np
import pytest

from linrec_bench.analysis.crossover import crossing, crossover
from linrec_bench.analysis.headline import headline
from linrec_bench.analysis.seeds import across_seeds, mean_and_half_width
from linrec_bench.analysis.summary import summarise

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
