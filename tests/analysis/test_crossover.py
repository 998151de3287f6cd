"""The length from which one mechanism costs less than another."""

import math

import pytest

from linrec_bench.analysis.crossover import crossover, crossovers
from linrec_bench.analysis.summary import summarise
from tests.planted import LENGTHS, plant_pair


def test_a_planted_crossover_is_recovered_in_its_interval(planted, layer_case):
    plant_pair(planted, layer_case, cross=700)
    found = crossover(summarise(planted.frame(), reference="sdpa"), challenger="linrec", incumbent="sdpa")
    assert len(found) == 1
    first = found.iloc[0]
    assert first["outcome"] == "crosses"
    assert first["seq_len"] == pytest.approx(700, rel=0.06)
    assert first["seq_len_low"] < 700 < first["seq_len_high"]


def test_without_paired_ratios_the_intervals_of_both_sides_are_joined(planted, layer_case):
    plant_pair(planted, layer_case, cross=700)
    found = crossover(summarise(planted.frame(), reference="linrec"), challenger="linrec", incumbent="sdpa")
    assert found["seq_len_low"].iloc[0] < 700 < found["seq_len_high"].iloc[0]


@pytest.mark.parametrize(
    ("cross", "outcome"),
    [(10**6, "never"), (10, "always")],
)
def test_no_crossover_is_an_outcome(planted, layer_case, cross, outcome):
    plant_pair(planted, layer_case, cross=cross)
    found = crossover(summarise(planted.frame(), reference="sdpa"), challenger="linrec", incumbent="sdpa")
    assert (found["outcome"].iloc[0], found["shortest"].iloc[0], found["longest"].iloc[0]) == (
        outcome,
        128,
        16384,
    )
    assert math.isnan(found["seq_len"].iloc[0])


def test_each_line_has_its_own_crossover_and_memory_has_one_too(planted, layer_case):
    plant_pair(planted, layer_case, cross=700)
    plant_pair(planted, layer_case, cross=3000, batch_size=4)
    summary = summarise(planted.frame(), reference="sdpa")
    times = crossover(summary, challenger="linrec", incumbent="sdpa")
    assert times.set_index("batch_size")["seq_len"].to_dict() == pytest.approx({1: 700, 4: 3000}, rel=0.08)
    memory = crossover(summary, challenger="linrec", incumbent="sdpa", cost="memory_bytes")
    assert set(memory["outcome"]) == {"always"}


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
    assert (first["outcome"], first["longest"]) == ("never", 16384)
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
    assert again[["seq_len", "outcome"]].equals(found[["seq_len", "outcome"]])
    assert set(crossovers(summary, reference="sdpa", floors=True)["challenger"]) == {
        "based",
        "copy",
        "linrec",
    }
    assert crossovers(summary, reference="nobody").empty
