"""The backend `fla`: layouts, scales and gates against the references, and who is refused and why."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from linrec_bench import attention
from linrec_bench.attention import Unsupported, contract, make_layer, registry
from linrec_bench.attention.backends import choice
from linrec_bench.attention.backends import fla as fla_backend
from linrec_bench.attention.contract.probe_inputs import difference, gradients, real, run
from linrec_bench.case import Case, freeze
from linrec_bench.commands.verify import cards
from linrec_bench.execution import worker
from linrec_bench.suite.expand import Job
from linrec_bench.suite.limits import Limits, Sampling
from linrec_bench.tasks import decode

FLA = {"backend": "fla"}
NAMES = [name for name, spec in registry().items() if "fla" in spec.backends]
KERNELS = {
    "linrec": "chunk_linear_attn",
    "linrec-column": "chunk_linear_attn",
    "linear-transformer": "chunk_linear_attn",
    "retnet": "chunk_simple_gla",
    "mamba2": "chunk_simple_gla",
    "gla": "chunk_gla",
    "deltanet": "chunk_delta_rule",
    "gated-deltanet": "chunk_gated_delta_rule",
    "based": "fused_chunk_based",
    "hedgehog": "chunk_linear_attn",
    "forgetting": "parallel_forgetting_attn",
}
HALF_ONLY = {"deltanet"}
FLOAT32 = [name for name in NAMES if name not in HALF_ONLY]


@pytest.fixture
def fla(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The naive kernels beside this file in place of fla-core's: they take tensors on a CPU."""
    spec = importlib.util.spec_from_file_location("naive_fla", Path(__file__).with_name("naive_fla.py"))
    assert spec is not None
    assert spec.loader is not None
    naive = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(naive)
    naive.install(monkeypatch)
    monkeypatch.setattr(fla_backend, "DEVICES", ("cuda", "cpu"))
    fla_backend._load.cache_clear()
    yield
    fla_backend._load.cache_clear()


def test_who_offers_it() -> None:
    assert set(NAMES) == set(KERNELS)


@pytest.mark.usefixtures("fla")
@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_computes_the_reference(name: str) -> None:
    spec = registry()[name]
    dtype = torch.bfloat16 if name in HALF_ONLY else torch.float32
    for length in (1, 37):
        having = contract.given(spec, length, dtype)
        for which, mask in contract.masks(spec, length).items():
            out = run(spec, having, causal=True, params=FLA, padding_mask=mask)
            exact = run(spec, having.map(torch.Tensor.double), causal=True, padding_mask=mask, reference=True)
            assert out.dtype == dtype
            assert out.isfinite().all()
            assert difference(real(out, mask), real(exact, mask), dtype) is None, which


@pytest.mark.usefixtures("fla")
@pytest.mark.parametrize("name", FLOAT32)
def test_a_kernel_has_the_gradients_of_the_reference(name: str) -> None:
    """What the adapter does around a kernel must be differentiable, at weights and gates too."""
    spec = registry()[name]
    having = contract.given(spec, 37, torch.float32)
    for which, mask in contract.masks(spec, 37).items():
        weights = real(contract.noise(having.tokens["v"].shape, torch.float32, seed=1), mask)
        found = gradients(spec, having, weights, causal=True, params=FLA, padding_mask=mask)
        exact = gradients(
            spec,
            having.map(torch.Tensor.double),
            weights.double(),
            causal=True,
            padding_mask=mask,
            reference=True,
        )
        scale = max(exact[token].abs().max().item() for token in "qkv")
        for tensor, value in exact.items():
            size = max(scale, value.abs().max().item())
            # Without the care that the eager form takes of single tokens: a hundred times its budget.
            off = difference(found[tensor], value, torch.float32, scale=100 * size, tokens=37)
            assert off is None, f"{which}, {tensor}: {off}"


@pytest.mark.usefixtures("fla")
@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_is_named(name: str) -> None:
    spec = registry()[name]
    having = contract.given(spec, 5, torch.bfloat16)
    run(spec, having, causal=True, params=FLA)
    used = choice.used_kernel(spec, FLA, lambda: run(spec, having, causal=True, params=FLA))
    assert used == f"fla 0.6.0 {KERNELS[name]}"
    assert choice.used_kernel(spec, FLA, lambda: run(spec, having, causal=True)) == ""


def test_without_a_backend_that_names_kernels_nothing_is_run() -> None:
    def never() -> None:
        raise AssertionError("called")

    assert choice.used_kernel(registry()["linrec"], {}, never) == ""
    assert choice.used_kernel(registry()["linrec"], {"backend": "native"}, never) == ""


@pytest.mark.usefixtures("fla")
@pytest.mark.parametrize("name", NAMES)
def test_a_layer_hands_the_backend_on(name: str) -> None:
    layer = make_layer(name, 16, 2, causal=True, seq_len=8, params=FLA).to(torch.bfloat16)
    x = torch.randn(1, 5, 16, dtype=torch.bfloat16)
    layer(x)
    assert KERNELS[name] in choice.used_kernel(registry()[name], FLA, lambda: layer(x))


