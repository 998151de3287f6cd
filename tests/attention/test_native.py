"""The backend `native`: the contract holds, nothing is kept needlessly, what it cannot do it says."""

from __future__ import annotations

import platform
import shutil
from dataclasses import replace
from pathlib import Path

import pooch
import pytest
import torch
from torch import Tensor

from linrec_bench.attention import Unsupported, contract, core, registry
from linrec_bench.attention.backends import native_build, native_linrec
from linrec_bench.attention.contract import values
from linrec_bench.case import Case, freeze
from linrec_bench.execution.worker import predict
from linrec_bench.measures.instruments import memory
from linrec_bench.tasks.workloads import Workload

LINREC = ["linrec", "linrec-column"]
FORMS = [*((name, causal) for name in LINREC for causal in (False, True)), ("sdpa", True)]
"""Mechanism, causal."""
NATIVE = {"backend": "native"}
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("check", contract.CHECKS)
@pytest.mark.parametrize(("name", "causal"), FORMS)
def test_it_keeps_the_contract(name: str, causal: bool, check: str) -> None:
    assert contract.CHECKS[check](registry()[name], causal=causal, params=NATIVE) is None


@needs_compiler
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", LINREC)
def test_gradients_are_right_whatever_numbers_come(name: str, causal: bool) -> None:
    """Few tokens, seeds with keys that nearly vanish: a column of one of them is that key over itself."""
    for seed in (4000, 6000, 11_000, 14_000):
        found = values.check_gradients(
            registry()[name], causal=causal, params=NATIVE, lengths=(1, 2, 37), seed=seed
        )
        assert found is None, f"seed {seed}: {found}"


def found(name: str, given: list[Tensor], *, causal: bool, backend: str, mask: Tensor | None) -> list[Tensor]:
    """o and the gradients at q, k, v, all but o of padded queries, which has no meaning."""
    leaves = [x.detach().requires_grad_() for x in given]
    out = core(name, *leaves, padding_mask=mask, causal=causal, backend=backend)
    kept = out if mask is None else out.masked_fill(~mask[:, None, :, None], 0)
    slope = contract.noise(out.shape, torch.float64, seed=9).to(out.dtype)
    return [kept, *torch.autograd.grad(kept, leaves, slope)]


@needs_compiler
@pytest.mark.parametrize("threads", [1, 7])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("name", "causal"), FORMS)
def test_tiles_and_segments_change_nothing(name: str, causal: bool, masked: bool, threads: int) -> None:
    """Ragged lengths, head sizes that fill no vector, and more threads than heads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for length, head_size in ((2, 1), (16, 8), (33, 16), (250, 5), (250, 24)):
            given = [contract.noise((1, 2, length, head_size), torch.float64, seed=seed) for seed in range(3)]
            mask = contract.noise((1, length), torch.float64, seed=5) > -1 if masked else None
            eager, cpp = (
                found(name, given, causal=causal, backend=backend, mask=mask)
                for backend in ("eager", "native")
            )
            torch.testing.assert_close(cpp, eager)
    finally:
        torch.set_num_threads(before)


@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names processors of x86-64")
@pytest.mark.parametrize("march", ["x86-64", "x86-64-v3"])
@pytest.mark.parametrize(("name", "causal"), [("linrec", False), ("linrec", True), ("sdpa", True)])
def test_processors_with_shorter_vectors_compute_the_same(
    name: str, causal: bool, march: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors of 16 and of 32 bytes; a head size that fills none of them."""
    monkeypatch.setenv(native_build.PROCESSOR, march)
    given = [contract.noise((1, 2, 37, 5), torch.float64, seed=seed) for seed in range(3)]
    mask = contract.noise((1, 37), torch.float64, seed=5) > -1
    eager, cpp = (
        found(name, given, causal=causal, backend=backend, mask=mask) for backend in ("eager", "native")
    )
    torch.testing.assert_close(cpp, eager)


