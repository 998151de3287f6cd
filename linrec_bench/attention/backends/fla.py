"""The backend `fla`: CUDA kernels of the package fla-core, for mechanisms that one of them computes.

    chunk_linear_attn             S_t = S_{t-1} + k_t v_t^T
    chunk_simple_gla              S_t = exp(g_t) S_{t-1} + k_t v_t^T, one g a head, or one for each token
    chunk_gla                     S_t = diag(exp(g_t)) S_{t-1} + k_t v_t^T
    chunk_delta_rule, chunk_gated_delta_rule
    fused_chunk_based             the Taylor polynomial of `based`

Yang and Zhang 2024, github.com/fla-org/flash-linear-attention; signatures as of fla-core 0.6.0. They are
causal, written in Triton and made for half types. The package is imported when it is asked for and never
needed; what a kernel cannot do is refused.

Its tensors are [B, N, H, *], and it scales queries by 1 / sqrt(d) unless told otherwise: here queries come as
they are to be used. Real tokens are moved to the front, where causality hides padding from them, so that no
kernel needs a mask. Where operations are counted on fake tensors, a mechanism runs in its eager form: what
a kernel does inside cannot be seen from here.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.ops.compact_padding import inverse, real_first, take
from linrec_bench.attention.spec import Backend, Request

DEVICES = ("cuda",)
HALF = (torch.bfloat16, torch.float16)
WIDEST_HEAD = 256
"""Features of a head in the kernels of the delta rule."""

_used: list[str] = []


def backend(
    function: Callable[..., Tensor],
    *,
    tokens: Sequence[str] = (),
    dtypes: Sequence[torch.dtype] = (torch.float32, *HALF),
    widest_head: int | None = None,
) -> Backend:
    """`function(q, k, v, *tokens, **others)` of a causal mechanism by a kernel; counts are those of `core`.

    tokens: names of the tensors that have a row for each token, besides q, k, v; `others` are weights and
    settings. What a kernel does inside cannot be seen by whoever counts operations.
    """

    # Any: weights and settings of whatever mechanism it is.
    def attend(
        q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None, causal: bool, **others: Any
    ) -> Tensor:
        assert causal, "a kernel of the other direction is refused"
        rows = [others.pop(name) for name in tokens]
        return over_real(partial(function, **others), (q, k, v, *rows), padding_mask)

    return Backend(
        attend=attend, refusal=partial(refusal, dtypes=dtypes, widest_head=widest_head), kernel=kernel
    )


def refusal(
    request: Request,
    *,
    dtypes: Sequence[torch.dtype] = (torch.float32, *HALF),
    widest_head: int | None = None,
) -> str | None:
    """Why a kernel cannot run such tensors here; None where it can."""
    if request.causal is False:
        return "backend fla has causal kernels only; expected causal: true, or backend eager"
    if request.device_type not in DEVICES:
        return f"backend fla runs on CUDA devices only, not on {request.device_type}"
    if importlib.util.find_spec("fla") is None:
        return "backend fla needs the package fla-core, which is not installed (pip install 'fla-core[cuda]')"
    if request.dtype not in dtypes:
        names = " or ".join(str(each).removeprefix("torch.") for each in dtypes)
        return f"backend fla has no kernel for {str(request.dtype).removeprefix('torch.')}; expected {names}"
    if request.head_size is not None and widest_head is not None and request.head_size > widest_head:
        return f"backend fla takes at most {widest_head} features a head here, got {request.head_size}"
    if request.head_size is not None and request.head_size % 2 and request.dtype in HALF:
        return f"backend fla needs an even head size in half types, got {request.head_size}"
    return None


def over_real(
    function: Callable[..., Tensor],
    tokens: Sequence[Float[Tensor, "B H N _"]],
    padding_mask: Bool[Tensor, "B N"] | None,
) -> Float[Tensor, "B H N d"]:
    """`function(*tokens)` of a causal mechanism, with padding behind the last real token of each row.

    Padded rows of the result are finite and carry no meaning.
    """
    if padding_mask is None:
        return function(*tokens)
    order = real_first(padding_mask)
    return take(function(*(take(x, order) for x in tokens)), inverse(order))


def linear(
    q: Float[Tensor, "B H N f"], k: Float[Tensor, "B H N f"], v: Float[Tensor, "B H N e"]
) -> Float[Tensor, "B H N e"]:
    """o_t = sum_{s <= t} (q_t . k_s) v_s."""
    return _call("linear_attn", "chunk_linear_attn", q, k, v, scale=1.0, normalize=False)


def averages(
    q: Float[Tensor, "B H N f"], k: Float[Tensor, "B H N f"], v: Float[Tensor, "B H N e"], *, eps: float
) -> Float[Tensor, "B H N e"]:
    """`linear` over (sum_{s <= t} q_t . k_s + eps). The kernel's own normaliser has another eps, and sums of
    keys in their own type; here they are float32."""
    total = (q.float() * k.float().cumsum(dim=2)).sum(dim=-1, keepdim=True) + eps
    return (linear(q, k, v) / total).to(v.dtype)


def decayed(
    q: Float[Tensor, "B H N f"],
    k: Float[Tensor, "B H N f"],
    v: Float[Tensor, "B H N e"],
    log_decay: Float[Tensor, "B H N 1"],
) -> Float[Tensor, "B H N e"]:
    """S_t = exp(log_decay_t) S_{t-1} + k_t v_t^T, o_t = S_t^T q_t."""
    return _call("simple_gla", "chunk_simple_gla", q, k, v, g=_gate(log_decay), scale=1.0)


def decayed_at_one_rate(
    q: Float[Tensor, "B H N f"],
    k: Float[Tensor, "B H N f"],
    v: Float[Tensor, "B H N e"],
    log_decay: Float[Tensor, " H"],
) -> Float[Tensor, "B H N e"]:
    """`decayed` by the same for every token of a head; rates get no gradient."""
    return _call("simple_gla", "chunk_simple_gla", q, k, v, g_gamma=log_decay.detach().float(), scale=1.0)


def gated(
    q: Float[Tensor, "B H N f"],
    k: Float[Tensor, "B H N f"],
    v: Float[Tensor, "B H N e"],
    log_decay: Float[Tensor, "B H N f"],
) -> Float[Tensor, "B H N e"]:
    """S_t = diag(exp(log_decay_t)) S_{t-1} + k_t v_t^T, o_t = S_t^T q_t."""
    return _call("gla", "chunk_gla", q, k, v, g=_swap(log_decay.float()), scale=1.0)


def forgetting(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    log_forget: Float[Tensor, "B H N 1"],
) -> Float[Tensor, "B H N d"]:
    """softmax_j(q_i . k_j / sqrt(d) + sum of log_forget from j + 1 to i) v."""
    return _call("forgetting_attn", "parallel_forgetting_attn", q, k, v, g=_gate(log_forget))


def delta(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    beta: Float[Tensor, "B H N 1"],
    log_decay: Float[Tensor, "B H N 1"] | None = None,
) -> Float[Tensor, "B H N d"]:
    """The delta rule of `delta_rule`; keys of unit length."""
    strength = _swap(beta).squeeze(-1)
    if log_decay is None:
        return _call("delta_rule", "chunk_delta_rule", q, k, v, beta=strength, scale=1.0)
    gate = _gate(log_decay)
    return _call("gated_delta_rule", "chunk_gated_delta_rule", q, k, v, g=gate, beta=strength, scale=1.0)


def taylor(
    q: Float[Tensor, "B H N f"], k: Float[Tensor, "B H N f"], v: Float[Tensor, "B H N e"]
) -> Float[Tensor, "B H N e"]:
    """Weights 1 + s + s^2 / 2 of s = q . k, divided by their sum and the kernel's own 1e-6; f <= 16."""
    return _call("based", "fused_chunk_based", q, k, v, scale=1.0)