@pytest.mark.parametrize("name", NAMES)
def test_on_a_cpu_it_is_refused(name: str) -> None:
    q, k, v = contract.inputs(5, torch.bfloat16)
    with pytest.raises(Unsupported, match="backend fla runs on CUDA devices only, not on cpu"):
        attention.core(name, q, k, v, causal=True, backend="fla")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    spec = registry()["gla"]
    reason = choice.refusal(spec, FLA, "cuda", torch.bfloat16, backward=False)
    assert reason is not None
    assert "needs the package fla-core, which is not installed (pip install" in reason
    assert choice.refusal(spec, {}, "cpu", torch.float64, backward=False) is None


@pytest.mark.usefixtures("fla")
@pytest.mark.parametrize(
    ("name", "dtype", "heads", "causal", "reason"),
    [
        ("linear-transformer", torch.bfloat16, 8, False, "has causal kernels only"),
        ("gla", torch.float64, 8, True, "no kernel for float64; expected float32 or bfloat16 or float16"),
        ("deltanet", torch.float32, 8, True, "no kernel for float32; expected bfloat16 or float16"),
        ("gla", torch.bfloat16, 7, True, "needs an even head size in half types, got 7"),
        ("gated-deltanet", torch.float32, 258, True, "takes at most 256 features a head here, got 258"),
    ],
)
def test_what_a_kernel_cannot_do_is_unsupported(
    name: str, dtype: torch.dtype, heads: int, causal: bool, reason: str
) -> None:
    q, k, v = (torch.randn(1, 1, 3, heads).to(dtype) for _ in range(3))
    with pytest.raises(Unsupported, match=reason):
        attention.core(name, q, k, v, causal=causal, backend="fla")


@pytest.mark.usefixtures("fla")
def test_more_dimensions_than_the_kernel_of_based_has_are_unsupported() -> None:
    q, k, v = (torch.randn(1, 1, 3, 32) for _ in range(3))
    with pytest.raises(Unsupported, match="at most 16 dimensions here, got feature_dim 18"):
        attention.core("based", q, k, v, causal=True, backend="fla", feature_dim=18)


def case_of(name: str, **changes: object) -> Case:
    plain = Case(
        task="core",
        phase="forward",
        attention=name,
        attention_params=freeze(FLA),
        seq_len=16,
        causal=True,
    )
    return replace(plain, **changes)


def test_a_row_carries_the_backend_in_its_label() -> None:
    assert case_of("gla").attention_label == "gla(backend=fla)"


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_eager_form(name: str) -> None:
    own = worker.predict(case_of(name))
    assert own.compiles
    assert replace(own, compiles=False) == worker.predict(case_of(name, attention_params=()))


@pytest.mark.usefixtures("fla")
def test_a_trial_names_the_kernel_after_its_times() -> None:
    rows: list[tuple[str, str]] = []

    def emit(measure: str, value: float, unit: str, *, group: str = "", **_: object) -> None:
        del value, unit
        rows.append((measure, group))

    for params in (freeze(FLA), ()):
        job = Job(
            case=case_of("gla", attention_params=params),
            measures=("time",),
            rounds=1,
            limits=Limits(),
            sampling=Sampling(seconds=0.001, min=1, max=2),
        )
        fla_backend._load.cache_clear()
        worker.measure(job, 0, emit)
    assert rows[0][0] == "first_call_time"
    assert [row for row in rows if row[0] == "kernel"] == [("kernel", "fla 0.6.0 chunk_gla")]


def test_a_step_has_no_backend() -> None:
    with pytest.raises(Unsupported, match="a step of attention gla has no backend fla"):
        decode.build(case_of("gla", task="decode", phase="step"))


@pytest.mark.slow
def test_verify_says_why_it_could_not_probe() -> None:
    (card,) = cards(["gla(backend=fla)"])
    assert "CUDA devices only" in card.unprobed
    assert not card.contradictions


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu_the_real_kernels_compute_the_reference(name: str) -> None:
    pytest.importorskip("fla")
    spec = registry()[name]
    with torch.device("cuda"):
        having = contract.given(spec, 300, torch.bfloat16)
        for which, mask in contract.masks(spec, 300).items():
            weights = real(contract.noise(having.tokens["v"].shape, torch.bfloat16, seed=1), mask)
            exact_having = having.map(torch.Tensor.double)
            out = run(spec, having, causal=True, params=FLA, padding_mask=mask)
            exact = run(spec, exact_having, causal=True, padding_mask=mask, reference=True)
            assert difference(real(out, mask), real(exact, mask), torch.bfloat16) is None, which
            found = gradients(spec, having, weights, causal=True, params=FLA, padding_mask=mask)
            wanted = gradients(
                spec, exact_having, weights.double(), causal=True, padding_mask=mask, reference=True
            )
            for token in "qkv":
                torch.testing.assert_close(
                    found[token].double(), wanted[token], rtol=5e-2, atol=5e-2, msg=f"{which}, {token}"
                )