@needs_compiler
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", LINREC)
def test_single_precision_is_kept_near_zero_and_far_below(name: str, causal: bool) -> None:
    """elu of numbers from 1e-20 to 1e3 has the relative precision of the type."""
    for scale in (1e-15, 1e-4, 1.0, 30.0, 1e3):
        given = [contract.noise((1, 2, 50, 16), torch.float64, seed=seed).float() for seed in range(3)]
        given = [given[0] * scale, given[1] * scale, given[2]]
        exact = core(name, *(x.double() for x in given), causal=causal)
        single = core(name, *given, causal=causal, backend="native")
        torch.testing.assert_close(single.double(), exact, rtol=2e-6, atol=2e-6 * exact.abs().max().item())


@needs_compiler
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", LINREC)
def test_it_holds_outputs_and_gradients_and_little_else(name: str, causal: bool) -> None:
    q, k, v = (torch.randn(2, 2, 4096, 16, requires_grad=True) for _ in range(3))
    slope = torch.randn_like(v)

    def call() -> Tensor:
        out = core(name, q, k, v, causal=causal, backend="native")
        out.backward(slope)
        return out

    def reset() -> None:
        for x in (q, k, v):
            x.grad = None

    work = Workload(call, torch.device("cpu"), minimum_bytes=0, reset=reset)
    assert memory.peak_live_bytes(work) <= (4 + 0.1) * q.nbytes


@needs_compiler
def test_softmax_holds_a_head_for_each_thread_and_no_weights() -> None:
    q, k, v = (torch.randn(4, 8, 512, 16, requires_grad=True) for _ in range(3))
    slope = torch.randn_like(v)

    def call() -> Tensor:
        return core("sdpa", q, k, v, causal=True, backend="native")

    def reset() -> None:
        for x in (q, k, v):
            x.grad = None

    one_head = 4 * 512 * 16 * 6 * torch.get_num_threads()
    for phase, held in (("forward", 2), ("forward_backward", 6)):
        work = Workload(
            call if phase == "forward" else lambda: call().backward(slope),
            torch.device("cpu"),
            minimum_bytes=0,
            reset=reset,
        )
        assert memory.peak_live_bytes(work) <= held * q.nbytes + 2 * one_head


@needs_compiler
def test_large_scores_and_large_numbers_stay_finite() -> None:
    """Single precision: scores of 1e4, of which all but one weight vanish."""
    q, k, v = (contract.noise((1, 2, 50, 16), torch.float64, seed=seed).float() for seed in range(3))
    exact = core("softmax", *(x.double() for x in (q * 100, k * 100, v)), causal=True)
    single = core("sdpa", q * 100, k * 100, v, causal=True, backend="native")
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-3)
    large = core("sdpa", q, k, v * 1e37, causal=True, backend="native")
    assert large.isfinite().all()


@needs_compiler
def test_a_query_that_is_no_number_gives_none() -> None:
    q, k, v = contract.inputs(20)
    q[:, :, 7] = float("nan")
    out = core("sdpa", q, k, v, causal=True, backend="native")
    assert out[:, :, 7].isnan().all()
    assert out[:, :, :7].isfinite().all()


@needs_compiler
@pytest.mark.parametrize(("name", "causal"), FORMS)
def test_a_slope_without_memory_of_its_own_is_read_right(name: str, causal: bool) -> None:
    q, k, v = (x.requires_grad_() for x in contract.inputs(20))
    grads = [
        torch.autograd.grad(core(name, q, k, v, causal=causal, backend=backend).sum(), (q, k, v))
        for backend in ("eager", "native")
    ]
    torch.testing.assert_close(grads[1], grads[0])


@needs_compiler
@pytest.mark.parametrize(("name", "causal"), FORMS)
def test_second_derivatives_are_refused(name: str, causal: bool) -> None:
    q, k, v = (x.requires_grad_() for x in contract.inputs(5))
    out = core(name, q, k, v, causal=causal, backend="native")
    with pytest.raises(NotImplementedError, match="differentiable once"):
        torch.autograd.grad(out.sum(), q, create_graph=True)