def kernel(call: Callable[[], object]) -> str:
    """The kernels that `call` uses, which is run once; empty, and nothing is run, where none was ever loaded
    in this process."""
    if not _load.cache_info().currsize:
        return ""
    _used.clear()
    call()
    return ", ".join(dict.fromkeys(_used))


@cache
def _load(module: str, name: str) -> tuple[Callable[..., Any], str]:
    function = getattr(importlib.import_module(f"fla.ops.{module}"), name)
    return function, f"fla {importlib.import_module('fla').__version__} {name}"


# Any: the keywords of whatever kernel it is.
def _call(module: str, name: str, q: Tensor, k: Tensor, v: Tensor, **settings: Any) -> Tensor:
    """A kernel of [B, N, H, *] on [B, H, N, *]; those that give a state beside o give none here."""
    function, label = _load(module, name)
    _used.append(label)
    result = function(*(_swap(x).to(v.dtype) for x in (q, k, v)), **settings)
    out: Tensor = result[0] if isinstance(result, tuple) else result
    return _swap(out)


def _swap(x: Tensor) -> Tensor:
    """[B, H, N, *] as [B, N, H, *], and back."""
    return x.transpose(1, 2)


def _gate(log_decay: Float[Tensor, "B H N 1"]) -> Float[Tensor, "B N H"]:
    """In float32: sums of many small numbers."""
    return _swap(log_decay.float()).squeeze(-1)
