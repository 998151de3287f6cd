"""The backend `compile`: a whole formula handed to torch.compile, for mechanisms that offer it.

Fused loops read every token once where eager operations read and write it several times. Compiling takes
seconds, in the first call, which every run reports apart (`first_call_time`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.torch_version import TorchVersion
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from linrec_bench.attention.backends.native_build import no_compiler
from linrec_bench.attention.ops.block_sizes import pads
from linrec_bench.attention.spec import Backend, Request

Formula = Callable[..., Tensor]

CAUSAL_GRADIENTS_SINCE = "2.13"
"""Gradients at q and k of causal forms compiled by torch 2.11 are wrong; those of 2.13 are held by a test."""


def backend(formula: Formula, causal_formula: Formula) -> Backend:
    """`formula(q, k, v, pad)` of either direction, compiled for the shapes that come; pad: [B, 1, N, 1]."""

    def attend(q: Tensor, k: Tensor, v: Tensor, *, padding_mask: Tensor | None, causal: bool) -> Tensor:
        chosen = causal_formula if causal else formula
        # Under a dispatch mode torch compiles nothing; operations are then seen one by one.
        run = chosen if is_in_torch_dispatch_mode() else _compiled(chosen)
        return run(q, k, v, pads(padding_mask))

    return Backend(attend=attend, refusal=refusal, counted=attend)


def refusal(request: Request) -> str | None:
    """Why nothing is compiled: no C++ compiler for a CPU, or a torch that gets causal gradients wrong."""
    if request.device_type == "cpu" and (reason := no_compiler("compile")):
        return reason
    if request.causal and request.backward and TorchVersion(torch.__version__) < CAUSAL_GRADIENTS_SINCE:
        return (
            f"backend compile: torch {torch.__version__} compiles wrong gradients of causal forms; "
            f"expected torch {CAUSAL_GRADIENTS_SINCE} or later, or backend: eager"
        )
    return None


@cache
def _compiled(formula: Formula) -> Formula:
    compiled: Formula = torch.compile(formula, dynamic=False)
    return compiled
