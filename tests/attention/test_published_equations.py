"""Layers against the equations of their public code, written out here token by token or as N x N matrices."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from linrec_bench.attention import contract, make_layer
from linrec_bench.attention.layer import join_heads, split_heads
from linrec_bench.attention.mechanisms import performer
from linrec_bench.attention.mechanisms.retnet import rotate

HIDDEN, HEADS, LENGTH = 24, 3, 40
HEAD_SIZE = HIDDEN // HEADS


def exact(found: Tensor, published: Tensor) -> None:
    torch.testing.assert_close(found, published, rtol=0, atol=1e-12)


def layer_of(name: str, *, hidden_size: int = HIDDEN, **settings: object) -> torch.nn.Module:
    """A layer whose norms have weights that are not 1."""
    torch.manual_seed(0)
    causal = name != "nystromformer"
    made = make_layer(name, hidden_size, HEADS, causal=causal, seq_len=LENGTH, params=settings)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, torch.nn.RMSNorm) and module.weight is not None:
                module.weight.uniform_(0.5, 1.5)
    return made.double().eval()


def tokens(length: int = LENGTH, hidden_size: int = HIDDEN) -> Tensor:
    return contract.noise((2, length, hidden_size), torch.float64)


def distance(ours: Tensor, theirs: Tensor) -> float:
    """The root mean square of the difference, as a share of that of `ours`."""
    return ((ours - theirs).square().mean() / ours.square().mean()).sqrt().item()


# The layers of flash-linear-attention: queries are scaled by 1 / sqrt(d), then the heads are normalised.


def rms_norm(x: Tensor, weight: Tensor | float, eps: float = 1e-5) -> Tensor:
    return x / (x.square().mean(dim=-1, keepdim=True) + eps).sqrt() * weight


def unit(x: Tensor, eps: float) -> Tensor:
    return x / (x.square().sum(dim=-1, keepdim=True) + eps).sqrt()


def convolved(layer: torch.nn.Module, x: Tensor) -> list[Tensor]:
    """q, k, v [B, H, N, d] after the projections, four taps of a causal convolution, and SiLU."""
    wide, taps = x @ layer.qkv.weight.T, layer.convolution.conv.weight[:, 0]
    rows = [
        sum(taps[:, 3 - back] * wide[:, t - back] for back in range(min(t, 3) + 1)) for t in range(x.shape[1])
    ]
    return [split_heads(part, HEADS) for part in F.silu(torch.stack(rows, dim=1)).chunk(3, dim=-1)]


def recurrence(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, updated: Callable[..., Tensor]) -> Tensor:
    """o_t = (q_t / sqrt(d))^T S_t, where S_t = `updated(decayed, k_t, v_t, t)`; decay [B, H, N, 1 or d]."""
    state, rows = torch.zeros(*v.shape[:2], HEAD_SIZE, HEAD_SIZE, dtype=v.dtype), []
    for t in range(v.shape[2]):
        state = updated(decay[:, :, t, :, None] * state, k[:, :, t, :, None], v[:, :, t, None, :], t)
        rows.append((q[:, :, t, None, :] / sqrt(HEAD_SIZE) @ state).squeeze(2))
    return torch.stack(rows, dim=2)


def delta_net(layer: torch.nn.Module, x: Tensor, eps: float = 0.0) -> Tensor:
    """`eps` is that of the unit rows of q and k, 1e-6 in the public code."""
    q, k, v = convolved(layer, x)
    beta = split_heads((x @ layer.gates.beta.weight.T).sigmoid(), HEADS)
    log_decay = torch.zeros_like(beta)
    if hasattr(layer.gates, "log_rate"):
        sizes = F.softplus(x @ layer.gates.step_size.weight.T + layer.gates.step_bias)
        log_decay = split_heads(-layer.gates.log_rate.exp() * sizes, HEADS)

    def replaced(state: Tensor, key: Tensor, value: Tensor, t: int) -> Tensor:
        return state + key * beta[:, :, t, :, None] * (value - key.mT @ state)

    o = recurrence(unit(q, eps), unit(k, eps), v, log_decay.exp(), replaced)
    if not hasattr(layer.gates, "log_rate"):
        return join_heads(rms_norm(o, layer.norm.weight)) @ layer.out.weight.T
    gate = F.silu(x @ layer.out.gate.weight.T)
    return (join_heads(rms_norm(o, layer.out.norm.weight)) * gate) @ layer.out.out.weight.T


def gla(layer: torch.nn.Module, x: Tensor) -> Tensor:
    q, k, v = (split_heads(part, HEADS) for part in (x @ layer.qkv.weight.T).chunk(3, dim=-1))
    logits = x @ layer.gates.down.weight.T @ layer.gates.up.weight.T + layer.gates.up.bias
    decay = split_heads((F.logsigmoid(logits) / 16).exp(), HEADS)
    o = recurrence(q, k, v, decay, lambda state, key, value, t: state + key * value)
    gate = F.silu(x @ layer.out.gate.weight.T)
    return (join_heads(rms_norm(o, layer.out.norm.weight)) * gate) @ layer.out.out.weight.T


@pytest.mark.parametrize("size", [1.0, 0.03])
@pytest.mark.parametrize(
    ("name", "published"), [("deltanet", delta_net), ("gated-deltanet", delta_net), ("gla", gla)]
)
def test_the_norm_of_a_layer_has_the_epsilon_of_scaled_queries(
    name: str, published: Callable[..., Tensor], size: float
) -> None:
    """Small tokens make the epsilon of the norm matter."""
    layer, x = layer_of(name), size * tokens()
    exact(layer(x), published(layer, x))


@pytest.mark.parametrize("name", ["deltanet", "gated-deltanet"])
def test_the_epsilon_in_the_unit_rows_of_upstream_is_as_small_as_stated(name: str) -> None:
    layer, x = layer_of(name), tokens()
    assert distance(layer(x), delta_net(layer, x, eps=1e-6)) == pytest.approx(5e-6, rel=0.2)


# RetNet: microsoft/torchscale in parallel form.


def retention(layer: torch.nn.Module, x: Tensor, *, centred: bool) -> Tensor:
    """With all three normalisations of scores; heads by their layer norm, or by a root mean square norm."""
    q, k, v = layer.split(layer.qkv(x))
    places = torch.arange(x.shape[1])
    q, k = (rotate(part, places[None, None, :, None]) for part in (q, k))
    gamma = 1 - 2.0 ** (-5 - torch.arange(HEADS, dtype=torch.float64))
    decay = (gamma[:, None, None] ** (places[:, None] - places).clamp(min=0)).tril()
    scores = q @ k.mT / sqrt(HEAD_SIZE) * decay / decay.sum(dim=-1, keepdim=True).sqrt()
    o = scores / scores.sum(dim=-1, keepdim=True).abs().clamp(min=1) @ v
    normed = F.layer_norm(o, (HEAD_SIZE,), eps=1e-5) if centred else rms_norm(o, 1.0, eps=1e-6)
    return (join_heads(normed) * F.silu(x @ layer.out.gate.weight.T)) @ layer.out.out.weight.T


def test_what_retnet_leaves_out_is_as_small_as_stated() -> None:
    layer, x = layer_of("retnet"), tokens()
    assert distance(layer(x), retention(layer, x, centred=True)) == pytest.approx(4e-4, rel=0.2)
    assert distance(layer(x), retention(layer, x, centred=False)) == pytest.approx(0.27, rel=0.1)


# Performer: google-research/performer, `fast_attention`.


def favor(q: Tensor, k: Tensor, v: Tensor, projection: Tensor, *, causal: bool, eps: float) -> Tensor:
    """eps added to every feature; the largest exponent of a query and of all keys subtracted."""

    def features(x: Tensor, over: tuple[int, ...]) -> Tensor:
        x = x / x.shape[-1] ** 0.25
        exponents = x @ projection.T
        shifted = exponents - x.square().sum(dim=-1, keepdim=True) / 2 - exponents.amax(over, keepdim=True)
        return (shifted.exp() + eps) / sqrt(len(projection))

    weights = features(q, (-1,)) @ features(k, (-2, -1)).mT
    weights = weights.tril() if causal else weights
    return weights @ v / weights.sum(dim=-1, keepdim=True)


@pytest.mark.parametrize(("causal", "at_1e_6", "at_1e_4"), [(False, 0.003, 0.09), (True, 0.004, 0.13)])
def test_the_epsilon_of_performer_is_as_large_as_stated(causal: bool, at_1e_6: float, at_1e_4: float) -> None:
    """Of standard normal queries, keys and values; without it both are the same function."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 200, 16, dtype=torch.float64)
    projection = performer.orthogonal_features(64, 16)
    ours = performer.core(q, k, v, projection=projection, causal=causal, eps=0.0)
    exact(ours, favor(q, k, v, projection, causal=causal, eps=0.0))
    ours = performer.core(q, k, v, projection=projection, causal=causal)
    for eps, stated in ((1e-6, at_1e_6), (1e-4, at_1e_4)):
        difference = ours - favor(q, k, v, projection, causal=causal, eps=eps)
        assert difference.square().mean().sqrt().item() == pytest.approx(stated, rel=0.1)


