"""Regressions planted in a copy of each mechanism do not pass the exact gate, and the same code does."""

import ast
import contextlib
import functools
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from linrec_bench import attention
from linrec_bench.analysis.measurements import of_samples
from linrec_bench.gate import baseline, check, declared_bounds
from linrec_bench.gate.baseline_verdicts import compare
from linrec_bench.gate.exact_counts import count, counts_of
from linrec_bench.gate.questions import questions, verdicts
from linrec_bench.registry import Registry
from linrec_bench.suite.expand import expand
from linrec_bench.suite.schema import Suite

SPECS = dict(attention.registry())
FORMS = [
    pytest.param(name, causal, id=f"{name}-{'causal' if causal else 'bidirectional'}")
    for name, spec in SPECS.items()
    for causal in (False, True)
    if (spec.causal if causal else spec.bidirectional)
]
# One direction of each mechanism, the causal one where it has both.
ONCE = [
    pytest.param(name, spec.causal, id=f"{name}-{'causal' if spec.causal else 'bidirectional'}")
    for name, spec in SPECS.items()
]
LINEAR = [form for form in ONCE if SPECS[form.values[0]].memory_exponent == 1]


def with_square(spec, q, k, v, **more):
    """An N x N tensor that somebody forgot."""
    weights = q @ k.mT
    return spec.core(q, k, v, **more) + 0 * weights[..., :1]


def without_chunks(spec, q, k, v, **more):
    """The plain form in place of the fast one."""
    return spec.reference(q, k, v, **more)


def with_doubled_buffer(spec, q, k, v, **more):
    """v twice in memory."""
    copy = v.clone()
    return spec.core(q, k, copy, **more)


@pytest.fixture
def plant(monkeypatch):
    """Puts a copy with the regression inside in the place of a mechanism."""

    def use(name, regression):
        spec = SPECS[name]

        @functools.wraps(spec.core)
        def core(q, k, v, **more):
            return regression(spec, q, k, v, **more)

        changed = SPECS | {name: replace(spec, core=core)}
        monkeypatch.setattr(attention, "registry", lambda: Registry("attention", changed.items()))

    return use


def suite_of(name, *, causal, task="core", **more):
    sweep = {
        "task": task,
        "attention": [name],
        "grid": {"seq_len": [40]},
        "fixed": {"hidden_size": 16, "causal": causal},
    }
    return Suite.model_validate({"name": "planted", "sweeps": [sweep | more]})


def jobs_of(name, **more):
    return expand(suite_of(name, **more), device="cpu")


def contract_of_memory(suite):
    """The gate's answer to the memory exponent that the SPEC declares."""
    jobs = expand(suite, device="cpu")
    asked = [q for q in questions(suite, jobs) if q.claim.measure == "peak_live_bytes"]
    (verdict,) = verdicts(asked, of_samples(count(jobs)))
    return verdict.answer


def counts(jobs):
    return counts_of(jobs, count(jobs))


def broken(accepted, now):
    """The measures that the gate calls broken, each with the phase."""
    found = compare(now, baseline.Baseline("", accepted), whole=True)
    assert check.exit_code(found) == (
        check.BROKEN if any(v.answer == "broken" for v in found) else check.HOLDS
    )
    return {(v.where["case"].split()[2], v.claim.measure) for v in found if v.answer == "broken"}


@functools.cache
def accepted_counts(name, causal):
    """What a mechanism counts; made once for all of its regressions."""
    return counts(jobs_of(name, causal=causal))


REGRESSIONS = (with_square, without_chunks, with_doubled_buffer)


# How a regression is found does not depend on the mechanism: each in turn, and all of them in three.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "causal", "regression"),
    [
        pytest.param(*form.values, regression, id=f"{form.id}-{regression.__name__}")
        for at, form in enumerate(ONCE)
        for regression in (REGRESSIONS if at < 3 else REGRESSIONS[at % 3 :][:1])
    ],
)
def test_the_baseline_catches_it_in_both_phases(plant, name, causal, regression):
    accepted = accepted_counts(name, causal)
    plant(name, regression)
    caught = broken(accepted, counts(jobs_of(name, causal=causal)))
    assert ("forward", "peak_live_bytes") in caught
    assert {phase for phase, _ in caught} == {"forward", "forward_backward"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "causal"), LINEAR)
