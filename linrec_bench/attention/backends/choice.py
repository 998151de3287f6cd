"""Which implementation of a mechanism runs: `core`, or the one of `Spec.backends` that is asked for.

tensors that hold numbers     what the setting `backend` names; `Unsupported` with the reason where it cannot
fake tensors, to be counted   what that backend is counted as, by default `core`: the operations inside a
                              kernel cannot be seen from outside
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from linrec_bench.attention.spec import Backend, Core, Request, Spec, Unsupported, accepted
from linrec_bench.parameters import EAGER


def attend(
    spec: Spec,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    padding_mask: Tensor | None,
    causal: bool,
    settings: Mapping[str, object],
    tensors: Mapping[str, Tensor],
) -> Tensor:
    """o [B, H, N, d] by the implementation that the settings choose; those that `core` lacks are left out.

    Raises `Unsupported` where that implementation cannot run such tensors.
    """
    chosen = _implementation(spec, settings, q, k, v, causal=causal)
    own = accepted(spec.core, settings)
    return chosen(q, k, v, padding_mask=padding_mask, causal=causal, **tensors, **own)


def refusal(
    spec: Spec, settings: Mapping[str, object], device_type: str, dtype: torch.dtype, *, backward: bool
) -> str | None:
    """Why the implementation that the settings choose runs no such tensors; None where it runs some."""
    backend = _backend(spec, settings)
    refuse = spec.refusal if backend is None else backend.refusal
    return None if refuse is None else refuse(Request(device_type, dtype, backward))


def compiles(spec: Spec, settings: Mapping[str, object]) -> bool:
    """Whether the first call may compile its kernels: those of a backend, and of a `core` that has kernels
    for some tensors only."""
    return _backend(spec, settings) is not None or spec.refusal is not None


def used_kernel(spec: Spec, settings: Mapping[str, object], call: Callable[[], object]) -> str:
    """The kernel that `call` uses, which is run once; empty, and nothing is run, where none can be named."""
    backend = _backend(spec, settings)
    kernel = spec.kernel if backend is None else backend.kernel
    return "" if kernel is None else kernel(call)


def _backend(spec: Spec, settings: Mapping[str, object]) -> Backend | None:
    """None stands for `core`."""
    name = settings.get("backend", EAGER)
    return None if name == EAGER else spec.backends[str(name)]


def _implementation(
    spec: Spec, settings: Mapping[str, object], q: Tensor, k: Tensor, v: Tensor, *, causal: bool
) -> Core:
    backend = _backend(spec, settings)
    if backend is None:
        return spec.core
    if isinstance(q, FakeTensor):
        return backend.counted or spec.core
    backward = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    request = Request(q.device.type, q.dtype, backward, causal, head_size=q.shape[-1], length=q.shape[-2])
    reason = backend.refusal(request)
    if reason is not None:
        raise Unsupported(reason)
    return backend.attend
