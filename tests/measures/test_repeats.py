"""Work that comes again is counted without running it, to the byte and to the operation."""

from functools import partial

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench import tasks
from linrec_bench.block_cache import run, taken_by
from linrec_bench.case import Case
from linrec_bench.measures.instruments.exact import count, tally
from linrec_bench.tasks.workloads import Workload


def build(case):
    return tasks.registry()[case.task].build(case)


def product(x, y):
    return (x * 2) @ y


def tail(x, y):
    """Of a large result a small view is left, which keeps all of it."""
    return (x @ y)[:, -1:]


def pair(x, y):
    """Two results in one storage, and one that is no tensor."""
    both = torch.stack((x, y))
    return both[0], both[1], None


def half(x, y):
    return (x @ y).to(torch.bfloat16)


def itself(x, y):
    """What comes out lies where something came in."""
    x.add_(y)
    return x.mT


def nothing(x, y):
    (x @ y).exp()
    return None


def gradients(x, y):
    with torch.enable_grad():
        x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
        return torch.autograd.grad(((x @ y).exp() @ y).sum(), (x, y))


class Remembering:
    """Not a function of its inputs alone: it keeps a result."""

    def __init__(self):
        self.kept = []

    def __call__(self, x, y):
        self.kept.append(x @ y)
        return x + y


def blocks(function, *, keep, lengths=(8, 8, 8, 8, 8, 3), grad=False):
    """A program in blocks, with something alive across all of them."""

    def build():
        xs = [torch.randn(n, n, requires_grad=grad) for n in lengths]

        def call():
            kept, last = [], None
            with torch.set_grad_enabled(grad):
                for x in xs:
                    last = run(function, x * 1, x)
                    if keep == "all":
                        kept.append(last)
                del last
                # What follows works beside what was kept.
                return (xs[0] @ xs[0]).exp(), kept

        return Workload(call, torch.device("cpu"), minimum_bytes=0)

    return build


def in_full(build):
    with FakeTensorMode():
        return tally(build())


# `itself` writes to what autograd would need.
@pytest.mark.slow
@pytest.mark.parametrize("keep", ["all", "none"])
@pytest.mark.parametrize(
    ("function", "grad"),
    [(each, grad) for each in (product, tail, pair, half, nothing, gradients) for grad in (False, True)]
    + [(itself, False)],
)
def test_counts_are_those_of_running_every_block(function, keep, grad):
    program = blocks(function, keep=keep, grad=grad)
    assert count(program) == in_full(program) == tally(program())
    assert count(program).peak_live_bytes > 0


@pytest.mark.parametrize("lengths", [(40, 8, 8, 8), (8, 8, 8, 40), (8, 8, 40, 8), (8, 8)])
def test_the_peak_may_be_in_any_block(lengths):
    program = blocks(gradients, keep="all", lengths=lengths)
    assert count(program) == in_full(program)


def test_what_a_block_saves_comes_on_top_of_what_is_saved_by_then():
    def program():
        given = torch.randn(8, 8, requires_grad=True)

        def call():
            x = given
            for _ in range(4):
                x = (x * 2).exp()
                with torch.no_grad():
                    # Of the same form, made outside the call, inside of it, and saved already.
                    for block in (given.detach(), x.detach() * 1, x.detach()):
                        run(gradients, block, block)
            return x

        return Workload(call, torch.device("cpu"), minimum_bytes=0)

    assert count(program) == in_full(program) == tally(program())


def test_what_keeps_something_runs_every_time():
    assert count(blocks(Remembering(), keep="none")) == in_full(blocks(Remembering(), keep="none"))


def calls(inputs, *, grad=False):
    """How often a function of several inputs ran."""
    ran = []

    def counted(*given):
        ran.append(given)
        return given[0] + 1

    def call():
        with torch.set_grad_enabled(grad):
            for each in inputs:
                run(counted, *each)

    count(lambda: Workload(call, torch.device("cpu"), minimum_bytes=0))
    return len(ran)


def test_only_forms_that_were_seen_are_not_run():
    def make(*size, **kwargs):
        return torch.zeros(*size, **kwargs)

    with FakeTensorMode():
        x = make(4, 4)
        assert calls([(make(4, 4),) for _ in range(5)]) == 1
        assert calls([(make(4, 4),), (make(4, 5),), (make(4, 4, dtype=torch.half),), (x.mT,)]) == 4
        # Twice the same storage is saved once.
        assert calls([(x, x), (x, make(4, 4))]) == 2
        assert calls([(x, 1), (x, True), (x, 1.0), (x, 1)]) == 3
        assert calls([(x, [1]), (x, [1]), (x, {1: 2}), (x, {1: 2})]) == 3
        assert calls([(x.clone().requires_grad_(),) for _ in range(3)], grad=True) == 3


def test_a_partial_is_known_by_its_parts():
    ran = []

    def scaled(x, *, by):
        ran.append(by)
        return x * by

    def call():
        with torch.no_grad():
            for by in (2, 2, 3, 2):
                run(partial(scaled, by=by), torch.ones(3))

    count(lambda: Workload(call, torch.device("cpu"), minimum_bytes=0))
    assert ran == [2, 3]


def test_outside_of_a_count_everything_runs():
    seen = []
    run(seen.append, 1)
    with taken_by(lambda function, inputs: (function, inputs)):
        assert run(len, "word") == (len, ("word",))
        with taken_by(None):
            assert run(len, "word") == 4
    run(seen.append, 1)
    assert seen == [1, 1]


LONG = {"core": 4 * 512 + 87, "layer": 3 * 512 + 5}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attention", "dtype"),
    [
        ("linrec", "float32"),
        ("linrec", "bfloat16"),
        ("gla", "float32"),
        ("deltanet", "bfloat16"),
        ("aft-simple", "float32"),
    ],
)
def test_mechanisms_in_blocks_are_counted_as_if_each_ran(attention, dtype):
    for task, seq_len in LONG.items():
        case = Case(
            task=task,
            phase="forward_backward",
            attention=attention,
            causal=True,
            dtype=dtype,
            seq_len=seq_len,
            hidden_size=16,
        )
        assert count(partial(build, case)) == in_full(partial(build, case))
