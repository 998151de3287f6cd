"""The assertion on functions of known growth: it passes what is within the bound and fails what is not."""

import math
import subprocess
import sys
import time as clock
import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from linrec_bench.measures.instruments import timing
from linrec_bench.testing import UndecidedWarning, assert_complexity


def qkv(n, d=8):
    return [torch.randn(1, 2, n, d) for _ in range(3)]


def linear(q, k, v):
    return q @ (k.mT @ v)


def quadratic(q, k, v):
    return (q @ k.mT).softmax(-1) @ v


def copy_of(x):
    return x.clone()


@pytest.mark.slow
@pytest.mark.parametrize("of", ["peak_memory", "saved_memory", "flops", "operations"])
@pytest.mark.parametrize("on", ["fake", "real"])
def test_linear_passes_and_quadratic_does_not(of, on):
    lengths = (16, 32, 64, 128) if on == "real" else None
    assert_complexity(linear, qkv, at_most="N", of=of, on=on, lengths=lengths)
    assert_complexity(quadratic, qkv, at_most="N^2", of=of, on=on, lengths=lengths)
    with pytest.raises(AssertionError, match=rf"{of} follows .* N\^2"):
        assert_complexity(quadratic, qkv, at_most="N^1.5", of=of, on=on, lengths=lengths)


def test_the_message_shows_the_counts_the_polynomial_and_the_bound():
    with pytest.raises(AssertionError) as caught:
        assert_complexity(quadratic, qkv, at_most="N", of="peak_memory", lengths=(128, 256, 512, 1024))
    head, columns, *rows = str(caught.value).splitlines()
    assert head == "peak_memory follows 16 N^2; expected at most N"
    assert columns.split() == ["N", "bytes"]
    assert [row.split() for row in rows] == [[f"{n:,}", f"{16 * n * n:,}"] for n in (128, 256, 512, 1024)]


def test_a_square_too_small_for_a_slope_is_seen():
    def mostly_linear(x):
        hidden = [x.clone() for _ in range(64)]
        return hidden, x.new_empty(x.shape[0], x.shape[0], dtype=torch.bool)

    # At 512 the square is a 256th of the peak.
    with pytest.raises(AssertionError, match=r"1 N\^2 \+ 131,072 N"):
        assert_complexity(
            mostly_linear,
            lambda n: [torch.randn(n, 512)],
            at_most="N",
            of="peak_memory",
            lengths=(32, 64, 128, 512),
        )


def sorted_copies(x):
    """N log2 N bytes for N numbers of one byte."""
    return [x.clone() for _ in range(int(math.log2(len(x))))]


def halves(x):
    """N^1.5 bytes."""
    return x.new_empty(len(x), math.isqrt(len(x)))


def zeros(n):
    return [torch.zeros(n, dtype=torch.uint8)]


def test_growth_between_whole_powers():
    lengths = (2**8, 2**10, 2**12, 2**14)
    assert_complexity(sorted_copies, zeros, at_most="N log N", of="peak_memory", lengths=lengths)
    assert_complexity(halves, zeros, at_most="N^1.5", of="peak_memory", lengths=lengths)
    assert_complexity(copy_of, zeros, at_most="N log N", of="peak_memory", lengths=lengths)
    with pytest.raises(AssertionError, match=r"grows as N\^1.111 between 4,096 and 16,384"):
        assert_complexity(sorted_copies, zeros, at_most="N", of="peak_memory", lengths=lengths)
    with pytest.raises(AssertionError, match=r"N\^1.500"):
        assert_complexity(halves, zeros, at_most="N log N", of="peak_memory", lengths=lengths)


def test_a_constant_is_a_bound():
    assert_complexity(lambda x: x[:1].clone(), zeros, at_most="1", of="peak_memory")
    with pytest.raises(AssertionError, match="expected at most 1"):
        assert_complexity(copy_of, zeros, at_most="1", of="peak_memory")


