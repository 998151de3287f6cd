from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.analysis.polynomial import Polynomial, polynomial

LENGTHS = (128, 256, 512, 1024, 4096)


@given(coefficients=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=4))
def test_a_planted_polynomial_is_recovered_to_the_unit(coefficients):
    def value(n):
        return sum(c * n**power for power, c in enumerate(coefficients))

    found = polynomial({n: value(n) for n in LENGTHS})
    assert found is not None
    assert [found(n) for n in (1, 7, 10**6)] == [value(n) for n in (1, 7, 10**6)]


def test_one_byte_too_many_at_one_length_is_no_polynomial_of_that_degree():
    counts = {n: 16 * n + 64 for n in LENGTHS}
    assert str(polynomial(counts)) == "16 N + 64"
    found = polynomial(counts | {512: counts[512] + 1})
    assert found is None


def test_points_that_only_define_it_show_nothing():
    assert polynomial({128: 5}) is None
    assert polynomial({128: 128, 256: 256}) is None
    assert polynomial({128: 128, 256: 256, 512: 512}) == Polynomial((Fraction(0), Fraction(1)))


@pytest.mark.parametrize(
    ("coefficients", "expected"),
    [
        ((0,), "0"),
        ((64, 16), "16 N + 64"),
        ((0, -3, 1), "1 N^2 - 3 N"),
        ((Fraction(1, 2), 0, 2048), "2,048 N^2 + 0.5"),
    ],
)
def test_it_reads_as_a_person_writes_it(coefficients, expected):
    assert str(Polynomial(tuple(map(Fraction, coefficients)))) == expected
