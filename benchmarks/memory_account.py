"""Do exact bytes agree with what torch's allocator hands out? Every mechanism, layer and training step.

    python benchmarks/memory_account.py [--only hstu] [--out results/reference/memory/account.csv]

For each case, in a process of its own: the peak of live bytes on fake and on real tensors, the same with the
scratch that kernels are known to take (`measures/instruments/kernel_scratch.py`), and the highest running sum
of the allocator's events in torch's profiler, which sees what kernels allocate inside. The exit code is 1
where fake and real differ, or where the allocator is more than 1 % away from live bytes with scratch and no
kernel in `NAMED` is the reason.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from linrec_bench import attention, models, tasks
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case
from linrec_bench.execution import preload  # noqa: F401 - imports what a first count would
from linrec_bench.gate.baseline import name_of
from linrec_bench.measures.instruments.exact import exact, tally
from linrec_bench.measures.instruments.operations import collector_paused

TOLERANCE = 0.01
SCALARS = 4096
"""Bytes below which nothing is compared: numbers of Python become tensors on their way."""

NAMED = {
    "nystromformer": "oneDNN's convolution lays tensors out as the processor wants; the formula is a bound",
    "flex-attention": "what torch.compile generates for the CPU; it has no gradient there",
}
"""Mechanisms whose kernels take scratch that no formula gives exactly."""


@dataclass(frozen=True)
class Account:
    """Peaks of one case in bytes, beyond its inputs."""

    case: str
    live: int
    with_scratch: int
    allocator: int
    ratio: float
    verdict: str


def cases(seq_len: int) -> Iterator[Case]:
    """Every mechanism alone and in its layer, without and with gradients; a training step of every model."""
    for task in ("core", "layer"):
        for name, spec in attention.registry().items():
            for causal in (False, True):
                if spec.causal if causal else spec.bidirectional:
                    for phase in ("forward", "forward_backward"):
                        yield _case(task, phase, name, seq_len, causal=causal, batch_size=2)
    for model, recommender in models.registry().items():
        for name in (
            (recommender.mechanisms or ("softmax", "linrec")) if recommender.trained_by_gradient else ()
        ):
            causal = "all_positions" in recommender.objectives
            yield _case("train_step", "step", name, seq_len, causal=causal, model=model, layers=2)


def _case(task: str, phase: str, name: str, seq_len: int, *, causal: bool, **more: object) -> Case:
    shape = {"seq_len": seq_len, "hidden_size": 64, "heads": 4}
    return Case(task=task, phase=phase, attention=name, causal=causal, **shape, **more)  # type: ignore[arg-type]


def allocated(call: Callable[[], object]) -> int:
    """Highest running sum of the allocator's own events, those inside kernels included."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as recorded:
        result = call()
    del result
    assert recorded.profiler is not None
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(sizes), default=0)


def account(case: Case) -> Account:
    """Both sides for one case; raises `Unsupported` for one that does not run here."""
    build = tasks.registry()[case.task].build
    assert build is not None, case.task
    fake, workload = exact(case, build), build(case)
    real = tally(workload)
    workload.call()
    workload.reset()
    with collector_paused():
        # What a call returns would be alive beside the first tensors of the next.
        found = allocated(lambda: (workload.call(), None)[1])
    ratio = found / max(fake.peak_with_scratch_bytes, 1)
    # The first call of what is compiled compiles, too.
    if fake != real and case.attention not in NAMED:
        verdict = "fake and real differ"
    elif found < SCALARS or abs(ratio - 1) <= TOLERANCE:
        verdict = "agrees"
    else:
        verdict = NAMED.get(case.attention, "differs")
    return Account(
        name_of(case), fake.peak_live_bytes, fake.peak_with_scratch_bytes, found, round(ratio, 4), verdict
    )


def _answer(case: Case, pipe: multiprocessing.connection.Connection) -> None:
    try:
        pipe.send(account(case))
    except Unsupported as reason:
        pipe.send(Account(name_of(case), 0, 0, 0, 0.0, f"unsupported: {reason}"))


def in_a_process(case: Case) -> Account:
    """The account of a case from a process that has done nothing else."""
    receiver, sender = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_answer, args=(case, sender))
    process.start()
    sender.close()
    try:
        found: Account = receiver.recv()
    except EOFError:
        found = Account(name_of(case), 0, 0, 0, 0.0, NAMED.get(case.attention, "failed"))
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seq-len", type=int, default=512)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--out", type=Path, help="CSV file, written whole")
    given = parser.parse_args()
    found = []
    for case in cases(given.seq_len):
        if given.only in name_of(case):
            found.append(in_a_process(case))
            print(*asdict(found[-1]).values(), sep="  ", flush=True)
    if given.out:
        with given.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Account)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(map(asdict, found))
    wrong = [each for each in found if each.verdict in ("differs", "fake and real differ", "failed")]
    agree = sum(each.verdict == "agrees" for each in found)
    print(f"{len(found)} cases: {agree} agree within {TOLERANCE:.0%}, {len(wrong)} do not and have no reason")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
