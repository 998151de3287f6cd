"""Whole models against the equations of their public code, written out here as N x N matrices."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from linrec_bench import models

LENGTH = 16
"""The longest row of the models, so that nothing is padded."""


def exact(found: Tensor, published: Tensor) -> None:
    torch.testing.assert_close(found, published, rtol=0, atol=1e-12)


def shaken(model: nn.Module) -> nn.Module:
    """Weights away from where training starts: no table and no bias is 0."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model


def moments(batch: int, length: int = LENGTH) -> Tensor:
    """Seconds since 1970 [batch, length + 1], gaps from nothing to two years."""
    gaps = torch.rand(batch, length + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    gaps[0, 4] = 0
    return 1_700_000_000 + (gaps * 18).exp().long().cumsum(dim=1)


def normed(x: Tensor) -> Tensor:
    """A layer norm without weights."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()


def in_heads(x: Tensor, heads: int) -> Tensor:
    """[B, N, h, d], the layout of both repositories."""
    return x.unflatten(-1, (heads, -1))


def embedded(model: nn.Module, items: Tensor) -> Tensor:
    """Items times sqrt(D), and positions."""
    return model.items.weight[items] * sqrt(model.items.weight.shape[1]) + model.stack.positions.weight


def of_length_one(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-6)


# HSTU: meta-recsys/generative-recommenders, `research/modeling/sequential/hstu.py`.


def hstu(model: nn.Module, items: Tensor, times: Tensor, *, room: int = 0) -> Tensor:
    """`room` is for items behind the longest row, which count in the length that weights are divided by."""
    length = items.shape[1]
    x, places = embedded(model, items), torch.arange(length)
    spans = times[:, 1:, None] - times[:, None, :-1]
    buckets = (spans.abs().clamp(min=1).double().log() / 0.301).long().clamp(max=128)
    for block in model.stack.blocks:
        layer = block.attention
        u, v, q, k = F.silu(normed(x) @ layer.project.weight.T).chunk(4, dim=-1)
        q, k, v = (in_heads(part, layer.heads) for part in (q, k, v))
        scores = torch.einsum("bnhd,bmhd->bhnm", q, k)
        distances = (places[:, None] - places).clamp(min=0)
        scores = scores + (layer.bias.position[distances] + layer.bias.time[buckets])[:, None]
        weights = (F.silu(scores) / (length + room)).tril()
        mixed = torch.einsum("bhnm,bmhd->bnhd", weights, v).flatten(2)
        x = x + (u * normed(mixed)) @ layer.out.weight.T + layer.out.bias
    return of_length_one(x)


def test_hstu_as_published(recommender: Callable[..., nn.Module], rows: Callable[..., Tensor]) -> None:
    model, items = shaken(recommender("hstu")), rows(3, LENGTH)
    times = moments(3)
    states = hstu(model, items, times)
    exact(model(items, None, times), states / 0.05)
    cosines = torch.einsum("bd,id->bi", states[:, -1], of_length_one(model.items.weight))
    exact(0.05 * model.scores(items, None, times)[:, 1:], cosines[:, 1:])


def test_the_room_behind_the_longest_row_of_hstu_matters_as_little_as_stated() -> None:
    torch.manual_seed(0)
    model = models.build("hstu", n_items=300).double().eval()
    items, times = torch.randint(1, 301, (2, 200)), moments(2, 200)
    ours, theirs = model(items, None, times), hstu(model, items, times, room=11) / 0.05
    share = ((ours - theirs).square().mean() / ours.square().mean()).sqrt().item()
    assert share == pytest.approx(0.003, abs=0.001)


# FuXi-Linear: USTC-StarTeam/fuxi-linear, `fuxi_linear.py` and `fuxi_modules`, without chunks.


def retention(layer: nn.Module, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    places = torch.arange(LENGTH)
    rates = (-F.softplus(layer.gates.steps).cumsum(dim=0)).exp()
    decay = (-rates[:, None, None] * ((places[:, None] - places).clamp(min=0) + 1)).exp().tril()
    scores = torch.einsum("bnhd,bmhd->bhnm", *(in_heads(part, layer.heads) for part in (q, k)))
    return torch.einsum("bhnm,bmhd->bnhd", scores * decay, in_heads(v, layer.heads)).flatten(2)


def temporal(channel: nn.Module, x: Tensor, times: Tensor) -> Tensor:
    """A head of sines and a head of cosines for each period."""
    heads = channel.heads
    periods = 2 ** (10 + 3 * torch.arange(heads))
    # Features of a head: sines in the first half, cosines in the second. Here all heads of sines come first.
    v = in_heads(x @ channel.values.weight.T, heads).unflatten(-1, (2, -1)).transpose(2, 3).flatten(2, 3)
    phases = times[:, :, None] % periods * (2 * pi / periods.double())
    keys = torch.stack((phases.cos(), phases.sin()), dim=3).repeat(1, 1, 2, 1)[:, :-1]
    asked = phases[:, 1:]
    sines = torch.stack((asked.sin(), -asked.cos()), dim=3)
    cosines = torch.stack((asked.cos(), asked.sin()), dim=3)
    queries = torch.cat((sines, cosines), dim=2)
    # Whole numbers, so that differences of sums lose nothing.
    elapsed = F.pad(times.diff(dim=1).clamp(min=0), (1, 0)).cumsum(dim=1)
    spans = (elapsed[:, 1:, None] - elapsed[:, None, :-1])[:, None] * (2 * pi / periods.double())[
        :, None, None
    ]
    decay = (channel.gammas.logits.sigmoid()[:, None, None] ** spans.clamp(min=0)).tril().repeat(1, 2, 1, 1)
    weights = torch.einsum("bnhd,bmhd->bhnm", queries, keys) * decay
    return torch.einsum("bhnm,bmhd->bnhd", weights, v).unflatten(2, (2, heads)).transpose(2, 3).flatten(2)


def positional(channel: nn.Module, x: Tensor) -> Tensor:
    made = channel.gates
    weights = (made.embedding @ made.embedding.T / (made.embedding.shape[1] // 2)).tril()
    v = x @ channel.values.weight.T
    return made.alpha * torch.einsum("nm,bmd->bnd", weights, v) + made.beta * v


def fuxi_linear(model: nn.Module, items: Tensor, times: Tensor) -> Tensor:
    x = embedded(model, items)
    for block in model.stack.blocks:
        layer, net, read = block.attention, block.after, normed(x)
        size = x.shape[-1]
        u, q, k, v = F.silu(read @ layer.project.weight.T).split((3 * size, size, size, size), dim=-1)
        channels = (
            retention(layer, q, k, v),
            temporal(layer.temporal, read, times),
            positional(layer.positional, read),
        )
        x = x + (u * torch.cat([normed(y) for y in channels], dim=-1)) @ layer.out.weight.T
        r = x / (x.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
        x = x + (F.silu(r @ net.gate.weight.T) * (r @ net.enter.weight.T)) @ net.leave.weight.T
    return of_length_one(x)


def test_fuxi_linear_as_published(recommender: Callable[..., nn.Module], rows: Callable[..., Tensor]) -> None:
    model, items, times = shaken(recommender("fuxi-linear")), rows(3, LENGTH), moments(3)
    exact(model(items, None, times), fuxi_linear(model, items, times) / 0.05)


def test_the_channels_of_fuxi_linear_as_published(recommender: Callable[..., nn.Module]) -> None:
    layer = shaken(recommender("fuxi-linear")).stack.blocks[0].attention
    x, times = torch.randn(3, LENGTH, 16, dtype=torch.float64), moments(3)
    q, k, v = (in_heads(part, 2).transpose(1, 2) for part in torch.randn(3, *x.shape, dtype=torch.float64))
    found = layer.attention(q, k, v, **layer.gates(x)).transpose(1, 2).flatten(2)
    exact(found, retention(layer, *(part.transpose(1, 2).flatten(2) for part in (q, k, v))))
    exact(layer.temporal(x, None, times), temporal(layer.temporal, x, times))
    exact(layer.positional(x), positional(layer.positional, x))


# EASRec: szhang-cityu/DNSRec, `Gowalla-search` and `Gowalla-retrain`.


def elastic(block: nn.Module, x: Tensor, first: Tensor, wide: list[Tensor], inner: list[Tensor]) -> Tensor:
    """`wide` and `inner` are masks times their shares, each of which is laid over a copy and added up."""

    def laid(y: Tensor, masks: list[Tensor]) -> Tensor:
        return sum((mask * y for mask in masks), torch.zeros_like(y))

    q, k, v = (in_heads(laid(part, wide), block.heads) for part in block.qkv(x).chunk(3, dim=-1))
    q, k = (F.elu(part) / F.elu(part).norm(dim=-1, keepdim=True) for part in (q, k))
    products = torch.einsum("bnhd,bnhe->bhde", k, v)
    mixed = torch.einsum("bnhd,bhde->bnhe", q, products).flatten(2) / sqrt(q.shape[-1])
    size = (x.shape[-1],)
    norm = block.attention_norm
    h = F.layer_norm(laid(block.out(mixed), wide) + x, size, norm.weight, norm.bias, eps=1e-12)

    def gate(made: nn.Module) -> Tensor:
        return 2 * made.out(made.hidden(first).relu()).sigmoid()

    y = laid(block.enter(h), inner) * laid(gate(block.enter_gate), inner)
    y = y * 0.5 * (1 + torch.erf(y / sqrt(2)))
    y = laid(block.leave(y), wide) * laid(gate(block.leave_gate), wide)
    return F.layer_norm(y + h, size, block.norm.weight, block.norm.bias, eps=1e-12)


def easrec(
    model: nn.Module, items: Tensor, widths: list[float], wide: list[Tensor], inner: list[Tensor]
) -> list[Tensor]:
    """What each layer gives."""
    x = model.items.weight[items] + model.positions.weight
    x = first = F.layer_norm(x, x.shape[-1:], model.norm.weight, model.norm.bias, eps=1e-12)
    layers = []
    for block in model.blocks:
        x = elastic(
            block,
            x,
            first,
            [share * mask for share, mask in zip(widths, wide, strict=True)],
            [share * mask for share, mask in zip(widths, inner, strict=True)],
        )
        layers.append(x)
    return layers


def test_the_search_of_easrec_as_published(
    recommender: Callable[..., nn.Module], rows: Callable[..., Tensor]
) -> None:
    model, items = shaken(recommender("easrec", layers=4)), rows(3, LENGTH)
    model.tau.fill_(0.7)
    widths, depths = (torch.exp(x / 0.7) / torch.exp(x / 0.7).sum() for x in (model.alpha, model.beta))

    def masks(size: int) -> list[Tensor]:
        """Three quarters, half and none of the last features hidden, the widest first."""
        return [(torch.arange(size) < size // divisor).double() for divisor in (1, 2, 4)]

    layers = easrec(model, items, widths.tolist(), masks(16), masks(64))
    exact(model(items), sum(share * y for share, y in zip(depths.tolist(), layers, strict=True)))
    costs = [option.operations() for option in model.options]
    of_layer = sum(
        share * cost / (max(costs) - min(costs)) for share, cost in zip(widths, costs, strict=True)
    )
    total = sum(of_layer * share * (place + 1) for place, share in enumerate(depths))
    exact(model.auxiliary_loss(), 0.01 * total * (int(depths.argmax()) + 1) / 4)


def test_the_network_that_easrec_chooses_as_published(
    recommender: Callable[..., nn.Module], rows: Callable[..., Tensor]
) -> None:
    model, items = shaken(recommender("easrec").chosen().double().eval()), rows(3, LENGTH)
    whole = [torch.ones((), dtype=torch.float64)]
    states = easrec(model, items, [1.0], whole, whole)[-1]
    exact(model(items), states)
    exact(model.scores(items)[:, 1:], (states[:, -1] @ model.items.weight.T)[:, 1:])
