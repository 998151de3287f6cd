"""Linformer, Nystromformer, LightSANs and FNet against their formulas written out, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from linrec_bench.attention import Unsupported, contract, core, make_layer
from linrec_bench.attention.mechanisms import (
    fnet,
    lightsans,
    lightsans_linear,
    linformer,
    nystromformer,
    softmax,
)
from linrec_bench.attention.spec import Spec

Array = NDArray[np.float64]

SETTINGS: list[tuple[Spec, contract.Params]] = [
    (linformer.SPEC, {"rank": 5}),
    (nystromformer.SPEC, {"landmarks": 8}),
    (nystromformer.SPEC, {"landmarks": 36, "iterations": 2}),
    (lightsans_linear.SPEC, {"normalise": "queries"}),
    (lightsans.SPEC, {"normalise": "queries"}),
]


def rows(length: int, size: int, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((length, size)) for _ in range(3))  # type: ignore[return-value]


def one_head(*arrays: Array) -> list[Tensor]:
    return [torch.tensor(x)[None, None] for x in arrays]


def shares(scores: Array, axis: int = -1) -> Array:
    weights: Array = np.exp(scores)
    return weights / weights.sum(axis=axis, keepdims=True)


def close(found: Tensor, expected: Array) -> None:
    torch.testing.assert_close(found[0, 0], torch.tensor(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("check", contract.CHECKS)
@pytest.mark.parametrize(("spec", "params"), SETTINGS, ids=lambda x: getattr(x, "name", str(x)))
def test_the_contract_holds_with_other_settings(spec: Spec, params: contract.Params, check: str) -> None:
    assert contract.CHECKS[check](spec, causal=False, params=params) is None


def test_linformer_is_its_formula() -> None:
    q, k, v = rows(7, 4)
    project_k, project_v, _ = rows(3, 9, seed=1)
    expected = shares(q @ (project_k[:, :7] @ k).T / 2) @ (project_v[:, :7] @ v)
    close(
        linformer.core(
            *one_head(q, k, v), project_k=torch.tensor(project_k), project_v=torch.tensor(project_v)
        ),
        expected,
    )


def test_linformer_with_the_identity_is_softmax() -> None:
    q, k, v = contract.inputs(9)
    identity = torch.eye(9, dtype=torch.float64)
    out = linformer.core(q, k, v, project_k=identity, project_v=identity)
    torch.testing.assert_close(out, softmax.core(q, k, v))


def test_linformer_refuses_more_tokens_than_it_was_made_for() -> None:
    layer = make_layer("linformer", 8, 2, causal=False, seq_len=16, params={"rank": 4})
    assert layer(torch.randn(1, 16, 8)).shape == (1, 16, 8)
    with pytest.raises(Unsupported, match="made for at most 16 tokens, got 17"):
        layer(torch.randn(1, 17, 8))


def nystrom(q: Array, k: Array, v: Array, landmarks: int) -> Array:
    """The paper's algorithm 1 on one head whose length is a multiple of the landmarks."""
    scale = 1 / math.sqrt(q.shape[1])
    queries, keys = (x.reshape(landmarks, -1, x.shape[1]).mean(axis=1) for x in (q, k))
    a = shares(queries @ keys.T * scale)
    z, eye = a.T / (np.abs(a).sum(axis=0).max() * np.abs(a).sum(axis=1).max()), np.eye(landmarks)
    for _ in range(6):
        z = z @ (13 * eye - a @ z @ (15 * eye - a @ z @ (7 * eye - a @ z))) / 4
    return shares(q @ keys.T * scale) @ z @ shares(queries @ k.T * scale) @ v


def test_nystromformer_is_its_formula() -> None:
    q, k, v = rows(24, 4)
    close(nystromformer.core(*one_head(q, k, v), landmarks=6), nystrom(q, k, v, 6))


@pytest.mark.parametrize("count", [3, 8, 9, 24])
def test_nystromformer_takes_landmarks_of_real_tokens(count: int) -> None:
    """Exact softmax up to as many tokens as landmarks, however long the row; means of real tokens beyond."""
    q, k, v = contract.inputs(40)
    mask = torch.zeros(2, 40, dtype=torch.bool)
    mask[:, 5 : 5 + count] = True
    out = nystromformer.core(q, k, v, padding_mask=mask, landmarks=8)[:, :, mask[0]]
    alone = [x[:, :, mask[0]] for x in (q, k, v)]
    torch.testing.assert_close(out, nystromformer.core(*alone, landmarks=8))
    exact = softmax.core(*alone)
    assert torch.allclose(out, exact) == (count <= 8)


def test_nystromformer_approaches_softmax_with_more_landmarks() -> None:
    """On smooth sequences, whose neighbours are alike. Six iterations leave an error of the inverse's own."""
    points = torch.linspace(0, 6, 256, dtype=torch.float64)[:, None]
    q, k, v = (torch.sin(points * torch.arange(1, 5) + shift)[None, None] for shift in range(3))
    exact = softmax.core(q, k, v)

    def error(landmarks: int, iterations: int) -> float:
        out = nystromformer.core(q, k, v, landmarks=landmarks, iterations=iterations)
        return (out - exact).abs().max().item()

    few, some, many = (error(landmarks, 20) for landmarks in (2, 16, 64))
    assert few > 10 * some > 100 * many
    assert many < 1e-4
    assert error(64, 6) > 100 * many


