"""Planted runs: known ratios come back, the same code is left in peace, nothing goes missing in silence."""

import math

import numpy as np
import pandas as pd
import pytest

from linrec_bench.analysis.compare import compare_mechanisms, compare_runs
from linrec_bench.analysis.paired_quality import differences, of_ranks
from linrec_bench.analysis.samples_table import outcomes
from linrec_bench.analysis.significance import independent
from linrec_bench.analysis.summary import summarise
from linrec_bench.results.samples_file import plain
from linrec_bench.settings import TrainingSettings

MARGIN = 0.1


@pytest.fixture
def two_runs(planted):
    """Collectors of the rows of a run A and a run B."""
    return type(planted)(seed=1, run_id="a"), type(planted)(seed=2, run_id="b")


def only(found, measure):
    (line,) = [line for line in found.lines if line.measure == measure]
    return line


def compared(a, b, **more):
    return compare_runs(a.frame(), b.frame(), **{"margin": MARGIN} | more)


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(2.0, "worse"), (0.5, "better"), (1.0, "same")],
)
def test_a_planted_ratio_of_two_runs_is_recovered(two_runs, layer_case, factor, verdict):
    a, b = two_runs
    case = layer_case("linrec")
    a.cost(case, 1e-3, rounds=5, between=0.01)
    b.cost(case, factor * 1e-3, rounds=5, between=0.01)
    line = only(compared(a, b), "time")
    assert (line.verdict, line.unit, line.replicates) == (verdict, "s", 5)
    assert line.low < factor < line.high
    assert line.change == pytest.approx(factor, rel=0.05)
    assert (line.a, line.b) == pytest.approx((1e-3, factor * 1e-3), rel=0.05)
    assert line.p <= 0.05 if verdict != "same" else line.p > 0.05
    assert line.reason == ""


def test_the_p_value_is_that_of_a_change_beyond_the_margin(two_runs, layer_case):
    for side, seconds in zip(two_runs, (1e-3, 1.3e-3), strict=True):
        side.cost(layer_case("linrec"), seconds, between=0.05)
    logs = []
    for side in two_runs:
        times = side.frame()[lambda f: f["measure"] == "time"]
        logs.append(np.log(times.groupby("round")["value"].median().to_numpy()))
    expected = independent(*logs).p_outside(math.log(1 + MARGIN))
    assert only(compared(*two_runs), "time").p == pytest.approx(expected)
    assert expected > independent(*logs).p_outside(0)


def test_intervals_of_two_runs_cover_the_planted_ratio(two_runs, layer_case):
    lengths = range(1, 201)
    for side, seconds in zip(two_runs, (1e-3, 1.3e-3), strict=True):
        for seq_len in lengths:
            side.cost(layer_case("linrec", seq_len), seconds, between=0.05, repeats=5)
    covered = sum(line.low <= 1.3 <= line.high for line in compared(*two_runs).lines)
    # At 95 %, fewer than 182 of 200 have a probability of one in a hundred.
    assert covered >= 182


@pytest.mark.slow
def test_the_same_code_is_rarely_flagged_in_a_family(planted, layer_case):
    """Two runs of eight cases without any difference and without a margin, again and again."""
    flagged = 0
    for seed in range(16):
        a, b = type(planted)(seed=2 * seed, run_id="a"), type(planted)(seed=2 * seed + 1, run_id="b")
        for seq_len in (64, 128, 256, 512, 1024, 2048, 4096, 8192):
            for side in (a, b):
                side.cost(layer_case("linrec", seq_len), 1e-3, between=0.05, repeats=3)
        given = compared(a, b, margin=0.0).verdicts()
        flagged += given["worse"] + given["better"] > 0
    # At a rate of 5 %, more than 3 of 16 have a probability of one in a hundred.
    assert flagged <= 3


