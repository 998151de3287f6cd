"""`linrec-bench check SUITE --plugin FILE` checks the mechanism of the file, or says that no case uses it."""

import ast
import re

import pytest

pytestmark = pytest.mark.slow

PLUGIN = """
from dataclasses import replace
from linrec_bench import attention

SPEC = replace(attention.registry()["linear-transformer"], name="mine"{more})
"""


@pytest.fixture
def check(tmp_path, monkeypatch, exit_code):
    """The exit code of `check` with arguments and a plugin of this text."""
    monkeypatch.chdir(tmp_path)

    def run(plugin, *arguments):
        (tmp_path / "mine.py").write_text(plugin)
        return exit_code("check", *arguments, "--plugin", "mine.py", "--device", "cpu")

    return run


def test_a_plugin_is_held_to_what_it_declares_by_the_shipped_suite(check, capfd):
    only = ("complexity", "--only", "attention=mine")
    assert check(PLUGIN.format(more=""), *only, "--all") == 0
    assert "holds: mine: exponent of operations 1 as declared" in capfd.readouterr().out
    assert check(PLUGIN.format(more=", time_exponent=0.5, memory_exponent=0.5"), *only) == 1
    printed = capfd.readouterr().out
    assert "broken: mine: exponent of operations 0.5 as declared" in printed
    assert "broken: mine: exponent of peak_live_bytes 0.5 as declared" in printed


SHORT = """
task: core
attention: [mine]
grid: {seq_len: [64, 128], causal: [false]}
fixed: {hidden_size: 8, heads: 2}
phases: [forward]
"""

CRASHES = {
    "item": "q.sum().item()",
    "tolist": "q.tolist()",
    "numpy": "q.numpy()",
    "error": "1 / 0",
    "assertion": "assert False, 'two\\nlines'",
}
CRASHING = """
from linrec_bench import attention
from linrec_bench.attention.spec import Spec

def core(q, k, v, *, padding_mask, causal):
    {statement}
    return v

SPEC = Spec(
    name="mine", title="t", paper="p", formula="f", source="s", deviations=(), core=core, reference=core
)
"""


@pytest.mark.parametrize("statement", CRASHES.values(), ids=CRASHES)
def test_a_crash_of_a_plugin_is_undecided_with_its_reason(check, capfd, tmp_path, statement):
    (tmp_path / "short.yaml").write_text(SHORT)
    code = check(CRASHING.format(statement=statement), "short.yaml")
    printed = capfd.readouterr()
    assert code == 3
    assert "Traceback" not in printed.err
    words = " ".join(printed.out.split())
    assert re.search(r"\b0 holds, 0 broken, [1-9]", words)
    assert words.count("found operations is known at 0 lengths; 2 are needed: error ") == 1


