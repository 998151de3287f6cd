"""Every mechanism inside its layer: what the contract says of q, k, v must hold of x as well."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from linrec_bench.attention import contract, make_layer, registry
from linrec_bench.parameters import parameters_of

CASES = [
    (name, causal)
    for name, spec in registry().items()
    for causal in contract.directions(spec)
    if contract.unprobed(spec) is None
]
CAUSAL = [name for name, causal in CASES if causal]
WITH_PADDING = [case for case in CASES if registry()[case[0]].honours_padding]
HIDDEN, HEADS, SEQ_LEN = 24, 3, 64


def layer_of(name: str, causal: bool) -> nn.Module:
    torch.manual_seed(0)
    return make_layer(name, HIDDEN, HEADS, causal=causal, seq_len=SEQ_LEN).double().eval()


def times(length: int) -> Tensor:
    return torch.arange(length).square()[None].expand(2, -1) * 60


def call(layer: nn.Module, name: str, x: Tensor, mask: Tensor | None = None) -> Tensor:
    timestamps = (times(x.shape[1] + 1)[: x.shape[0]],) if registry()[name].timestamps else ()
    out = layer(x, mask, *timestamps)
    assert isinstance(out, Tensor)
    return out


def tokens(length: int, seed: int = 0) -> Tensor:
    return contract.noise((2, length, HIDDEN), torch.float64, seed=seed)


@pytest.mark.parametrize("name", [name for name, spec in registry().items() if spec.layer is not None])
def test_a_published_layer_takes_every_setting(name: str) -> None:
    """One that it did not take would be dropped, and the row labelled with it all the same."""
    spec = registry()[name]
    assert spec.layer is not None
    assert set(spec.parameters) <= set(parameters_of(spec.layer))


@pytest.mark.parametrize(("name", "causal"), CASES)
def test_hidden_to_hidden_and_every_weight_learns(name: str, causal: bool) -> None:
    layer = layer_of(name, causal)
    x = tokens(33).requires_grad_()
    out = call(layer, name, x)
    assert out.shape == x.shape
    out.square().sum().backward()
    assert x.grad is not None
    assert [key for key, weight in layer.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("name", CAUSAL)
def test_the_future_changes_nothing(name: str) -> None:
    layer = layer_of(name, True)
    x, changed = tokens(33), tokens(33)
    changed[:, 20:] = tokens(33, seed=1)[:, 20:]
    torch.testing.assert_close(call(layer, name, changed)[:, :20], call(layer, name, x)[:, :20])


@pytest.mark.parametrize(("name", "causal"), WITH_PADDING)
def test_padding_on_the_right_changes_nothing(name: str, causal: bool) -> None:
    layer = layer_of(name, causal)
    x, padded = tokens(20), tokens(33, seed=1)
    padded[:, :20] = x
    mask = torch.arange(33).expand(2, -1) < 20
    torch.testing.assert_close(call(layer, name, padded, mask)[:, :20], call(layer, name, x))


@pytest.mark.parametrize(("name", "causal"), CASES)
def test_batch_mates_change_nothing(name: str, causal: bool) -> None:
    layer = layer_of(name, causal)
    x = tokens(20)
    torch.testing.assert_close(call(layer, name, x[:1]), call(layer, name, x)[:1])


@pytest.mark.parametrize("name", CAUSAL)
def test_event_by_event_equals_at_once(name: str) -> None:
    layer = layer_of(name, True)
    x = tokens(33)
    timestamps = times(34)
    with torch.no_grad():
        whole = call(layer, name, x)
        state = layer.init_state(x)
        rows = []
        for t in range(33):
            given = (timestamps[:, t : t + 2],) if registry()[name].timestamps else ()
            state, row = layer.step(state, x[:, t : t + 1], *given)
            rows.append(row)
    torch.testing.assert_close(torch.cat(rows, dim=1), whole)