def test_a_large_family_needs_more_evidence_for_each_member(two_runs, layer_case):
    a, b = two_runs
    for seq_len in range(8, 8 * 60, 8):
        for side in (a, b):
            side.cost(layer_case("linrec", seq_len), 1e-3, between=0.02)
    odd = layer_case("linrec", 4096)
    a.cost(odd, 1e-3, between=0.02)
    b.cost(odd, 1.35e-3, between=0.02)
    alone = compare_runs(
        a.frame()[lambda f: f["case_id"] == odd.id],
        b.frame()[lambda f: f["case_id"] == odd.id],
        margin=MARGIN,
    )
    assert only(alone, "time").verdict == "worse"
    (line,) = [line for line in compared(a, b).lines if line.place.seq_len == 4096]
    assert line.verdict == "undecided"
    assert line.reason.endswith("after Holm's correction for 60 comparisons")


def test_rounds_of_two_runs_are_not_paired_and_those_of_one_run_are(two_runs, planted, layer_case):
    drift = (1.0, 3.0, 1.5)
    a, b = two_runs
    for side, seconds in ((a, 1e-3), (b, 2e-3)):
        side.cost(layer_case("linrec"), seconds, drift=drift, between=0.002)
    assert only(compared(a, b), "time").verdict == "undecided"
    planted.cost(layer_case("softmax"), 1e-3, drift=drift, between=0.002)
    planted.cost(layer_case("linrec"), 2e-3, drift=drift, between=0.002)
    found = compare_mechanisms(planted.frame(), attention="linrec", against="softmax", margin=MARGIN)
    assert only(found, "time").verdict == "worse"
    place = only(found, "time").place
    assert (place.attention, place.against) == ("linrec", "softmax")


def test_two_mechanisms_have_the_same_ratio_here_and_in_the_summary(planted, layer_case):
    planted.cost(layer_case("softmax"), 1e-3, memory=4000)
    planted.cost(layer_case("linrec"), 2e-3, memory=1000)
    row = summarise(planted.frame(), reference="softmax").set_index("attention").loc["linrec"]
    found = compare_mechanisms(planted.frame(), attention="linrec", against="softmax", margin=MARGIN)
    line = only(found, "time")
    assert (line.change, line.low, line.high) == (
        row["time_ratio"],
        row["time_ratio_low"],
        row["time_ratio_high"],
    )
    memory = only(found, "peak_live_bytes")
    assert (memory.change, memory.verdict) == (0.25, "better")


def test_quality_has_the_interval_of_the_findings_where_ranks_are_stored(planted, recommend_case):
    rng = np.random.default_rng(0)
    ranks = {}
    for name, worse in (("softmax", 0.0), ("linrec", 0.3)):
        for seed in range(3):
            case, users = recommend_case(name, seed=seed), np.arange(300)
            found = np.where(rng.random(300) < worse, 100, rng.integers(1, 21, 300))
            ranks[case.id, 0] = {"user": users, "rank": found}
            planted.add(case, "ndcg@10", of_ranks(found, "ndcg@10").mean(), "1", phase="test")
            planted.close(case)
    samples = planted.frame()
    sides = {"attention": "linrec", "against": "softmax", "margin": MARGIN}
    line = only(compare_mechanisms(samples, ranks=ranks, **sides), "ndcg@10")
    row = differences(outcomes(samples), ranks, reference="softmax").set_index("attention").loc["linrec"]
    assert (line.change, line.low, line.high, line.over) == (
        row["difference"],
        row["low"],
        row["high"],
        "users and seeds",
    )
    assert line.verdict == "worse"
    # What lies beyond the margin is less certain than what differs from nothing.
    assert row["p"] < line.p < 0.05
    alone = only(compare_mechanisms(samples, **sides), "ndcg@10")
    assert alone.over == "seeds"
    assert alone.change == pytest.approx(line.change)


def test_counts_are_compared_to_the_unit(two_runs, layer_case):
    a, b = two_runs
    for seq_len, flops in ((64, 1e15), (128, 1e15 + 1), (256, 1e15 - 1)):
        for side, count in ((a, 1e15), (b, flops)):
            side.add(layer_case("linrec", seq_len), "flops", count, "FLOP")
            side.close(layer_case("linrec", seq_len))
    found = compared(a, b)
    assert [line.verdict for line in found.lines] == ["same", "worse", "better"]
    assert all(math.isnan(line.p) for line in found.lines)


