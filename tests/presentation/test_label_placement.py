from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.presentation.label_placement import spread


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=30), st.floats(0.01, 0.2))
def test_spread_positions_keep_apart_in_range_and_in_order(wanted, gap):
    found = spread(wanted, gap=gap, low=0, high=1)
    smallest = min(gap, 1 / max(len(wanted) - 1, 1))
    ordered = sorted(found)
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 1 + 1e-9
    assert all(b - a >= smallest - 1e-9 for a, b in pairwise(ordered))
    for i, j in pairwise(np.argsort(wanted)):
        assert wanted[i] == wanted[j] or found[i] < found[j]


def test_spread_leaves_positions_that_are_apart_where_they_are():
    assert spread([0.9, 0.1, 0.5], gap=0.1, low=0, high=1) == pytest.approx([0.9, 0.1, 0.5])
    assert spread([0.5, 0.5], gap=0.1, low=0, high=1) == pytest.approx([0.45, 0.55])
    assert spread([], gap=0.1, low=0, high=1) == []
