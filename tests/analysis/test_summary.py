import math

import numpy as np
import pandas as pd
import pytest

from linrec_bench.analysis.summary import COLUMNS, summarise
from linrec_bench.results.case_table import CASE_DATA

GOLDEN = """
status detail reason kernel trials rounds samples time_s time_s_low time_s_high interval_over reference
time_ratio time_ratio_low time_ratio_high memory_bytes memory_ratio flops_per_s ceiling_share
flops minimum_bytes predicted_peak_bytes first_call_s attention_share energy_j
peak_live_bytes peak_process_bytes peak_allocated_bytes peak_reserved_bytes peak_driver_bytes
train_time_s epochs best_epoch events_per_s parameters
"""


def row(summary, **where):
    chosen = summary[np.logical_and.reduce([summary[key] == value for key, value in where.items()])]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_the_columns_are_these_in_this_order(planted, layer_case):
    planted.cost(layer_case("linrec"), 1e-3)
    found = summarise(planted.frame(), reference="linrec")
    assert list(found.columns) == [*COLUMNS, *CASE_DATA]
    assert list(COLUMNS)[17:] == GOLDEN.split()
    assert all(COLUMNS.values())


def test_medians_ratios_and_counts_of_a_planted_pair(planted, layer_case):
    drift = (1.0, 3.0, 0.5)
    planted.cost(layer_case("sdpa"), 2e-3, memory=4000, drift=drift, between=0.005)
    planted.cost(layer_case("linrec"), 1e-3, memory=1000, drift=drift, between=0.005)
    found = row(summarise(planted.frame(), reference="sdpa"), attention="linrec")
    assert (found["rounds"], found["trials"], found["samples"]) == (3, 3, 27)
    assert found["time_s"] == pytest.approx(1e-3, rel=0.03)
    assert found["time_s_high"] / found["time_s_low"] > 2
    # Paired by round, the drift of the machine cancels.
    assert found["time_ratio"] == pytest.approx(0.5, rel=0.03)
    assert found["time_ratio_high"] / found["time_ratio_low"] < 1.2
    assert found["memory_ratio"] == 0.25
    assert found["interval_over"] == "rounds"


def test_a_ratio_needs_the_reference_at_the_same_grid_point(planted, layer_case):
    planted.cost(layer_case("sdpa", 128), 1e-3)
    planted.cost(layer_case("linrec", 256), 1e-3)
    found = summarise(planted.frame(), reference="sdpa")
    assert math.isnan(row(found, attention="linrec")["time_ratio"])
    assert row(found, attention="linrec")["reference"] == ""
    assert row(found, attention="sdpa")["time_ratio"] == 1


def test_a_reference_is_found_by_label_before_name(planted, layer_case):
    ignore = layer_case("linrec", attention_params=(("padding", "ignore"),))
    planted.cost(layer_case("linrec"), 1e-3, memory=10)
    planted.cost(ignore, 2e-3, memory=20)
    found = summarise(planted.frame(), reference="linrec")
    assert row(found, attention="linrec(padding=ignore)")["memory_ratio"] == 2
    alone = summarise(planted.frame().query("attention != 'linrec'"), reference="linrec")
    assert list(alone["reference"]) == ["linrec(padding=ignore)"]


def test_the_worst_trial_gives_the_status_and_its_reason(planted, layer_case):
    case = layer_case("softmax")
    planted.add(case, "time", 1.0, "s", round=0)
    planted.close(case, round=0)
    planted.close(case, round=1, status="oom", detail="needs 9 GiB")
    planted.close(case, round=2, status="skipped", detail="an earlier round ended as oom")
    found = summarise(planted.frame(), reference="softmax").iloc[0]
    assert (found["status"], found["detail"]) == ("oom", "needs 9 GiB")
    assert (found["trials"], found["rounds"], found["samples"]) == (3, 1, 1)


def test_what_failed_is_empty_and_its_exact_counts_stay(planted, layer_case):
    case = layer_case("softmax", 16384)
    planted.add(case, "flops", 7e18, "FLOP")
    planted.add(case, "time", 1.0, "s")
    planted.close(case, status="skipped", detail="needs 9 GiB")
    found = summarise(planted.frame(), reference="softmax").iloc[0]
    assert found["flops"] == 7 * 10**18
    empty = found[["time_s", "time_s_low", "time_ratio", "memory_bytes", "flops_per_s", "energy_j"]]
    assert empty.isna().all()


