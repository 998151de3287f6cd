"""Probes of what is computed: shapes, agreement with the reference, gradients, decoding, finite numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from linrec_bench.attention.contract.probe_inputs import (
    LENGTHS,
    NONE,
    SEQ_LEN,
    Given,
    Masked,
    Params,
    difference,
    given,
    gradients,
    masked_batches,
    noise,
    real,
    run,
)
from linrec_bench.attention.spec import Spec, accepted


def check_shape_and_dtype(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """The output has the shape and dtype of v, for every length, floating type and layout."""
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        for length in LENGTHS:
            having = given(spec, length, dtype, params=params)
            out = run(spec, having, causal=causal, params=params)
            v = having.tokens["v"]
            if out.shape != v.shape or out.dtype != dtype:
                return f"{list(v.shape)} {dtype} gives {list(out.shape)} {out.dtype}"
    return None


def check_fake(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Forward and backward run on fake tensors, N = 1,100, with the right shapes: nothing reads a value."""
    shape = (1, 2, 1100, 8)
    with FakeTensorMode():
        q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
        x = torch.randn(shape[0], shape[2], shape[1] * shape[3])
        # Apart from any graph: backward runs twice below.
        gates = spec.gate_tensors(x, shape[1], seq_len=shape[2], params=params)
        made = {name: tensor.detach() for name, tensor in gates.items()}
        mask = torch.ones(shape[0], shape[2], dtype=torch.bool)
        tokens = {"q": q, "k": k, "v": v} | {name: made.pop(name) for name in spec.tokens}
        having = Given(tokens, made)
        for padding_mask in (None, mask) if spec.honours_padding else (None,):
            try:
                out = run(spec, having, causal=causal, params=params, padding_mask=padding_mask)
                out.sum().backward()
            except DataDependentOutputException as error:
                return f"reads a value of a tensor, which a fake tensor does not have: {error}"
            if out.shape != shape or v.grad is None or v.grad.shape != shape:
                return f"fake tensors of shape {list(shape)} give {list(out.shape)}"
        if causal and spec.init_state is not None and spec.step is not None:
            start = accepted(spec.init_state, params, seq_len=shape[2])
            own = accepted(spec.step, params, seq_len=shape[2])
            first = having.map_tokens(lambda x: x[:, :, :1])
            try:
                with torch.no_grad():
                    state = spec.init_state(q, **start)
                    for _ in range(2):
                        state, _ = spec.step(state, **first.tokens, **first.weights, **own)
            except DataDependentOutputException as error:
                return f"decoding reads a value of a tensor, which a fake tensor does not have: {error}"
    return None