@pytest.mark.parametrize("arguments", [("quick",), ("complexity", "--only", "attention=linrec")])
def test_a_plugin_that_no_case_uses_is_said_in_one_line(check, capfd, arguments):
    assert check(PLUGIN.format(more=""), *arguments) == 4
    printed = capfd.readouterr()
    assert printed.err.startswith("nothing to check: --plugin mine.py: none of the ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


PLANTED = """
import torch
from dataclasses import replace
from linrec_bench import attention

LINEAR = attention.registry()["linear-transformer"]


@torch.library.custom_op("mine::weights", mutates_args=())
def weights(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return (q @ k.mT)[..., :1].clone()


@weights.register_fake
def _(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return q.new_empty((*q.shape[:-1], 1))


weights.register_autograd(lambda ctx, grad: (None, None))


def core(q, k, v, *, padding_mask=None, causal=False):
    out = LINEAR.core(q, k, v, padding_mask=padding_mask, causal=causal)
    N = q.shape[2]
    if {when}:
        out = out + 0 * {square}
    return out


SPEC = replace(LINEAR, name="mine", core=core)
"""
SQUARE = "(q @ k.mT)[..., :1]"


@pytest.mark.parametrize(
    ("when", "square", "code"),
    [
        ("q.shape[0] == 2", SQUARE, 1),
        ("N & (N - 1)", SQUARE, 1),
        ("q.dtype.itemsize == 2", SQUARE, 1),
        ("padding_mask is not None", SQUARE, 1),
        # Its inside cannot be seen: no answer, and no pass.
        ("True", "weights(q, k)", 3),
        ("False", SQUARE, 0),
    ],
)
def test_a_square_on_one_path_alone_does_not_pass(check, capfd, when, square, code):
    only = ("complexity", "--only", "attention=mine", "--only", "task=core", "--only", "causal=false")
    assert check(PLANTED.format(when=when, square=square), *only) == code
    printed = " ".join(capfd.readouterr().out.split())
    assert ("opaque, cost unknown: mine::weights" in printed) == (code == 3)


UNSEEN = """
import ctypes
import mmap
import numpy as np

LEFT = []


def held(n):
    with mmap.mmap(-1, 4 * n * n) as memory:
        memory[:: mmap.PAGESIZE] = bytes(-(-4 * n * n // mmap.PAGESIZE))
    return 0


def in_heap(n):
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(4 * n * n)))
    libc.memset(block, 0, ctypes.c_size_t(4 * n * n))
    libc.free(block)
    return 0


"""
LOOP = "torch.stack([q[:, :, t] for t in range(N)], 2)[..., :1]"


@pytest.mark.parametrize(
    ("when", "added", "said"),
    [
        ("True", LOOP, "mine: slope of dispatches <= 0.9 as declared"),
        ("True", "q.double()[..., :1].to(q.dtype)", "mine: slope of double_elements <= 0 as declared"),
        ("not LEFT.append(q + 0)", "0", "mine: slope of left_bytes <= 0 as declared"),
        ("type(q) is torch.Tensor", SQUARE, "mine: value of real over counted operations 0.95 .. 1.05"),
        ("True", "float(np.zeros((N, N))[0, 0])", "mine: exponent of host_memory <= 1 as declared"),
        ("True", "([0] * N * N)[0]", "mine: exponent of host_memory <= 1 as declared"),
        (
            "True",
            "sum(1 for _ in range(N * N // 4))",
            "mine: exponent of python_instructions <= 1",
        ),
        ("True", "held(N)", "mine: exponent of fresh_memory <= 1 as declared"),
        ("True", "in_heap(N)", "mine: value of peak_process_bytes <= what the counts allow"),
    ],
)
def test_what_exponents_of_counts_do_not_show_is_broken(check, capfd, tmp_path, when, added, said):
    (tmp_path / "short.yaml").write_text(SHORT)
    plugin = UNSEEN + PLANTED.format(when=when, square=added)
    assert check(plugin, "short.yaml") == 1
    printed = capfd.readouterr().out
    assert f"broken: {said}" in printed.splitlines()


BOUNDED = """
from dataclasses import replace
from linrec_bench import attention

LINEAR = attention.registry()["linear-transformer"]


def core(q, k, v, *, padding_mask=None, causal=False):
    out = LINEAR.core(q, k, v, padding_mask=padding_mask, causal=causal)
    return out + {extra}


SPEC = replace(LINEAR, name="mine", core=core{more})
"""


def test_constant_factors_are_held_to_the_bounds_that_the_gate_suggests(check, capfd, tmp_path):
    (tmp_path / "short.yaml").write_text(SHORT)
    assert check(BOUNDED.format(extra="0", more=""), "short.yaml") == 0
    (line,) = capfd.readouterr().err.splitlines()
    said, _, suggested = line.partition("at_most=")
    assert said.startswith("mine: SPEC declares no at_most: constant factors are held by a baseline alone.")
    bounds = ast.literal_eval(suggested)
    assert set(bounds) == {"bidirectional forward operations", "bidirectional forward peak_live_bytes"}
    more = f", at_most={bounds!r}"
    assert check(BOUNDED.format(extra="0", more=more), "short.yaml") == 0
    assert "at_most" not in capfd.readouterr().err
    assert check(BOUNDED.format(extra="0 * v.clone()", more=more), "short.yaml") == 1
    text = bounds["bidirectional forward operations"]
    assert f"broken: mine: value of operations <= {text} as declared" in capfd.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "bounds", [{"forward operation": "N"}, {"operations": "N"}, {"forward operations": "3 M"}]
)
def test_a_bound_that_cannot_be_read_is_an_error_of_the_plugin(check, capfd, bounds):
    assert check(BOUNDED.format(extra="0", more=f", at_most={bounds!r}"), "complexity") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "attention mine: at_most: " in line
    assert "; expected " in line


def test_a_spec_may_allow_loops_and_float64(check, tmp_path):
    (tmp_path / "short.yaml").write_text(SHORT)
    allowed = PLANTED.replace("core=core)", "core=core, dispatches_per_token=2.0, uses_float64=True)")
    assert check(allowed.format(when="True", square=LOOP + ".double().to(q.dtype)"), "short.yaml") == 0
