"""The causal product with decays, and the mechanisms that are made of it: RetNet, GLA, Mamba-2."""

from __future__ import annotations

from math import cos, exp, log, sqrt

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from linrec_bench import attention
from linrec_bench.attention import contract, make_layer
from linrec_bench.attention.mechanisms.gla import LowRankGate
from linrec_bench.attention.mechanisms.mamba2 import StepSizes
from linrec_bench.attention.mechanisms.retnet import log_rates, rotate
from linrec_bench.attention.ops import block_sizes
from linrec_bench.attention.ops.causal_product import causal_product
from linrec_bench.attention.ops.decayed_product import decayed_product, decayed_states, segment_decays
from linrec_bench.measures.device.names import ByKind

NAMES = ["retnet", "gla", "mamba2"]
SHAPES = {"head": (1, 3, 1, 1), "token": (2, 3, None, 1), "feature": (2, 3, None, 8), "fixed": (1, 3, 1, 8)}


def decays(kind: str, length: int) -> Tensor:
    shape = tuple(length if size is None else size for size in SHAPES[kind])
    return -contract.noise(shape, torch.float64, seed=5).square()


def one_by_one(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    kept = log_decay.expand(q.shape).exp()
    rows = []
    for t in range(q.shape[2]):
        state = kept[:, :, t, :, None] * state + k[:, :, t, :, None] * v[:, :, t, None, :]
        rows.append((q[:, :, t, None, :] @ state)[:, :, 0])
    return torch.stack(rows, dim=2), state


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 100, 600])
def test_chunks_equal_steps(length: int, kind: str) -> None:
    q, k, v = (x.requires_grad_() for x in contract.inputs(length))
    log_decay = decays(kind, length).requires_grad_()
    first = contract.noise((2, 3, 8, 8), torch.float64, seed=1).requires_grad_()
    given = (q, k, v, log_decay, first)
    slopes = [contract.noise(shape, torch.float64, seed=2) for shape in (v.shape, first.shape)]
    fast, plain = decayed_product(*given), one_by_one(*given)
    for found, exact in zip(fast, plain, strict=True):
        torch.testing.assert_close(found, exact)
    for found, exact in zip(
        torch.autograd.grad(fast, given, slopes), torch.autograd.grad(plain, given, slopes), strict=True
    ):
        torch.testing.assert_close(found, exact)


@pytest.mark.parametrize("head_size", [3, 24, 40])
@pytest.mark.parametrize("features", [1, None])
def test_any_head_size(head_size: int, features: int | None) -> None:
    q, k, v, g = (contract.noise((1, 2, 70, head_size), torch.float64, seed=seed) for seed in range(4))
    log_decay = -g[..., :features].square()
    first = torch.zeros(1, 2, head_size, head_size, dtype=torch.float64)
    found, _ = decayed_product(q, k, v, log_decay, first)
    torch.testing.assert_close(found, one_by_one(q, k, v, log_decay, first)[0])


@pytest.mark.parametrize("kind", SHAPES)
def test_without_decay_it_is_the_plain_product(kind: str) -> None:
    q, k, v = contract.inputs(100)
    first = contract.noise((2, 3, 8, 8), torch.float64, seed=1)
    fast = decayed_product(q, k, v, 0 * decays(kind, 100), first)
    for found, exact in zip(fast, causal_product(q, k, v, first), strict=True):
        torch.testing.assert_close(found, exact)


def test_segments_of_three_tokens_by_hand() -> None:
    found = segment_decays(torch.tensor([0.5, 0.2, 0.1]).log())
    torch.testing.assert_close(found, torch.tensor([[1, 0, 0], [0.2, 1, 0], [0.02, 0.1, 1]]))


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 256, 300])
def test_states_between_chunks_equal_steps(count: int) -> None:
    log_decay = -contract.noise((2, count), torch.float64, seed=1).square()
    updates = contract.noise((2, count, 5), torch.float64, seed=2)
    state = contract.noise((2, 5), torch.float64, seed=3)
    before, last = decayed_states(log_decay, updates, state)
    for m in range(count):
        torch.testing.assert_close(before[:, m], state)
        state = log_decay[:, m, None].exp() * state + updates[:, m]
    torch.testing.assert_close(last, state)


