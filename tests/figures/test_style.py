from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.figures.panels import spread
from linrec_bench.figures.style import LOOKS, look
from linrec_bench.figures.ticks import amount, log_ticks, seconds


def test_a_mechanism_looks_the_same_everywhere_and_unlike_the_others():
    looks = {look(name) for name in LOOKS}
    assert len({found.colour for found in looks}) == len({found.marker for found in looks}) == len(LOOKS)
    assert look("my-attention") == look("my-attention")
    assert look("my-attention").colour not in {found.colour for found in looks}


def test_parameters_change_the_dashes_only():
    plain, ignore = look("linrec"), look("linrec(padding=ignore)")
    assert (plain.colour, plain.marker) == (ignore.colour, ignore.marker)
    assert plain.dashes != ignore.dashes


def test_colours_stay_apart_for_the_colour_blind():
    # Machado, Oliveira and Fernandes (2009), severity 1: what protan and deutan eyes see, in linear RGB.
    eyes = [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ]
    colours = np.array(
        [[int(found.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for found in LOOKS.values()]
    )
    for eye in eyes:
        seen = np.clip((colours**2.2) @ np.array(eye).T, 0, 1) ** (1 / 2.2)
        distance = np.linalg.norm(seen[:, None] - seen[None], axis=2)
        assert distance[~np.eye(len(seen), dtype=bool)].min() > 0.12


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


@given(st.floats(1e-7, 1e4), st.floats(1.02, 1e9), st.sampled_from([2, 10]))
def test_log_ticks_lie_in_range_and_suffice(low, factor, base):
    ticks = log_ticks(low, low * factor, base=base)
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in ticks)
    assert sorted(ticks) == ticks
    assert 2 <= len(ticks) <= 9


def test_ticks_read_as_a_person_would_say_them():
    assert [seconds(v) for v in (5e-8, 1e-5, 0.0009999999, 0.25, 1, 1500)] == [
        "50 ns",
        "10 µs",
        "1 ms",
        "250 ms",
        "1 s",
        "1,500 s",
    ]
    assert [amount(v) for v in (512, 2**10, 2**20 * 12, 2**31)] == ["512 B", "1 KiB", "12 MiB", "2 GiB"]
