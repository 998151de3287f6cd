"""Mechanisms of the linear family that differ in their features: formulas by hand, and what they claim."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from linrec_bench.attention import Unsupported, contract, core, init_state, make_layer, registry
from linrec_bench.attention.mechanisms import based, cosformer, performer, rebased, softmax
from linrec_bench.attention.ops import block_sizes, feature_map_attention, row_normalise
from linrec_bench.attention.ops.causal_product import causal_product
from linrec_bench.attention.ops.feature_maps import squares
from linrec_bench.attention.ops.running_max import Running, lowest, prefixes
from linrec_bench.measures.device.names import ByKind

NAMES = ["aft-simple", "based", "cosformer", "efficient-attention", "hedgehog", "performer", "rebased"]
QUOTIENTS = ["based", "cosformer", "hedgehog", "performer", "rebased"]


def column(*numbers: float) -> Tensor:
    """One head of width 1: [1, 1, N, 1]."""
    return torch.tensor(numbers, dtype=torch.float64)[None, None, :, None]


def head(rows: list[list[float]]) -> Tensor:
    """One head: [1, 1, N, d]."""
    return torch.tensor(rows, dtype=torch.float64)[None, None]


def quotient(weight: Callable[[int, int], float], v: list[float], *, causal: bool) -> list[float]:
    """sum_j w_ij v_j / sum_j w_ij in plain Python."""
    out = []
    for i in range(len(v)):
        weights = [weight(i, j) for j in range(i + 1 if causal else len(v))]
        out.append(sum(w * x for w, x in zip(weights, v, strict=False)) / sum(weights))
    return out


# cosFormer


@pytest.mark.parametrize("causal", [False, True])
def test_cosformer_on_three_tokens(causal: bool) -> None:
    """M = 3: tokens one apart weigh cos 30, tokens two apart cos 60 degrees."""
    near, far = math.sqrt(3) / 2, 0.5
    out = core(
        "cosformer",
        column(1, 2, 4),
        column(1, 1, 1),
        column(1, 10, 100),
        causal=causal,
        length_scale=3,
    )
    rows = (
        [1, (near + 10) / (near + 1), (far + 10 * near + 100) / (far + near + 1)]
        if causal
        else [
            (1 + 10 * near + 100 * far) / (1 + near + far),
            (near + 10 + 100 * near) / (1 + 2 * near),
            (far + 10 * near + 100) / (far + near + 1),
        ]
    )
    torch.testing.assert_close(out, column(*rows))


def test_cosformer_counts_real_tokens() -> None:
    """With one pad between them two tokens are one apart."""
    mask = torch.tensor([[True, False, True]])
    one = column(1, 1, 1)
    out = core("cosformer", one, one, column(1, 1000, 100), padding_mask=mask, causal=True, length_scale=3)
    near = math.sqrt(3) / 2
    torch.testing.assert_close(out[0, 0, 2, 0].item(), (near + 100) / (near + 1))


def test_cosformer_refuses_more_tokens_than_its_scale() -> None:
    q, k, v = contract.inputs(8)
    with pytest.raises(Unsupported, match="8 tokens exceed length_scale 7"):
        core("cosformer", q, k, v, length_scale=7)
    with pytest.raises(Unsupported, match="32 tokens exceed length_scale 7"):
        make_layer("cosformer", 8, 2, causal=True, seq_len=32, params={"length_scale": 7})
    with pytest.raises(ValueError, match="length_scale is -1"):
        cosformer.LengthScale(8, 2, seq_len=8, length_scale=-1)


def test_cosformer_takes_its_scale_from_the_layer() -> None:
    layer = make_layer("cosformer", 8, 2, causal=True, seq_len=32)
    assert layer.gates(torch.zeros(1, 1, 8))["longest"].item() == 32


# Efficient attention and AFT: the running maximum


@pytest.mark.parametrize("causal", [False, True])
def test_efficient_attention_of_one_feature_averages_by_the_keys(causal: bool) -> None:
    """A softmax over one feature is 1; what is left is the softmax of the keys."""
    k, v = [0.5, -1.0, 2.0], [1.0, 10.0, 100.0]
    out = core("efficient-attention", column(3, -2, 0), column(*k), column(*v), causal=causal)
    expected = quotient(lambda _, j: math.exp(k[j]), v, causal=causal)
    torch.testing.assert_close(out, column(*expected))


def test_efficient_attention_mixes_features_by_the_query() -> None:
    q, k = [[0.0, math.log(3)]], [[5.0, -7.0]]
    out = core(
        "efficient-attention", head(q * 2), head([k[0], [5.0, -7.0 + math.log(3)]]), head([[4, 0], [8, 0]])
    )
    # The first feature averages evenly, the second 1 to 3; the query weighs them 1 to 3.
    torch.testing.assert_close(out[0, 0, 0, 0].item(), 0.25 * 6 + 0.75 * 7)


@pytest.mark.parametrize("causal", [False, True])
def test_aft_by_hand(causal: bool) -> None:
    q, k, v = [0.0, 1.0, -2.0], [0.5, -1.0, 2.0], [1.0, 10.0, 100.0]
    out = core("aft-simple", column(*q), column(*k), column(*v), causal=causal)
    means = quotient(lambda _, j: math.exp(k[j]), v, causal=causal)
    expected = [mean / (1 + math.exp(-x)) for mean, x in zip(means, q, strict=True)]
    torch.testing.assert_close(out, column(*expected))


@pytest.mark.parametrize("name", ["efficient-attention", "aft-simple"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("change", [lambda k: 1000 * k, lambda k: k - 1000, lambda k: k.cumsum(dim=2) * 30])
def test_large_keys_agree_with_the_reference(
    name: str, causal: bool, change: Callable[[Tensor], Tensor]
) -> None:
    """float32 holds exp up to 88; what underflows has no weight."""
    q, k, v = contract.inputs(300, torch.float32)
    k = change(k)
    out = core(name, q, k, v, causal=causal)
    exact = registry()[name].reference(q.double(), k.double(), v.double(), causal=causal)
    torch.testing.assert_close(out.double(), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["efficient-attention", "aft-simple"])
def test_a_huge_key_leaves_the_past_alone_and_rules_the_future(name: str) -> None:
    q, k, v = contract.inputs(80, torch.float32)
    plain = core(name, q, k, v, causal=True)
    k[:, :, 50] = 1e4
    out = core(name, q, k, v, causal=True)
    torch.testing.assert_close(out[:, :, :50], plain[:, :, :50])
    ruled = v[:, :, 50:51] * (q[:, :, 50:].sigmoid() if name == "aft-simple" else 1)
    torch.testing.assert_close(out[:, :, 50:], ruled.expand_as(out[:, :, 50:]))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 16, 17, 63, 70])
def test_running_sums_equal_their_definition(length: int) -> None:
    top, sums = (30 * contract.noise((2, 3, length, 5, 1), torch.float64, seed=seed) for seed in (1, 2))
    sums = sums * contract.noise((2, 3, length, 5, 4), torch.float64, seed=3)
    before = Running(torch.full_like(top[:, :, :1], lowest(top)), torch.zeros_like(sums[:, :, :1]))
    seen = prefixes(before, Running(top, sums))
    for t in range(length):
        highest = top[:, :, : t + 1].amax(dim=2)
        expected = ((top[:, :, : t + 1] - highest.unsqueeze(2)).exp() * sums[:, :, : t + 1]).sum(dim=2)
        assert torch.equal(seen.top[:, :, t], highest)
        torch.testing.assert_close(seen.sums[:, :, t], expected)


# Based, ReBased


def test_squares_have_the_squared_inner_product() -> None:
    x, y = (contract.noise((7, 6), torch.float64, seed=seed) for seed in (1, 2))
    assert squares(x).shape == (7, 21)
    torch.testing.assert_close(squares(x) @ squares(y).mT, (x @ y.mT) ** 2)
    assert torch.autograd.gradcheck(squares, x[:2].requires_grad_())


@pytest.mark.parametrize("kernel", [based.TAYLOR, rebased.SQUARE], ids=["based", "rebased"])
def test_features_of_a_kernel_have_its_inner_products(kernel: object) -> None:
    assert isinstance(kernel, based.Kernel)
    x, y = (contract.noise((7, 6), torch.float64, seed=seed) for seed in (1, 2))
    scores = x @ y.mT
    expected = scores**2 if kernel is rebased.SQUARE else 1 + scores + scores**2 / 2
    torch.testing.assert_close(kernel.features(x) @ kernel.features(y).mT, expected)
    torch.testing.assert_close(kernel.of_scores(scores), expected)


def test_a_kernel_in_chunks_equals_its_features() -> None:
    q, k, v = contract.inputs(50)
    features = based.TAYLOR.features
    state = contract.noise((2, 3, features(q).shape[-1], 8), torch.float64)
    fast = causal_product(q, k, v, state, chunk=16, kernel=based.TAYLOR)
    plain = causal_product(features(q), features(k), v, state)
    for found, expected in zip(fast, plain, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("causal", [False, True])
def test_based_by_hand(causal: bool) -> None:
    """f = 4, so that s = x y / 2; all of a token's four features are half its one number."""
    x, y, v = [1.0, -2.0, 3.0], [2.0, 1.0, -1.0], [1.0, 10.0, 100.0]
    half = torch.full((1, 1, 4), 0.5, dtype=torch.float64)
    out = core(
        "based",
        column(*x),
        column(*y),
        column(*v),
        causal=causal,
        query_projection=half,
        key_projection=half,
    )

    def weight(i: int, j: int) -> float:
        s = x[i] * y[j] / 2
        return 1 + s + s * s / 2

    torch.testing.assert_close(out, column(*quotient(weight, v, causal=causal)))