@pytest.mark.parametrize("kind", ["token", "feature"])
def test_a_token_that_forgets_everything_leaves_the_next_ones_exact(kind: str) -> None:
    """Sums that run over the whole chunk would leave -0.001 a precision of 0.0005 next to -10,000."""
    length = 400
    log_decay = decays(kind, length).clamp(min=-1) * 1e-3
    log_decay[:, :, ::37] = -1e4
    given = [x.double() for x in (*contract.inputs(length, torch.float32), log_decay.float())]
    first = torch.zeros(2, 3, 8, 8)
    exact, _ = one_by_one(*given, first.double())
    found, _ = decayed_product(*(x.float() for x in given), first)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-6 * exact.abs().max().item())


@pytest.mark.parametrize("kind", ["token", "feature"])
def test_steep_decays_over_many_chunks_stay_finite(kind: str) -> None:
    q, k, v = (x.requires_grad_() for x in contract.inputs(600, torch.float32))
    log_decay = (300 * decays(kind, 600).float()).requires_grad_()
    out, last = decayed_product(q, k, v, log_decay, torch.ones(2, 3, 8, 8))
    (out.sum() + last.sum()).backward()
    for x in (out, last, *(x.grad for x in (q, k, v, log_decay))):
        assert x is not None
        assert x.isfinite().all()


class Calls(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["head", "token", "feature"])
def test_calls_grow_by_levels_and_products_with_the_length(kind: str) -> None:
    calls, flops = [], []
    for power in (3, 4, 5):
        length = 16**power
        shape = [1, *(length if size is None else size for size in SHAPES[kind][1:])]
        with torch.device("meta"), Calls() as watch, FlopCounterMode(display=False) as counter:
            x = torch.empty(1, 3, length, 8)
            decayed_product(x, x, x, torch.empty(shape), torch.empty(1, 3, 8, 8))
        calls.append(watch.count)
        flops.append(counter.get_total_flops() / length)
    assert calls[2] - calls[1] == calls[1] - calls[0] <= 60
    assert flops[2] == pytest.approx(flops[0], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("check", ["agreement", "gradients", "causal", "prefix", "pad length"])
@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds_across_blocks(monkeypatch: pytest.MonkeyPatch, name: str, check: str) -> None:
    monkeypatch.setattr(block_sizes, "BLOCK_BYTES", ByKind(cpu=1, accelerator=1))
    assert contract.CHECKS[check](attention.registry()[name], causal=True) is None


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_bidirectional_form(name: str) -> None:
    q, k, v = contract.inputs(4)
    with pytest.raises(attention.Unsupported, match=f"{name} has no bidirectional form"):
        attention.core(name, q, k, v, causal=False)
    with pytest.raises(attention.Unsupported, match=f"{name} has no bidirectional form"):
        make_layer(name, 24, 3, causal=False, seq_len=4)


@pytest.mark.parametrize("name", NAMES)
def test_padding_on_the_left_of_a_layer_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    layer = make_layer(name, 24, 3, causal=True, seq_len=64).double()
    x = contract.noise((2, 33, 24), torch.float64)
    mask = torch.arange(33).expand(2, -1) >= 13
    torch.testing.assert_close(layer(x, mask)[:, 13:], layer(x[:, 13:]))


def row(*values: float) -> Tensor:
    """One head of size 1: [1, 1, N, 1]."""
    return torch.tensor(values, dtype=torch.float64)[None, None, :, None]


def test_retnet_of_two_tokens_by_hand() -> None:
    """One pair of features turns by one radian a token; head 0 keeps 31/32, head 1 63/64."""
    q = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(1, 2, 2, 2)
    v = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).expand(1, 2, 2, 2)
    out = attention.core("retnet", q, q, v, causal=True)
    for head, gamma in enumerate((31 / 32, 63 / 64)):
        exact = torch.tensor([[1, 0], [gamma * cos(1), 1]], dtype=torch.float64) / sqrt(2)
        torch.testing.assert_close(out[0, head], exact)


def test_retnet_forgets_at_a_rate_of_its_own_in_every_head() -> None:
    rates = log_rates(torch.empty(1, 40, 1, 8))
    assert rates.shape == (1, 40, 1, 1)
    assert rates[0, 0].item() == pytest.approx(log(31 / 32))
    assert (rates.flatten().diff() > 0).all()
    assert (rates < 0).all()


