"""A package `fla` for tests: signatures, layouts, defaults and refusals of fla-core 0.6.0, as naive loops.

Tensors are [B, T, H, *]. What the real kernels leave to the caller is left to the caller here: a scale of
1 / sqrt(K) and a normaliser unless told otherwise, log decays, no normalisation of keys.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from torch import Tensor

VERSION = "0.6.0"


def _recurrence(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, scale: float | None) -> Tensor:
    """decay: [B, T, H, K or 1], as it multiplies the state."""
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    state = q.new_zeros(q.shape[0], q.shape[2], q.shape[3], v.shape[3], dtype=torch.float64)
    rows = []
    for t in range(q.shape[1]):
        key, value, query = (x[:, t].double() for x in (k, v, q))
        state = decay[:, t].double()[..., None] * state + key[..., None] * value[..., None, :]
        rows.append(scale * (query[..., None] * state).sum(dim=-2))
    return torch.stack(rows, dim=1).to(v.dtype)


def _same_types(*tensors: Tensor) -> None:
    assert len({x.dtype for x in tensors}) == 1
    assert len({x.shape[:3] for x in tensors}) == 1
    assert tensors[0].dtype in (torch.float32, torch.bfloat16, torch.float16)


def chunk_linear_attn(
    q, k, v, scale=None, initial_state=None, output_final_state=False, normalize=True, cu_seqlens=None
):
    _same_types(q, k, v)
    assert initial_state is None
    assert cu_seqlens is None
    assert not normalize, "not what the adapter asks for"
    return _recurrence(q, k, v, torch.ones_like(q[..., :1]), scale), None


def chunk_simple_gla(q, k, v, g=None, g_gamma=None, scale=None, initial_state=None, output_final_state=False):
    _same_types(q, k, v)
    assert (g is None) != (g_gamma is None)
    if g is None:
        assert g_gamma.shape == (q.shape[2],)
        g = g_gamma.expand(q.shape[:3])
    assert g.shape == q.shape[:3]
    assert g.dtype == torch.float32
    return _recurrence(q, k, v, g.double().exp()[..., None], scale), None


def chunk_gla(q, k, v, g, scale=None, initial_state=None, output_final_state=False):
    _same_types(q, k, v)
    assert g.shape == q.shape
    return _recurrence(q, k, v, g.double().exp(), scale), None


def _delta(q, k, v, g, beta, scale):
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    assert beta.shape == q.shape[:3]
    state = q.new_zeros(q.shape[0], q.shape[2], q.shape[3], v.shape[3], dtype=torch.float64)
    rows = []
    for t in range(q.shape[1]):
        query, key, value = (x[:, t].double() for x in (q, k, v))
        state = state * g[:, t].double().exp()[..., None, None]
        answer = (key[..., None] * state).sum(dim=-2)
        state = state + key[..., None] * (beta[:, t].double()[..., None] * (value - answer))[..., None, :]
        rows.append(scale * (query[..., None] * state).sum(dim=-2))
    return torch.stack(rows, dim=1).to(v.dtype), None


def chunk_delta_rule(
    q,
    k,
    v,
    beta,
    scale=None,
    initial_state=None,
    output_final_state=False,
    use_qk_l2norm_in_kernel=False,
):
    _same_types(q, k, v)
    assert q.dtype != torch.float32, "does not support float32"
    return _delta(q, k, v, torch.zeros_like(beta), beta, scale)


def chunk_gated_delta_rule(
    q,
    k,
    v,
    g,
    beta,
    scale=None,
    initial_state=None,
    output_final_state=False,
    use_qk_l2norm_in_kernel=False,
):
    _same_types(q, k, v)
    assert g.shape == q.shape[:3]
    return _delta(q, k, v, g, beta, scale)


def fused_chunk_based(q, k, v, scale=None, use_norm=True):
    _same_types(q, k, v)
    assert q.shape[-1] <= 16
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.einsum("bihf,bjhf->bhij", q.double() * scale, k.double())
    weights = (1 + scores + scores**2 / 2).tril()
    out = torch.einsum("bhij,bjhe->bihe", weights, v.double())
    total = weights.sum(dim=-1).transpose(1, 2)[..., None]
    return (out / (total + 1e-6) if use_norm else out).to(q.dtype)


def parallel_forgetting_attn(q, k, v, g, scale=None, window_size=None, cu_seqlens=None):
    _same_types(q, k, v)
    assert g.shape == q.shape[:3]
    assert g.dtype == torch.float32
    assert scale is None
    sums = g.double().cumsum(dim=1).transpose(1, 2)[..., None]
    scores = torch.einsum("bihd,bjhd->bhij", q.double(), k.double()) * q.shape[-1] ** -0.5 + sums - sums.mT
    future = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).triu(1)
    weights = scores.masked_fill(future, -torch.inf).softmax(dim=-1)
    return torch.einsum("bhij,bjhd->bihd", weights, v.double()).to(v.dtype)


KERNELS = {
    "linear_attn": chunk_linear_attn,
    "simple_gla": chunk_simple_gla,
    "gla": chunk_gla,
    "delta_rule": chunk_delta_rule,
    "gated_delta_rule": chunk_gated_delta_rule,
    "based": fused_chunk_based,
    "forgetting_attn": parallel_forgetting_attn,
}


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `import fla` find this."""
    modules = {"fla": ModuleType("fla"), "fla.ops": ModuleType("fla.ops")}
    modules["fla"].__version__ = VERSION
    for room, kernel in KERNELS.items():
        modules[f"fla.ops.{room}"] = ModuleType(f"fla.ops.{room}")
        setattr(modules[f"fla.ops.{room}"], kernel.__name__, kernel)
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