@pytest.mark.parametrize("name", [*LINREC, "sdpa"])
def test_counts_are_those_of_the_form_in_torch(name: str) -> None:
    counts = [
        predict(
            Case(
                task="core",
                phase="forward_backward",
                attention=name,
                seq_len=4096,
                attention_params=freeze({"backend": backend}),
            )
        )
        for backend in ("eager", "native")
    ]
    assert counts[1].compiles
    assert counts[0] == replace(counts[1], compiles=False)


@needs_compiler
def test_softmax_refuses_where_torch_is_faster() -> None:
    q, k, v = (x.float() for x in contract.inputs(5))
    with pytest.raises(Unsupported, match="native of sdpa is causal: without causality torch's own kernel"):
        core("sdpa", q, k, v, causal=False, backend="native")
    for shape in ((1, 1, 1025, 4), (1, 1, 4, 65)):
        x = torch.zeros(shape)
        with pytest.raises(Unsupported, match=r"native of sdpa takes at most (1,024 tokens|64 features)"):
            core("sdpa", x, x, x, causal=True, backend="native")


def test_types_and_devices_without_a_library_are_unsupported() -> None:
    q, k, v = contract.inputs(5)
    with pytest.raises(Unsupported, match=r"knows float32, float64, bfloat16, not torch\.float16"):
        core("linrec", q.half(), k.half(), v.half(), backend="native")
    with pytest.raises(Unsupported, match="runs on a CPU, not on meta"):
        core("linrec", *(x.to("meta") for x in (q, k, v)), backend="native")


def test_tokens_of_another_shape_or_type_are_refused() -> None:
    q, k, v = contract.inputs(5)
    with pytest.raises(ValueError, match=r"^k is \[2, 3, 4, 8\] of torch\.float64; expected \[2, 3, 5, 8\]"):
        native_linrec.attend(q, k[:, :, :4], v, padding_mask=None, causal=False, column=False)
    with pytest.raises(
        ValueError, match=r"^v is .* of torch\.float32; expected .* of torch\.float64, as q is"
    ):
        native_linrec.attend(q, k, v.float(), padding_mask=None, causal=True, column=False)


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unsupported, match=r"no-such-compiler was not found \(set CXX\)"):
        native_build.library(Path("any.cpp"), {})


@needs_compiler
def test_what_the_compiler_refuses_is_named_and_leaves_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path)
    source = tmp_path / "wrong.cpp"
    source.write_text("int answer() { return unknown; }\n")
    with pytest.raises(Unsupported, match=r"could not build wrong\.cpp: .*'unknown' was not declared"):
        native_build.library(source, {})
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["wrong.cpp"]


@needs_compiler
def test_a_library_is_built_once_for_each_set_of_definitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path)
    source = tmp_path / "answer.cpp"
    source.write_text('extern "C" int answer() { return ANSWER; }\n')
    assert [native_build.library(source, {"ANSWER": value}).answer() for value in (41, 42, 41)] == [
        41,
        42,
        41,
    ]
    assert len(list(tmp_path.rglob("*.so"))) == 2


@needs_compiler
def test_a_library_that_others_can_write_is_never_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path)
    source = tmp_path / "answer.cpp"
    source.write_text('extern "C" int answer() { return 1; }\n')
    native_build.library(source, {})
    (built,) = tmp_path.rglob("*.so")
    assert built.parent.stat().st_mode & 0o077 == 0
    for path, mode in ((built, 0o775), (built.parent, 0o777)):
        before = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(Unsupported, match=rf"{path.name} can be written by others"):
            native_build.library(source, {})
        path.chmod(before)
    built.rename(tmp_path / "mine.so")
    built.symlink_to(tmp_path / "mine.so")
    with pytest.raises(Unsupported, match="or is a link"):
        native_build.library(source, {})


@needs_compiler
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "file")
    source = tmp_path / "answer.cpp"
    source.write_text('extern "C" int answer() { return 1; }\n')
    with pytest.raises(Unsupported, match=r"/file/native: Not a directory; expected .* XDG_CACHE_HOME"):
        native_build.library(source, {})
