"""What a mechanism costs at large N, as polynomials in B, H, N and d: `4 B H N d^2`.

Counted on fake tensors at a few shapes and solved exactly; see `analysis.monomials` for what is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from linrec_bench.analysis.monomials import SPARE, Formula, Model, Monomial, Shape, models, solve
from linrec_bench.analysis.polynomial import polynomial
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case, Params, Phase, label

UNITS = {"flops": "FLOP", "operations": "FLOP", "peak_live_bytes": "B", "saved_bytes": "B"}
"""The counts, with their units; bytes are those of float32 tensors."""

PHASES: tuple[Phase, ...] = ("forward", "forward_backward")

_UNIT = 49_152
"""128 d divides it for each head size below, so that all blocks of `attention.blockwise` are of one length;
at 6 of it there are as many blocks as there will ever be, however few the users and heads."""

SHAPES = tuple(
    Shape(batch_size, heads, units * _UNIT, head_size)
    for batch_size, heads, units, head_size in (
        (2, 2, 6, 16),
        (3, 2, 8, 32),
        (2, 3, 11, 64),
        (3, 3, 7, 48),
        (4, 2, 13, 16),
        (2, 5, 14, 128),
        (5, 3, 6, 32),
        (3, 4, 10, 96),
        (3, 2, 11, 32),
        (3, 2, 15, 32),
        (3, 2, 18, 32),
        (2, 2, 15, 48),
        (4, 5, 8, 16),
        (5, 2, 12, 64),
        (3, 5, 9, 128),
        (2, 4, 16, 96),
    )
)
"""No two axes grow together, and the first eight already vary in all of them. A single user or head is not
among them: its tensors need fewer copies."""

_FIRST = 11
"""So many shapes are counted before it is asked whether the others can help."""

SWEEP = tuple(shape for shape in SHAPES if (shape.batch_size, shape.heads, shape.head_size) == (3, 2, 32))
"""Those of the first shapes that differ in length alone: what is no polynomial there is none at all."""

VALID = (
    "Exact, bytes for float32: N from 294,912 in multiples of 128 d, B and H from 2, d from 16 to 128. "
    "Lower terms do not grow with N."
)
"""Where the formulas hold."""

LEGEND = "B batch, H heads, N sequence length, d head size."

_MOST_AT_ONE_HEAD_SIZE = 6
"""Monomials of a polynomial without d: more would cost more counts than it tells."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """The polynomial that one count follows, with what must be `fixed` for it to be one.

    That is nothing, d, or all of B, H and d. `formula` is None where there is no polynomial even in N; the quotient of the count and `B H N^power` then
    lies from `low` to `high` at the lengths that were counted.
    """

    measure: str
    formula: Formula | None
    fixed: Mapping[str, int] = field(default_factory=dict)
    power: int = 0
    low: float = 0.0
    high: float = 0.0

    def __str__(self) -> str:
        """The terms that grow with N, or the plain statement that this is no polynomial."""
        where = ", ".join(f"{name} = {size}" for name, size in self.fixed.items())
        if self.formula is None:
            monomial = Monomial(1, 1, self.power, 0)
            return f"no polynomial: {self.low:,.5g} to {self.high:,.5g} {monomial} at {where}"
        return (f"at {where}: " if where else "") + self.formula.leading_terms

    def as_record(self) -> dict[str, object]:
        """Ready for JSON: every term with its coefficient as an exact fraction, or the range."""
        record: dict[str, object] = {
            "measure": self.measure,
            "unit": UNITS[self.measure],
            "text": str(self),
            "fixed": dict(self.fixed),
            "terms": None,
        }
        if self.formula is None:
            return record | {"low": self.low, "high": self.high, "per": str(Monomial(1, 1, self.power, 0))}
        terms = [
            {
                "coefficient": str(coefficient),
                "B": m.batch_size,
                "H": m.heads,
                "N": m.seq_len,
                "d": m.head_size,
            }
            for m, coefficient in self.formula.terms
        ]
        return record | {"terms": terms}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The counts of a mechanism in one direction and phase; `unsupported` says why there are none."""

    attention: str
    causal: bool
    phase: Phase
    counts: Mapping[str, Count]
    unsupported: str = ""

    def as_record(self) -> dict[str, object]:
        """Ready for JSON."""
        return {
            "phase": self.phase,
            "unsupported": self.unsupported or None,
            "valid": VALID,
            "counts": [count.as_record() for count in self.counts.values()],
        }