@pytest.mark.parametrize("causal", [False, True])
def test_rebased_by_hand(causal: bool) -> None:
    """Two features a head: a row normalises to (1, -1) or (-1, 1), up to the norm's epsilon."""
    q, k, v = [[2e3, 0.0], [0.0, 2e3]], [[0.0, 2e3], [2e3, 0.0]], [1.0, 10.0]
    identity = torch.eye(2, dtype=torch.float64)[None]
    out = core(
        "rebased",
        head(q),
        head(k),
        head([[x, x] for x in v]),
        causal=causal,
        query_projection=identity,
        key_projection=identity,
        query_gamma=torch.tensor([[[1.0, 2.0]]], dtype=torch.float64),
        query_beta=torch.tensor([[[0.0, 1.0]]], dtype=torch.float64),
        key_gamma=torch.tensor([[[3.0, 1.0]]], dtype=torch.float64),
        key_beta=torch.tensor([[[1.0, 0.0]]], dtype=torch.float64),
    )
    queries, keys = [(1, -1), (-1, 3)], [(-2, 1), (4, -1)]

    def weight(i: int, j: int) -> float:
        return float(sum(a * b for a, b in zip(queries[i], keys[j], strict=True))) ** 2

    torch.testing.assert_close(out[..., :1], column(*quotient(weight, v, causal=causal)), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["based", "rebased"])
