"""What an exact count costs: CPU seconds of counting one case on fake tensors, forward and backward.

    python benchmarks/counting.py [--seq-len 1048576] [--batch-size 16]

Every mechanism as `core`, in each direction that it has, and every model that is trained by gradient as
`train_step`, with its mechanism of choice. A process counts many cases: what the first one imports is not
part of any. The exit code is 1 where a case takes longer than the limit of 0.5 s.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from linrec_bench import attention, models
from linrec_bench.case import Case
from linrec_bench.execution import preload  # noqa: F401 - imports what a first count would
from linrec_bench.execution.worker import predict

LIMIT_S = 0.5


def cases(seq_len: int, batch_size: int) -> Iterator[Case]:
    for name in attention.registry():
        for causal in (False, True):
            yield Case(
                task="core",
                phase="forward_backward",
                attention=name,
                causal=causal,
                seq_len=seq_len,
                batch_size=batch_size,
                heads=4,
            )
    for name, spec in models.registry().items():
        if not spec.trained_by_gradient:
            continue
        for mechanism in spec.mechanisms or ("softmax", "linrec"):
            yield Case(
                task="train_step",
                phase="step",
                model=name,
                attention=mechanism,
                causal="all_positions" in spec.objectives,
                seq_len=seq_len,
                heads=4,
                layers=2,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seq-len", type=int, default=1 << 20)
    parser.add_argument("--batch-size", type=int, default=16)
    arguments = parser.parse_args()
    found: list[float] = []
    for case in cases(arguments.seq_len, arguments.batch_size):
        started = time.process_time()
        prediction = predict(case)
        seconds = time.process_time() - started
        assert prediction is not None
        who = f"{case.model} + {case.attention}" if case.model else case.attention
        direction = "causal" if case.causal else "bidirectional"
        if prediction.unsupported:
            continue
        found.append(seconds)
        peak = prediction.peak_live_bytes / 2**30
        print(f"{who:<26} {case.task:<10} {direction:<13} {seconds:6.3f} s  peak {peak:12,.1f} GiB")
    slow = sum(seconds > LIMIT_S for seconds in found)
    print(f"{len(found)} cases, {sum(found):.1f} s; longest {max(found):.3f} s, {slow} above {LIMIT_S} s")
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
