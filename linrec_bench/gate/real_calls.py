"""Real calls of private mechanisms beside their counts.

Code that tells fake tensors from real ones does other work on these, and what Python, numpy and C code do and
hold besides is in no count. Everything here is counted or is a size, never a time.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from linrec_bench import allotment
from linrec_bench.analysis.claim_verdicts import Place
from linrec_bench.analysis.scaling import exact_exponent
from linrec_bench.analysis.verdict import SPEC, Basis, Bound, Claim, Quantity, Verdict, answer
from linrec_bench.case import Case, as_typed
from linrec_bench.error_text import ANYTHING, in_a_line
from linrec_bench.suite.expand import Job

LENGTHS = (257, 513)
"""A square is seen beside any linear cost there, and a call takes milliseconds."""

SAME = Bound(0.95, 1.05, "0.95 .. 1.05")
"""Real over counted operations: autograd copies a gradient where its layout differs."""

LEAST_HOST_BYTES = 2**17
"""Less than this counts as nothing: objects that Python keeps for a call."""

LEAST_STEPS = 20_000
"""Fewer bytecode instructions than this count as nothing: those of torch's own Python code."""

HOST_TOLERANCE = 0.25
"""Above the declared exponent: tables of Python grow in steps."""

MOST_OPERATIONS = 2**32
"""Of a call at that length whose time is declared to grow no faster than N."""

PROCESS_LENGTH = 8193
"""A square of numbers is some hundred megabytes there, more than a process holds beside its tensors."""

MOST_DISPATCHES = 4
"""A token, at the first length: more is a loop over tokens."""


def verdicts(jobs: Sequence[Job], mechanisms: Collection[str]) -> list[Verdict]:
    """What real calls of these mechanisms say, for each way in which the jobs call a core.

    They run here, on the CPU, at `LENGTHS` in place of the lengths of the jobs.
    """
    cases = dict.fromkeys(replace(job.case, seq_len=LENGTHS[0], device="cpu") for job in jobs)
    chosen = [case for case in cases if case.task == "core" and case.attention in mechanisms]
    return [verdict for case in chosen for verdict in _of_case(case)]


def _of_case(case: Case) -> Iterator[Verdict]:
    from linrec_bench import attention
    from linrec_bench.measures.instruments import memory
    from linrec_bench.parameters import EAGER

    spec = attention.registry()[case.attention]
    if dict(case.attention_params).get("backend", EAGER) != EAGER or spec.refusal is not None:
        # Kernels hide their operations.
        return
    most = spec.host_memory_exponent
    asked: dict[str, tuple[Quantity, Bound]] = {
        "real over counted operations": ("value", SAME),
        "real over counted dispatches": ("value", SAME),
        "host_memory": ("exponent", Bound(-math.inf, most + HOST_TOLERANCE, f"<= {most:g} as declared")),
        "fresh_memory": ("exponent", Bound(-math.inf, most + HOST_TOLERANCE, f"<= {most:g} as declared")),
        "python_instructions": ("exponent", Bound(-math.inf, 1 + HOST_TOLERANCE, "<= 1")),
    }
    try:
        found, basis = _measured(case), Basis()
        if "fresh_memory" not in found:
            del asked["fresh_memory"]
        sound = all(answer(asked[name][1], number, number) == "holds" for name, number in found.items())
        # What is found already would only take its time at a larger size.
        if sound and spec.memory_exponent <= 1 and memory.process_peak_is_reset():
            peak, allowed = _process_peak(case, linear=spec.time_exponent <= 1)
            if not math.isnan(peak):
                found["peak_process_bytes"] = peak
                asked["peak_process_bytes"] = ("value", Bound(-math.inf, allowed, "<= what the counts allow"))
    except attention.Unsupported:
        return
    except ANYTHING as error:
        found = {}
        basis = Basis("missing", {"measure": "real call", "status": "error", "detail": in_a_line(error)})
    for measure, (quantity, bound) in asked.items():
        claim = Claim(
            attention=as_typed(case.attention, case.attention_params),
            measure=measure,
            quantity=quantity,
            bound=bound,
            source=SPEC,
        )
        number = found.get(measure, math.nan)
        yield Verdict(
            claim=claim,
            where=place(case),
            answer=answer(bound, number, number),
            found=number,
            low=number,
            high=number,
            basis=basis,
        )


def _measured(case: Case) -> dict[str, float]:
    from linrec_bench import tasks
    from linrec_bench.measures.instruments.exact import COUNT_LIMIT_S, exact, tally
    from linrec_bench.measures.instruments.fresh_memory import LARGEST_KEPT, fresh_bytes
    from linrec_bench.measures.instruments.instructions import python_instructions
    from linrec_bench.measures.instruments.memory import host_bytes

    build = tasks.registry()[case.task].build
    assert build is not None, "a core is called"
    counted, real = exact(case, build), tally(build(case), limit_s=COUNT_LIMIT_S)
    there = {n: build(replace(case, seq_len=n)) for n in LENGTHS}
    host = {n: host_bytes(workload) for n, workload in there.items()}
    steps = {n: python_instructions(workload) for n, workload in there.items()}
    found = {
        "real over counted operations": (
            (1 + real.flops + real.elements) / (1 + counted.flops + counted.elements)
        ),
        "real over counted dispatches": real.dispatches / counted.dispatches,
        "host_memory": exact_exponent(host) if host[LENGTHS[-1]] > LEAST_HOST_BYTES else 0.0,
        "python_instructions": exact_exponent(steps) if steps[LENGTHS[-1]] > LEAST_STEPS else 0.0,
    }
    if exact(replace(case, seq_len=LENGTHS[-1]), build).peak_with_scratch_bytes < LARGEST_KEPT:
        fresh = {n: fresh_bytes(workload) for n, workload in there.items()}
        known = {n: size for n, size in fresh.items() if size is not None}
        if len(known) == len(LENGTHS):
            found["fresh_memory"] = exact_exponent(known) if known[LENGTHS[-1]] > LEAST_HOST_BYTES else 0.0
    return found


def _process_peak(case: Case, *, linear: bool) -> tuple[float, float]:
    """How far the process grows in a second call at `PROCESS_LENGTH`, and how far its tensors let it; NaN
    for operations of unknown cost, loops over tokens and squares, of which the counts speak, and where memory
    is short."""
    from linrec_bench import tasks
    from linrec_bench.measures.instruments.exact import exact
    from linrec_bench.measures.instruments.kernel_scratch import heap_holes
    from linrec_bench.measures.instruments.memory import process_peak

    build = tasks.registry()[case.task].build
    assert build is not None, "a core is called"
    first = exact(case, build)
    if first.opaque or first.dispatches > MOST_DISPATCHES * case.seq_len:
        return math.nan, math.nan
    case = replace(case, seq_len=PROCESS_LENGTH)
    there = exact(case, build)
    if linear and there.flops + there.elements > MOST_OPERATIONS:
        return math.nan, math.nan
    counted = there.peak_with_scratch_bytes
    if counted > allotment.free_bytes() // 2:
        return math.nan, math.nan
    workload = build(case)
    workload.call()
    workload.reset()
    return process_peak(workload).value, float(counted + heap_holes(counted))


def place(case: Case) -> Place:
    """The settings of a core that is called."""
    found: Place = {"task": case.task, "phase": case.phase, "causal": case.causal, "model": ""}
    if case.lengths:
        found["dataset"] = case.dataset_label
    return found | {"seq_len": case.seq_len, "batch_size": case.batch_size, "hidden_size": case.hidden_size}
