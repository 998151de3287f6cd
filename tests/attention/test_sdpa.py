"""Which kernel runs, what it is given, and that it says so."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from linrec_bench.attention import contract
from linrec_bench.attention.mechanisms import sdpa, softmax
from linrec_bench.attention.mechanisms.sdpa import kernel
from linrec_bench.attention.spec import Core

MASK = torch.tensor([[True] * 20 + [False] * 17, [True] * 37])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("inference", [False, True])
def test_a_cpu_uses_flash_with_and_without_a_mask(mask: Tensor | None, causal: bool, inference: bool) -> None:
    with torch.inference_mode(inference):
        q, k, v = contract.inputs(37, torch.float32)
        assert kernel(lambda: sdpa.core(q, k, v, padding_mask=mask, causal=causal)) == "flash"


@pytest.mark.parametrize("inference", [False, True])
def test_the_math_backend_is_seen(inference: bool) -> None:
    with torch.inference_mode(inference), sdpa_kernel(SDPBackend.MATH):
        assert kernel(lambda: sdpa.core(*contract.inputs(37, torch.float32))) == "math"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    ("chosen", "name"), [(SDPBackend.FLASH_ATTENTION, "flash"), (SDPBackend.EFFICIENT_ATTENTION, "efficient")]
)
def test_a_gpu_says_which_kernel(chosen: SDPBackend, name: str) -> None:
    q, k, v = (torch.randn(2, 4, 128, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    with sdpa_kernel(chosen):
        assert kernel(lambda: sdpa.core(q, k, v, causal=True)) == name


@pytest.mark.parametrize("causal", [False, True])
def test_no_quadratic_mask_is_built(monkeypatch: pytest.MonkeyPatch, causal: bool) -> None:
    given: list[Tensor | None] = []
    theirs = F.scaled_dot_product_attention

    def watched(
        q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        given.append(attn_mask)
        return theirs(q, k, v, attn_mask=attn_mask, is_causal=is_causal)

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    sdpa.core(*contract.inputs(37), padding_mask=MASK, causal=causal)
    (mask,) = given
    assert mask is None if causal else mask is not None and mask.shape == (2, 1, 1, 37)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("core", [sdpa.core, softmax.core], ids=["sdpa", "softmax"])
def test_a_row_that_sees_nothing_is_zero(core: Core, causal: bool) -> None:
    mask = MASK.clone()
    mask[0] = False
    mask[1, :5] = False
    out = core(*contract.inputs(37), padding_mask=mask, causal=causal)
    assert out[0].eq(0).all()
    assert out[1, :, :5].eq(0).all() == causal
    assert out[1, :, 5:].ne(0).any(dim=-1).all()