class Squared(torch.autograd.Function):
    """Linear forward, quadratic backward."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return (grad @ grad.mT) @ grad


def test_backward_counts_where_it_is_asked_for():
    def vectors(n):
        return [torch.randn(n, 4)]

    assert_complexity(Squared.apply, vectors, at_most="N", of="peak_memory")
    with pytest.raises(AssertionError, match=r"N\^2"):
        assert_complexity(Squared.apply, vectors, at_most="N", of="peak_memory", backward=True)
    with pytest.raises(ValueError, match="no output of fn takes gradients"):
        assert_complexity(torch.Tensor.detach, vectors, at_most="N", of="peak_memory", backward=True)


def test_a_module_is_counted_without_touching_its_weights():
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
    model.register_buffer("steps", torch.zeros((), dtype=torch.int64))
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def tokens(n):
        return [torch.randn(1, n, 16)]

    assert_complexity(model, tokens, at_most="N^2", of="flops", backward=True, lengths=(16, 32, 64, 128))
    with pytest.raises(AssertionError, match="flops follows"):
        assert_complexity(model, tokens, at_most="N", of="flops", lengths=(16, 32, 64, 128))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_tensors_of_its_own_and_values_are_told_with_what_to_do():
    weight = torch.randn(8, 8)

    def closure(x):
        return x @ weight

    def reads(x):
        return x * x.sum().item()

    def rows(n):
        return [torch.randn(n, 8)]

    with pytest.raises(ValueError, match="holds tensors of its own"):
        assert_complexity(closure, rows, at_most="N", of="flops")
    with pytest.raises(ValueError, match="reads values"):
        assert_complexity(reads, rows, at_most="N", of="operations")
    assert_complexity(closure, rows, at_most="N", of="flops", on="real")
    assert_complexity(reads, rows, at_most="N", of="operations", on="real")


def test_a_failing_assertion_of_the_function_stays_what_it_is():
    def impossible(x):
        raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine"):
        assert_complexity(impossible, zeros, at_most="N", of="flops")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"at_most": "m^2"}, "at_most is 'm^2'; expected such as '1', 'N', 'N log N'"),
        ({"at_most": "O(N"}, "at_most is 'O(N'"),
        ({"lengths": (8, 16, 16, 32)}, "lengths [8, 16, 32]; expected at least 4"),
        ({"of": "flops"}, "no matrix product"),
        ({"of": "peak_memry"}, "Did you mean 'peak_memory'?"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(arguments, said):
    with pytest.raises(ValueError, match=r"expected|ask of") as caught:
        assert_complexity(copy_of, zeros, **{"at_most": "N", "of": "peak_memory"} | arguments)
    assert said in str(caught.value)


def numpy_square(n):
    return np.ones((n, n)).sum()


def test_what_torch_does_not_see_is_no_pass():
    for on in ("fake", "real"):
        with pytest.raises(ValueError, match="asked torch for no operation"):
            assert_complexity(numpy_square, lambda n: [n], at_most="N", of="peak_memory", on=on)


@pytest.mark.slow
@pytest.mark.parametrize("square", [numpy_square, lambda n: [0] * (n * n)])
def test_memory_of_numpy_and_python_is_traced(square):
    assert_complexity(square, lambda n: n, at_most="O(n^2)", of="host_memory")
    with pytest.raises(AssertionError, match=r"host_memory (follows|grows as) .*N\^(2|1.99)"):
        assert_complexity(square, lambda n: n, at_most="N", of="host_memory")
    assert_complexity(np.copy, np.ones, at_most="N", of="host_memory")
    assert not tracemalloc.is_tracing()


@pytest.mark.parametrize("at_most", ["O(N)", "n", "n log n", "O(n log n)", " N^1.5 "])
def test_a_bound_may_be_written_as_people_do_and_a_tensor_be_the_only_input(at_most):
    assert_complexity(copy_of, torch.ones, at_most=at_most, of="peak_memory")


@pytest.fixture
def planted_clock(monkeypatch):
    """Times of length n become `seconds(n)`, give or take `noise`, instead of being measured."""

    def plant(seconds, noise):
        generator = torch.Generator().manual_seed(0)

        def sample(workload, *, budget_s, min_samples, max_samples):
            n = workload.call()
            factors = (1 + noise * torch.randn(5, generator=generator)).abs()
            taken = tuple((seconds(n) * factors).tolist())
            return timing.Samples(taken, (), 0.0, 1, 1, "planted")

        monkeypatch.setattr(timing, "sample", sample)

    return plant


def timed(at_most):
    assert_complexity(
        lambda n: n, lambda n: [n], at_most=at_most, of="time", lengths=(64, 128, 256, 512, 1024)
    )


def test_times_fail_only_when_the_whole_interval_is_above(planted_clock):
    planted_clock(lambda n: 1e-4 + 1e-8 * n**2, noise=0.01)
    timed("N^2")
    with pytest.raises(AssertionError, match=r"time grows as N\^p with p in \[") as caught:
        timed("N")
    assert "expected at most N\n" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2 + 5


def test_times_that_decide_nothing_warn(planted_clock):
    planted_clock(lambda n: 1e-6 * n, noise=0.5)
    with pytest.warns(UndecidedWarning, match="undecided: grows as") as caught:
        timed("N")
    assert caught[0].filename == __file__


def test_a_bound_with_a_logarithm_leaves_room_for_it(planted_clock):
    planted_clock(lambda n: 1e-9 * n * math.log(n), noise=0.001)
    timed("N log N")


def test_real_times_of_a_function_that_sleeps():
    def sleeps(n):
        clock.sleep(1e-5 * n)

    with pytest.raises(AssertionError, match="time grows as"):
        assert_complexity(sleeps, lambda n: [n], at_most="1", of="time", lengths=(250, 500, 1000, 2000))


FIXTURE = """
import random
import torch
from linrec_bench.measures.instruments import timing

def test_linear(complexity):
    complexity(torch.clone, torch.ones, at_most="O(n)", of="peak_memory")

def test_undecided(complexity, monkeypatch):
    draw = random.Random(0)
    def noisy(workload, **_):
        taken = tuple(1e-6 * workload.call() * draw.uniform(0.2, 5) for _ in range(5))
        return timing.Samples(taken, (), 0.0, 1, 1, "planted")
    monkeypatch.setattr(timing, "sample", noisy)
    complexity(lambda n: n, lambda n: n, at_most="N", of="time")
"""


@pytest.mark.slow
def test_the_fixture_works_where_warnings_are_errors(tmp_path):
    (tmp_path / "test_fixture.py").write_text(FIXTURE)
    plugins = ("-p", "linrec_bench.pytest_plugin", "-p", "no:cacheprovider")
    command = (sys.executable, "-m", "pytest", "-W", "error", "-q", "-rs", *plugins)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "undecided: grows as" in done.stdout
