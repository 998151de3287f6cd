"""Exact bytes against the allocator's own events, for cases with every kind of kernel."""

import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.memory_account import account, cases
from linrec_bench.case import Case

CHOSEN = [
    # Kernels of their own, gradients that SiLU has, sums in place, attention with scratch, blocks, decays.
    ("core", "hstu", True, "forward_backward"),
    ("core", "linrec-column", False, "forward_backward"),
    ("core", "deltanet", True, "forward_backward"),
    ("core", "sdpa", False, "forward"),
    ("core", "sdpa", True, "forward_backward"),
    ("core", "hedgehog", True, "forward"),
    ("layer", "gla", True, "forward_backward"),
    ("layer", "linrec", False, "forward"),
    ("layer", "no-op", False, "forward"),
    ("layer", "sliding-window", True, "forward_backward"),
    ("layer", "mamba2", True, "forward"),
    ("train_step", "rela", True, "step"),
    ("train_step", "fuxi-linear", True, "step"),
    ("train_step", "linrec", False, "step"),
]
EVERY = {(case.task, case.attention, case.causal, case.phase): case for case in cases(256)}


@pytest.mark.slow
@pytest.mark.parametrize("chosen", CHOSEN, ids=lambda chosen: " ".join(map(str, chosen)))
def test_the_allocator_agrees(chosen):
    assert account(EVERY[chosen]).verdict == "agrees"


NEED = """
import sys
from linrec_bench.case import Case
from linrec_bench.execution.worker import predict
from linrec_bench.measures.instruments import memory
from linrec_bench.tasks import registry

case = Case.from_json(sys.argv[1])
needed = predict(case).needed_bytes
# Code that is loaded on first use is not the case's.
memory.peaks(registry()[case.task].build(Case.from_json(sys.argv[2])))
with memory.whole_peak(__import__("torch").device("cpu")) as readings:
    workload = registry()[case.task].build(case)
    for _ in range(3):
        workload.call()
        workload.reset()
print(needed, int(readings[0].value))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "causal", "seq_len"), [("linrec", False, 8192), ("retnet", True, 4096)])
def test_a_process_takes_no_more_than_predicted_and_no_less_than_a_third(name, causal, seq_len):
    """Blocks of several sizes, which leave holes in the heap."""
    case = Case(task="layer", phase="forward_backward", attention=name, causal=causal, seq_len=seq_len)
    texts = [case.to_json(), replace(case, seq_len=64).to_json()]
    command = [sys.executable, "-c", NEED, *texts]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    needed, taken = map(int, done.stdout.split())
    assert needed / 3 < taken <= needed
