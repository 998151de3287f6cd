"""Ceilings from a clock that moves one second a reading, and once for real in small."""

import itertools

import pytest
import torch

from linrec_bench.measures.instruments import ceilings


def readings(**options):
    return ceilings.readings(torch.device("cpu"), torch.float32, copy_bytes=4096, matrix_size=16, **options)


def test_rates_count_bytes_both_ways_and_two_operations_a_multiply_add():
    ticks = itertools.count()
    found = readings(clock=lambda: float(next(ticks)))
    values = {(reading.measure, reading.unit, reading.value) for reading in found}
    assert values == {("copy_bandwidth", "B/s", 2 * 4096), ("matmul_rate", "FLOP/s", 2 * 16**3)}


@pytest.mark.parametrize("measure", ["copy_bandwidth", "matmul_rate"])
def test_several_raw_samples(measure):
    found = [reading for reading in readings() if reading.measure == measure]
    assert [reading.repeat for reading in found] == list(range(len(found)))
    assert len(found) >= ceilings.MIN_SAMPLES
    assert all(reading.value > 0 for reading in found)
    assert all("torch.float32" in reading.detail for reading in found)
