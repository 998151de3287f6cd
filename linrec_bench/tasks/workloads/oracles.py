"""What calls should have given: the mechanism's reference in float64, of a part of their inputs.

The reference defines the mechanism and is quadratic, so it is asked about one row of the batch, and of long
ones about their first tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import torch
from torch import Tensor, nn

from linrec_bench import attention
from linrec_bench.attention.layer import AttentionOp
from linrec_bench.attention.spec import Spec, accepted
from linrec_bench.case import Case
from linrec_bench.tasks.workloads import Oracle, Tensors
from linrec_bench.tasks.workloads.fresh_inputs import Window

OUTPUT, MASK, TIMES, GRAD_OUTPUT = "output", "mask", "times", "gradient at the output"


def of_core(
    case: Case,
    spec: Spec,
    *,
    windows: Sequence[Window],
    tensors: Mapping[str, Tensor],
    mask: Tensor | None,
    grad_output: Tensor,
) -> Oracle:
    """Of a core: its output and, with a backward phase and full rows, its gradients at q, k and v.

    The gradient of a padded output means nothing, so neither do gradients of rows with padding.
    """
    tokens = {name: tensors[name] for name in spec.tokens}
    weights = {name: tensor.detach() for name, tensor in tensors.items() if name not in spec.tokens}
    backward = case.phase != "forward" and mask is None
    settings = accepted(spec.reference, dict(case.attention_params))

    def inputs() -> Tensors:
        return _given(
            dict(zip("qkv", (window.now for window in windows), strict=True)) | tokens,
            {MASK: mask, GRAD_OUTPUT: grad_output if backward else None},
        )

    def results(output: object) -> Tensors:
        named = dict(zip("qkv", (window.now for window in windows), strict=True))
        return _results(output, named if backward else {})

    def part(whole: Tensors, row: int, start: int, count: int) -> Tensors:
        return {
            name: x[row : row + 1].narrow(1 if name == MASK else 2, start, count) for name, x in whole.items()
        }

    @torch.inference_mode()
    def padded(start: int, count: int) -> Tensors:
        params = {**dict(case.attention_params), **tensors}
        q, k, v = (window.now for window in windows)
        alone = _alone(q.shape[0], q.shape[2], start, count, q.device)
        out = attention.core(case.attention, q, k, v, padding_mask=alone, causal=case.causal, **params)
        return {OUTPUT: out}

    def expected(given: Tensors) -> Tensors:
        doubled = _doubled(given)
        upstream, own_mask = doubled.pop(GRAD_OUTPUT, None), doubled.pop(MASK, None)
        leaves = [doubled[name].requires_grad_(upstream is not None) for name in "qkv"]
        with torch.set_grad_enabled(upstream is not None):
            out = spec.reference(
                **doubled, padding_mask=own_mask, causal=case.causal, **_doubled(weights), **settings
            )
        return _expected(out, upstream, dict(zip("qkv", leaves, strict=True)), own_mask)

    def again() -> None:
        for window in windows:
            window.back()

    q = windows[0].now
    return Oracle(
        tokens=q.shape[2],
        rows=q.shape[0],
        prefix=case.causal,
        work=q.shape[1],
        inputs=inputs,
        results=results,
        part=part,
        expected=expected,
        again=again,
        padded=padded if mask is None and spec.honours_padding else None,
    )


def of_layer(
    case: Case,
    layer: nn.Module,
    *,
    window: Window,
    mask: Tensor | None,
    times: Tensor | None,
    grad_output: Tensor,
    honours_padding: bool,
) -> Oracle:
    """Of a layer: its output and its gradient at x, from a copy in float64 whose mechanism is the reference.

    What a published layer does around its mechanism is that of the layer itself, in float64.
    """
    backward = case.phase != "forward" and mask is None
    exact = cache(partial(by_reference, layer))

    def inputs() -> Tensors:
        more = {MASK: mask, TIMES: times, GRAD_OUTPUT: grad_output if backward else None}
        return _given({"x": window.now}, more)

    def results(output: object) -> Tensors:
        return _results(output, {"x": window.now} if backward else {})

    def part(whole: Tensors, row: int, start: int, count: int) -> Tensors:
        return {name: x[row : row + 1].narrow(1, start, count + (name == TIMES)) for name, x in whole.items()}

    @torch.inference_mode()
    def padded(start: int, count: int) -> Tensors:
        batch, length, _ = window.now.shape
        alone = _alone(batch, length, start, count, window.now.device)
        return {OUTPUT: layer(window.now, alone) if times is None else layer(window.now, alone, times)}

    def expected(given: Tensors) -> Tensors:
        doubled = _doubled(given)
        upstream, own_mask = doubled.get(GRAD_OUTPUT), doubled.get(MASK)
        x = doubled["x"].requires_grad_(upstream is not None)
        more = (doubled[TIMES],) if times is not None else ()
        with torch.set_grad_enabled(upstream is not None):
            out = exact()(x, own_mask, *more)
        return _expected(out, upstream, {"x": x}, own_mask)

    return Oracle(
        tokens=window.now.shape[1],
        rows=window.now.shape[0],
        prefix=case.causal,
        work=case.heads,
        inputs=inputs,
        results=results,
        part=part,
        expected=expected,
        again=window.back,
        padded=padded if mask is None and honours_padding else None,
    )


def by_reference(module: nn.Module) -> nn.Module:
    """A copy in float64 in which the reference of each mechanism stands for its core."""
    exact = copy.deepcopy(module).double().requires_grad_(False)
    for op in exact.modules():
        if isinstance(op, AttentionOp):
            spec = op.spec
            op.spec = replace(spec, core=spec.reference, backends={}, one_query=None)
            op.params = accepted(spec.reference, op.params)
    return exact


def _alone(batch: int, length: int, start: int, count: int, device: torch.device) -> Tensor:
    """The mask [B, N] in which only `count` tokens from `start` on are real."""
    mask = torch.zeros(batch, length, dtype=torch.bool, device=device)
    mask[:, start : start + count] = True
    return mask


def _given(tensors: Tensors, more: Mapping[str, Tensor | None]) -> Tensors:
    return {name: x.detach() for name, x in {**tensors, **more}.items() if x is not None}


def _results(output: object, leaves: Mapping[str, Tensor]) -> Tensors:
    assert isinstance(output, Tensor), "the call of a mechanism returns its output"
    gradients = {f"gradient at {name}": x.grad for name, x in leaves.items()}
    return {OUTPUT: output.detach()} | {name: x for name, x in gradients.items() if x is not None}


def _expected(
    out: Tensor, upstream: Tensor | None, leaves: Mapping[str, Tensor], mask: Tensor | None
) -> Tensors:
    """The output, NaN where padding makes it meaningless, and the gradients."""
    if upstream is None:
        return {OUTPUT: out if mask is None else out.masked_fill(~_visible(out, mask), torch.nan)}
    found = torch.autograd.grad(
        out, list(leaves.values()), upstream, allow_unused=True, materialize_grads=True
    )
    gradients = dict(zip((f"gradient at {name}" for name in leaves), found, strict=True))
    return {OUTPUT: out.detach()} | gradients


def _visible(out: Tensor, mask: Tensor) -> Tensor:
    """Where a token is real: a mask [B, N] that broadcasts to [B, H, N, d] or [B, N, D]."""
    return mask[:, None, :, None] if out.dim() == 4 else mask[:, :, None]


def _doubled(tensors: Mapping[str, Tensor]) -> Tensors:
    return {
        name: x.detach().to(torch.float64, copy=True) if x.is_floating_point() else x
        for name, x in tensors.items()
    }
