"""What every mechanism must keep, as probes: each runs a SPEC and returns None or the reason why not.

    check_x(spec, causal=..., params=...) -> str | None

Probes are pure: seeded small inputs on torch's default device, no files, no prints. The tests run them over
the registry, and so can anyone over a mechanism of their own. Tolerances derive from the dtype's epsilon.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Protocol

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from linrec_bench.attention.spec import Core, Spec

Params = Mapping[str, object]
NONE: Params = {}

LENGTHS = (1, 2, 37, 300)
"""One token, two, a ragged chunk, many chunks and a ragged one."""

STEPS = 8
"""Roundings of size epsilon that one value may pass through, apart from sums."""


class Check(Protocol):
    """A probe of one property in one direction."""

    def __call__(self, spec: Spec, *, causal: bool, params: Params = NONE) -> str | None: ...


def check_shape_and_dtype(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """The output has the shape and dtype of v, for every length, floating type and layout."""
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        for length in LENGTHS:
            q, k, v = inputs(length, dtype)
            out = spec.core(q, k, v, causal=causal, **params)
            if out.shape != v.shape or out.dtype != dtype:
                return f"{list(v.shape)} {dtype} gives {list(out.shape)} {out.dtype}"
    return None


def check_fake(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Forward and backward run on fake tensors at N = 4096 with the right shapes: nothing reads a value."""
    shape = (1, 2, 4096, 8)
    with FakeTensorMode():
        q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
        mask = torch.ones(shape[0], shape[2], dtype=torch.bool)
        for padding_mask in (None, mask) if spec.honours_padding else (None,):
            try:
                out = spec.core(q, k, v, padding_mask=padding_mask, causal=causal, **params)
                out.sum().backward()
            except DataDependentOutputException as error:
                return f"reads a value of a tensor, which a fake tensor does not have: {error}"
            if out.shape != shape or v.grad is None or v.grad.shape != shape:
                return f"fake tensors of shape {list(shape)} give {list(out.shape)}"
    return None


