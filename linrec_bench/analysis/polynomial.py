"""Exact counts -> the polynomial in N that they follow: solved in whole numbers, verified, never fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

HIGHEST_DEGREE = 3


@dataclass(frozen=True)
class Polynomial:
    """`coefficients[k]` belongs to N^k; the last is not zero (a constant 0 has the one coefficient 0)."""

    coefficients: tuple[Fraction, ...]

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    @property
    def leading(self) -> Fraction:
        return self.coefficients[-1]

    def __call__(self, length: int) -> Fraction:
        return sum((c * length**power for power, c in enumerate(self.coefficients)), start=Fraction(0))

    def __str__(self) -> str:
        """Highest power first: `4 N^2 + 1,024 N`."""
        terms = [
            _term(c, power)
            for power, c in reversed(list(enumerate(self.coefficients)))
            if c or not self.degree
        ]
        return " + ".join(terms).replace("+ -", "- ")


def _term(coefficient: Fraction, power: int) -> str:
    number = f"{float(coefficient):,.10g}" if coefficient.denominator > 1 else f"{int(coefficient):,}"
    variable = {0: "", 1: " N"}.get(power, f" N^{power}")
    return f"{number}{variable}"


def polynomial(counts: Mapping[int, int]) -> Polynomial | None:
    """The polynomial of least degree through the counts (length N -> count), each of them met exactly.

    None when there is none up to degree 3, or when fewer than two lengths more than its degree are known,
    since a polynomial that merely passes through its own points shows nothing.
    """
    lengths = sorted(counts)
    for degree in range(min(HIGHEST_DEGREE, len(lengths) - 2) + 1):
        found = _through({n: counts[n] for n in lengths[-(degree + 1) :]})
        if all(found(n) == counts[n] for n in lengths):
            return found
    return None


def _through(points: Mapping[int, int]) -> Polynomial:
    """Newton's interpolation in exact fractions."""
    xs = list(points)
    divided = [Fraction(points[x]) for x in xs]
    for level in range(1, len(xs)):
        for i in range(len(xs) - 1, level - 1, -1):
            divided[i] = (divided[i] - divided[i - 1]) / (xs[i] - xs[i - level])
    coefficients = [Fraction(0)] * len(xs)
    for x, value in zip(reversed(xs), reversed(divided), strict=True):
        # Horner: p <- p * (N - x) + value
        shifted = [Fraction(0), *coefficients[:-1]]
        coefficients = [s - x * c for s, c in zip(shifted, coefficients, strict=True)]
        coefficients[0] += value
    while len(coefficients) > 1 and not coefficients[-1]:
        coefficients.pop()
    return Polynomial(tuple(coefficients))
