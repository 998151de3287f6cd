"""What a process of its own costs: wall time of a trial beyond what is measured in it.

    python benchmarks/isolation.py [--trials 20]

Two trials are compared with their own spans: one that does nothing, and one that builds a small attention
layer and times one call. Medians and the whole range, in seconds a trial; the limit is 0.15 s.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

from linrec_bench.case import Case
from linrec_bench.execution.executors.local import LocalExecutor
from linrec_bench.execution.trial import Trial
from linrec_bench.execution.worker import measure
from linrec_bench.suite.expand import Job
from linrec_bench.suite.limits import Limits, Sampling
from linrec_bench.tasks import Report

LIMIT_S = 0.15


def nothing(emit: Report) -> None:
    emit("inside", 0.0, "s")


def one_layer(job: Job, emit: Report) -> None:
    started = time.monotonic()
    measure(job, 1, emit)
    emit("inside", time.monotonic() - started, "s")


def overheads(executor: LocalExecutor, work: Callable[[Report], None], trials: int) -> list[float]:
    found = []
    for _ in range(trials):
        result = executor.submit(Trial(work=work, seconds=60)).result()
        if result.status != "ok":
            sys.exit(f"a trial ended as {result.status}: {result.detail}")
        found.append(result.seconds - result.samples[-1].value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    trials = parser.parse_args().trials
    case = Case(task="layer", phase="forward", attention="softmax", seq_len=128)
    job = Job(
        case=case,
        measures=("time",),
        rounds=1,
        limits=Limits(),
        sampling=Sampling(seconds=0.001, min=1, max=1),
    )
    worst = 0.0
    with LocalExecutor() as executor:
        executor.submit(Trial(work=nothing, seconds=60)).result()
        for name, work in (("nothing", nothing), ("one layer", partial(one_layer, job))):
            spans = overheads(executor, work, trials)
            worst = max(worst, statistics.median(spans))
            print(
                f"{name:<10} overhead a trial: median {statistics.median(spans):.4f} s, "
                f"range {min(spans):.4f} to {max(spans):.4f} s over {trials} trials"
            )
    print(f"limit {LIMIT_S} s: {'holds' if worst <= LIMIT_S else 'broken'}")
    sys.exit(worst > LIMIT_S)


if __name__ == "__main__":
    main()
