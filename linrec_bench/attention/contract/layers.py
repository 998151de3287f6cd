"""Probes of the layer that a SPEC brings: what the contract says of q, k, v must hold of x as well."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from linrec_bench.attention.contract.probe_inputs import (
    HEAD_SIZE,
    HEADS,
    NONE,
    Params,
    difference,
    noise,
)
from linrec_bench.attention.layer import MechanismLayer
from linrec_bench.attention.spec import Spec, accepted, factories

SEQ_LEN = 64
"""What layers are made for: at least every length that is probed."""

LENGTH, KEPT = 33, 20
"""Tokens of a probe, and how many of them are real where the others are padding or the future."""

STEP, SLOPE_TOLERANCE = 1e-5, 1e-5
"""Of a central difference in float64: its step, and the part by which a slope may differ from it."""


def has_decode(spec: Spec, *, causal: bool, params: Params = NONE) -> bool:
    """Whether the layer has the recurrent form, or a half of it."""
    if spec.layer is None:
        return False
    layer = _layer(spec, causal=causal, params=params)
    if isinstance(layer, MechanismLayer) and spec.step is None:
        # Its own step is that of the mechanism.
        return False
    return hasattr(layer, "init_state") or hasattr(layer, "step")


def check_shape(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """y has the shape and dtype of x [B, N, D]."""
    if spec.layer is None:
        return None
    layer = _layer(spec, causal=causal, params=params)
    for length in (1, 2, LENGTH):
        x = _tokens(length)
        y = _run(spec, layer, x)
        if not isinstance(y, Tensor) or y.shape != x.shape or y.dtype != x.dtype:
            told = f"{list(y.shape)} {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
            return f"x of {list(x.shape)} {x.dtype} gives {told}"
    return None


def check_padding(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Padding on the right, whatever stands there, changes no real output."""
    if spec.layer is None or not spec.honours_padding:
        return None
    layer = _layer(spec, causal=causal, params=params)
    x = _tokens(KEPT)
    alone = _run(spec, layer, x)
    mask = torch.arange(LENGTH).expand(2, -1) < KEPT
    for factor in (1.0, 3.0):
        padded = factor * _tokens(LENGTH, seed=1)
        padded[:, :KEPT] = x
        found = difference(_run(spec, layer, padded, mask)[:, :KEPT], alone)
        if found:
            return f"{LENGTH - KEPT} pads on the right change real outputs by {found}"
    return None


def check_batch_mates(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Each row of a batch comes out as it does alone, with a mask and without one."""
    if spec.layer is None:
        return None
    layer = _layer(spec, causal=causal, params=params)
    x = _tokens(LENGTH)
    mask = torch.arange(LENGTH) < torch.tensor([[KEPT], [LENGTH]])
    for name, padding in (("none", None), ("right", mask)) if spec.honours_padding else (("none", None),):
        whole = _run(spec, layer, x, padding)
        for row, kept in enumerate((KEPT, LENGTH) if padding is not None else (LENGTH, LENGTH)):
            own = None if padding is None else padding[row : row + 1]
            found = difference(
                _run(spec, layer, x[row : row + 1], own)[:, :kept], whole[row : row + 1, :kept]
            )
            if found:
                return f"mask {name}: the others of the batch change row {row} by {found}"
    return None


def check_causal(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Tokens after t change no output up to t."""
    if spec.layer is None or not causal:
        return None
    layer = _layer(spec, causal=True, params=params)
    x, changed = _tokens(LENGTH), _tokens(LENGTH, seed=1)
    changed[:, :KEPT] = x[:, :KEPT]
    found = difference(_run(spec, layer, changed)[:, :KEPT], _run(spec, layer, x)[:, :KEPT])
    return f"tokens from {KEPT} on change earlier outputs by {found}" if found else None


def check_decode(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Where there is a recurrent form, events one by one give what the whole sequence gives at once."""
    if not causal or not has_decode(spec, causal=True, params=params):
        return None
    layer = _layer(spec, causal=True, params=params)
    for name in ("init_state", "step"):
        if not hasattr(layer, name):
            return f"the layer has no {name}, though it has the other half of a recurrent form"
    x, times = _tokens(LENGTH), _times(LENGTH)
    with torch.no_grad():
        state, rows = layer.init_state(x), []
        for at in range(LENGTH):
            more = (times[:, at : at + 2],) if spec.timestamps else ()
            state, row = layer.step(state, x[:, at : at + 1], *more)
            rows.append(row)
    found = difference(torch.cat(rows, dim=1), _run(spec, layer, x))
    return f"events one by one give outputs that differ by {found}" if found else None


def check_gradients(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """The slope along a direction of x, and of the weights, is that of a central difference."""
    if spec.layer is None:
        return None
    layer = _layer(spec, causal=causal, params=params)
    x, upstream = (
        _tokens(LENGTH).requires_grad_(),
        noise((2, LENGTH, HEADS * HEAD_SIZE), torch.float64, seed=2),
    )
    leaves = {"x": x, **{name: weight for name, weight in layer.named_parameters() if weight.requires_grad}}
    loss = (_run(spec, layer, x, grad=True) * upstream).sum()
    if not loss.requires_grad:
        return "no gradient reaches x"
    slopes = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    for number, (name, slope) in enumerate(zip(leaves, slopes, strict=True)):
        leaf = leaves[name]
        direction = noise(tuple(leaf.shape), torch.float64, seed=20 + number)
        ends = []
        for sign in (1.0, -1.0):
            leaf.data += sign * STEP * direction
            ends.append((_run(spec, layer, x) * upstream).sum().item())
            leaf.data -= sign * STEP * direction
        exact, found = (ends[0] - ends[1]) / (2 * STEP), (slope * direction).sum().item()
        scale = max(abs(exact), slope.norm().item(), 1.0)
        if not abs(found - exact) <= SLOPE_TOLERANCE * scale:
            return f"the slope of {name} is {found:.6g}, by central differences {exact:.6g}"
    return None


# Any: `init_state` and `step` are looked for.
def _layer(spec: Spec, *, causal: bool, params: Params) -> Any:
    assert spec.layer is not None, "asked of SPECs with a layer"
    own = accepted(spec.layer, params, causal=causal, seq_len=SEQ_LEN)
    with torch.random.fork_rng(devices=[]), factories(torch.get_default_device(), torch.float64):
        torch.manual_seed(0)
        return spec.layer(HEADS * HEAD_SIZE, HEADS, **own).eval()


def _run(
    spec: Spec, layer: nn.Module, x: Tensor, mask: Tensor | None = None, *, grad: bool = False
) -> Tensor:
    times = (_times(x.shape[1])[: x.shape[0]],) if spec.timestamps else ()
    with torch.set_grad_enabled(grad):
        out: Tensor = layer(x, mask, *times)
    return out


def _tokens(length: int, seed: int = 0) -> Tensor:
    return noise((2, length, HEADS * HEAD_SIZE), torch.float64, seed=seed)


def _times(length: int) -> Tensor:
    """Growing intervals; of the request after the last event too."""
    return torch.arange(length + 1).square()[None].expand(2, -1) * 60
