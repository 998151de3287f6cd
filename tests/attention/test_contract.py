"""The contract over every mechanism, and each probe against a mechanism that breaks just that property."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from linrec_bench.attention import Spec, contract, core, registry
from linrec_bench.attention.contract import values
from linrec_bench.attention.mechanisms import softmax
from linrec_bench.attention.ops import block_sizes, kv_cache
from linrec_bench.measures.device.names import ByKind

CASES = [(name, causal) for name, spec in registry().items() for causal in contract.directions(spec)]
BLOCKWISE = [case for case in CASES if case[0] in ("linrec", "linrec-column", "linear-transformer")]

SEEDS = (4000, 11_000)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("check", contract.CHECKS)
@pytest.mark.parametrize(("name", "causal"), CASES)
def test_every_mechanism_keeps_the_contract(name: str, causal: bool, check: str) -> None:
    if check not in contract.applicable(registry()[name]):
        pytest.skip(contract.unprobed(registry()[name]) or "")
    assert contract.CHECKS[check](registry()[name], causal=causal) is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "causal"), CASES)
def test_gradients_are_right_whatever_numbers_come(name: str, causal: bool) -> None:
    """Few tokens, where a quotient has the least to divide by; seeds with weights that nearly vanish."""
    spec = registry()[name]
    if reason := contract.unprobed(spec):
        pytest.skip(reason)
    for seed in SEEDS:
        found = values.check_gradients(spec, causal=causal, lengths=(1, 2, 37), seed=seed)
        assert found is None, f"seed {seed}: {found}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", registry())
def test_every_mechanism_keeps_the_contract_on_a_gpu(name: str) -> None:
    with torch.device("cuda"):
        assert contract.violations(registry()[name]) == []


@pytest.mark.slow
@pytest.mark.parametrize("check", ["agreement", "gradients", "causal", "prefix"])
@pytest.mark.parametrize(("name", "causal"), BLOCKWISE)
def test_the_contract_holds_across_blocks(
    monkeypatch: pytest.MonkeyPatch, name: str, causal: bool, check: str
) -> None:
    monkeypatch.setattr(block_sizes, "BLOCK_BYTES", ByKind(cpu=1, accelerator=1))
    assert contract.CHECKS[check](registry()[name], causal=causal) is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "causal"), CASES)
def test_gradcheck(name: str, causal: bool) -> None:
    if reason := contract.unprobed(registry()[name]):
        pytest.skip(reason)
    q, k, v = (contract.noise((1, 2, 5, 3), torch.float64, seed=seed).requires_grad_() for seed in range(3))
    mask = torch.tensor([[True, False, True, True, False]])
    given = mask if registry()[name].honours_padding else None

    def real(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return core(name, q, k, v, padding_mask=given, causal=causal)[:, :, mask[0]]

    # Along random directions: every entry takes eight times as long.
    assert torch.autograd.gradcheck(real, (q, k, v), fast_mode=True)


@pytest.mark.parametrize(("name", "causal"), BLOCKWISE)
def test_second_derivatives_are_refused(name: str, causal: bool) -> None:
    q, k, v = (x.requires_grad_() for x in contract.inputs(5))
    out = registry()[name].core(q, k, v, causal=causal)
    with pytest.raises(NotImplementedError, match="differentiable once"):
        torch.autograd.grad(out.sum(), q, create_graph=True)


@pytest.mark.slow
def test_ignoring_padding_is_caught() -> None:
    lines = contract.violations(registry()["linrec"], {"padding": "ignore"})
    assert {line.split(", ")[2].split(":")[0] for line in lines} >= {"pad content", "pad length"}


# Mechanisms that break one property each. `sound` is what they break.


def sound(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return softmax.reference(q, k, v, padding_mask=padding_mask, causal=causal)


def sees_the_future(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    del causal
    return sound(q, k, v, padding_mask=padding_mask)


def pads_leak(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    del padding_mask
    return sound(q, k, v, causal=causal)


def counts_pads(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return sound(q, k, v, padding_mask=padding_mask, causal=causal) / q.shape[2]


def mixes_the_batch(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return sound(q, k, v, padding_mask=padding_mask, causal=causal) / q.abs().amax()


def widens_the_dtype(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return sound(q, k, v, padding_mask=padding_mask, causal=causal).double()


def drops_a_dimension(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return sound(q, k, v, padding_mask=padding_mask, causal=causal)[:, :, :1]


def divides_by_zero(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return sound(q / q.norm(dim=-1, keepdim=True), k, v, padding_mask=padding_mask, causal=causal)


def overflows(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    weights = (q @ k.mT).exp()
    weights = weights.tril() if causal else weights
    weights = weights if padding_mask is None else weights * padding_mask[:, None, None, :]
    return weights @ v


def wrong_gradient(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return sound(q, k.detach(), v, padding_mask=padding_mask, causal=causal)


def slightly_off(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return sound(q, k, v, padding_mask=padding_mask, causal=causal) * (1 + 1e-12)


def knows_positions(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    places = torch.linspace(0, 1, q.shape[2], dtype=q.dtype)[:, None]
    return sound(q, k + places, v, padding_mask=padding_mask, causal=causal)


def reads_memory_order(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    q = q.as_strided(q.shape, q.new_empty(q.shape, device="meta").stride())
    return sound(q, k, v, padding_mask=padding_mask, causal=causal)


def reads_values(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    if padding_mask is not None and bool(padding_mask.all()):
        padding_mask = None
    return sound(q, k, v, padding_mask=padding_mask, causal=causal)


def depends_on_length(
    q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return sound(q, k, v, padding_mask=padding_mask, causal=causal) * q.shape[2]


def forgets(state: tuple[Tensor, ...], q: Tensor, k: Tensor, v: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Decodes each event as if it were the first."""
    return state, softmax.reference(q, k, v, causal=True)


