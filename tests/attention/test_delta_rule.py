"""The delta rule: hand-worked values, what a memory must do, and its chunks against the recurrence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from linrec_bench import attention
from linrec_bench.attention import Unsupported, contract, make_layer
from linrec_bench.attention.mechanisms import gated_deltanet
from linrec_bench.attention.ops import block_sizes
from linrec_bench.attention.ops.delta_rule import affine_states, delta_product
from linrec_bench.measures.device.names import ByKind
from linrec_bench.measures.instruments import work

NAMES = ["deltanet", "gated-deltanet"]


def rows(*numbers: list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)[None, None]


def gates(name: str, length: int, *, beta: float = 1.0, log_decay: float = 0.0) -> dict[str, Tensor]:
    """The same numbers for every token."""
    made = {"beta": torch.full((1, 1, length, 1), beta, dtype=torch.float64)}
    if name == "gated-deltanet":
        made["log_decay"] = torch.full((1, 1, length, 1), log_decay, dtype=torch.float64)
    return made


def random_gates(name: str, shape: tuple[int, int, int], *, strength: float = 1.0) -> dict[str, Tensor]:
    made = {"beta": contract.noise((*shape, 1), torch.float64, seed=5).sigmoid()}
    if name == "gated-deltanet":
        made["log_decay"] = -strength * contract.noise((*shape, 1), torch.float64, seed=6).square()
    return made


def test_two_tokens_by_hand() -> None:
    # S_1 = 0.5 (1, 0)^T (2, 3); the state answers (0.6, 0.9) to the second key, half of the error is added.
    out = attention.core(
        "deltanet",
        rows([3, 4], [2, 0]),
        rows([5, 0], [3, 4]),
        rows([2, 3], [1, -1]),
        causal=True,
        beta=torch.full((1, 1, 2, 1), 0.5, dtype=torch.float64),
    )
    torch.testing.assert_close(out, rows([0.6, 0.9], [1.12, 0.93]))


def test_two_tokens_by_hand_with_decay() -> None:
    # S_1 as above, halved before the second key is asked: it answers (0.3, 0.45).
    out = attention.core(
        "gated-deltanet",
        rows([3, 4], [2, 0]),
        rows([5, 0], [3, 4]),
        rows([2, 3], [1, -1]),
        causal=True,
        beta=torch.full((1, 1, 2, 1), 0.5, dtype=torch.float64),
        log_decay=rows([0.7], [0.5]).log(),
    )
    torch.testing.assert_close(out, rows([0.6, 0.9], [0.71, 0.315]))


@pytest.mark.parametrize("name", NAMES)
def test_an_associative_memory_holds_the_latest_value_of_each_key(name: str) -> None:
    size = 24
    keys, _ = torch.linalg.qr(contract.noise((size, size), torch.float64))
    old, new = contract.noise((2, size, size), torch.float64, seed=1).unbind()
    k = torch.cat((keys, keys, keys))[None, None]
    v = torch.cat((old, new, torch.zeros_like(new)))[None, None]
    given = gates(name, 3 * size)
    given["beta"][:, :, 2 * size :] = 0
    out = attention.core(name, k, k, v, causal=True, **given)
    torch.testing.assert_close(out[0, 0], torch.cat((old, new, new)))


@pytest.mark.parametrize("name", NAMES)
def test_one_key_written_again_and_again_answers_the_latest_value(name: str) -> None:
    k = contract.noise((1, 1, 1, 8), torch.float32).expand(-1, -1, 700, -1)
    v = contract.noise((1, 1, 700, 8), torch.float32, seed=1)
    given = {key: x.float() for key, x in gates(name, 700).items()}
    torch.testing.assert_close(attention.core(name, k, k, v, causal=True, **given), v, rtol=0, atol=1e-5)


def test_without_decay_the_gated_rule_is_deltanet() -> None:
    q, k, v = contract.inputs(300)
    beta = random_gates("deltanet", (2, 3, 300))["beta"]
    plain = attention.core("deltanet", q, k, v, causal=True, beta=beta)
    gated = attention.core(
        "gated-deltanet", q, k, v, causal=True, beta=beta, log_decay=torch.zeros_like(beta)
    )
    torch.testing.assert_close(gated, plain)


@pytest.mark.parametrize("name", NAMES)
def test_without_beta_nothing_is_remembered(name: str) -> None:
    q, k, v = contract.inputs(40)
    out = attention.core(name, q, k, v, causal=True, **random_gates(name, (2, 3, 40)) | {"beta": beta_of(0)})
    assert out.count_nonzero() == 0


def beta_of(value: float) -> Tensor:
    return torch.full((2, 3, 40, 1), value, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_lengths_of_queries_and_keys_do_not_matter(name: str) -> None:
    q, k, v = contract.inputs(40)
    scale = contract.noise((2, 3, 40, 1), torch.float64, seed=3).exp()
    given = random_gates(name, (2, 3, 40))
    torch.testing.assert_close(
        attention.core(name, q * scale, k / scale, v, causal=True, **given),
        attention.core(name, q, k, v, causal=True, **given),
    )


@pytest.mark.parametrize("name", NAMES)
def test_keys_of_zeros_write_nothing_and_get_no_gradient(name: str) -> None:
    q, k, v = contract.inputs(40)
    k[:, :, 10:20] = 0
    given = random_gates(name, (2, 3, 40))
    k.requires_grad_()
    out = attention.core(name, q, k, v, causal=True, **given)
    (slope,) = torch.autograd.grad(out, k, contract.noise(out.shape, torch.float64))
    assert slope[:, :, 10:20].count_nonzero() == 0
    given["beta"][:, :, 10:20] = 0
    others = torch.where(k == 0, 7, k)
    torch.testing.assert_close(out, attention.core(name, q, others, v, causal=True, **given))


def test_a_token_that_forgets_everything_starts_anew() -> None:
    q, k, v = contract.inputs(300)
    given = random_gates("gated-deltanet", (2, 3, 300))
    given["log_decay"][:, :, 150] = -1e30
    leaves = [x.requires_grad_() for x in (q, k, v, *given.values())]
    out = attention.core("gated-deltanet", q, k, v, causal=True, **given)
    later = [x[:, :, 150:] for x in leaves]
    alone = attention.core("gated-deltanet", *later[:3], causal=True, beta=later[3], log_decay=later[4])
    torch.testing.assert_close(out[:, :, 150:], alone)
    for slope in torch.autograd.grad(out.square().sum(), leaves):
        assert slope.isfinite().all()


@pytest.mark.parametrize("strength", [1e-3, 1.0, 30.0])
def test_weak_and_strong_decays_agree_with_the_recurrence(strength: float) -> None:
    q, k, v = contract.inputs(100)
    given = random_gates("gated-deltanet", (2, 3, 100), strength=strength)
    exact = gated_deltanet.reference(q, k, v, causal=True, **given)
    low = [x.float() for x in (q, k, v)]
    out = gated_deltanet.core(*low, causal=True, **{key: x.float() for key, x in given.items()})
    torch.testing.assert_close(out.double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 31, 33, 113])
def test_any_number_of_tokens_and_chunks_from_any_state(name: str, length: int) -> None:
    q, k, v = contract.inputs(113 + length)
    given = random_gates(name, (2, 3, 113 + length))
    whole = attention.registry()[name].reference(q, k, v, causal=True, **given)
    _, state = run_product(name, q, k, v, given, 0, 113, torch.zeros(2, 3, 8, 8, dtype=torch.float64))
    out, _ = run_product(name, q, k, v, given, 113, length, state)
    torch.testing.assert_close(out, whole[:, :, 113:])


def run_product(
    name: str, q: Tensor, k: Tensor, v: Tensor, given: dict[str, Tensor], start: int, rows: int, state: Tensor
) -> tuple[Tensor, Tensor]:
    tokens = {**given, "q": q / q.norm(dim=-1, keepdim=True), "k": k / k.norm(dim=-1, keepdim=True), "v": v}
    cut = {key: x.narrow(2, start, rows) for key, x in tokens.items()}
    return delta_product(cut["q"], cut["k"], cut["v"], cut["beta"], cut.get("log_decay"), state)


@pytest.mark.parametrize("count", range(1, 12))
def test_affine_states_are_those_of_the_loop(count: int) -> None:
    maps = contract.noise((2, count, 3, 3 + 4), torch.float64) / 2
    state = contract.noise((2, 3, 4), torch.float64, seed=1)
    found, last = affine_states(maps, state)
    for m in range(count):
        torch.testing.assert_close(found[:, m], state)
        state = maps[:, m, :, :3] @ state + maps[:, m, :, 3:]
    torch.testing.assert_close(last, state)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", ["agreement", "gradients", "causal", "prefix"])
def test_the_contract_holds_across_blocks(monkeypatch: pytest.MonkeyPatch, name: str, check: str) -> None:
    monkeypatch.setattr(block_sizes, "BLOCK_BYTES", ByKind(cpu=1, accelerator=1))
    assert contract.CHECKS[check](attention.registry()[name], causal=True) is None


@pytest.mark.parametrize("name", NAMES)
def test_products_are_those_of_the_declared_complexity(name: str) -> None:
    batch, heads, length, size = 1, 2, 4096, 16
    q, k, v = (torch.zeros(batch, heads, length, size) for _ in range(3))
    given = {key: x.float().expand(batch, heads, -1, -1) for key, x in gates(name, length).items()}
    found = work.count(lambda: attention.core(name, q, k, v, causal=True, **given))
    assert found == pytest.approx(22 * heads * length * size**2, rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_one_event_costs_a_few_products_of_the_state(name: str) -> None:
    like = torch.zeros(1, 1, 1, 16)
    state = attention.init_state(name, like, seq_len=8)
    given = {key: x.float() for key, x in gates(name, 1).items()}
    found = work.count(lambda: attention.registry()[name].step(state, like, like, like, **given))
    # What the state answers to k and to q; the update is an outer product.
    assert found <= 6 * 16**2


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_bidirectional_form(name: str) -> None:
    q, k, v = contract.inputs(3)
    spec = attention.registry()[name]
    for form in (spec.core, spec.reference):
        with pytest.raises(Unsupported, match=f"attention {name} has no bidirectional form"):
            form(q, k, v, **random_gates(name, (2, 3, 3)))
    with pytest.raises(Unsupported, match="no bidirectional form"):
        make_layer(name, 24, 3, causal=False, seq_len=8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kernel_size", [1, 4])
def test_padding_before_and_between_real_tokens_changes_no_layer_output(name: str, kernel_size: int) -> None:
    torch.manual_seed(0)
    layer = make_layer(name, 24, 3, causal=True, seq_len=64, params={"kernel_size": kernel_size}).double()
    x = contract.noise((2, 30, 24), torch.float64)
    mask = torch.ones(2, 30, dtype=torch.bool)
    mask[0, :9] = False
    # Between real tokens the convolution sees the zeros of the gap; a kernel of one token does not.
    mask[1, 12:15] = kernel_size > 1
    out = layer(x, mask)
    torch.testing.assert_close(out[0, 9:], layer(x[:1, 9:])[0])
    torch.testing.assert_close(out[1:, mask[1]], layer(x[1:, mask[1]]))
    changed = torch.where(mask[..., None], x, 5)
    torch.testing.assert_close(layer(changed, mask)[mask], out[mask])


def test_gates_of_a_fresh_module() -> None:
    torch.manual_seed(0)
    made = gated_deltanet.BetaAndDecay(24, 64)(torch.zeros(2, 5, 24))
    assert {key: x.shape for key, x in made.items()} == {"beta": (2, 64, 5, 1), "log_decay": (2, 64, 5, 1)}
    assert (made["beta"] == 0.5).all()
    # -exp(A) softplus(b), from 1 * 0.001 to 16 * 0.1, spread over the heads.
    assert -1.6 <= made["log_decay"].min() < -0.1
    assert -0.02 < made["log_decay"].max() <= -0.001