def cost(name: str, *, causal: bool, phase: Phase, params: Params = ()) -> Cost:
    """The exact counts of one call of mechanism `name`, by measure (see `UNITS`), in float32.

    `VALID` says where they hold: at lengths for which the number of blocks no longer grows. Raises
    `ValueError` for an unknown mechanism or parameter.
    """

    @cache
    def count(shape: Shape) -> Mapping[str, int]:
        return _counted(name, shape, causal=causal, phase=phase, params=params)

    found = Cost(attention=label(name, params), causal=causal, phase=phase, counts={})
    try:
        return replace(found, counts=_formulas(count))
    except Unsupported as reason:
        return replace(found, unsupported=str(reason))


def _formulas(count: Callable[[Shape], Mapping[str, int]]) -> dict[str, Count]:
    """In B, H, N and d where there is such a polynomial, else with d fixed, else in N alone."""

    def look(
        shapes: Sequence[Shape], candidates: Sequence[Model], found: Collection[str]
    ) -> dict[str, Formula]:
        """For what has no formula yet, and has one in N."""
        asked = [measure for measure in in_length if measure not in found]
        return solve(lambda shape: {m: count(shape)[m] for m in asked}, shapes, candidates) if asked else {}

    anywhere = solve(count, SHAPES[:_FIRST], models(most=_FIRST - SPARE))
    missing = UNITS.keys() - anywhere.keys()
    curves = {m: {shape.seq_len: count(shape)[m] for shape in SWEEP} for m in UNITS if m in missing}
    in_length = {m: found for m, curve in curves.items() if (found := polynomial(curve)) is not None}
    anywhere |= look(SHAPES, models(most=len(SHAPES) - SPARE), anywhere)
    alike = [
        shape._replace(head_size=SWEEP[0].head_size) for shape in SHAPES[: _MOST_AT_ONE_HEAD_SIZE + SPARE]
    ]
    there = look(alike, models(most=_MOST_AT_ONE_HEAD_SIZE, head_size_powers=((0,),)), anywhere)

    at_sweep = {"B": SWEEP[0].batch_size, "H": SWEEP[0].heads, "d": SWEEP[0].head_size}
    counts = {}
    for measure in UNITS:
        if measure in anywhere:
            counts[measure] = Count(measure=measure, formula=anywhere[measure])
        elif measure in there:
            counts[measure] = Count(measure=measure, formula=there[measure], fixed={"d": at_sweep["d"]})
        elif measure in in_length:
            powers = reversed(list(enumerate(in_length[measure].coefficients)))
            terms = tuple((Monomial(0, 0, power, 0), c) for power, c in powers if c)
            counts[measure] = Count(measure=measure, formula=Formula(terms), fixed=at_sweep)
        else:
            counts[measure] = _range(measure, curves[measure], at_sweep)
    return counts


def _range(measure: str, curve: Mapping[int, int], fixed: Mapping[str, int]) -> Count:
    """Of the count a user, a head and a power of the length: the power for which it is narrowest."""
    pairs = fixed["B"] * fixed["H"]
    quotients = {power: [c / (pairs * n**power) for n, c in curve.items()] for power in range(4)}
    power = min(quotients, key=lambda each: max(quotients[each]) / min(quotients[each]))
    low, high = min(quotients[power]), max(quotients[power])
    return Count(measure=measure, formula=None, fixed=fixed, power=power, low=low, high=high)


def _counted(name: str, shape: Shape, *, causal: bool, phase: Phase, params: Params) -> dict[str, int]:
    from linrec_bench.execution.worker import predict

    prediction = predict(
        Case(
            task="core",
            phase=phase,
            attention=name,
            attention_params=params,
            causal=causal,
            batch_size=shape.batch_size,
            heads=shape.heads,
            seq_len=shape.seq_len,
            hidden_size=shape.heads * shape.head_size,
        )
    )
    assert prediction is not None
    if prediction.unsupported:
        raise Unsupported(prediction.unsupported)
    return {measure: getattr(prediction, measure) for measure in UNITS}
