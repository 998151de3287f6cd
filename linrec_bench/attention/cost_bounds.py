"""Bounds on constant factors that a SPEC declares: `{"causal forward operations": "60 B H N d"}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MEASURES = ("operations", "peak_live_bytes", "saved_bytes")
PHASES = ("forward", "forward_backward")
DIRECTIONS = {"causal": True, "bidirectional": False}
PADDED = "padded"
DTYPES = ("float32", "float64", "bfloat16", "float16")

AXES = "BHNd"
"""Batch, heads, sequence length, head size."""

_POWER = r"[BHNd](?:\^\d+(?:\.\d+)?)?"
_TERM = re.compile(rf"(?:(?P<number>\d[\d,]*(?:\.\d+)?)\s*)?(?P<powers>{_POWER}(?:\s+{_POWER})*)?")

Term = tuple[float, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class CostBound:
    """The most that one measure may be in calls of one phase, with a padding mask or without, in one dtype;
    `causal` is None for both directions.

    `text` is a sum of terms in B, H, N and d, as it was written.
    """

    causal: bool | None
    padded: bool
    dtype: str
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

    @property
    def paths(self) -> str:
        """`, padded bfloat16`; empty for full rows of float32."""
        words = [PADDED] * self.padded + [self.dtype] * (self.dtype != DTYPES[0])
        return f", {' '.join(words)}" if words else ""

    def concerns(self, *, causal: bool, padded: bool, dtype: str, phase: str) -> bool:
        paths = (self.padded, self.dtype, self.phase)
        return paths == (padded, dtype, phase) and self.causal in (None, causal)


def key_of(*, causal: bool, padded: bool, dtype: str, phase: str, measure: str) -> str:
    """How a bound of such calls is named; rows are full and numbers float32 where nothing is said."""
    direction = next(name for name, value in DIRECTIONS.items() if value == causal)
    words = (direction, PADDED if padded else "", dtype if dtype != DTYPES[0] else "", phase, measure)
    return " ".join(filter(None, words))


def read(declared: Mapping[str, str]) -> tuple[CostBound, ...]:
    """The bounds of a SPEC; `ValueError` for a key or a formula that cannot be read."""
    return tuple(_bound(key, text) for key, text in declared.items())


def _bound(key: str, text: str) -> CostBound:
    *words, phase, measure = ["", "", *key.split()]
    named = [word for word in words if word]
    chosen = [[word for word in named if word in kind] for kind in (DIRECTIONS, (PADDED,), DTYPES)]
    known = len(named) == sum(map(len, chosen)) and all(len(found) <= 1 for found in chosen)
    if not known or phase not in PHASES or measure not in MEASURES:
        raise ValueError(
            f"at_most: {key!r}; expected [direction] [{PADDED}] [dtype] phase measure: a direction is "
            f"{', '.join(DIRECTIONS)}, a dtype {', '.join(DTYPES)}, a phase {', '.join(PHASES)}, a measure "
            f"{', '.join(MEASURES)}"
        )
    direction, padded, dtype = chosen
    terms = tuple(_term(key, text, part.strip()) for part in text.split("+"))
    return CostBound(
        causal=DIRECTIONS[direction[0]] if direction else None,
        padded=bool(padded),
        dtype=dtype[0] if dtype else DTYPES[0],
        phase=phase,
        measure=measure,
        text=text,
        terms=terms,
    )


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