@pytest.mark.parametrize(
    ("factor", "other_machine", "verdict"),
    [(1.005, "", "same"), (1.02, "", "worse"), (0.98, "", "better"), (1.02, "other GPU", "undecided")],
)
def test_allocated_bytes_have_the_tolerance_of_the_allocator(
    two_runs, layer_case, factor, other_machine, verdict
):
    for side, count in zip(two_runs, (1e6, factor * 1e6), strict=True):
        side.add(layer_case("linrec"), "peak_allocated_bytes", count, "B")
        side.close(layer_case("linrec"))
    line = only(compared(*two_runs, other_machine=other_machine), "peak_allocated_bytes")
    assert (line.verdict, line.reason) == (verdict, other_machine)


def test_times_of_another_machine_are_shown_and_not_judged_but_counts_are(two_runs, layer_case):
    a, b = two_runs
    a.cost(layer_case("linrec"), 1e-3, memory=1000)
    b.cost(layer_case("linrec"), 3e-3, memory=1001)
    found = compared(a, b, other_machine="threads differ")
    time = only(found, "time")
    assert (time.verdict, time.reason) == ("undecided", "threads differ")
    assert time.change == pytest.approx(3, rel=0.1)
    assert math.isnan(time.p)
    assert only(found, "peak_live_bytes").verdict == "worse"


def test_one_round_decides_nothing(two_runs, layer_case):
    a, b = two_runs
    a.cost(layer_case("linrec"), 1e-3, rounds=1)
    b.cost(layer_case("linrec"), 9e-3, rounds=5)
    line = only(compared(a, b), "time")
    assert (line.verdict, line.reason) == ("undecided", "1 round, two or more are needed")
    assert math.isnan(line.low)


def test_what_has_no_partner_is_named(two_runs, layer_case):
    a, b = two_runs
    for side, cases in ((a, (("linrec", 64), ("linrec", 128))), (b, (("linrec", 64), ("softmax", 64)))):
        for attention, seq_len in cases:
            side.cost(layer_case(attention, seq_len), 1e-3)
    found = compared(a, b)
    (only_a,), (only_b,) = found.only_a, found.only_b
    assert (only_a.attention, only_a.seq_len) == ("linrec", 128)
    assert (only_b.attention, only_b.seq_len) == ("softmax", 64)
    assert len(found.lines) == 1


def test_shape_type_device_and_parameters_tell_cases_apart(two_runs, layer_case):
    a, b = two_runs
    a.cost(layer_case("linrec"), 1e-3)
    others = (
        {"batch_size": 2}, {"hidden_size": 128}, {"heads": 4}, {"dtype": "bfloat16"}, {"device": "cuda"},
        {"causal": True}, {"phase": "forward_backward"}, {"seed": 1}, {"task": "core"},
        {"attention_params": (("padding", "ignore"),)},
    )  # fmt: skip
    for other in others:
        b.cost(layer_case("linrec", **other), 1e-3)
    found = compared(a, b)
    assert found.lines == ()
    assert len(found.only_a) == 1
    assert len(set(found.only_b)) == len(others)


def test_cases_that_only_their_settings_tell_apart_are_matched_by_id(two_runs, recommend_case):
    a, b = two_runs
    long, short = (recommend_case("linrec", training=TrainingSettings(epochs=epochs)) for epochs in (20, 5))
    a.add(long, "ndcg@10", 0.2, "1", phase="test")
    a.close(long)
    for case, value in ((short, 0.1), (long, 0.2)):
        b.add(case, "ndcg@10", value, "1", phase="test")
        b.close(case)
    found = compared(a, b)
    assert [line.change for line in found.lines] == [0.0]
    assert found.only_a == ()
    assert [place.case_id for place in found.only_b] == [short.id]
    a.add(short, "ndcg@10", 0.1, "1", phase="test")
    a.close(short)
    assert [line.change for line in compared(a, b).lines] == [0.0, 0.0]


def test_a_measure_that_one_side_lacks_is_counted(two_runs, layer_case):
    a, b = two_runs
    a.cost(layer_case("linrec"), 1e-3, memory=1000)
    b.cost(layer_case("linrec"), 1e-3)
    assert compared(a, b).only_measured == {("peak_live_bytes", "a"): 1}


