"""The rates that are drawn from one pool are those of truly independent runs, on noise that is known."""

import numpy as np
import pytest

from linrec_bench.analysis import power
from linrec_bench.analysis.intervals import ratio_interval
from linrec_bench.analysis.power import EFFECTS, Effect, Line, plant, recommended_margin, tallies, tally
from linrec_bench.analysis.regression import compare_ratio

LENGTHS = (256, 1024)


def planted_lines(rng, *, rounds, between, lengths=LENGTHS):
    """Rounds drift together, processes differ by `between`, samples by 2 %; the mechanism is linear in N."""
    drift = rng.lognormal(0, 0.3, rounds)

    def side(seconds):
        processes = seconds * drift * rng.lognormal(0, between, rounds)
        return {r: t * rng.lognormal(0, 0.02, 7) for r, t in enumerate(processes)}

    return [Line(n, side(1e-6 * n), side(1e-9 * n**2)) for n in lengths]


def found(effect, margin, tallied):
    (one,) = [t for t in tallied if t.effect == effect and t.margin == margin]
    return one


@pytest.mark.parametrize(
    ("effect", "low", "high"), [(Effect("none"), 0.0, 0.05), (Effect("1.5 x", factor=1.5), 0.3, 0.7)]
)
def test_the_rates_of_the_pool_are_those_of_independent_runs(effect, low, high):
    # A margin of nothing, so that answers depend on noise alone.
    rng = np.random.default_rng(3)

    def lines(rounds):
        return planted_lines(rng, rounds=rounds, between=0.1, lengths=(256,))

    independent = []
    for _ in range(150):
        pair = [*plant(lines(4), effect), *lines(4)]
        ratios = [ratio_interval(line.own, line.reference, resamples=300) for line in pair]
        independent.append(compare_ratio(*ratios, margin=0.0) == "broken")
    settings = {"rounds_a_side": 4, "draws": 25, "effects": [effect], "margins": [0.0]}
    pools = [tallies(lines(24), **settings)[0].broken_share for _ in range(8)]
    assert low <= np.mean(independent) <= high
    assert np.mean(pools) == pytest.approx(np.mean(independent), abs=(high - low) / 2)


def test_the_two_sides_share_no_round_and_every_round_is_drawn_for_both(monkeypatch):
    compared = set()

    def record(new, old, *, margin):
        compared.add((round(new.value), round(old.value)))
        return "holds"

    monkeypatch.setattr(power, "compare_ratio", record)
    # One sample a round, whose ratio is the number of the round.
    line = Line(1, {r: np.array([float(r)]) for r in (1, 2, 3)}, {r: np.array([1.0]) for r in (1, 2, 3)})
    tallies([line], rounds_a_side=1, draws=100, effects=EFFECTS[:1], margins=(0.1,))
    assert compared == {(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if a != b}


def test_power_rises_with_the_effect_and_a_wider_margin_is_quieter():
    lines = planted_lines(np.random.default_rng(0), rounds=20, between=0.02)
    tallied = tallies(lines, rounds_a_side=5, draws=40, margins=(0.05, 0.2))
    at_five = [found(effect.name, 0.05, tallied).broken_share for effect in EFFECTS[:4]]
    assert at_five == sorted(at_five)
    assert at_five[0] == 0
    assert at_five[-1] == 1
    for effect in EFFECTS:
        assert found(effect.name, 0.2, tallied).broken <= found(effect.name, 0.05, tallied).broken
    assert found(EFFECTS[-1].name, 0.05, tallied).broken_share > 0.9


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

    assert recommended_margin([tried(0.02, 500), tried(0.1, 51), tried(0.2, 50), tried(0.3, 0)]) == 0.2
    assert recommended_margin([tried(0.02, 500)]) is None


def test_a_tally_counts_and_gives_the_wilson_interval():
    counted = tally("none", 0.1, ["broken", "holds", "holds", "undecided"])
    assert (counted.broken, counted.holds, counted.undecided) == (1, 2, 1)
    assert counted.broken_share == 0.25
    # Wilson 1927, with z = 1.96 and 1 of 4.
    assert (counted.low, counted.high) == pytest.approx((0.0456, 0.6994), abs=1e-4)


def test_both_sides_need_rounds_of_their_own():
    lines = planted_lines(np.random.default_rng(0), rounds=9, between=0.1)
    with pytest.raises(ValueError, match="9 rounds; expected at least 10"):
        tallies(lines, rounds_a_side=5, draws=1)
