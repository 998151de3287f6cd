"""Bounds on constant factors that a SPEC declares: `{"causal forward operations": "60 B H N d"}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MEASURES = ("operations", "peak_live_bytes", "saved_bytes")
PHASES = ("forward", "forward_backward")
DIRECTIONS = {"causal": True, "bidirectional": False}

AXES = "BHNd"
"""Batch, heads, sequence length, head size."""

_POWER = r"[BHNd](?:\^\d+(?:\.\d+)?)?"
_TERM = re.compile(rf"(?:(?P<number>\d[\d,]*(?:\.\d+)?)\s*)?(?P<powers>{_POWER}(?:\s+{_POWER})*)?")

Term = tuple[float, Mapping[str, float]]


@dataclass(frozen=True)
class CostBound:
    """The most that one measure may be in calls of one phase; `causal` is None for both directions.

    `text` is a sum of terms in B, H, N and d, as it was written.
    """

    causal: bool | None
    phase: str
    measure: str
    text: str
    terms: tuple[Term, ...]

    def __call__(self, *, batch_size: int, heads: int, seq_len: int, head_size: int) -> float:
        sizes = dict(zip(AXES, (batch_size, heads, seq_len, head_size), strict=True))
        total = 0.0
        for coefficient, powers in self.terms:
            value = coefficient
            for axis, power in powers.items():
                value *= sizes[axis] ** power
            total += value
        return total

    def concerns(self, *, causal: bool, phase: str) -> bool:
        return self.phase == phase and self.causal in (None, causal)


def read(declared: Mapping[str, str]) -> tuple[CostBound, ...]:
    """The bounds of a SPEC; `ValueError` for a key or a formula that cannot be read."""
    return tuple(_bound(key, text) for key, text in declared.items())


def _bound(key: str, text: str) -> CostBound:
    *direction, phase, measure = ["", "", *key.split()][-3:]
    named = [word for word in direction if word]
    if len(key.split()) > 3 or phase not in PHASES or measure not in MEASURES or set(named) - set(DIRECTIONS):
        raise ValueError(
            f"at_most: {key!r}; expected an optional direction ({', '.join(DIRECTIONS)}), a phase "
            f"({', '.join(PHASES)}) and a measure ({', '.join(MEASURES)})"
        )
    terms = tuple(_term(key, text, part.strip()) for part in text.split("+"))
    return CostBound(DIRECTIONS[named[0]] if named else None, phase, measure, text, terms)


def _term(key: str, text: str, part: str) -> Term:
    match = _TERM.fullmatch(part)
    if match is None or not part:
        raise ValueError(
            f"at_most: {key!r}: {text!r}; expected a sum of terms in B, H, N and d: '60 B H N d + 8 H d^2'"
        )
    powers: dict[str, float] = {}
    for power in (match["powers"] or "").split():
        axis, _, exponent = power.partition("^")
        powers[axis] = powers.get(axis, 0.0) + float(exponent or 1)
    return float((match["number"] or "1").replace(",", "")), powers