PLANTED = [
    ("decode", forgets, True),
    ("causal", sees_the_future, True),
    ("pad content", pads_leak, False),
    ("pad length", counts_pads, False),
    ("batch-mates", mixes_the_batch, False),
    ("shape and dtype", widens_the_dtype, False),
    ("shape and dtype", drops_a_dimension, False),
    ("finite", divides_by_zero, False),
    ("finite", overflows, False),
    ("gradients", wrong_gradient, False),
    ("agreement", slightly_off, False),
    ("permutation", knows_positions, False),
    ("layout", reads_memory_order, False),
    ("fake tensors", reads_values, False),
    ("prefix", depends_on_length, True),
]


SOUND = Spec(
    name="planted",
    title="",
    paper="",
    formula="",
    source="",
    deviations=(),
    core=sound,
    reference=sound,
    init_state=kv_cache.init_state,
    step=softmax.step,
    remember=kv_cache.remember,
)


def spec_with(fault: object) -> Spec:
    assert callable(fault)
    return replace(SOUND, step=fault) if fault is forgets else replace(SOUND, core=fault)


@pytest.mark.parametrize(
    ("check", "fault", "causal"), PLANTED, ids=[f"{check}-{fault.__name__}" for check, fault, _ in PLANTED]
)
def test_a_planted_fault_is_caught(check: str, fault: object, causal: bool) -> None:
    reason = contract.CHECKS[check](spec_with(fault), causal=causal)
    assert reason
    assert contract.CHECKS[check](SOUND, causal=causal) is None


def test_a_causal_mechanism_without_a_step_is_caught() -> None:
    reason = contract.CHECKS["decode"](replace(SOUND, step=None), causal=True)
    assert reason is not None
    assert "no init_state and step" in reason


def test_needless_doubt_about_the_order_is_caught() -> None:
    reason = contract.CHECKS["permutation"](replace(SOUND, permutation_equivariant=False), causal=False)
    assert reason is not None
    assert "but does not" in reason


def test_every_check_has_a_planted_fault() -> None:
    # Those of layers stand in test_layer_contract.
    own = {check for check in contract.CHECKS if not check.startswith(contract.LAYER)}
    assert {check for check, _, _ in PLANTED} == own
