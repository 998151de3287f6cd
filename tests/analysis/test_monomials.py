"""Planted polynomials in B, H, N and d come back to the unit; what is none is refused."""

import math
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.analysis.monomials import SPARE, Formula, Monomial, Shape, models, solve, through
from linrec_bench.gate.cost_formula import SHAPES

LADDER = models(most=len(SHAPES) - SPARE)
UNSEEN = Shape(7, 11, 10**6, 80)


def followed(*functions):
    found = solve(lambda shape: {str(i): f(*shape) for i, f in enumerate(functions)}, SHAPES, LADDER)
    return [found.get(str(i)) for i in range(len(functions))]


@given(model=st.sampled_from(LADDER), data=st.data())
def test_a_planted_polynomial_is_recovered_to_the_unit(model, data):
    whole = st.integers(-(10**6), 10**6)
    coefficients = data.draw(st.lists(whole, min_size=len(model), max_size=len(model)))
    # 16 and 48 divide every count of the first models, fractions of them do not make it less exact.
    planted = [(monomial, Fraction(c, 48)) for monomial, c in zip(model, coefficients, strict=True)]
    used = SHAPES[: len(model) + SPARE]
    values = [sum((c * monomial(shape) for monomial, c in planted), Fraction(0)) for shape in used]
    found = through(used, {"count": values}, model)["count"]
    assert dict(found.terms) == {monomial: c for monomial, c in planted if c}
    values[0] += 1
    assert through(used, {"count": values}, model) == {}


def test_what_is_summed_from_known_terms_reads_like_them():
    read = followed(
        lambda b, h, n, d: 4 * b * h * n * d**2 + 21 * b * h * n * d,
        lambda b, h, n, d: 12 * b * h * n**2 + n**2 + 4 * b * h * n * d,
        lambda b, h, n, d: 8 * b * h * n * d + 3 * b * h * n // d * 16 + 7 * b * h * d**2 + 5 * h,
        lambda b, h, n, d: 0,
        lambda b, h, n, d: b * h * n * d**3 - b * n,
        lambda b, h, n, d: 1024 * h * d,
    )
    assert list(map(str, read)) == [
        "4 B H N d^2 + 21 B H N d",
        "12 B H N^2 + N^2 + 4 B H N d",
        "8 B H N d + 48 B H N / d + 7 B H d^2 + 5 H",
        "0",
        "B H N d^3 - B N",
        "1,024 H d",
    ]
    assert [formula.leading_terms for formula in read[2:]] == [
        "8 B H N d + 48 B H N / d + lower terms",
        "0",
        "B H N d^3 - B N",
        "1,024 H d",
    ]


@pytest.mark.parametrize(
    ("powers", "coefficient", "expected"),
    [
        ((1, 1, 1, 2), Fraction(9, 2), "4.5 B H N d^2"),
        ((1, 0, 1, 0), Fraction(1, 3), "1/3 B N"),
        ((0, 0, 0, -1), Fraction(1), "1 / d"),
        ((0, 0, 0, -1), Fraction(6), "6 / d"),
        ((0, 0, 2, 0), Fraction(-1), "-N^2"),
        ((0, 0, 0, 0), Fraction(1), "1"),
    ],
)
def test_a_term_reads_as_a_person_writes_it(powers, coefficient, expected):
    assert str(Formula(((Monomial(*powers), coefficient),))) == expected


def test_what_is_no_polynomial_is_refused():
    base = lambda b, h, n, d: 4 * b * h * n * d**2  # noqa: E731
    assert (
        followed(
            lambda b, h, n, d: base(b, h, n, d) + round(b * h * n * math.log2(n)),
            lambda b, h, n, d: base(b, h, n, d) + b * h * n * d.bit_length(),
            lambda b, h, n, d: max(base(b, h, n, d), 128 * b * h * n * d),
            lambda b, h, n, d: base(b, h, n, d) + n // 49_152 % 2,
            lambda b, h, n, d: base(max(b, 3), h, n, d),
            lambda b, h, n, d: base(b, h, n, d) + math.isqrt(n),
        )
        == [None] * 6
    )


@pytest.mark.slow
def test_a_term_that_no_model_has_is_never_taken_for_others():
    universe = [Monomial(*powers) for powers in product((0, 1, 2), (0, 1, 2), (0, 1, 3), (0, 1, 4))]
    scale = 10**6
    found = followed(*(lambda *shape, m=monomial: int(scale * m(Shape(*shape))) for monomial in universe))
    known = {monomial for model in LADDER for monomial in model}
    for monomial, formula in zip(universe, found, strict=True):
        if monomial in known:
            assert formula is not None
            assert formula.terms == ((monomial, scale),)
        else:
            assert formula is None, monomial


def test_shapes_that_only_define_a_model_or_are_alike_show_nothing():
    model = LADDER[0]
    counts = [4 * b * h * n * d for b, h, n, d in SHAPES]
    enough = len(model) + SPARE
    assert through(SHAPES[:enough], {"count": counts[:enough]}, model)
    assert through(SHAPES[: enough - 1], {"count": counts[: enough - 1]}, model) == {}
    alike = [SHAPES[0]._replace(seq_len=shape.seq_len) for shape in SHAPES]
    assert through(alike, {"count": [4 * b * h * n * d for b, h, n, d in alike]}, model) == {}


def test_no_shape_is_counted_that_is_not_needed():
    asked = []

    def count(shape):
        asked.append(shape)
        return {"flops": 4 * shape.seq_len * shape.heads * shape.batch_size}

    found = solve(count, SHAPES, LADDER)
    assert found["flops"](UNSEEN) == 4 * 7 * 11 * 10**6
    assert tuple(asked) == SHAPES[: len(LADDER[0]) + SPARE]


def test_the_shapes_vary_in_all_axes_and_determine_every_model():
    first = SHAPES[: len(LADDER[0]) + SPARE]
    different = [len(set(axis)) for axis in zip(*first, strict=True)]
    assert different >= [4, 4, 4, 4]
    assert all(seq_len % (128 * head_size) == 0 for _, _, seq_len, head_size in SHAPES)
    for model in LADDER:
        used = SHAPES[: len(model) + SPARE]
        assert through(used, {"count": [0] * len(used)}, model)
