"""FlexAttention: refused where it is not fused, counted as the fused kernel, and right where it runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import torch

from linrec_bench import attention
from linrec_bench.attention import Unsupported, contract
from linrec_bench.attention import flex_attention as flex
from linrec_bench.attention.contract.given import difference, gradients, real, run
from linrec_bench.attention.flex_attention import SPEC
from linrec_bench.case import Case
from linrec_bench.measures.exact import exact
from linrec_bench.tasks import core as core_task

B, H, d = 2, 3, 16

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.mark.parametrize(
    ("device", "dtype", "backward", "reason"),
    [
        ("cpu", torch.float32, True, "no backward pass for it on a CPU"),
        ("cpu", torch.float64, False, "no fused kernel for torch.float64"),
        ("cuda", torch.float64, False, "no fused kernel for torch.float64"),
        ("cuda", torch.bfloat16, True, None),
    ],
)
def test_where_it_is_refused(device: str, dtype: torch.dtype, backward: bool, reason: str | None) -> None:
    found = flex.refusal(device, dtype, backward=backward)
    assert found is None if reason is None else found is not None and reason in found


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TORCHDYNAMO_DISABLE", "1", "torch.compile is switched off"),
        ("CXX", "no-such-compiler", "needs a C\\+\\+ compiler; no-such-compiler was not found"),
    ],
)
def test_without_a_compiler_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Unsupported, match=reason):
        attention.core("flex-attention", *contract.inputs(5, torch.float32))


def test_a_gradient_on_a_cpu_is_refused_before_anything_is_compiled() -> None:
    q, k, v = (x.requires_grad_() for x in contract.inputs(5, torch.float32))
    with pytest.raises(Unsupported, match="attention flex-attention: torch has no backward pass"):
        attention.core("flex-attention", q, k, v)


def test_decoding_is_refused() -> None:
    with pytest.raises(Unsupported, match="cannot decode event by event"):
        attention.init_state("flex-attention", contract.inputs(5, torch.float32)[0], seq_len=8)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("phase", ["forward", "forward_backward"])
def test_it_is_counted_as_a_fused_kernel(phase: str, causal: bool) -> None:
    """The products and the saved bytes of SDPA's kernel, at a length that no N x N matrix fits."""

    def counted(name: str) -> tuple[int, int, int]:
        case = Case(
            task="core",
            phase=phase,  # type: ignore[arg-type]
            attention=name,
            causal=causal,
            seq_len=2**20,
            batch_size=B,
            hidden_size=H * d,
            heads=H,
        )
        found = exact(case, core_task.build)
        return found.flops, found.peak_live_bytes, found.saved_bytes

    products = 14 if phase == "forward_backward" else 4
    flops, peak, saved = counted("flex-attention")
    assert flops == products * B * H * 2**40 * d
    # q, k, v exist; o and the logarithms are kept. Backward makes three gradients, each a copy at most.
    token_bytes = B * H * 2**20 * d * 4
    kept = token_bytes + token_bytes // d
    assert saved == (kept if phase == "forward_backward" else 0)
    assert kept <= peak <= kept + (6 * token_bytes if phase == "forward_backward" else 0)
    assert counted("sdpa")[0] == flops
    assert counted("sdpa")[2] == saved


@pytest.mark.parametrize("causal", [False, True])
def test_the_probe_on_fake_tensors(causal: bool) -> None:
    assert "fake tensors" in contract.applicable(SPEC)
    assert contract.CHECKS["fake tensors"](SPEC, causal=causal) is None


def test_probes_with_gradients_do_not_apply_on_a_cpu() -> None:
    assert set(contract.applicable(SPEC)) == {"fake tensors"}
    assert "float64" in (contract.unprobed(SPEC) or "")
    assert contract.violations(SPEC) == []


def test_the_blocks_of_causality() -> None:
    """Of 300 tokens in three blocks: whole blocks before the diagonal, and the block on it."""
    mask = flex._causal_blocks(300, torch.device("cpu"), False)
    assert mask.full_kv_num_blocks.flatten().tolist() == [0, 1, 2]
    assert mask.kv_num_blocks.flatten().tolist() == [1, 1, 1]
    assert mask.kv_indices[0, 0, :, 0].tolist() == [0, 1, 2]
    assert mask.full_kv_indices[0, 0, 2, :2].tolist() == [0, 1]


def test_the_blocks_of_padding() -> None:
    """Rows of 10, 128, 200 and 300 tokens: whole blocks, and the one that is cut where there is one."""
    mask = flex._first_blocks(300, torch.tensor([10, 128, 200, 300]), backward=False)
    assert mask.full_kv_num_blocks[:, 0, 0].tolist() == [0, 1, 1, 2]
    assert mask.kv_num_blocks[:, 0, 0].tolist() == [1, 0, 1, 1]
    assert mask.kv_indices[:, 0, 0, 0].tolist() == [0, 1, 1, 2]


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


# torch's own, while it compiles.
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.slow
@needs_compiler
@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("causal", [False, True])
def test_a_cpu_computes_the_reference_forward(causal: bool) -> None:
    having = contract.given(SPEC, 300, torch.float32)
    for name, mask in contract.masks(SPEC, 300).items():
        with torch.no_grad():
            out = run(SPEC.core, having, causal=causal, padding_mask=mask)
            wanted = run(SPEC.reference, having.map(torch.Tensor.double), causal=causal, padding_mask=mask)
        assert out.isfinite().all()
        assert difference(real(out, mask), real(wanted, mask), torch.float32) is None, name


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("causal", [False, True])
def test_a_gpu_computes_the_reference_and_its_gradients(causal: bool) -> None:
    with torch.device("cuda"):
        tokens = {name: torch.randn(2, 3, 300, 32) for name in "qkv"}
        having = contract.given(SPEC, 300, torch.float32)
        having.tokens.update(tokens)
        exact_having = having.map(torch.Tensor.double)
        for name, mask in contract.masks(SPEC, 300).items():
            weights = real(torch.randn_like(tokens["v"]), mask)
            found = gradients(SPEC.core, having, weights, causal=causal, padding_mask=mask)
            wanted = gradients(
                SPEC.reference, exact_having, weights.double(), causal=causal, padding_mask=mask
            )
            for which, value in wanted.items():
                # Products in TF32 or in three parts of bfloat16: a hundredth, not the budget of float32.
                torch.testing.assert_close(
                    found[which].double(), value, rtol=1e-2, atol=1e-2, msg=f"{name}, {which}"
                )
