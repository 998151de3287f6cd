"""Margins of the timed gate, on noise that is known; rates over many pools are in benchmarks/verdicts.py."""

import math

import numpy as np
import pytest

from linrec_bench.analysis.intervals import Interval
from linrec_bench.analysis.power import (
    EFFECTS,
    Effect,
    Line,
    Side,
    accepted_ratios,
    checked,
    plant,
    recommended_margin,
    tallies,
    tally,
)

LENGTHS = (256, 1024)


def planted_lines(rng, *, rounds, between, lengths=LENGTHS):
    """Rounds drift together, processes differ by `between`, samples by 2 %; the mechanism is linear in N."""
    drift = rng.lognormal(0, 0.3, rounds)

    def side(seconds):
        processes = seconds * drift * rng.lognormal(0, between, rounds)
        return {r: t * rng.lognormal(0, 0.02, 7) for r, t in enumerate(processes)}

    return [Line(n, side(1e-6 * n), side(1e-9 * n**2)) for n in lengths]


LOOKS = (4, 6)


def sides(line, *ratios):
    """A side whose ratio is known after each look: value and half width of its logarithm."""
    found = {
        look: [Interval(value, value * math.exp(-half), value * math.exp(half), look, "rounds")]
        for look, (value, half) in zip(LOOKS, ratios, strict=True)
    }
    return Side([line], range(6), 0, found)


LINE = Line(256, {}, {})


@pytest.mark.parametrize(
    ("ratios", "value"),
    [
        # Half of a margin of 10 % is 0.048 in logarithms.
        ([(1.0, 0.04), (2.0, 0.04)], 1.0),
        ([(1.0, 0.06), (2.0, 0.04)], 2.0),
        ([(1.0, 0.06), (2.0, 0.06)], None),
    ],
)
def test_a_baseline_is_measured_until_it_is_narrow_or_refused(ratios, value):
    accepted = accepted_ratios(sides(LINE, *ratios), LOOKS, 0.1)
    assert accepted is None if value is None else [ratio.value for ratio in accepted] == [value]


@pytest.mark.parametrize(
    ("ratios", "answer"),
    [
        ([(1.0, 0.04), (2.0, 0.04)], "holds"),
        ([(1.0, 0.2), (2.0, 0.04)], "broken"),
        ([(1.0, 0.2), (1.05, 0.2)], "undecided"),
    ],
)
def test_a_check_looks_again_only_at_what_is_undecided(ratios, answer):
    accepted = [Interval(1.0, math.exp(-0.04), math.exp(0.04), 5, "rounds")]
    assert checked(sides(LINE, *ratios), accepted, LOOKS, 0.1) == answer


def test_the_least_margin_at_which_unchanged_code_holds_is_found_from_the_widest_down():
    lines = planted_lines(np.random.default_rng(0), rounds=12, between=0.02, lengths=(256,))
    settings = {"looks": (4,), "draws": 381, "effects": EFFECTS[3:4], "resamples": 20}
    margin, tallied = tallies(lines, margins=(0.01, 0.3, 0.6), **settings)
    same = {t.margin: t for t in tallied if t.effect == "none"}
    assert list(same) == [0.6, 0.3, 0.01]
    assert margin == 0.3
    assert same[0.3].holds > 343
    # No baseline is that narrow.
    assert same[0.01].undecided == 381
    assert [(t.margin, t.broken < 381) for t in tallied if t.effect == "1.3 x"] == [(0.3, True)]


def test_effects_are_applied_to_the_samples_of_the_mechanism_alone():
    lines = [Line(n, {0: np.array([1e-3 * n] * 3)}, {0: np.array([7.0])}) for n in (100, 200, 400)]
    changed = plant(lines, Effect("both", factor=2.0, quadratic=0.3))
    # 0.3 of 0.4 s at the longest, a quarter and a sixteenth of that at half and a quarter of the length.
    expected = [2 * 0.1 + 0.12 / 16, 2 * 0.2 + 0.12 / 4, 2 * 0.4 + 0.12]
    assert [line.own[0].tolist() for line in changed] == [pytest.approx([t] * 3) for t in expected]
    assert all(line.reference == old.reference for line, old in zip(changed, lines, strict=True))


def test_a_margin_is_recommended_only_where_enough_draws_show_it():
    def quiet(draws):
        return tally("none", 0.1, ["holds"] * draws)

    assert recommended_margin([quiet(380)]) is None
    assert recommended_margin([quiet(381)]) == 0.1
    assert recommended_margin([tally("1.1 x", 0.1, ["holds"] * 500)]) is None
    alarms = tally("none", 0.05, ["broken"] * 5 + ["undecided"] * 495)
    assert recommended_margin([alarms, quiet(500)]) == 0.1


def test_a_margin_at_which_unchanged_code_stays_undecided_is_not_recommended():
    def tried(margin, undecided):
        return tally("none", margin, ["undecided"] * undecided + ["holds"] * (500 - undecided))

    # 36 undecided of 500 is the last count whose interval ends below a tenth.
    assert recommended_margin([tried(0.02, 500), tried(0.1, 37), tried(0.2, 36), tried(0.3, 0)]) == 0.2
    assert recommended_margin([tried(0.02, 500)]) is None


def test_a_tally_counts_and_gives_the_wilson_interval():
    counted = tally("none", 0.1, ["broken", "holds", "holds", "undecided"])
    assert (counted.broken, counted.holds, counted.undecided) == (1, 2, 1)
    assert counted.broken_share == 0.25
    # Wilson 1927, with z = 1.96 and 1 of 4.
    assert (counted.low, counted.high) == pytest.approx((0.0456, 0.6994), abs=1e-4)
