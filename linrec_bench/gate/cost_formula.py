"""What a mechanism costs at large N, as polynomials in B, H, N and d: `4 B H N d^2`.

Counted on fake tensors at a few shapes and solved exactly; see `analysis.monomials` for what is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from linrec_bench import attention
from linrec_bench.analysis.monomials import SPARE, Formula, Shape, models, solve
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case, Params, label

UNITS = {"flops": "FLOP", "operations": "FLOP", "peak_live_bytes": "B", "saved_bytes": "B"}
"""The counts, with their units; bytes are those of float32 tensors."""

PHASES: tuple[str, ...] = ("forward", "forward_backward")

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
        (2, 2, 15, 48),
        (4, 5, 8, 16),
        (5, 2, 12, 64),
        (3, 5, 9, 128),
        (2, 4, 16, 96),
        (5, 5, 7, 48),
        (4, 3, 11, 32),
        (2, 3, 17, 128),
    )
)
"""No two axes grow together, and the first eight already vary in all of them. A single user or head is not
among them: its tensors need fewer copies."""

VALID = (
    "Exact, bytes for float32: N from 294,912 in multiples of 128 d, B and H from 2, d from 16 to 128. "
    "Lower terms do not grow with N."
)
"""Where the formulas hold."""

LEGEND = "B batch, H heads, N sequence length, d head size."

FALLBACK_HEAD_SIZE = 32
"""Where no polynomial in d is found, one in B, H and N is looked for at this head size."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """The polynomial that one count follows; `head_size` is that at which it does, None where it may be any.

    `formula` is None where there is no such polynomial.
    """

    measure: str
    formula: Formula | None
    head_size: int | None = None

    def __str__(self) -> str:
        """The terms that grow with N, or the plain statement that there are none to give."""
        if self.formula is None:
            return f"no polynomial in B, H, N and d; none in B, H and N at d = {FALLBACK_HEAD_SIZE} either"
        at = f"at d = {self.head_size}: " if self.head_size else ""
        return at + self.formula.leading_terms

    def as_record(self) -> dict[str, object]:
        """Ready for JSON: every term, with its coefficient as an exact fraction."""
        terms = [
            {
                "coefficient": str(coefficient),
                "B": m.batch_size,
                "H": m.heads,
                "N": m.seq_len,
                "d": m.head_size,
            }
            for m, coefficient in (self.formula.terms if self.formula else ())
        ]
        return {
            "measure": self.measure,
            "unit": UNITS[self.measure],
            "text": str(self),
            "head_size": self.head_size,
            "terms": terms if self.formula else None,
        }


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The counts of a mechanism in one direction and phase; `unsupported` says why there are none."""

    attention: str
    causal: bool
    phase: str
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


def cost(name: str, *, causal: bool, phase: str, params: Params = ()) -> Cost:
    """The exact counts of one call of mechanism `name`, by measure (see `UNITS`), in float32.

    `VALID` says where they hold: at lengths for which the number of blocks no longer grows. Raises
    `ValueError` for an unknown mechanism or parameter.
    """

    def count(shape: Shape) -> dict[str, int]:
        return counts_at(name, shape, causal=causal, phase=phase, params=params)

    attention.registry()[name].check_params(dict(params))
    result = Cost(attention=label(name, params), causal=causal, phase=phase, counts={})
    try:
        return replace(result, counts=_formulas(count))
    except Unsupported as reason:
        return replace(result, unsupported=str(reason))


def _formulas(count: Callable[[Shape], Mapping[str, int]]) -> dict[str, Count]:
    """In all of B, H, N and d where there is such a polynomial, else at the one head size."""
    most = len(SHAPES) - SPARE
    anywhere = solve(count, SHAPES, models(most=most))
    there: dict[str, Formula] = {}
    if UNITS.keys() - anywhere.keys():
        shapes = [shape._replace(head_size=FALLBACK_HEAD_SIZE) for shape in SHAPES]
        there = solve(count, shapes, models(most=most, head_size_powers=((0,),)))
    found = {}
    for measure in UNITS:
        head_size = FALLBACK_HEAD_SIZE if measure in there and measure not in anywhere else None
        formula = anywhere.get(measure, there.get(measure))
        found[measure] = Count(measure=measure, formula=formula, head_size=head_size)
    return found


def counts_at(name: str, shape: Shape, *, causal: bool, phase: str, params: Params) -> dict[str, int]:
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
    if not prediction.counted:
        raise Unsupported(prediction.unsupported or prediction.error)
    return {measure: getattr(prediction, measure) for measure in UNITS}