def test_few_dimensions_whatever_the_head_size(name: str) -> None:
    """A head of 8 keeps 8 dimensions, one of 64 is projected to the published 16."""
    constant = {"based": 1 + 16, "rebased": 0}[name]
    assert init_state(name, torch.zeros(1, 2, 1, 64), seq_len=9)[0].shape == (1, 2, constant + 136, 65)
    constant = {"based": 1 + 8, "rebased": 0}[name]
    assert init_state(name, torch.zeros(1, 2, 1, 8), seq_len=9)[0].shape == (1, 2, constant + 36, 9)
    with pytest.raises(ValueError, match="feature_dim is -1"):
        init_state(name, torch.zeros(1, 2, 1, 8), seq_len=9, feature_dim=-1)


# Hedgehog


@pytest.mark.parametrize("causal", [False, True])
def test_hedgehog_starts_from_the_identity(causal: bool) -> None:
    q, k, v = [[1.0, 0.0, 3.0], [0.5, 2.0, -1.0]], [[-1.0, 0.0, 0.5], [3.0, 1.0, 1.0]], [1.0, 10.0]
    out = core("hedgehog", head(q), head(k), head([[x, x, x] for x in v]), causal=causal)

    def features(row: list[float]) -> list[float]:
        up, down = [math.exp(x) for x in row], [math.exp(-x) for x in row]
        return [x / sum(up) for x in up] + [x / sum(down) for x in down]

    def weight(i: int, j: int) -> float:
        return sum(a * b for a, b in zip(features(q[i]), features(k[j]), strict=True))

    torch.testing.assert_close(out[..., :1], column(*quotient(weight, v, causal=causal)))


def test_hedgehog_maps_queries_and_keys_apart() -> None:
    q, k, v = contract.inputs(20)
    identity = torch.eye(8, dtype=torch.float64).expand(3, -1, -1)
    other = contract.noise((3, 8, 8), torch.float64)
    plain = core("hedgehog", q, k, v, query_map=identity, key_map=identity)
    mapped = core("hedgehog", q, k, v, query_map=other, key_map=identity)
    by_hand = core("hedgehog", q @ other, k, v, query_map=identity, key_map=identity)
    torch.testing.assert_close(mapped, by_hand)
    assert not torch.allclose(mapped, plain, rtol=0.1)


# Performer