def test_rows_of_a_trial_that_was_cut_off_do_not_count(planted, layer_case):
    planted.cost(layer_case("linrec"), 1e-3, rounds=2)
    planted.add(layer_case("linrec"), "time", 500.0, "s", round=2)
    planted.add(layer_case("sdpa"), "time", 500.0, "s")
    found = summarise(planted.frame(), reference="linrec")
    assert list(found["attention"]) == ["linrec"]
    assert found["samples"].iloc[0] == 18


@pytest.mark.parametrize(("flops", "moved", "share"), [(1e9, 1e6, 0.1), (1e6, 1e9, 0.5)])
def test_the_share_of_the_ceiling_is_that_of_the_slower_one(planted, layer_case, flops, moved, share):
    planted.ceiling(copy_bandwidth=2e11, matmul_rate=1e12)
    planted.ceiling(copy_bandwidth=1.0, matmul_rate=1.0, dtype="float64")
    case = layer_case("linrec")
    planted.cost(case, 1e-2, rounds=1, within=0)
    for name, value, unit in (("flops", flops, "FLOP"), ("minimum_bytes", moved, "B")):
        planted.add(case, name, value, unit)
    found = summarise(planted.frame(), reference="linrec").iloc[0]
    assert found["ceiling_share"] == pytest.approx(share, rel=0.1)
    assert found["flops_per_s"] == pytest.approx(flops / found["time_s"])


def test_cuda_compares_allocated_memory(planted, layer_case):
    case = layer_case("linrec", device="cuda")
    planted.cost(case, 1e-3)
    planted.add(case, "peak_allocated_bytes", 5, "B")
    assert summarise(planted.frame(), reference="linrec")["memory_bytes"].iloc[0] == 5


def test_recommend_adds_the_metrics_of_the_test_phase(planted, recommend_case):
    case = recommend_case("linrec")
    for phase, value in (("validation", 0.9), ("test", 0.2)):
        for metric in ("recall@20", "ndcg@10", "recall@5"):
            planted.add(case, metric, value, "1", phase=phase)
    planted.add(case, "train_time", 12.0, "s")
    planted.close(case)
    found = summarise(planted.frame(), reference="linrec")
    assert list(found.columns)[-3 - len(CASE_DATA) : -len(CASE_DATA)] == ["ndcg@10", "recall@5", "recall@20"]
    assert found["phase"].iloc[0] == "train_and_rank"
    assert found[["ndcg@10", "recall@20", "train_time_s"]].iloc[0].tolist() == [0.2, 0.2, 12.0]


def test_a_wrong_unit_is_refused(planted, layer_case):
    planted.add(layer_case("linrec"), "time", 3.0, "ms")
    planted.close(layer_case("linrec"))
    with pytest.raises(ValueError, match="measure time has unit 'ms'; expected 's'"):
        summarise(planted.frame(), reference="linrec")


def test_nothing_measured_gives_an_empty_summary(planted):
    found = summarise(planted.frame(), reference="linrec")
    assert len(found) == 0
    assert list(found.columns) == [*COLUMNS, *CASE_DATA]


def test_a_summary_survives_a_file(planted, layer_case, tmp_path):
    planted.cost(layer_case("linrec"), 1e-3, memory=2**40 + 1)
    found = summarise(planted.frame(), reference="linrec")
    found.to_csv(tmp_path / "summary.csv", index=False)
    text = (tmp_path / "summary.csv").read_text()
    assert str(2**40 + 1) in text
    assert len(pd.read_csv(tmp_path / "summary.csv")) == 1


def test_counts_are_whole_and_seconds_of_the_host_are_not(planted, layer_case):
    case = layer_case("linrec", device="cuda")
    planted.cost(case, 1e-3)
    planted.add(case, "host_time", 2.5e-4, "s")
    planted.add(case, "state_bytes", 2**53 + 1, "B")
    found = summarise(planted.frame(), reference="linrec")
    assert found["host_time_s"].tolist() == [2.5e-4]
    assert found["state_bytes"].dtype == "Int64"


@pytest.mark.parametrize("value", [1e300, math.inf])
def test_a_number_beyond_all_counts_stays_what_it_is(planted, layer_case, value):
    planted.add(layer_case("linrec"), "flops", value, "FLOP")
    planted.close(layer_case("linrec"))
    assert summarise(planted.frame(), reference="linrec")["flops"].tolist() == [value]
