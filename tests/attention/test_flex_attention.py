"""FlexAttention: refused where it is not fused, counted as the fused kernel, and right where it runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import torch
from torch.nn.attention.flex_attention import BlockMask

from linrec_bench import attention
from linrec_bench.attention import Unsupported, contract
from linrec_bench.attention.contract.probe_inputs import difference, gradients, real, run
from linrec_bench.attention.mechanisms import flex_attention as flex
from linrec_bench.attention.mechanisms.flex_attention import SPEC
from linrec_bench.attention.spec import Request
from linrec_bench.case import Case
from linrec_bench.measures.instruments.exact import exact
from linrec_bench.tasks import core as core_task
from linrec_bench.tasks import decode as decode_task

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
    found = flex.refusal(Request(device, dtype, backward))
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


def test_a_step_is_refused_where_the_kernel_is() -> None:
    q, k, v = (x[:, :, :1] for x in contract.inputs(5, torch.float64))
    state = attention.init_state("flex-attention", q, seq_len=8)
    with pytest.raises(Unsupported, match=r"attention flex-attention: .* no fused kernel for torch.float64"):
        attention.step("flex-attention", state, q, k, v, seq_len=8)


def test_a_step_is_counted_by_the_history_and_not_by_the_room_for_it() -> None:
    """As a step of SDPA: two products with every key and value so far; the state is what is filled."""

    def counted(name: str) -> tuple[int, int | None]:
        case = Case(
            task="decode",
            phase="step",
            attention=name,
            causal=True,
            seq_len=2**20,
            batch_size=B,
            hidden_size=H * d,
            heads=H,
        )
        found = exact(case, decode_task.build)
        return found.flops, found.state_bytes

    assert counted("flex-attention") == counted("sdpa")
    assert counted("flex-attention")[0] == 4 * B * H * 2**20 * d


def test_the_blocks_of_a_step() -> None:
    """One event after 127, after 128 and after 299, and 150 after 100, with room for 512."""
    for total, whole, cut in ((128, 1, 0), (129, 1, 1), (300, 2, 1)):
        mask = flex._blocks_of_last(1, total, 512, torch.device("cpu"))
        assert mask.full_kv_num_blocks.flatten().tolist() == [whole]
        assert mask.kv_num_blocks.flatten().tolist() == [cut]
        assert mask.kv_indices.flatten().tolist()[:cut] == [whole][:cut]
    mask = flex._blocks_of_last(150, 250, 512, torch.device("cpu"))
    # The first 128 queries stand at 100 .. 227, the others at 228 .. 249.
    assert mask.full_kv_num_blocks.flatten().tolist() == [0, 1]
    assert mask.kv_num_blocks.flatten().tolist() == [2, 1]
    assert mask.kv_indices[0, 0].tolist() == [[0, 1, 2, 3], [1, 2, 3, 3]]


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


@pytest.mark.parametrize(
    "mask",
    [
        flex._causal_blocks(300, torch.device("cpu"), True),
        flex._first_blocks(300, torch.tensor([10, 128, 300]), backward=True),
        # All rows of one length.
        flex._first_blocks(300, torch.tensor([200]).expand(3), backward=True),
        flex._blocks_of_last(1, 300, 512, torch.device("cpu")),
        flex._blocks_of_last(150, 250, 512, torch.device("cpu")),
    ],
    ids=["causal", "padding", "padding alike", "step", "several steps"],
)
def test_counts_and_indices_of_blocks_are_contiguous(mask: BlockMask) -> None:
    """Kernels read them so without asking for strides: of 0 they would run beyond the end."""
    for name in ("kv_num_blocks", "kv_indices", "q_num_blocks", "q_indices"):
        for tensor in (getattr(mask, name), getattr(mask, f"full_{name}")):
            if tensor is not None:
                assert tensor.stride() == torch.empty(tensor.shape).stride(), name
                assert tensor.dtype == torch.int32


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
            out = run(SPEC, having, causal=causal, padding_mask=mask)
            wanted = run(
                SPEC, having.map(torch.Tensor.double), causal=causal, padding_mask=mask, reference=True
            )
        assert out.isfinite().all()
        assert difference(real(out, mask), real(wanted, mask), torch.float32) is None, name


# torch's own, while it compiles.
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.slow
@needs_compiler
@pytest.mark.usefixtures("fresh_compiler")
def test_a_cpu_decodes_what_the_whole_sequence_gives() -> None:
    """Across borders of blocks, with one compilation for all lengths of the history."""
    q, k, v = contract.inputs(260, torch.float32)
    wanted = attention.core("softmax", q, k, v, causal=True)
    with torch.no_grad():
        state = SPEC.remember(flex.init_state(q, seq_len=300), k[:, :, :120], v[:, :, :120])
        torch._dynamo.utils.counters.clear()
        rows = []
        for t in range(120, 260):
            state, row = flex.step(state, *(x[:, :, t : t + 1] for x in (q, k, v)))
            rows.append(row)
    torch.testing.assert_close(torch.cat(rows, dim=2), wanted[:, :, 120:])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


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
            found = gradients(SPEC, having, weights, causal=causal, padding_mask=mask)
            wanted = gradients(
                SPEC, exact_having, weights.double(), causal=causal, padding_mask=mask, reference=True
            )
            for which, value in wanted.items():
                # Products in TF32 or in three parts of bfloat16: a hundredth, not the budget of float32.
                torch.testing.assert_close(
                    found[which].double(), value, rtol=1e-2, atol=1e-2, msg=f"{name}, {which}"
                )


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.usefixtures("fresh_compiler")
def test_a_gpu_decodes_what_the_whole_sequence_gives() -> None:
    with torch.device("cuda"), torch.no_grad():
        q, k, v = (torch.randn(2, 3, 260, 32) for _ in range(3))
        state = SPEC.remember(flex.init_state(q, seq_len=300), k[:, :, :120], v[:, :, :120])
        rows = []
        for t in range(120, 260):
            state, row = flex.step(state, *(x[:, :, t : t + 1] for x in (q, k, v)))
            rows.append(row)
        wanted = attention.core("softmax", q, k, v, causal=True)[:, :, 120:]
        torch.testing.assert_close(torch.cat(rows, dim=2), wanted, rtol=1e-2, atol=1e-2)
