"""The short form of `benchmarks/faults.py`: random kills, damaged runs and damaged suites."""

import random
from collections import Counter

import pytest

from benchmarks import faults


def test_kills_lose_and_double_nothing(tmp_path):
    found = Counter()
    faults.kills(random.Random(3), 8, tmp_path, found)
    assert found["kills"] == 8
    assert faults.bad(found) == 0, found


@pytest.mark.parametrize("seed", range(2))
def test_what_is_damaged_is_read_or_named(tmp_path, seed):
    found = Counter()
    faults.damages(random.Random(seed), 15, tmp_path, found)
    faults.suites(random.Random(seed), 20, found)
    assert faults.bad(found) == 0, found
    assert found["run named"] > 0
    assert found["suite named"] > 0
