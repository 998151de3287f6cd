"""The backend `compile` computes the same function; what cannot compile says so."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch.torch_version import TorchVersion

from linrec_bench.attention import Unsupported, contract, core
from linrec_bench.attention.backends.compiled import CAUSAL_GRADIENTS_SINCE
from linrec_bench.case import Case, freeze
from linrec_bench.execution.worker import predict

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.mark.slow
@needs_compiler
@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "causal", "masked"),
    [
        ("linrec", False, True),
        ("linrec", True, False),
        ("linrec-column", False, True),
        ("linrec-column", True, True),
    ],
)
def test_the_same_outputs_and_gradients(name: str, causal: bool, masked: bool) -> None:
    """Compiling takes seconds: each formula once, all but one with padding."""
    if causal and TorchVersion(torch.__version__) < CAUSAL_GRADIENTS_SINCE:
        pytest.skip(f"refused: torch {torch.__version__} gets these gradients wrong")
    kept = torch.arange(70).expand(2, -1) < torch.tensor([[70], [50]])
    mask = kept if masked else None
    found = []
    for backend in ("eager", "compile"):
        q, k, v = (x.requires_grad_() for x in contract.inputs(70))
        out = core(name, q, k, v, padding_mask=mask, causal=causal, backend=backend)
        out = out.masked_fill(~kept[:, None, :, None], 0)
        found.append((out, *torch.autograd.grad(out.square().sum(), (q, k, v))))
    for eager, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, eager)


def test_causal_gradients_that_a_torch_gets_wrong_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "__version__", "2.11.0")
    q, k, v = (x.requires_grad_() for x in contract.inputs(5))
    with pytest.raises(Unsupported, match=r"torch 2\.11\.0 compiles wrong gradients of causal forms"):
        core("linrec", q, k, v, causal=True, backend="compile")


def test_counts_are_those_of_the_formula() -> None:
    case = Case(
        task="core",
        phase="forward_backward",
        attention="linrec",
        seq_len=4096,
        attention_params=freeze({"backend": "compile"}),
    )
    found = predict(case)
    assert found is not None
    assert found.flops == 6 * 2 * 4096 * 2 * 32 * 32


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    q, k, v = contract.inputs(5)
    with pytest.raises(Unsupported, match="no-such-compiler was not found"):
        core("linrec", q, k, v, backend="compile")
