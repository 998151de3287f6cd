"""Amdahl shares, memory by kind, quality by group and growth: planted truths come back."""

import math

import numpy as np
import pytest

from linrec_bench.analysis.amdahl import attention_shares
from linrec_bench.analysis.groups import quality_by_group
from linrec_bench.analysis.growth import growth
from linrec_bench.analysis.memory_kinds import memory_kinds
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.settings import TrainingSettings


def step_case(attention, n, catalogue=2000, **more):
    return Case(
        task="train_step", phase="step", attention=attention, seq_len=n, causal=True, model="sasrec",
        training=TrainingSettings(catalogue_size=catalogue), **more,
    )  # fmt: skip


def test_shares_and_the_most_that_they_let_save(planted):
    for n, share in ((128, 0.2), (512, 0.5), (2048, 0.9)):
        case = step_case("softmax", n)
        planted.add(case, "catalogue_size", 2000, "1")
        for round in range(3):
            for repeat in range(5):
                noise = np.exp(planted.rng.normal(0, 0.01))
                planted.add(case, "attention_share", share * noise, "1", round=round, repeat=repeat)
            planted.close(case, round=round)
    planted.close(step_case("softmax", 8192), status="oom", detail="out of memory")
    frame = planted.frame()
    found = attention_shares(summarise(frame, reference="softmax"), frame)
    assert list(found["seq_len"]) == [128, 512, 2048]
    assert list(found["share"]) == pytest.approx([0.2, 0.5, 0.9], rel=0.02)
    assert list(found["gain"]) == pytest.approx([1.25, 2, 10], rel=0.1)
    assert (found["share_low"] < found["share"]).all()
    assert (found["share_high"] <= 1).all()
    assert set(found["catalogue_size"]) == {2000}


def test_a_run_without_shares_has_none(planted, layer_case):
    planted.cost(layer_case("linrec"), 1e-3)
    frame = planted.frame()
    assert attention_shares(summarise(frame, reference="linrec"), frame).empty


def test_catalogues_are_compared_apart(planted):
    for catalogue, seconds in ((1000, 1.0), (100_000, 5.0)):
        for attention, factor in (("softmax", 2), ("linrec", 1)):
            case = step_case(attention, 128, catalogue)
            planted.add(case, "catalogue_size", catalogue, "1")
            planted.cost(case, seconds * factor)
    found = summarise(planted.frame(), reference="softmax")
    ratios = found[found["attention"] == "linrec"].set_index("catalogue_size")["time_ratio"]
    assert ratios.to_dict() == pytest.approx({1000: 0.5, 100_000: 0.5}, rel=0.1)


def test_memory_on_a_cpu_is_split_in_three(planted, layer_case):
    case = layer_case("linrec", phase="forward_backward")
    for measure, value in (("saved_bytes", 60), ("peak_live_bytes", 100), ("peak_process_bytes", 130)):
        planted.add(case, measure, value, "B")
    planted.close(case)
    small = layer_case("copy")
    # Taken in a pass of its own, the process may rise by less than the tensors.
    for measure, value in (("saved_bytes", 0), ("peak_live_bytes", 100), ("peak_process_bytes", 90)):
        planted.add(small, measure, value, "B")
    planted.close(small)
    found = memory_kinds(summarise(planted.frame(), reference="linrec"))
    table = found.pivot_table(index="attention", columns="kind", values="bytes")
    assert table.loc["linrec"].to_dict() == {"saved": 60, "live": 40, "process": 30}
    assert table.loc["copy"].to_dict() == {"saved": 0, "live": 100, "process": 0}


def test_memory_on_cuda_is_split_by_level_and_one_number_is_no_split(planted, layer_case):
    case = layer_case("linrec", device="cuda")
    for measure, value in (
        ("peak_allocated_bytes", 50),
        ("peak_reserved_bytes", 80),
        ("peak_driver_bytes", 200),
    ):
        planted.add(case, measure, value, "B")
    planted.close(case)
    planted.cost(layer_case("sdpa"), 1e-3, memory=100)
    found = memory_kinds(summarise(planted.frame(), reference="sdpa"))
    assert dict(zip(found["kind"], found["bytes"], strict=True)) == {
        "allocated": 50,
        "reserved": 30,
        "driver": 120,
    }
    assert set(found["attention"]) == {"linrec"}


def plant_groups(planted, recommend_case, seed, shift=0.0):
    case = recommend_case("linrec", seed)
    for kind, group, queries, value in (
        ("history", "200+", None, 0.1),
        ("history", "5-19", 1208, 0.3),
        ("history", "20-199", 90, 0.2),
        ("users", "heavy", None, 0.25),
        ("", "", None, 0.9),
    ):
        planted.add(case, "ndcg@10", value + shift, "1", group_by=kind, group=group)
        if queries is not None:
            planted.add(case, "queries", queries, "1", group_by=kind, group=group)
    planted.add(case, "ndcg@10", 0.5, "1", phase="test", group_by="history", group="5-19")
    planted.add(case, "recall@10", 0.7, "1", group_by="history", group="5-19")
    planted.close(case)


def test_groups_are_ordered_with_means_and_intervals_over_seeds(planted, recommend_case):
    for seed, shift in enumerate((-0.01, 0.0, 0.01)):
        plant_groups(planted, recommend_case, seed, shift)
    found = quality_by_group(planted.frame())
    histories = found[found["kind"] == "history"].sort_values("rank")
    assert list(histories["group"]) == ["5-19", "20-199", "200+"]
    assert list(histories["quality"]) == pytest.approx([0.3, 0.2, 0.1])
    assert list(histories["queries"].fillna(-1)) == [1208, 90, -1]
    # t(0.975, 2) = 4.3027, standard error 0.01 / sqrt(3).
    half = 4.3027 * 0.01 / math.sqrt(3)
    assert list(histories["quality_high"] - histories["quality"]) == pytest.approx([half] * 3, rel=1e-3)
    assert list(found.loc[found["kind"] == "users", "group"]) == ["heavy"]


def test_groups_of_one_seed_have_no_interval_and_failed_trials_none_at_all(planted, recommend_case):
    plant_groups(planted, recommend_case, 0)
    failed = recommend_case("softmax")
    planted.add(failed, "ndcg@10", 0.2, "1", group_by="history", group="5-19")
    planted.close(failed, status="timeout")
    found = quality_by_group(planted.frame())
    assert set(found["attention"]) == {"linrec"}
    assert found["quality_low"].isna().all()
    assert quality_by_group(planted.frame()[:0]).empty


def test_growth_of_every_line_is_fitted_inside_its_range(planted, layer_case):
    lengths = [128 * 2**k for k in range(8)]
    for n in lengths:
        planted.cost(layer_case("sdpa", n), 1e-4 + 1e-10 * n**2, between=0.005)
        planted.cost(layer_case("linrec", n), 1e-4 + 1e-7 * n, between=0.005)
    planted.cost(layer_case("copy", 128), 1e-4)
    planted.close(layer_case("softmax", 128), status="oom")
    frame = planted.frame()
    found = growth(summarise(frame, reference="sdpa"), frame).set_index("system")
    assert set(found.index) == {"sdpa", "linrec"}
    assert found.loc["sdpa", "exponent"] == pytest.approx(2, abs=0.1)
    assert found.loc["linrec", "exponent"] == pytest.approx(1, abs=0.1)
    assert (found["low"] <= found["exponent"]).all()
    assert (found.loc["sdpa", "shortest"], found.loc["sdpa", "longest"]) == (128, 16384)