def check_agreement(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """The fast form equals the float64 reference within the error budget of its dtype, with any mask."""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        for length in LENGTHS:
            having = given(spec, length, dtype, params=params)
            for batch in masked_batches(spec, length):
                wide, call = having.rows(batch.rows), partial(run, spec, causal=causal, params=params)
                out = real(call(wide, padding_mask=batch.mask), batch.mask)
                exact = call(wide.map(_double), padding_mask=batch.mask, reference=True)
                exact = real(exact, batch.mask)
                for name, rows in batch.parts:
                    found = difference(out[rows], exact[rows], dtype)
                    if found:
                        return f"{dtype}, N = {length}, mask {name}: differs from the reference by {found}"
    return None


def check_gradients(
    spec: Spec,
    *,
    causal: bool,
    params: Params = NONE,
    lengths: Sequence[int] = LENGTHS,
    seed: int = 0,
) -> str | None:
    """Gradients at q, k, v, gates and weights equal those of the float64 reference, with any mask."""
    for dtype in (torch.float64, torch.float32):
        for length in lengths:
            having = given(spec, length, dtype, params=params, seed=seed)
            for batch in masked_batches(spec, length):
                wide = having.rows(batch.rows)
                upstream = noise(having.tokens["v"].shape, dtype, seed=1)[list(batch.rows)]
                upstream = real(upstream, batch.mask)
                call = partial(gradients, spec, causal=causal, params=params, padding_mask=batch.mask)
                fast = call(wide, upstream)
                exact = call(wide.map(_double), upstream.double(), reference=True)
                found = _wrong_gradient(fast, exact, batch, tokens=having.tokens)
                if found:
                    return f"{dtype}, N = {length}, mask {found}"
    return None


def _wrong_gradient(
    fast: Mapping[str, Tensor], exact: Mapping[str, Tensor], batch: Masked, *, tokens: Collection[str]
) -> str | None:
    """`NAME: gradient at X is off by ...` of the first that is."""
    length, dtype = exact["q"].shape[-2], fast["q"].dtype
    for which, value in exact.items():
        # Gradients of weights are sums over all rows and their tokens, whatever the shape of the weight.
        every = " and ".join(name for name, _ in batch.parts)
        parts = batch.parts if which in tokens else ((every, list(range(len(batch.rows)))),)
        for name, rows in parts:
            summed = length if which in tokens else length * len(rows) // 2
            one, other = (x[rows] if which in tokens else x for x in (fast[which], value))
            # q, k, v against one scale: a gradient that cancels to zero leaves rounding errors.
            scale = max(x.abs().max().item() for x in (other, *(exact[each][rows] for each in "qkv")))
            if found := difference(one, other, dtype, scale=scale, tokens=summed):
                return f"{name}: gradient at {which} is off by {found}"
    return None


def cannot_decode(spec: Spec) -> bool:
    """Whether the SPEC has no recurrent form and declares none."""
    return spec.init_state is None and spec.step is None and not spec.decode_state


def check_decode(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """One event after another, or a few at a time, gives what the whole sequence gives at once."""
    if not causal or cannot_decode(spec):
        return None
    if spec.init_state is None or spec.step is None:
        return "declares a recurrent form, but has no init_state and step to decode with"
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        having = given(spec, 37, dtype, params=params)
        whole = run(spec, having, causal=True, params=params)
        for sizes in ([1] * 37, [20, 1, 1, 15], [37]):
            start = accepted(spec.init_state, params, seq_len=SEQ_LEN)
            state = spec.init_state(having.tokens["q"], **start)
            own = accepted(spec.step, params, seq_len=SEQ_LEN)
            rows, done = [], 0
            with torch.no_grad():
                for size in sizes:
                    part = {name: x.narrow(2, done, size) for name, x in having.tokens.items()}
                    state, out = spec.step(state, **part, **having.weights, **own)
                    rows.append(out)
                    done += size
            decoded = torch.cat(rows, dim=2)
            if decoded.dtype != dtype:
                return f"{dtype}: decoding gives {decoded.dtype}"
            found = difference(decoded, whole, dtype)
            if found:
                return f"{dtype}: events in parts of {sizes[0]} give outputs that differ by {found}"
    return None


def check_finite(spec: Spec, *, causal: bool, params: Params = NONE) -> str | None:
    """Zero tokens, zero inputs, padding alone, large values: outputs and gradients are finite numbers."""
    for dtype in (torch.float32, torch.bfloat16):
        plain = given(spec, 37, dtype, params=params)
        cases: dict[str, tuple[Given, Tensor | None]] = {
            "rows of zeros": (plain.map_qkv(_holes), None),
            "zeros everywhere": (plain.map_qkv(torch.zeros_like), None),
            "values of 1000": (plain.map_qkv(lambda x: 1000 * x), None),
        }
        if spec.honours_padding:
            mask = torch.ones(2, 37, dtype=torch.bool)
            mask[0] = False
            mask[1, :9] = False
            cases["rows of padding alone"] = (plain, mask)
        for name, (having, padding_mask) in cases.items():
            out = run(spec, having, causal=causal, params=params, padding_mask=padding_mask)
            slopes = gradients(
                spec, having, torch.ones_like(out), causal=causal, params=params, padding_mask=padding_mask
            )
            for what, x in {"output": out, **{f"gradient at {key}": g for key, g in slopes.items()}}.items():
                if not x.isfinite().all():
                    return f"{dtype}, {name}: {what} is not finite"
    return None


def _double(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x


def _holes(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, :, ::5] = 0
    x[:, :, :3] = 0
    return x
