"""Exact counts at several shapes -> the polynomial in B, H, N and d that they follow: solved, never fitted.

A count is a sum of terms c B^a H^b N^i d^j. Which terms it has is not known, so that models, each a set of
monomials, are tried from the smallest. A model is accepted when its coefficients, solved in fractions, give
every count to the unit, of two counts more than coefficients; nothing else is called a polynomial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from typing import NamedTuple

SPARE = 2
"""Counts beyond the coefficients of a model: those that verify it."""


class Shape(NamedTuple):
    """The shape of q, k and v: [B, H, N, d]."""

    batch_size: int
    heads: int
    seq_len: int
    head_size: int


class Monomial(NamedTuple):
    """The powers of B, H, N and d."""

    batch_size: int
    heads: int
    seq_len: int
    head_size: int

    def __call__(self, shape: Shape) -> Fraction:
        value = Fraction(1)
        for size, power in zip(shape, self, strict=True):
            value *= Fraction(size) ** power
        return value

    def __str__(self) -> str:
        """`B H N d^2`; `B N / d` for a negative power; empty for a constant."""
        above = [_power(name, power) for name, power in zip("BHNd", self, strict=True) if power > 0]
        below = [_power(name, -power) for name, power in zip("BHNd", self, strict=True) if power < 0]
        if below:
            return f"{' '.join(above) or '1'} / {' '.join(below)}"
        return " ".join(above)


Model = tuple[Monomial, ...]


@dataclass(frozen=True)
class Formula:
    """A polynomial in B, H, N and d: the terms that are not zero, the fastest growing in N first."""

    terms: tuple[tuple[Monomial, Fraction], ...]

    def __call__(self, shape: Shape) -> Fraction:
        return sum((c * monomial(shape) for monomial, c in self.terms), start=Fraction(0))

    def __str__(self) -> str:
        """Every term: `4 B H N d^2 + 8 B H d^2`."""
        return _written([_term(monomial, c) for monomial, c in self.terms])

    @property
    def leading_terms(self) -> str:
        """The terms that grow with N, and a mention of the others: `4 B H N d^2 + lower terms`."""
        growing = [_term(monomial, c) for monomial, c in self.terms if monomial.seq_len > 0]
        if not growing or len(growing) == len(self.terms):
            return str(self)
        return _written([*growing, "lower terms"])


def _power(name: str, power: int) -> str:
    return name if power == 1 else f"{name}^{power}"


def _term(monomial: Monomial, coefficient: Fraction) -> str:
    variables = str(monomial)
    if not variables:
        return _number(coefficient)
    if abs(coefficient) == 1 and not variables.startswith("1"):
        return variables if coefficient > 0 else f"-{variables}"
    return f"{_number(coefficient)} {variables.removeprefix('1 ')}"


def _number(value: Fraction) -> str:
    """`1,024`, `4.5`; `1/3` where decimals would not end."""
    if value.denominator == 1:
        return f"{value.numerator:,}"
    decimals = f"{float(value):,.10g}"
    return decimals if Fraction(decimals.replace(",", "")) == value else str(value)


def _written(terms: Sequence[str]) -> str:
    return " + ".join(terms).replace("+ -", "- ") or "0"


def through(
    shapes: Sequence[Shape], columns: Mapping[str, Sequence[int]], model: Model
) -> dict[str, Formula]:
    """The formulas of those `columns`, a count for each of `shapes`, that `model` follows in every one.

    Empty when the shapes are too few, or too alike, to determine the coefficients and to verify them.
    """
    if len(shapes) < len(model) + SPARE:
        return {}
    rows = [
        [*(monomial(shape) for monomial in model), *(Fraction(counts[at]) for counts in columns.values())]
        for at, shape in enumerate(shapes)
    ]
    if not _eliminate(rows, len(model)):
        return {}
    found = {}
    for column, name in enumerate(columns, start=len(model)):
        if not any(row[column] for row in rows[len(model) :]):
            coefficients = [row[column] for row in rows[: len(model)]]
            terms = [(monomial, c) for monomial, c in zip(model, coefficients, strict=True) if c]
            found[name] = Formula(tuple(sorted(terms, key=lambda term: _growth(term[0]), reverse=True)))
    return found


def _eliminate(rows: list[list[Fraction]], unknowns: int) -> bool:
    """Gauss and Jordan, in place: the first rows become the unit matrix, the others zero in its columns.

    False when the rows do not determine all `unknowns`.
    """
    for at in range(unknowns):
        pivot = next((i for i in range(at, len(rows)) if rows[i][at]), None)
        if pivot is None:
            return False
        rows[at], rows[pivot] = rows[pivot], rows[at]
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for i, row in enumerate(rows):
            if i != at and row[at]:
                factor = row[at]
                rows[i] = [value - factor * own for value, own in zip(row, rows[at], strict=True)]
    return True


def _growth(monomial: Monomial) -> tuple[int, ...]:
    return (monomial.seq_len, monomial.batch_size + monomial.heads, monomial.head_size, *monomial)


def solve(
    count: Callable[[Shape], Mapping[str, int]], shapes: Sequence[Shape], models: Sequence[Model]
) -> dict[str, Formula]:
    """By name, the formula of every count that follows one of `models` (smallest first); others are left out.

    `count` is called for one shape after another, and no longer than a formula is missing.
    """
    columns: dict[str, list[int]] = {}
    found: dict[str, Formula] = {}
    taken = 0
    for model in models:
        if taken and found.keys() == columns.keys():
            break
        while taken < min(len(model) + SPARE, len(shapes)):
            for name, value in count(shapes[taken]).items():
                columns.setdefault(name, []).append(value)
            taken += 1
        missing = {name: values for name, values in columns.items() if name not in found}
        found |= through(shapes[:taken], missing, model)
    return found


_HEAD_SIZE_POWERS = ((0, 1, 2), (0, 1, 2, 3), (-1, 0, 1, 2), (-1, 0, 1, 2, 3))
"""1 / d is there for what is kept for each chunk of d tokens."""

_SHARED = ((0, 0), (1, 0), (0, 1))
"""Powers of B and H in what heads or users share: masks, counts, weights."""


def models(*, most: int, head_size_powers: Sequence[tuple[int, ...]] = _HEAD_SIZE_POWERS) -> list[Model]:
    """The models of at most `most` monomials, smallest first.

    Each has a part for every head of every user, B H N^i d^j, and may have parts that these share.
    """
    found: dict[Model, None] = {}
    for lengths, own in product(((0, 1), (0, 1, 2)), head_size_powers):
        alone = _part(((1, 1),), lengths, own)
        found[alone] = None
        plain = tuple(power for power in own if 0 <= power <= 2)
        # What is shared may be of any length, or of none, as weights are.
        for shared, reach, common in product(_some_shared(), (lengths, (0,)), ((0,), plain)):
            found[alone + _part(shared, reach, common)] = None
    return sorted((model for model in found if len(model) <= most), key=len)


def _part(groups: Sequence[tuple[int, int]], lengths: Sequence[int], head_sizes: Sequence[int]) -> Model:
    return tuple(Monomial(*group, i, j) for group, i, j in product(groups, lengths, head_sizes))


def _some_shared() -> Iterator[tuple[tuple[int, int], ...]]:
    for size in range(1, len(_SHARED) + 1):
        yield from combinations(_SHARED, size)
