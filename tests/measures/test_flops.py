"""Work against formulas written out by hand, on real and on fake tensors."""

import contextlib
import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import flop_registry

from linrec_bench.measures.instruments.operations import Watch
from linrec_bench.measures.instruments.work import Work, count

B, H, N, d = 2, 3, 40, 8


@pytest.fixture(params=["real", "fake"], autouse=True)
def tensors_of_each_kind(request):
    with FakeTensorMode() if request.param == "fake" else contextlib.nullcontext():
        yield


def qkv(**options):
    return [torch.randn(B, H, N, d, **options) for _ in range(3)]


def work_of(call):
    work = Work()
    with Watch(work):
        call()
    return work


@pytest.mark.parametrize("causal", [False, True])
def test_attention_kernel_forward(causal):
    q, k, v = qkv()
    assert count(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal)) == 4 * B * H * N**2 * d


@pytest.mark.parametrize("grad_mode", [torch.no_grad, torch.inference_mode])
def test_attention_kernel_without_gradients(grad_mode):
    with grad_mode():
        q, k, v = qkv()
        assert count(lambda: F.scaled_dot_product_attention(q, k, v)) == 4 * B * H * N**2 * d


def test_attention_kernel_with_a_padding_mask():
    q, k, v = qkv()
    mask = torch.ones(B, 1, 1, N, dtype=torch.bool)
    assert count(lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)) == 4 * B * H * N**2 * d


def test_attention_kernel_forward_and_backward():
    q, k, v = qkv(requires_grad=True)
    grad = torch.randn(B, H, N, d)
    expected = (4 + 10) * B * H * N**2 * d
    assert count(lambda: F.scaled_dot_product_attention(q, k, v).backward(grad)) == expected


def test_materialised_softmax_forward_and_backward():
    q, k, v = qkv(requires_grad=True)
    grad = torch.randn(B, H, N, d)
    # Two products forward, and two backward for each: the scores are kept, not computed again.
    expected = (4 + 8) * B * H * N**2 * d
    assert count(lambda: (torch.softmax(q @ k.mT, -1) @ v).backward(grad)) == expected


def test_linear_layer_under_inference_mode():
    with torch.inference_mode():
        layer, x = torch.nn.Linear(6, 10), torch.randn(4, 5, 6)
        assert count(lambda: layer(x)) == 2 * 4 * 5 * 6 * 10


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: torch.randn(5, 7) @ torch.randn(7), 2 * 5 * 7),
        (lambda: torch.dot(torch.randn(9), torch.randn(9)), 2 * 9),
        (lambda: torch.addmv(torch.randn(5), torch.randn(5, 7), torch.randn(7)), 2 * 5 * 7),
        (lambda: torch.randn(5).addmv_(torch.randn(5, 7), torch.randn(7)), 2 * 5 * 7),
        (lambda: torch.randn(5, 6).addmm_(torch.randn(5, 7), torch.randn(7, 6)), 2 * 5 * 6 * 7),
        (
            lambda: torch.randn(3, 5, 6).baddbmm_(torch.randn(3, 5, 7), torch.randn(3, 7, 6)),
            2 * 3 * 5 * 6 * 7,
        ),
        (
            lambda: torch.randn(5, 6).addbmm_(torch.randn(3, 5, 7), torch.randn(3, 7, 6)),
            2 * 3 * 5 * 6 * 7,
        ),
        (
            lambda: torch.addbmm(torch.randn(5, 6), torch.randn(3, 5, 7), torch.randn(3, 7, 6)),
            2 * 3 * 5 * 7 * 6,
        ),
        (lambda: torch.einsum("bnd,bne->bde", torch.randn(2, 5, 3), torch.randn(2, 5, 4)), 2 * 2 * 5 * 3 * 4),
        # Depth-wise: every channel has one filter of width 4.
        (lambda: F.conv1d(torch.randn(2, 6, 13), torch.randn(6, 1, 4), groups=6), 2 * 2 * 6 * 10 * 4),
        (
            lambda: torch.linalg.solve_triangular(torch.randn(3, 5, 5), torch.randn(3, 5, 2), upper=True),
            3 * 2 * 5**2,
        ),
        (lambda: torch.fft.fft(torch.randn(3, 16, dtype=torch.complex64)), 5 * 3 * 16 * 4),
        (lambda: torch.fft.rfft(torch.randn(3, 16)), 5 * 3 * 16 * 4 / 2),
        (lambda: torch.fft.irfft(torch.randn(3, 9, dtype=torch.complex64)), 5 * 3 * 16 * 4 / 2),
        (lambda: torch.fft.fft2(torch.randn(8, 16, dtype=torch.complex64)), 5 * 128 * math.log2(128)),
    ],
)
def test_nothing_reads_zero(call, expected):
    assert count(call) == expected


@pytest.mark.parametrize(
    "kernel",
    [
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
        "_flash_attention_forward",
        "_efficient_attention_forward",
    ],
)
def test_torch_knows_the_cuda_kernels(kernel):
    assert getattr(torch.ops.aten, kernel) in flop_registry
    backward = kernel.replace("_forward", "") + "_backward"
    assert getattr(torch.ops.aten, backward) in flop_registry


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: x.clone(), 12),
        (lambda x: x.exp_(), 12),
        (lambda x: x.sum(), 12),
        (lambda x: x.cumsum(0), 12),
        (lambda x: torch.softmax(x, -1), 12),
        (lambda x: x[:1] + x, 12),
        (lambda x: torch.zeros(5), 5),
        (lambda x: x.T.reshape(-1), 12),
        (lambda x: x.view(-1)[2:].unsqueeze(0).expand(7, -1), 0),
        (lambda x: torch.empty_like(x), 0),
        (lambda x: x @ x.T, 0),
    ],
)
def test_elements_are_those_of_work_that_is_no_product(call, expected):
    x = torch.randn(3, 4)
    assert work_of(lambda: call(x)).elements == expected