def test_the_convolution_of_the_nystromformer_layer_sees_its_neighbours_only() -> None:
    layer = make_layer("nystromformer", 8, 2, causal=False, seq_len=32, params={"kernel_size": 3}).double()
    x = contract.noise((1, 20, 8), torch.float64).requires_grad_()
    convolved = layer.conv(layer.enter(x)[2])
    (slope,) = torch.autograd.grad(convolved[:, :, 10].sum(), x)
    assert slope[0].abs().sum(dim=1).nonzero().flatten().tolist() == [9, 10, 11]
    plain = layer.out(layer.attention(*layer.enter(x)[:3]).transpose(1, 2).flatten(2))
    assert not torch.allclose(layer(x), plain)
    torch.nn.init.zeros_(layer.conv.weight)
    torch.testing.assert_close(layer(x), plain)


def test_the_nystromformer_layer_refuses_a_kernel_without_a_middle() -> None:
    with pytest.raises(ValueError, match="kernel_size is 4; expected an odd number"):
        make_layer("nystromformer", 8, 2, causal=False, seq_len=32, params={"kernel_size": 4})


@pytest.mark.parametrize("normalise", ["keys", "queries"])
@pytest.mark.parametrize("positions", [False, True])
def test_lightsans_is_its_formula(normalise: str, positions: bool) -> None:
    """Two heads of three features; the pooling scores a token whole, attention a head alone."""
    q, k, v = rows(7, 6)
    theta_k, theta_v, _ = (x[:, :2] for x in rows(6, 4, seed=1))
    position_q, position_k, _ = rows(9, 6, seed=2)
    axis = -1 if normalise == "keys" else 0
    keys, values = (shares(x @ theta, axis=0).T @ x for x, theta in ((k, theta_k), (v, theta_v)))
    heads = (slice(0, 3), slice(3, 6))
    expected = []
    for head in heads:
        out = shares(q[:, head] @ keys[:, head].T / math.sqrt(3), axis) @ values[:, head]
        if positions:
            scores = position_q[:7, head] @ position_k[:7, head].T / math.sqrt(3)
            out = out + shares(scores, axis) @ v[:, head]
        expected.append(out)

    def split(x: Array) -> Tensor:
        return torch.tensor(np.stack([x[:, head] for head in heads]))

    given = {
        "theta_k": torch.tensor(theta_k).unflatten(0, (2, 3)),
        "theta_v": torch.tensor(theta_v).unflatten(0, (2, 3)),
    }
    name = "lightsans-linear"
    if positions:
        name, given = "lightsans", given | {"position_q": split(position_q), "position_k": split(position_k)}
    found = core(name, *(split(x)[None] for x in (q, k, v)), normalise=normalise, **given)
    torch.testing.assert_close(found[0], torch.tensor(np.stack(expected)), rtol=1e-10, atol=1e-12)


def test_lightsans_adds_its_position_term_to_the_linear_one() -> None:
    """The same interests, and a table that knows no difference between positions: the mean of the values."""
    having = contract.given(lightsans.SPEC, 20)
    weights = having.weights | {"position_q": torch.zeros_like(having.weights["position_q"])}
    linear = {name: weights[name] for name in ("theta_k", "theta_v")}
    whole = lightsans.core(**having.tokens, **weights)
    part = lightsans_linear.core(**having.tokens, **linear)
    torch.testing.assert_close(whole - part, having.tokens["v"].mean(dim=2, keepdim=True).expand_as(part))


def test_lightsans_refuses_more_positions_than_its_table_has() -> None:
    layer = make_layer("lightsans", 8, 2, causal=False, seq_len=16)
    with pytest.raises(Unsupported, match="made for at most 16 tokens, got 17"):
        layer(torch.randn(1, 17, 8))


def test_fnet_is_the_real_part_of_numpys_transform() -> None:
    v = rows(7, 5)[0]
    close(core("fnet", *one_head(v, v, v)), np.fft.fft2(v).real)


def test_the_fnet_layer_transforms_the_whole_hidden_size_and_learns_nothing() -> None:
    layer = make_layer("fnet", 6, 2, causal=False, seq_len=16)
    x = torch.randn(2, 7, 6)
    torch.testing.assert_close(layer(x), torch.fft.fft2(x).real)
    assert list(layer.parameters()) == []


def test_fnet_refuses_padding() -> None:
    layer = make_layer("fnet", 6, 2, causal=False, seq_len=16)
    with pytest.raises(Unsupported, match="fnet cannot honour a padding mask"):
        layer(torch.randn(2, 7, 6), torch.ones(2, 7, dtype=torch.bool))


@pytest.mark.parametrize("name", ["linformer", "nystromformer", "lightsans", "lightsans-linear", "fnet"])
def test_none_of_them_is_causal(name: str) -> None:
    with pytest.raises(Unsupported, match=f"attention {name} has no causal form"):
        core(name, *contract.inputs(5), causal=True)


def test_no_op_returns_the_very_tensor() -> None:
    q, k, v = contract.inputs(5)
    assert core("no-op", q, k, v) is v
    assert core("copy", q, k, v) is not v


def test_fnet_has_a_reference_of_its_own() -> None:
    q, k, v = contract.inputs(37)
    torch.testing.assert_close(fnet.core(q, k, v), fnet.reference(q, k, v))