# Nystromformer: mlpen/Nystromformer, `attention_nystrom.py`.


def nystrom_layer(layer: torch.nn.Module, x: Tensor, landmarks: int, *, by_batch: bool) -> Tensor:
    """`by_batch`: the pseudo-inverse starts from the largest norm of the batch, as in the public code."""
    q, k, v = (split_heads(part, HEADS) for part in layer.qkv(x).chunk(3, dim=-1))
    q, k = (part / HEAD_SIZE**0.25 for part in (q, k))
    queries, keys = (part.unflatten(2, (landmarks, -1)).mean(dim=3) for part in (q, k))
    first, middle, last = ((a @ b.mT).softmax(dim=-1) for a, b in ((q, keys), (queries, keys), (queries, k)))
    sums = middle.sum(dim=-2)
    z = middle.mT / (sums.max() if by_batch else sums.amax(dim=-1)[..., None, None])
    identity = torch.eye(landmarks, dtype=x.dtype)
    for _ in range(6):
        a = middle @ z
        z = 0.25 * z @ (13 * identity - a @ (15 * identity - a @ (7 * identity - a)))
    mixed = first @ z @ (last @ v)
    kernel = layer.conv.weight[:, 0, :, 0]
    reach = kernel.shape[1] // 2
    windows = F.pad(v, (0, 0, reach, reach)).unfold(2, kernel.shape[1], 1)
    mixed = mixed + torch.einsum("bhndw,hw->bhnd", windows, kernel)
    return layer.out(join_heads(mixed))


def test_nystromformer_layer() -> None:
    layer, x = layer_of("nystromformer", landmarks=8), tokens()
    exact(layer(x), nystrom_layer(layer, x, 8, by_batch=False))
    assert distance(layer(x), nystrom_layer(layer, x, 8, by_batch=True)) == pytest.approx(0.0014, rel=0.1)