@pytest.mark.parametrize(
    ("a_status", "b_status", "other_machine", "verdict"),
    [
        ("ok", "oom", "", "worse"),
        ("ok", "oom", "other machine", "undecided"),
        ("ok", "error", "other machine", "worse"),
        ("ok", "skipped", "", "undecided"),
        ("oom", "ok", "", "better"),
        ("skipped", "ok", "other machine", "better"),
        ("oom", "timeout", "", "same"),
    ],
)
def test_failures_are_told_with_their_reasons(
    two_runs, layer_case, a_status, b_status, other_machine, verdict
):
    for side, status in zip(two_runs, (a_status, b_status), strict=True):
        side.close(layer_case("softmax"), status=status, detail=f"why {status}")
    found = compared(*two_runs, other_machine=other_machine)
    (failure,) = found.failures
    assert (failure.a, failure.b, failure.verdict) == (a_status, b_status, verdict)
    assert (failure.a_detail, failure.b_detail) == (f"why {a_status}", f"why {b_status}")
    assert found.lines == ()
    assert sum(found.verdicts().values()) == ("ok" in (a_status, b_status))


def test_the_time_of_a_case_that_failed_later_is_not_compared_but_its_counts_are(two_runs, layer_case):
    for side in two_runs:
        side.cost(layer_case("softmax"), 1e-3, memory=1000)
    two_runs[1].close(layer_case("softmax"), round=3, status="timeout")
    found = compared(*two_runs)
    assert [line.measure for line in found.lines] == ["peak_live_bytes"]
    assert found.failures[0].verdict == "worse"


def trained(side, case, *, ndcg, seconds):
    side.add(case, "ndcg@10", ndcg - 0.05, "1", phase="validation", repeat=3)
    side.add(case, "ndcg@10", ndcg, "1", phase="test")
    side.add(case, "train_time", seconds, "s")
    side.close(case)


@pytest.mark.parametrize(("gain", "verdict"), [(0.03, "better"), (-0.03, "worse"), (0.001, "same")])
def test_quality_is_a_difference_over_seeds(two_runs, recommend_case, gain, verdict):
    rng = np.random.default_rng(0)
    for seed in range(4):
        hard = rng.normal(0, 0.05)
        trained(two_runs[0], recommend_case("linrec", seed), ndcg=0.2 + hard, seconds=100)
        noise = rng.normal(0, 0.001)
        trained(
            two_runs[1], recommend_case("linrec", seed), ndcg=0.2 + hard + gain + noise, seconds=150 + seed
        )
    found = compared(*two_runs)
    quality, time = only(found, "ndcg@10"), only(found, "train_time")
    assert (quality.verdict, quality.replicates, quality.family) == (verdict, 4, "quality")
    assert quality.low < gain < quality.high
    assert quality.place.seed is None
    assert (time.verdict, time.replicates) == ("worse", 4)


@pytest.mark.parametrize(("factor", "verdict"), [(0.99, "undecided"), (1.01, "better")])
def test_what_is_detectable_is_decided_and_what_is_less_is_not(planted, recommend_case, factor, verdict):
    def line(gain):
        a, b = type(planted)(run_id="a"), type(planted)(run_id="b")
        for seed, noise in enumerate((-0.002, 0.0, 0.002)):
            trained(a, recommend_case("linrec", seed), ndcg=0.2, seconds=100)
            trained(b, recommend_case("linrec", seed), ndcg=0.2 + gain + noise, seconds=100)
        return only(compared(a, b), "ndcg@10")

    least = line(0.0).detectable
    # The margin, and Student's t (two degrees of freedom) times the standard error.
    assert least == pytest.approx(0.005 + 4.3027 * 0.002 / math.sqrt(3), rel=1e-4)
    assert line(factor * least).verdict == verdict


