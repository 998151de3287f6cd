"""Seconds that auditing timed calls adds to a trial: each mechanism with and without it, in turn.

    python benchmarks/audit.py [NAME ...] [--length 1024] [--repeats 5] [--rounds 5] [--seconds 0.5]

A quiet machine is needed. The target is 1.15 at most, over a case's `--rounds` rounds that sample for
`--seconds` each (by default those of a suite): the first audits in full. The shorter the sampling, the larger
the share. Prints the median and the range of the repeats.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from linrec_bench import attention
from linrec_bench.attention.contract import directions
from linrec_bench.case import Case
from linrec_bench.execution import worker
from linrec_bench.execution.audit import Auditor, other_work, remembers
from linrec_bench.measures.instruments import memory, timing
from linrec_bench.tasks import layer

START_S = 0.15
"""Seconds that a process takes to start, with or without an audit."""

NO_BACKWARD = {"flex-attention"}
"""Not on a CPU."""

HEADER = "attention,seq_len,rounds,sampling_s,repeats,ratio,lowest,highest"


def seconds(case: Case, *, audited: bool, first: bool, rounds: int, sampling_s: float) -> float:
    """Of one trial after its process has started; memory is measured in the first round."""
    prediction = worker.predict(case)
    start = time.perf_counter()
    workload = layer.build(case)
    shared_s = max(worker.LEAST_AUDIT_S, worker.AUDIT_SHARE * rounds * sampling_s)
    budget_s = shared_s if first else worker.LATER_AUDIT_S
    auditor = Auditor(workload, dtype=torch.float32, budget_s=budget_s, thorough=first) if audited else None
    samples = timing.sample(workload, budget_s=sampling_s, min_samples=3, max_samples=200)
    if first:
        memory.live_peaks(workload)
    if auditor is not None:
        auditor.faults()
        if first:
            list(remembers(workload, min(samples.seconds), prediction))
            list(other_work(workload, prediction))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="mechanisms; by default all that have a backward pass here")
    parser.add_argument("--length", type=int, nargs="+", default=[1024])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = [HEADER]
    for name in given.names or sorted(set(attention.registry()) - NO_BACKWARD):
        for length in given.length:
            case = Case(
                task="layer",
                phase="forward_backward",
                attention=name,
                seq_len=length,
                causal=directions(attention.registry()[name])[-1],
            )
            run = partial(seconds, case, rounds=given.rounds, sampling_s=given.seconds)
            found = [ratio(run, given.rounds) for _ in range(given.repeats)]
            measured = f"{statistics.median(found):.3f},{min(found):.3f},{max(found):.3f}"
            lines.append(f"{name},{length},{given.rounds},{given.seconds},{given.repeats},{measured}")
            print(lines[-1], flush=True)
    if given.out:
        given.out.write_text("\n".join([*lines, ""]), encoding="utf-8")


def ratio(run: Callable[..., float], rounds: int) -> float:
    """Time of all rounds of a case with the audit to that without, one after the other."""
    with_it, without = (
        rounds * START_S + run(audited=audited, first=True) + (rounds - 1) * run(audited=audited, first=False)
        for audited in (True, False)
    )
    return with_it / without


if __name__ == "__main__":
    main()
