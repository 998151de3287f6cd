"""Counts against the bounds on constant factors that SPECs declare (`at_most`)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from linrec_bench.analysis.verdict import SPEC, Basis, Bound, Claim, Verdict, answer
from linrec_bench.attention.cost_bounds import MEASURES, CostBound
from linrec_bench.case import Case, as_typed
from linrec_bench.gate.real_calls import place
from linrec_bench.suite.expand import Job

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 3
"""Of a suggested coefficient, rounded up: at most one percent above what was counted."""

Counts = dict[str, dict[str, int]]


def verdicts(jobs: Sequence[Job], counted: pd.DataFrame) -> list[Verdict]:
    """One for each bound and case that it is about: a core in float32 with full rows and default settings."""
    from linrec_bench import attention

    counts, registry = _counts(counted), attention.registry()
    return [
        _verdict(case, bound, counts[case.id].get(bound.measure))
        for case in _cases(jobs)
        for bound in registry[case.attention].bounds
        if case.id in counts and bound.concerns(causal=case.causal, phase=case.phase)
    ]


def undeclared(jobs: Sequence[Job], counted: pd.DataFrame, mechanisms: Collection[str]) -> Iterator[str]:
    """A line for each of these mechanisms whose SPEC declares no bound, with one that fits its counts."""
    from linrec_bench import attention

    counts, registry = _counts(counted), attention.registry()
    for name in sorted(mechanisms):
        spec = registry[name]
        if spec.bounds:
            continue
        exponents = dict.fromkeys(MEASURES, spec.memory_exponent) | {"operations": spec.time_exponent}
        found: dict[str, tuple[float, float]] = {}
        for case in _cases(jobs):
            direction = "causal" if case.causal else "bidirectional"
            for measure, power in exponents.items():
                count = counts.get(case.id, {}).get(measure)
                if case.attention == name and count:
                    size = case.batch_size * case.hidden_size * case.seq_len**power
                    key = f"{direction} {case.phase} {measure}"
                    found[key] = max(found.get(key, (0.0, power)), (count / size, power))
        if found:
            yield (
                f"{name}: SPEC declares no at_most: constant factors are held by a baseline alone. "
                f"Its counts are within at_most={ ({key: _suggested(*each) for key, each in found.items()}) }"
            )


def _suggested(coefficient: float, power: float) -> str:
    unit = 10.0 ** (math.floor(math.log10(coefficient)) - DIGITS + 1)
    number = math.ceil(coefficient / unit * (1 - 1e-12)) * unit
    growth = "" if power == 0 else " N" if power == 1 else f" N^{power:g}"
    return f"{number:.{max(0, DIGITS - 1 - math.floor(math.log10(number)))}f} B H{growth} d"


def _cases(jobs: Sequence[Job]) -> Iterator[Case]:
    for job in jobs:
        case = job.case
        plain = not case.lengths and not case.attention_params and case.dtype == "float32"
        if case.task == "core" and plain:
            yield case


def _counts(counted: pd.DataFrame) -> Counts:
    """Case -> measure -> count, without what closed as unsupported."""
    able = counted[counted["status"] != "unsupported"]
    found: Counts = {str(case): {} for case in able["case_id"].unique()}
    rows = able[able["measure"].isin(MEASURES)]
    for case, measure, value in zip(rows["case_id"], rows["measure"], rows["value"], strict=True):
        found[case][measure] = int(value)
    return found


def _verdict(case: Case, bound: CostBound, count: int | None) -> Verdict:
    most = bound(
        batch_size=case.batch_size,
        heads=case.heads,
        seq_len=case.seq_len,
        head_size=case.hidden_size // case.heads,
    )
    number = math.nan if count is None else float(count)
    # Powers that are no whole numbers are rounded.
    limits = Bound(-math.inf, most * (1 + 1e-12), f"<= {bound.text} as declared")
    if count is None:
        basis = Basis("missing", {"measure": bound.measure})
    else:
        basis = Basis("of_declared", {"share": number / most})
    return Verdict(
        claim=Claim(
            attention=as_typed(case.attention, case.attention_params),
            measure=bound.measure,
            quantity="value",
            bound=limits,
            source=SPEC,
        ),
        where=place(case),
        answer=answer(limits, number, number),
        found=number,
        low=number,
        high=number,
        basis=basis,
    )