def test_the_least_change_of_time_is_a_ratio_and_grows_with_the_number_of_comparisons(planted, layer_case):
    def least(lengths):
        a, b = type(planted)(seed=1, run_id="a"), type(planted)(seed=2, run_id="b")
        for seq_len in lengths:
            for side in (a, b):
                side.cost(layer_case("linrec", seq_len), 1e-3, rounds=5, between=0.02)
        return compared(a, b).lines[0].detectable

    assert 1 + MARGIN < least([128]) < least([128, 256, 512, 1024, 2048, 4096, 8192]) < 2


def test_one_seed_decides_nothing_and_a_failed_seed_is_left_out_and_named(two_runs, recommend_case):
    for seed in range(2):
        for side in two_runs:
            if (side.run_id, seed) == ("b", 1):
                side.close(recommend_case("linrec", seed), status="error", detail="loss is nan")
            else:
                trained(side, recommend_case("linrec", seed), ndcg=0.2, seconds=100)
    found = compared(*two_runs)
    assert only(found, "ndcg@10").reason == "1 seed, two or more are needed"
    assert (found.failures[0].place.seed, found.failures[0].verdict) == (1, "worse")


def test_mechanisms_are_found_by_label_or_by_a_name_that_is_not_shared(planted, layer_case):
    ignore = {"attention_params": (("padding", "ignore"),)}
    for case in (layer_case("linrec"), layer_case("linrec", **ignore), layer_case("sdpa", **ignore)):
        planted.cost(case, 1e-3)

    def places(attention, against):
        found = compare_mechanisms(planted.frame(), attention=attention, against=against, margin=MARGIN)
        return [(line.place.attention, line.place.against) for line in found.lines]

    assert places("linrec(padding=ignore)", "sdpa") == [("linrec(padding=ignore)", "sdpa(padding=ignore)")]
    assert places("linrec", "sdpa") == [("linrec", "sdpa(padding=ignore)")]
    with pytest.raises(ValueError, match="no attention 'softmax' among"):
        places("linrec", "softmax")
    with pytest.raises(ValueError, match="the same mechanism"):
        places("sdpa", "sdpa(padding=ignore)")
    two_variants = plain(planted.frame())[lambda f: f["attention"] != "linrec"]
    other = {"attention": "linrec(chunk=8)", "attention_name": "linrec", "attention_params": '{"chunk":8}'}
    two_variants.loc[two_variants["attention_name"] == "sdpa", list(other)] = list(other.values())
    with pytest.raises(ValueError, match="one of them in full"):
        compare_mechanisms(two_variants, attention="linrec", against="linrec(chunk=8)", margin=MARGIN)


def test_one_attention_of_two_runs(two_runs, layer_case):
    for side in two_runs:
        for attention in ("linrec", "softmax"):
            side.cost(layer_case(attention), 1e-3)
    assert {line.place.attention for line in compared(*two_runs, attention="linrec").lines} == {"linrec"}


def test_impossible_requests_are_refused(two_runs, layer_case):
    a, b = two_runs
    a.cost(layer_case("linrec"), 1e-3)
    b.add(layer_case("linrec"), "time", 1.0, "ms")
    b.close(layer_case("linrec"))
    with pytest.raises(ValueError, match="'s' in A, 'ms' in B"):
        compared(a, b)
    with pytest.raises(ValueError, match="side B holds 2 runs"):
        compare_runs(a.frame(), pd.concat([a.frame(), b.frame()]), margin=MARGIN)
    with pytest.raises(ValueError, match="margin -1"):
        compared(a, a, margin=-1)
    with pytest.raises(ValueError, match="quality margin -1"):
        compared(a, a, quality_margin=-1)


def test_empty_runs_have_nothing_to_compare(two_runs):
    found = compared(*two_runs)
    assert (found.lines, found.failures, found.only_a, found.only_b) == ((), (), (), ())
    assert found.table().empty


def test_the_table_has_a_row_a_line_with_the_same_numbers(two_runs, layer_case):
    for side in two_runs:
        side.cost(layer_case("linrec"), 1e-3, memory=1000)
    found = compared(*two_runs)
    table = found.table()
    assert table["measure"].tolist() == ["time", "peak_live_bytes"]
    assert table["change"].tolist() == [line.change for line in found.lines]
    assert table["verdict"].tolist() == [line.verdict for line in found.lines]
    assert table["seq_len"].tolist() == [128, 128]
