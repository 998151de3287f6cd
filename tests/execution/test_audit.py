"""Honest mechanisms are believed, however long their inputs are; what is compared is told by the numbers."""

import math

import pytest
import torch

from linrec_bench import attention
from linrec_bench.attention.contract import directions, unprobed
from linrec_bench.case import Case
from linrec_bench.execution import worker
from linrec_bench.execution.audit import Auditor, budget, oddity, other_work, relative_difference, remembers
from linrec_bench.execution.schedule import Prediction
from linrec_bench.tasks import core, layer

BUILDERS = {"core": core.build, "layer": layer.build}

EVERY = [
    (task, name, causal)
    for task in BUILDERS
    for name, spec in attention.registry().items()
    for causal in directions(spec)
]


def case_of(task, name, causal, **options):
    return Case(
        task=task,
        attention=name,
        causal=causal,
        **({"phase": "forward_backward", "seq_len": 48, "batch_size": 2, "hidden_size": 16} | options),
    )


def faults(case, *, budget_s=10.0, calls=5):
    workload = BUILDERS[case.task](case)
    auditor = Auditor(workload, dtype=getattr(torch, case.dtype), budget_s=budget_s)
    for _ in range(calls):
        workload.inspect(workload.call())
        workload.reset()
    return [*auditor.faults(), *other_work(workload, worker.predict(case))]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name", "causal"), EVERY)
def test_every_mechanism_is_believed(task, name, causal):
    if reason := unprobed(attention.registry()[name]):
        pytest.skip(reason)
    assert faults(case_of(task, name, causal)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", "linrec", "gla", "fnet", "hstu", "no-op"])
@pytest.mark.parametrize("task", BUILDERS)
def test_so_are_those_that_are_longer_than_what_the_reference_is_asked_about(task, name):
    for causal in directions(attention.registry()[name]):
        options = {"phase": "forward", "seq_len": 1500, "batch_size": 1}
        assert faults(case_of(task, name, causal, **options), budget_s=0.001) == []


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_half_and_double_types_are_believed(dtype):
    assert faults(case_of("core", "linrec", True, dtype=dtype)) == []


def test_rows_with_padding_are_believed(monkeypatch):
    options = {"lengths": "synthetic", "lengths_params": (("users", 20),), "seq_len": 64}
    assert faults(case_of("layer", "softmax", True, **options)) == []


def test_differences_are_relative_and_nan_in_the_reference_means_nothing():
    exact = torch.tensor([3.0, 4.0, math.nan], dtype=torch.float64)
    assert relative_difference(torch.tensor([3.0, 4.0, 9.0]), exact, 0.0) == 0
    # 0.5 of a norm of 5, and of a largest value of 4.
    assert relative_difference(torch.tensor([3.5, 4.0, 9.0]), exact, 0.0) == pytest.approx(0.125)
    assert math.isnan(relative_difference(torch.tensor([math.nan, 4.0, 0.0]), exact, 0.0))
    assert relative_difference(torch.zeros(2), exact, 0.0) == math.inf
    assert budget(torch.float32, 256) == pytest.approx(8 * 33 * 2**-23)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (None, "NoneType, no tensor"),
        (torch.zeros(2).to_sparse(), "torch.sparse_coo"),
        (torch.zeros(2, device="meta"), "on meta"),
        (torch.zeros(2, dtype=torch.bfloat16), "torch.bfloat16; expected torch.float32"),
        (torch._efficientzerotensor((2,)), "made when they are read"),
        (torch.nn.Parameter(torch.zeros(2)), "Parameter, no plain tensor"),
    ],
)
def test_results_that_do_not_stand_in_memory(output, reason):
    assert reason in oddity(output, torch.device("cpu"), torch.float32)


# Seconds of a timed call, and operations that were counted.
LONG, MANY = 1.0, 10**9


@pytest.mark.parametrize(
    ("seconds", "counts", "asked"),
    [
        (1e-5, Prediction(operations=MANY), True),
        # A machine with other work makes a short call wait.
        (LONG, Prediction(operations=1000, dispatches=10), True),
        (LONG, Prediction(operations=MANY), False),
        (LONG, Prediction(error="no counts"), False),
        (LONG, None, False),
    ],
)
def test_a_call_that_is_short_by_its_time_or_its_counts_is_asked_again(seconds, counts, asked):
    workload = core.build(case_of("core", "softmax", False, phase="forward"))
    results = {}

    def call():
        inputs = workload.oracle.inputs()
        key = inputs["q"].data_ptr()
        return results.setdefault(key, inputs["v"].clone())

    workload.call = call
    found = list(remembers(workload, seconds, counts))
    expected = ["a call on the inputs of the last one returns its result again, without computing it"]
    assert found == (expected if asked else [])