def test_the_declared_memory_exponent_catches_a_square_without_any_baseline(plant, name, causal):
    # Long enough for every mechanism to have reached its final number of blocks.
    suite = suite_of(
        name,
        causal=causal,
        grid={"seq_len": [8192, 16384, 32768]},
        fixed={"batch_size": 16, "hidden_size": 32, "causal": causal},
        phases=["forward"],
    )
    # That the mechanism itself holds is what `check complexity` says.
    plant(name, with_square)
    assert contract_of_memory(suite) == "broken"


@pytest.mark.parametrize("path", ["padded", "bfloat16"])
def test_a_square_more_on_one_path_breaks_the_bounds_of_that_path(monkeypatch, path):
    spec = SPECS["softmax"]
    grid = {"seq_len": [64, 128], "lengths": ["full", "ramp"], "dtype": ["float32", "bfloat16"]}
    fixed = {"hidden_size": 16, "batch_size": 2, "causal": False}
    jobs = jobs_of("softmax", causal=False, grid=grid, fixed=fixed, phases=["forward"])

    def use(**changed):
        specs = SPECS | {"softmax": replace(spec, **changed)}
        monkeypatch.setattr(attention, "registry", lambda: Registry("attention", specs.items()))
        return count(jobs)

    def core(q, k, v, *, padding_mask=None, causal=False):
        there = padding_mask is not None if path == "padded" else q.dtype is torch.bfloat16
        out = spec.core(q, k, v, padding_mask=padding_mask, causal=causal)
        return out + 0 * (q @ k.mT)[..., :1] if there else out

    (line,) = declared_bounds.undeclared(jobs, use(), ["softmax"])
    bounds = ast.literal_eval(line.partition("at_most=")[2])
    assert len(bounds) == 2 * 4
    held = declared_bounds.verdicts(jobs, use(at_most=bounds))
    assert len(held) == 2 * 8
    assert {verdict.answer for verdict in held} == {"holds"}
    found = declared_bounds.verdicts(jobs, use(at_most=bounds, core=core))
    broken = {verdict.claim.bound.text.rpartition(", ")[2] for verdict in found if verdict.answer == "broken"}
    assert broken == {path, "padded bfloat16"}


class NoGuard(contextlib.ContextDecorator):
    """In the place of `torch.inference_mode`: guards nothing."""

    def __init__(self, mode=True):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


KEEP_SOMETHING = [
    form
    for form in ONCE
    if form.values[0] in ("softmax", "sdpa", "linear-transformer", "linrec-column", "hstu")
]
"""Kernels and operations of torch, autograd functions of our own, and a layer: how each keeps its tensors."""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "causal"), KEEP_SOMETHING)
def test_a_graph_kept_in_the_forward_phase_is_caught(monkeypatch, name, causal):
    jobs = jobs_of(name, causal=causal, task="layer", phases=["forward"])
    accepted = counts(jobs)
    assert {case["saved_bytes"] for case in accepted.values()} == {0}
    assert broken(accepted, counts(jobs)) == set()
    monkeypatch.setattr(torch, "inference_mode", NoGuard)
    assert ("forward", "saved_bytes") in broken(accepted, counts(jobs))


COUNT_ALL = """
import json
from linrec_bench import attention
from linrec_bench.gate.exact_counts import count, counts_of
from linrec_bench.suite.expand import expand
from linrec_bench.suite.schema import Suite

sweep = {"task": "core", "attention": list(attention.registry())}
sweep |= {"grid": {"causal": [False, True]}, "fixed": {"seq_len": 40}}
jobs = expand(Suite.model_validate({"name": "all", "sweeps": [sweep]}), device="cpu")
found = counts_of(jobs, count(jobs))
"""


@pytest.mark.slow
def test_another_process_counts_the_same():
    """Every mechanism, direction and phase: the same code raises no alarm."""
    here = {}
    exec(COUNT_ALL, here)
    settings = os.environ | {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"{COUNT_ALL}print(json.dumps(found))"],
        env=settings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == here["found"]
    # Both phases of each.
    assert len(here["found"]) == 2 * len(FORMS)
    assert all(case["peak_live_bytes"] > 0 for name, case in here["found"].items() if "no-op" not in name)