def estimate(features: int, seed: int, *, causal: bool) -> float:
    """The root mean square distance from softmax attention of one draw of the features.

    Of small queries and keys: the variance of an estimate grows as exp(|q + k|^2 / sqrt(d)).
    """
    q, k, v = (x / 2 for x in contract.inputs(40))
    torch.manual_seed(seed)
    projection = performer.orthogonal_features(features, 8)
    out = core("performer", q, k, v, causal=causal, projection=projection)
    return (out - softmax.reference(q, k, v, causal=causal)).square().mean().sqrt().item()


@pytest.mark.parametrize("causal", [False, True])
def test_performer_approaches_softmax_as_features_grow(causal: bool) -> None:
    """The error of a Monte Carlo mean falls as 1 / sqrt(m): 64 times the features, an eighth of the error.

    The mean of ten draws has a relative error of about 0.1, which leaves room from 8 down to 5.
    """
    few, many = (sum(estimate(m, seed, causal=causal) for seed in range(10)) / 10 for m in (64, 4096))
    assert many < few / 5
    assert many < 0.01


def test_random_features_estimate_the_exponential_without_bias() -> None:
    """E exp(w . x - |x|^2 / 2) exp(w . y - |y|^2 / 2) = exp(x . y): within five standard errors."""
    torch.manual_seed(0)
    x, y = (contract.noise((4,), torch.float64, seed=seed) / 2 for seed in (1, 2))
    # The draws of one block depend on each other, blocks do not.
    w = performer.orthogonal_features(4 * 5000, 4)
    samples = (w @ (x + y) - (x @ x + y @ y) / 2).exp().unflatten(0, (5000, 4)).mean(dim=1)
    error = samples.std() / math.sqrt(5000)
    assert abs(samples.mean() - (x @ y).exp()) < 5 * error
    assert error < 0.05 * (x @ y).exp()


def test_random_features_are_orthogonal_in_blocks_and_long_as_normal_vectors() -> None:
    torch.manual_seed(0)
    w = performer.orthogonal_features(4 * 500 + 3, 4)
    assert w.shape == (2003, 4)
    products = (blocks := w[:2000].unflatten(0, (500, 4))) @ blocks.mT
    torch.testing.assert_close(
        products, torch.diag_embed(products.diagonal(dim1=1, dim2=2)), atol=1e-12, rtol=0
    )
    # |w|^2 has mean 4 and variance 8: five standard errors of 2000 are 0.32.
    assert abs(w.square().sum(dim=1).mean() - 4) < 0.32
    assert w.mean(dim=0).abs().max() < 5 / math.sqrt(2000)


def test_performer_draws_as_many_features_as_asked() -> None:
    like = torch.zeros(1, 2, 1, 8)
    assert init_state("performer", like, seq_len=9)[0].shape == (1, 2, 32, 9)
    assert init_state("performer", like, seq_len=9, features=20)[0].shape == (1, 2, 20, 9)
    assert performer.RandomFeatures(16, 2, features=20).projection.shape == (20, 8)
    with pytest.raises(ValueError, match="features is -1"):
        performer.RandomFeatures(16, 2, features=-1)


# Short sequences, and blocks


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", QUOTIENTS)
def test_short_and_long_forms_agree(monkeypatch: pytest.MonkeyPatch, name: str, causal: bool) -> None:
    q, k, v = contract.inputs(9)
    mask = torch.tensor([[True] * 6 + [False] * 3, [True] * 9])
    short = core(name, q, k, v, causal=causal, padding_mask=mask)
    for module in (cosformer, feature_map_attention):
        monkeypatch.setattr(module, "is_short", lambda _: False)
    long = core(name, q, k, v, causal=causal, padding_mask=mask)
    torch.testing.assert_close(long[:, :, :6], short[:, :, :6])


def test_shares_of_a_row_have_their_gradient() -> None:
    x = contract.noise((4, 5), torch.float64).abs()
    x[1] *= 1e-3
    for guard, eps in (("add", 0.1), ("clamp", 0.1)):
        assert torch.autograd.gradcheck(lambda x: row_normalise._shares(x, eps, guard), x.requires_grad_())  # noqa: B023


@pytest.mark.slow
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_hold_across_blocks(monkeypatch: pytest.MonkeyPatch, name: str, causal: bool) -> None:
    monkeypatch.setattr(block_sizes, "BLOCK_BYTES", ByKind(cpu=1, accelerator=1))
    assert contract.CHECKS["gradients"](registry()[name], causal=causal) is None


def test_wide_features_shorten_blocks() -> None:
    x = torch.empty(1, 2, 100_000, 16, device="meta")
    plain, wide = block_sizes.spans_of(x)[0][1], block_sizes.spans_of(x, width=160)[0][1]
    assert plain > wide >= 100_000 / block_sizes.MAX_BLOCKS
