"""Probes of what may have an influence on what: the future, padding, batch-mates, order, memory layout."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from linrec_bench.attention.contract.probe_inputs import (
    LENGTHS,
    NONE,
    Given,
    Params,
    difference,
    given,
    gradients,
    masks,
    noise,
    real,
    run,
)
from linrec_bench.attention.spec import Spec


def check_causal(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Tokens after t change no output up to t, and receive no gradient from it."""
    if not causal:
        return None
    for length in (37, 300):
        cut = length * 2 // 3
        having = given(spec, length, params=params)
        later = (torch.arange(length) >= cut)[None, None, :, None]
        changed = having.where(later, _others(spec, length, params))
        before = run(spec, having, causal=True, params=params)[:, :, :cut]
        after = run(spec, changed, causal=True, params=params)[:, :, :cut]
        found = difference(after, before)
        if found:
            return f"N = {length}: tokens from {cut} on change earlier outputs by {found}"
        weights = noise(having.tokens["v"].shape, torch.float64, seed=1)
        weights[:, :, cut:] = 0
        slopes = gradients(spec, having, weights, causal=True, params=params)
        for which in having.tokens:
            leak = slopes[which][:, :, cut:].abs().max().item() if which in slopes else 0
            if leak > 0:
                return f"N = {length}: outputs before {cut} send a gradient of {leak:.1e} to a later {which}"
    return None


def check_prefix(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Running a prefix alone gives the prefix of the outputs: no dependence on the length of the input."""
    if not causal:
        return None
    having = given(spec, 300, params=params)
    whole = run(spec, having, causal=True, params=params)
    for length in LENGTHS:
        part = having.map_tokens(partial(_prefix, length=length))
        found = difference(run(spec, part, causal=True, params=params), whole[:, :, :length])
        if found:
            return f"the first {length} of 300 tokens alone give outputs that differ by {found}"
    return None


def check_pad_content(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """What stands at padded positions changes no real output and receives no gradient from one."""
    for name, mask in masks(spec, 37).items():
        if mask is None:
            continue
        having = given(spec, 37, params=params)
        pads = ~mask[:, None, :, None]
        changed = having.where(pads, _others(spec, 37, params))
        before, after = (
            real(run(spec, x, causal=causal, params=params, padding_mask=mask), mask)
            for x in (having, changed)
        )
        found = difference(after, before)
        if found:
            return f"mask {name}: other content at pads changes real outputs by {found}"
        weights = real(noise(having.tokens["v"].shape, torch.float64, seed=1), mask)
        slopes = gradients(spec, having, weights, causal=causal, params=params, padding_mask=mask)
        leak = max(
            slope.masked_fill(~pads, 0).abs().max().item()
            for which, slope in slopes.items()
            if which in having.tokens
        )
        if leak > 0:
            return f"mask {name}: real outputs send a gradient of {leak:.1e} to pads"
    return None


def check_pad_length(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """More padding, left or right, changes no real output."""
    if not spec.honours_padding:
        return None
    having = given(spec, 37, params=params)
    alone = run(spec, having, causal=causal, params=params)
    for left, right in ((0, 1), (0, 90), (5, 0), (40, 23)):
        length = left + 37 + right
        padded = _others(spec, length, params)
        for name, x in having.tokens.items():
            padded.tokens[name][:, :, left : left + 37] = x
        mask = torch.zeros(alone.shape[0], length, dtype=torch.bool)
        mask[:, left : left + 37] = True
        out = run(spec, padded, causal=causal, params=params, padding_mask=mask)
        found = difference(out[:, :, left : left + 37], alone)
        if found:
            return f"{left} pads before and {right} after change real outputs by {found}"
    return None


def check_batch_mates(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Each row of a batch comes out as it does alone."""
    for name, mask in masks(spec, 37).items():
        having = given(spec, 37, params=params)
        whole = run(spec, having, causal=causal, params=params, padding_mask=mask)
        for row in range(whole.shape[0]):
            own = None if mask is None else mask[row : row + 1]
            single = having.map_tokens(partial(_row, row=row))
            alone = run(spec, single, causal=causal, params=params, padding_mask=own)
            found = difference(real(alone, own), real(whole[row : row + 1], own))
            if found:
                return f"mask {name}: the others of the batch change row {row} by {found}"
    return None


def check_permutation(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Without causality, permuting the tokens permutes the outputs, exactly where the SPEC says so."""
    if causal:
        return None
    # Longer than a default window or number of landmarks, within which order may not matter.
    having = given(spec, 300, params=params)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(3), device="cpu")
    order = order.to(having.tokens["q"].device)
    out = run(spec, having.map_tokens(lambda x: x[:, :, order]), causal=False, params=params)
    found = difference(out, run(spec, having, causal=False, params=params)[:, :, order])
    if spec.permutation_equivariant:
        return f"permuted tokens give outputs that differ by {found}" if found else None
    return None if found else "declared to depend on the order of the tokens, but does not"


def check_layout(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Strided views, as a layer cuts them from one projection, give what contiguous tensors give."""
    having = given(spec, 37, params=params)

    def view(x: Tensor) -> Tensor:
        """The same numbers as [B, N, H, d] with other numbers between them, seen as [B, H, N, d]."""
        return torch.stack((x.transpose(1, 2), x.transpose(1, 2).neg()), dim=2)[:, :, 0].transpose(1, 2)

    strided = run(spec, having.map_qkv(view), causal=causal, params=params)
    found = difference(strided, run(spec, having, causal=causal, params=params))
    return f"strided inputs change outputs by {found}" if found else None


def _prefix(x: Tensor, *, length: int) -> Tensor:
    return x[:, :, :length]


def _row(x: Tensor, *, row: int) -> Tensor:
    return x[row : row + 1]


def _others(spec: Spec, length: int, params: Params) -> Given:
    """Other tokens, three times as large, and the same weights."""
    return given(spec, length, params=params, seed=100).map_qkv(lambda x: 3 * x)
