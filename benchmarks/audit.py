"""Seconds that auditing timed calls adds to a trial: each mechanism with and without it, in turn.

    python benchmarks/audit.py [NAME ...] [--length 1024] [--repeats 5] [--rounds 3] [--seconds 0.2]

A quiet machine is needed. The target is 1.15 at most, over a run of `--rounds` rounds that sample for
`--seconds` each: the first audits in full. The shorter the sampling, the larger the share.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import torch

from linrec_bench import attention
from linrec_bench.attention.contract import directions
from linrec_bench.case import Case
from linrec_bench.execution import worker
from linrec_bench.execution.audit import Auditor, other_work, remembers
from linrec_bench.measures.instruments import memory, timing
from linrec_bench.tasks import layer

START_S = 0.15


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
            list(remembers(workload, min(samples.seconds)))
            list(other_work(workload, prediction))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["softmax", "linrec", "gla", "hstu"])
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2)
    given = parser.parse_args()
    for name in given.names:
        case = Case(
            task="layer",
            phase="forward_backward",
            attention=name,
            seq_len=given.length,
            causal=directions(attention.registry()[name])[-1],
        )
        ratios = []
        run = partial(seconds, case, rounds=given.rounds, sampling_s=given.seconds)
        for _ in range(given.repeats):
            with_it, without = (
                given.rounds * START_S
                + run(audited=audited, first=True)
                + (given.rounds - 1) * run(audited=audited, first=False)
                for audited in (True, False)
            )
            ratios.append(with_it / without)
        print(f"{name:20s} {statistics.median(ratios):.3f} of the time without", flush=True)


if __name__ == "__main__":
    main()