def check_agreement(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """The fast form equals the float64 reference within the error budget of its dtype, with any mask."""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        for length in LENGTHS:
            for name, mask in masks(spec, length).items():
                given = inputs(length, dtype)
                out = spec.core(*given, padding_mask=mask, causal=causal, **params)
                exact = _call(spec.reference, [x.double() for x in given], mask, causal, params)
                difference = _difference(_real(out, mask), _real(exact, mask), dtype)
                if difference:
                    return f"{dtype}, N = {length}, mask {name}: differs from the reference by {difference}"
    return None


def check_gradients(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Gradients at q, k and v equal those of the float64 reference, with any mask."""
    for dtype in (torch.float64, torch.float32):
        for length in LENGTHS:
            for name, mask in masks(spec, length).items():
                given = inputs(length, dtype)
                weights = _real(noise(given[2].shape, dtype, seed=1), mask)
                fast = _gradients(spec.core, given, weights, mask, causal, params)
                exact = _gradients(
                    spec.reference, [x.double() for x in given], weights.double(), mask, causal, params
                )
                # All three against one scale: a gradient that cancels to zero leaves rounding errors.
                difference = _difference(torch.stack(fast), torch.stack(exact), dtype)
                if difference:
                    return f"{dtype}, N = {length}, mask {name}: gradients are off by {difference}"
    return None


def check_causal(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Tokens after t change no output up to t, and receive no gradient from it."""
    if not causal:
        return None
    for length in (37, 300):
        cut = length * 2 // 3
        given = inputs(length)
        changed = [_replace(x, slice(cut, None), seed=2 + i) for i, x in enumerate(given)]
        before = spec.core(*given, causal=True, **params)[:, :, :cut]
        after = spec.core(*changed, causal=True, **params)[:, :, :cut]
        difference = _difference(after, before)
        if difference:
            return f"N = {length}: tokens from {cut} on change earlier outputs by {difference}"
        weights = noise(given[2].shape, torch.float64, seed=1)
        weights[:, :, cut:] = 0
        for which, gradient in zip(
            "qkv", _gradients(spec.core, given, weights, None, True, params), strict=True
        ):
            leak = gradient[:, :, cut:].abs().max().item()
            if leak > 0:
                return f"N = {length}: outputs before {cut} send a gradient of {leak:.1e} to a later {which}"
    return None


def check_prefix(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Running a prefix alone gives the prefix of the outputs: no dependence on the length of the input."""
    if not causal:
        return None
    given = inputs(300)
    whole = spec.core(*given, causal=True, **params)
    for length in LENGTHS:
        part = spec.core(*(x[:, :, :length] for x in given), causal=True, **params)
        difference = _difference(part, whole[:, :, :length])
        if difference:
            return f"the first {length} of 300 tokens alone give outputs that differ by {difference}"
    return None


def check_pad_content(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """What stands at padded positions changes no real output and receives no gradient from one."""
    for name, mask in masks(spec, 37).items():
        if mask is None:
            continue
        given = inputs(37)
        pads = ~mask[:, None, :, None]
        changed = [torch.where(pads, 3 * noise(x.shape, x.dtype, seed=2), x) for x in given]
        before, after = (
            _real(spec.core(*x, padding_mask=mask, causal=causal, **params), mask) for x in (given, changed)
        )
        difference = _difference(after, before)
        if difference:
            return f"mask {name}: other content at pads changes real outputs by {difference}"
        weights = _real(noise(given[2].shape, torch.float64, seed=1), mask)
        gradients = _gradients(spec.core, given, weights, mask, causal, params)
        leak = max(x.masked_fill(~pads, 0).abs().max().item() for x in gradients)
        if leak > 0:
            return f"mask {name}: real outputs send a gradient of {leak:.1e} to pads"
    return None


def check_pad_length(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """More padding, left or right, changes no real output."""
    if not spec.honours_padding:
        return None
    given = inputs(37)
    alone = spec.core(*given, causal=causal, **params)
    for left, right in ((0, 1), (0, 90), (5, 0), (40, 23)):
        padded = [torch.nn.functional.pad(x, (0, 0, left, right), value=0.5) for x in given]
        mask = torch.zeros(alone.shape[0], left + 37 + right, dtype=torch.bool)
        mask[:, left : left + 37] = True
        out = spec.core(*padded, padding_mask=mask, causal=causal, **params)[:, :, left : left + 37]
        difference = _difference(out, alone)
        if difference:
            return f"{left} pads before and {right} after change real outputs by {difference}"
    return None


def check_batch_mates(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Each row of a batch comes out as it does alone."""
    for name, mask in masks(spec, 37).items():
        given = inputs(37)
        whole = spec.core(*given, padding_mask=mask, causal=causal, **params)
        for row in range(whole.shape[0]):
            own = None if mask is None else mask[row : row + 1]
            alone = spec.core(*(x[row : row + 1] for x in given), padding_mask=own, causal=causal, **params)
            difference = _difference(_real(alone, own), _real(whole[row : row + 1], own))
            if difference:
                return f"mask {name}: the others of the batch change row {row} by {difference}"
    return None


def check_permutation(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Without causality, permuting the tokens permutes the outputs, where the SPEC says so."""
    if causal or not spec.permutation_equivariant:
        return None
    given = inputs(37)
    order = torch.randperm(37, generator=torch.Generator().manual_seed(3)).to(given[0].device)
    out = spec.core(*(x[:, :, order] for x in given), causal=False, **params)
    difference = _difference(out, spec.core(*given, causal=False, **params)[:, :, order])
    return f"permuted tokens give outputs that differ by {difference}" if difference else None


def check_layout(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Strided views, as a layer cuts them from one projection, give what contiguous tensors give."""
    views = noise((2, 37, 3, 3, 8), torch.float64).permute(2, 0, 3, 1, 4).unbind(0)
    strided = spec.core(*views, causal=causal, **params)
    dense = spec.core(*(x.contiguous() for x in views), causal=causal, **params)
    difference = _difference(strided, dense)
    return f"strided inputs change outputs by {difference}" if difference else None


def check_finite(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Zero tokens, zero inputs, padding alone, large values: outputs and gradients are finite numbers."""
    for dtype in (torch.float32, torch.bfloat16):
        q, k, v = inputs(37, dtype)
        holes = [x.clone() for x in (q, k, v)]
        for x in holes:
            x[:, :, ::5] = 0
            x[:, :, :3] = 0
        cases: dict[str, tuple[list[Tensor], Tensor | None]] = {
            "rows of zeros": (holes, None),
            "zeros everywhere": ([torch.zeros_like(x) for x in (q, k, v)], None),
            "values of 1000": ([1000 * x for x in (q, k, v)], None),
        }
        if spec.honours_padding:
            mask = torch.ones(q.shape[0], 37, dtype=torch.bool)
            mask[0] = False
            mask[1, :9] = False
            cases["rows of padding alone"] = ([q, k, v], mask)
        for name, (given, mask_or_none) in cases.items():
            out = spec.core(*given, padding_mask=mask_or_none, causal=causal, **params)
            gradients = _gradients(spec.core, given, torch.ones_like(out), mask_or_none, causal, params)
            for what, x in zip(("output", "gradient at q", "at k", "at v"), (out, *gradients), strict=True):
                if not x.isfinite().all():
                    return f"{dtype}, {name}: {what} is not finite"
    return None


CHECKS: dict[str, Check] = {
    "shape and dtype": check_shape_and_dtype,
    "fake tensors": check_fake,
    "agreement": check_agreement,
    "gradients": check_gradients,
    "causal": check_causal,
    "prefix": check_prefix,
    "pad content": check_pad_content,
    "pad length": check_pad_length,
    "batch-mates": check_batch_mates,
    "permutation": check_permutation,
    "layout": check_layout,
    "finite": check_finite,
}
"""Every probe by the name of its property. Those that do not apply to a direction return None."""


def directions(spec: Spec) -> tuple[bool, ...]:
    """The values of `causal` that the SPEC declares."""
    return (False,) * spec.bidirectional + (True,) * spec.causal


def violations(spec: Spec, params: Params = NONE) -> list[str]:
    """One line for each property that does not hold, in each declared direction; empty when all hold."""
    found = []
    for causal in directions(spec):
        for name, check in CHECKS.items():
            reason = check(spec, causal=causal, params=params)
            if reason is not None:
                found.append(f"{spec.name}, {'causal' if causal else 'bidirectional'}, {name}: {reason}")
    return found


def inputs(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Seeded q, k, v of shape [2, 3, length, 8]."""
    return [noise((2, 3, length, 8), dtype, seed=seed) for seed in (10, 11, 12)]


def noise(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Seeded standard normal numbers, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(shape, dtype=torch.float64, generator=generator, device="cpu")
    return numbers.to(torch.get_default_device()).to(dtype)


def masks(spec: Spec, length: int) -> dict[str, Tensor | None]:
    """No mask and, where the SPEC honours them, padding on either side, in the middle, and of a whole row."""
    if not spec.honours_padding:
        return {"none": None}
    positions = torch.arange(length)
    kept = max(1, length * 2 // 3)
    rows = {
        "right": positions < kept,
        "left": positions >= length - kept,
        "holes": positions % 3 != 1,
        "whole row": positions < 0,
    }
    full = positions >= 0
    return {"none": None, **{name: torch.stack((row, full)) for name, row in rows.items()}}


def _call(core: Core, given: list[Tensor], mask: Tensor | None, causal: bool, params: Params) -> Tensor:
    return core(*given, padding_mask=mask, causal=causal, **params)


def _gradients(
    core: Core, given: list[Tensor], weights: Tensor, mask: Tensor | None, causal: bool, params: Params
) -> tuple[Tensor, ...]:
    """Gradients of sum(weights * o) at q, k, v; zeros where an input has no part in o."""
    leaves = [x.detach().clone().requires_grad_() for x in given]
    out = _call(core, leaves, mask, causal, params)
    return torch.autograd.grad(out, leaves, weights, allow_unused=True, materialize_grads=True)


def _replace(x: Tensor, where: slice, seed: int) -> Tensor:
    changed = x.clone()
    changed[:, :, where] = 3 * noise(x.shape, x.dtype, seed)[:, :, where]
    return changed


def _real(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with its padded rows zeroed: they are finite and carry no meaning."""
    return x if mask is None else x.masked_fill(~mask[:, None, :, None], 0)


def _difference(given: Tensor, exact: Tensor, dtype: torch.dtype = torch.float64) -> str | None:
    """None within the error budget, else the largest difference and what the budget allows.

    In units of the largest exact value: STEPS roundings of `dtype`, and for each of them the random walk of a
    sum over N tokens, which half types make in float32: STEPS (eps(dtype) + 2 sqrt(N) eps(sum)).
    """
    scale = exact.double().abs().max().item()
    largest = (given.double() - exact.double()).abs().max().item()
    sums = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    allowed = scale * STEPS * (torch.finfo(dtype).eps + 2 * sqrt(exact.shape[-2]) * sums)
    # Not "largest > allowed": a NaN must count as a difference.
    return None if largest <= allowed else f"{largest:.1e}, allowed {allowed:.1e}"