def test_rotation_depends_on_the_distance_alone_and_holds_at_a_million() -> None:
    q, k = contract.inputs(5)[:2]
    near, far = (torch.arange(5.0)[None, None, :, None] + start for start in (0.0, 1_000_000.0))
    products = [rotate(q, places) @ rotate(k, places).mT for places in (near, far)]
    torch.testing.assert_close(*products, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(rotate(q.float(), far).double(), rotate(q, far), rtol=0, atol=1e-6)
    torch.testing.assert_close(rotate(q, far).norm(dim=-1), q.norm(dim=-1))


def test_gla_of_two_tokens_by_hand() -> None:
    """S_1 = 2 * 3; S_2 = S_1 / 4 + 5 * 7."""
    out = attention.core("gla", row(1, 10), row(2, 5), row(3, 7), causal=True, log_decay=row(-9, log(1 / 4)))
    torch.testing.assert_close(out, row(6, 10 * (6 / 4 + 35)))


def test_gla_gate_is_a_sigmoid_to_the_power_of_one_sixteenth() -> None:
    torch.manual_seed(0)
    gate = LowRankGate(6, 2, gate_rank=4).double()
    x = contract.noise((3, 5, 6), torch.float64)
    found = gate(x)["log_decay"].exp().transpose(1, 2).flatten(2)
    exact = (x @ gate.down.weight.T @ gate.up.weight.T + gate.up.bias).sigmoid() ** (1 / 16)
    torch.testing.assert_close(found, exact)
    assert gate.down.weight.shape == (4, 6)


def test_mamba2_of_two_tokens_by_hand() -> None:
    """S_1 = dt_1 k_1 v_1; S_2 = exp(A dt_2) S_1 + dt_2 k_2 v_2; a skip of half of v."""
    out = attention.core(
        "mamba2",
        row(1, 10),
        row(2, 5),
        row(3, 7),
        causal=True,
        dt=row(0.5, 0.25),
        a=torch.tensor([[[-2.0]]], dtype=torch.float64),
        skip=torch.tensor([[[0.5]]], dtype=torch.float64),
    )
    torch.testing.assert_close(out, row(3 + 1.5, 10 * (exp(-0.5) * 3 + 0.25 * 35) + 3.5))


def test_mamba2_is_gla_with_one_decay_for_all_features() -> None:
    q, k, v = contract.inputs(100)
    dt = contract.noise((2, 3, 100, 1), torch.float64, seed=3).exp()
    a = -contract.noise((3, 1, 1), torch.float64, seed=4).exp()
    found = attention.core("mamba2", q, k, v, causal=True, dt=dt, a=a, skip=torch.zeros_like(a))
    exact = attention.core("gla", q, dt * k, v, causal=True, log_decay=(a * dt).expand(q.shape).clone())
    torch.testing.assert_close(found, exact)


def test_mamba2_starts_with_the_steps_and_rates_of_its_code() -> None:
    torch.manual_seed(0)
    made = StepSizes(8, 500)(torch.zeros(1, 1, 8))
    assert 0.001 <= made["dt"].min() < 0.002
    assert 0.05 < made["dt"].max() <= 0.1 * (1 + 1e-3)
    assert -16 <= made["a"].min() < -15
    assert -1.5 < made["a"].max() <= -1
    assert (made["skip"] == 1).all()


def test_mamba2_layer_is_convolution_gate_norm_and_projection() -> None:
    torch.manual_seed(0)
    layer = make_layer("mamba2", 12, 2, causal=True, seq_len=9).double()
    x = contract.noise((1, 9, 12), torch.float64)
    mixed = layer.qkv(x)
    kernel, bias = layer.convolution.conv.weight[:, 0], layer.convolution.conv.bias
    convolved = torch.stack(
        [
            bias + sum(kernel[:, 3 - back] * mixed[:, t - back] for back in range(min(t, 3) + 1))
            for t in range(9)
        ],
        dim=1,
    )
    q, k, v = (part.unflatten(-1, (2, 6)).transpose(1, 2) for part in F.silu(convolved).chunk(3, dim=-1))
    o = attention.registry()["mamba2"].reference(q, k, v, causal=True, **layer.gates(x))
    gated = o.transpose(1, 2).flatten(2) * F.silu(layer.gate(x))
    exact = layer.out(gated / (gated.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt())
    torch.testing.assert_close(layer(x), exact)


def test_settings_of_the_gate_reach_the_layer() -> None:
    layer = make_layer("gla", 12, 2, causal=True, seq_len=9, params={"gate_rank": 2, "tau": 4.0})
    gate = layer.gates
    assert isinstance(gate, LowRankGate)
    assert (gate.down.out_features, gate.tau) == (2, 4.0)
