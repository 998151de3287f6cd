"""Questions of a gate: what SPECs declare and what a suite expects, with the cases that each is about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linrec_bench.analysis.claim_quantities import EXACT_MEASURES
from linrec_bench.analysis.claim_verdicts import judge
from linrec_bench.analysis.measurements import Measurements
from linrec_bench.analysis.verdict import SPEC, Bound, Claim, Quantity, Verdict
from linrec_bench.case import Case, Params, as_typed
from linrec_bench.declarations import tasks
from linrec_bench.suite.expand import Job, expand
from linrec_bench.suite.expectation import Expectation, bound_limits
from linrec_bench.suite.schema import Suite
from linrec_bench.suite.select import select

if TYPE_CHECKING:
    from linrec_bench.attention.spec import Spec

EXPONENT_TOLERANCE = 0.05
"""Exact exponents approach the declared ones from a finite length."""

EXACT_WORDS = (*EXACT_MEASURES, "peak_memory", "saved_memory")
"""Measures that are answered from exact counts."""


@dataclass(frozen=True)
class Question:
    """A claim, and the cases it is asked of."""

    claim: Claim
    case_ids: frozenset[str]

    @property
    def exact(self) -> bool:
        return self.claim.measure in EXACT_WORDS


def questions(suite: Suite, jobs: Sequence[Job]) -> list[Question]:
    """The contracts of the SPECs of every mechanism in the jobs, then the lines of `expect:`.

    Raises `ValueError` for a `where` that cannot be read or that matches no case of the suite.
    """
    every, whole = contracts(jobs), list[Job]()
    for number, line in enumerate(suite.expect):
        chosen = select(jobs, [line.where], flag="where") if line.where else list(jobs)
        if not chosen:
            # `--only` may have left its cases out.
            whole = whole or expand(suite, device=jobs[0].case.device)
            if select(whole, [line.where], flag="where"):
                continue
            raise ValueError(f"expect.{number}.where: {line.where!r} matches no case of the suite")
        every.append(Question(claim_of(line, f"expect.{number}"), frozenset(job.case.id for job in chosen)))
    return every


def contracts(jobs: Sequence[Job]) -> list[Question]:
    """The growth that SPECs declare, for every mechanism of the jobs; none without two lengths."""
    from linrec_bench import attention

    every: list[Question] = []
    for decoding in (False, True):
        chosen = [job for job in jobs if tasks()[job.case.task].carries_state == decoding]
        if len({job.case.seq_len for job in chosen}) < 2:
            continue
        mechanisms: dict[tuple[str, Params], list[Case]] = {}
        for job in chosen:
            mechanisms.setdefault((job.case.attention, job.case.attention_params), []).append(job.case)
        for (name, params), cases in mechanisms.items():
            case_ids = frozenset(case.id for case in cases)
            narrow = frozenset(case.id for case in cases if case.dtype != "float64")
            for measure, quantity, bound in _declared(attention.registry()[name], decoding=decoding):
                claim = Claim(
                    attention=as_typed(name, params),
                    measure=measure,
                    quantity=quantity,
                    bound=bound,
                    source=SPEC,
                )
                every.append(Question(claim, narrow if measure == "double_elements" else case_ids))
    return [question for question in every if question.case_ids]


def _declared(spec: Spec, *, decoding: bool) -> Iterator[tuple[str, Quantity, Bound]]:
    """Exact counts and the growth with N that the SPEC declares for them."""
    if decoding:
        exponents = {"operations": spec.state_exponent, "state_bytes": spec.state_exponent}
    else:
        exponents = {"operations": spec.time_exponent, "peak_live_bytes": spec.memory_exponent}
    for measure, exponent in exponents.items():
        low, high = exponent - EXPONENT_TOLERANCE, exponent + EXPONENT_TOLERANCE
        yield measure, "exponent", Bound(low, high, f"{exponent:g} as declared")
    slopes = {"dispatches": spec.dispatches_per_token, "left_bytes": 0.0}
    if not spec.uses_float64:
        slopes["double_elements"] = 0.0
    for measure, most in slopes.items():
        yield measure, "slope", Bound(-math.inf, most, f"<= {most:g} as declared")


def claim_of(line: Expectation, source: str) -> Claim:
    """A line of `expect:` or `claims:` as what the analysis judges."""
    low, high = bound_limits(line.bound)
    return Claim(
        attention=line.attention,
        model=line.model,
        measure=line.measure,
        quantity=line.quantity,  # type: ignore[arg-type]
        bound=Bound(low, high, line.bound),
        to=line.to,
        to_model=line.to_model,
        source=source,
    )


def verdicts(questions: Sequence[Question], measurements: Measurements) -> list[Verdict]:
    """Every question answered wherever its cases were measured."""
    return [
        verdict
        for question in questions
        for verdict in judge(question.claim, measurements.of_cases(question.case_ids))
    ]
