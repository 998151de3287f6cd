"""The engine: what is kept for backward, and that this never changes the result."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from linrec_bench.attention import contract, core
from linrec_bench.attention.mechanisms import rebased
from linrec_bench.attention.ops import block_sizes, blockwise
from linrec_bench.attention.ops.causal_product import causal_product
from linrec_bench.measures.device.names import ByKind

LINEAR = ["linrec", "linrec-column", "linear-transformer"]
Stepped = tuple[tuple[Tensor, ...], Tensor]


@pytest.mark.parametrize("length", [1, 15, 16, 17, 64, 100])
def test_chunks_equal_steps(length: int) -> None:
    q, k, v = contract.inputs(length)
    first = contract.noise((2, 3, 8, 8), torch.float64, seed=1)
    out, last = causal_product(q, k, v, first)
    state = first
    for t in range(length):
        state = state + k[:, :, t, :, None] * v[:, :, t, None, :]
        torch.testing.assert_close(out[:, :, t], (q[:, :, t, None, :] @ state)[:, :, 0])
    torch.testing.assert_close(last, state)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_sizes, "BLOCK_BYTES", ByKind(cpu=1, accelerator=1))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", LINEAR)
def test_backward_keeps_the_inputs_and_little_else(name: str, causal: bool) -> None:
    q, k, v = (torch.randn(2, 2, 2048, 16, requires_grad=True) for _ in range(3))
    own = {x.data_ptr() for x in (q, k, v)}
    saved: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        saved[x.data_ptr()] = x.nbytes
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        core(name, q, k, v, causal=causal)
    assert own <= set(saved)
    beside = sum(size for address, size in saved.items() if address not in own)
    assert 0 < beside <= q.nbytes / 8 * (1.2 if causal else 0.1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", LINEAR)
def test_outputs_and_gradients_keep_the_layout_of_a_layer(name: str, causal: bool) -> None:
    """[B, N, H, d] in memory stays so: the layer's reshape to [B, N, D] is then free."""
    v = torch.randn(2, 33, 3, 4, 8).permute(2, 0, 3, 1, 4)[2]
    out = core(name, v, v, v, causal=causal)
    assert out.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize(("given", "inside"), [("bfloat16", "float32"), ("float64", "float64")])
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_and_states_are_at_least_float32(causal: bool, given: str, inside: str) -> None:
    seen: set[torch.dtype] = set()

    def note(*tensors: Tensor) -> Tensor:
        seen.update(x.dtype for x in tensors)
        return torch.stack([x.sum() for x in tensors]).sum()

    q = contract.inputs(64, getattr(torch, given))[0].requires_grad_()
    if causal:
        first = (torch.zeros((), dtype=blockwise.state_dtype(q)),)
        out = blockwise.scan(
            lambda state, q, k, v, pad: ((note(*state, k),), q + note(v)), first, (q, q, q), None
        )
    else:
        out = blockwise.sum_then_read(
            lambda k, v, pad: (note(k, v),), lambda state, q: q + note(q, *state), (q,), (q, q), None
        )
    out.sum().backward()
    assert seen == {getattr(torch, inside)}
    assert out.dtype == q.dtype
    assert q.grad is not None
    assert q.grad.dtype == q.dtype


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("causal", [False, True])
def test_gates_and_weights_get_their_gradients(causal: bool) -> None:
    q, k, v = (x.requires_grad_() for x in contract.inputs(300))
    gate = contract.noise((2, 3, 300, 1), torch.float64, seed=4).requires_grad_()
    weight = contract.noise((8, 8), torch.float64, seed=5).requires_grad_()
    fixed = contract.noise((8,), torch.float64, seed=6)

    def step(
        state: tuple[Tensor, ...], q: Tensor, k: Tensor, v: Tensor, gate: Tensor, pad: object, *more: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        weight, fixed = more
        out, after = causal_product(q @ weight, gate * k + fixed, v, state[0])
        return (after,), out

    if causal:
        first = (torch.zeros(2, 3, 8, 8, dtype=torch.float64),)
        out = blockwise.scan(step, first, (q, k, v, gate), None, weights=(weight, fixed))
        plain = ((q @ weight) @ (gate * k + fixed).mT).tril() @ v
    else:
        out = blockwise.sum_then_read(
            lambda k, v, gate, pad, weight, fixed: ((gate * k + fixed).mT @ v,),
            lambda state, q, weight, fixed: (q @ weight) @ state[0],
            (q,),
            (k, v, gate),
            None,
            weights=(weight, fixed),
        )
        plain = (q @ weight) @ ((gate * k + fixed).mT @ v)
    given = (q, k, v, gate, weight)
    slope = contract.noise(v.shape, torch.float64, seed=7)
    torch.testing.assert_close(out, plain)
    for found, exact in zip(
        torch.autograd.grad(out, given, slope), torch.autograd.grad(plain, given, slope), strict=True
    ):
        torch.testing.assert_close(found, exact)


@pytest.mark.parametrize(
    "asked", [{"backward_only": True}, {"held": torch.zeros(1, 1, 64, 1, dtype=torch.bool)}]
)
def test_what_a_kernel_cannot_do_is_refused(asked: dict[str, Any]) -> None:
    q, k, v = contract.inputs(64)
    state = torch.zeros(2, 3, 36, 8, dtype=torch.float64)
    with pytest.raises(ValueError, match="plain features"):
        causal_product(q, k, v, state, kernel=rebased.SQUARE, **asked)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("length", [64, 300])
def test_backward_leaves_out_an_output_that_nobody_reads(length: int) -> None:
    given = tuple(x.requires_grad_() for x in contract.inputs(length))
    first = (torch.zeros(2, 3, 8, 8, dtype=torch.float64),)
    blanks: list[Tensor] = []

    def step(state: tuple[Tensor, ...], q: Tensor, k: Tensor, v: Tensor, pad: object) -> Stepped:
        out, after = causal_product(q, k, v, state[0])
        return (after,), out

    def again(state: tuple[Tensor, ...], q: Tensor, k: Tensor, v: Tensor, pad: object) -> Stepped:
        out, after = causal_product(q, k, v, state[0], backward_only=True)
        blanks.append(out.detach())
        return (after,), out

    plain = blockwise.scan(step, first, given, None)
    out = blockwise.scan(step, first, given, None, backward_step=again)
    assert torch.equal(out, plain)
    assert not blanks
    slope = contract.noise(out.shape, torch.float64, seed=7)
    for found, exact in zip(
        torch.autograd.grad(out, given, slope), torch.autograd.grad(plain, given, slope), strict=True
    ):
        torch.testing.assert_close(found, exact, rtol=0, atol=0)
    assert blanks
    assert not any(blank.any() for blank in blanks)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("causal", [False, True])
def test_autocast_does_not_reach_the_state(name: str, causal: bool) -> None:
    q, k, v = (x.requires_grad_() for x in contract.inputs(64, torch.float32))
    plain = core(name, q, k, v, causal=causal)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = core(name, q, k, v, causal=causal)
        inside.sum().backward()
    assert torch.equal(plain, inside)
