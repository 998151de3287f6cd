"""Counts against the bounds on constant factors that SPECs declare (`at_most`)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from linrec_bench.analysis.verdict import SPEC, Basis, Bound, Claim, Verdict, answer
from linrec_bench.attention import cost_bounds
from linrec_bench.attention.cost_bounds import MEASURES, CostBound
from linrec_bench.case import Case, as_typed
from linrec_bench.gate.real_calls import place
from linrec_bench.suite.expand import Job

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 9
"""Of a suggested coefficient, rounded up: what is counted once more in every row is seen beside N^2."""

Counts = dict[str, dict[str, int]]


class Path(TypedDict):
    """The way in which a core is called."""

    causal: bool
    padded: bool
    dtype: str
    phase: str


def verdicts(jobs: Sequence[Job], counted: pd.DataFrame) -> list[Verdict]:
    """One for each bound and case that it is about: a core with default settings."""
    from linrec_bench import attention

    counts, registry = _counts(counted), attention.registry()
    return [
        _verdict(case, bound, counts[case.id].get(bound.measure))
        for case in _cases(jobs)
        for bound in registry[case.attention].bounds
        if case.id in counts and bound.concerns(**_path(case))
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
        found: dict[str, dict[int, float]] = {}
        powers: dict[str, float] = {}
        for case in _cases(jobs):
            for measure, power in exponents.items():
                count = counts.get(case.id, {}).get(measure)
                if case.attention == name and count:
                    key = cost_bounds.key_of(**_path(case), measure=measure)
                    of_length = found.setdefault(key, {})
                    each = count / (case.batch_size * case.hidden_size)
                    of_length[case.seq_len] = max(of_length.get(case.seq_len, 0.0), each)
                    powers[key] = power
        if found:
            bounds = {key: _suggested(of_length, powers[key]) for key, of_length in found.items()}
            yield (
                f"{name}: SPEC declares no at_most: constant factors are held by a baseline alone. "
                f"Its counts are within at_most={bounds}"
            )


def _suggested(counts: Mapping[int, float], power: float) -> str:
    """A sum of N^power and of the power below that no count exceeds: those of a user, head and feature, by
    length. The two largest lengths decide, unless the lower term were negative."""
    *_, before, last = [0, *sorted(counts)]
    leading = max(count / n**power for n, count in counts.items())
    rest = 0.0
    if before and power >= 1:
        at, below = (counts[n] / n ** (power - 1) for n in (last, before))
        slope = (at - below) / (last - before)
        over = max((count - slope * n**power) / n ** (power - 1) for n, count in counts.items())
        if slope > 0 and over >= 0:
            leading, rest = slope, over
    # What is less is rounding of the division.
    terms = [(leading, power)] + ([(rest, power - 1)] if rest > leading * 1e-9 else [])
    return " + ".join(f"{_up(coefficient)} B H{_power(p)} d" for coefficient, p in terms)


def _up(coefficient: float) -> str:
    """`DIGITS` digits, rounded up."""
    unit = 10.0 ** (math.floor(math.log10(coefficient)) - DIGITS + 1)
    number = math.ceil(coefficient / unit * (1 - 1e-12)) * unit
    text = f"{number:.{max(0, DIGITS - 1 - math.floor(math.log10(number)))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _power(power: float) -> str:
    return "" if power == 0 else " N" if power == 1 else f" N^{power:g}"


def _path(case: Case) -> Path:
    """What decides which bounds are about a case."""
    return {
        "causal": case.causal,
        "padded": bool(case.lengths),
        "dtype": case.dtype,
        "phase": case.phase,
    }


def _cases(jobs: Sequence[Job]) -> Iterator[Case]:
    for job in jobs:
        if job.case.task == "core" and not job.case.attention_params:
            yield job.case


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
    limits = Bound(-math.inf, most * (1 + 1e-12), f"<= {bound.text} as declared{bound.paths}")
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
