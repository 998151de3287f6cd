"""The backend `compile`: a whole formula handed to torch.compile, for mechanisms that offer it.

Fused loops read every token once where eager operations read and write it several times. Compiling takes
seconds, in the first call, which every run reports apart (`first_call_time`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.torch_version import TorchVersion
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from linrec_bench.attention.spec import Unsupported

Formula = Callable[..., Tensor]

CAUSAL_GRADIENTS_SINCE = "2.13"
"""Gradients at q and k of causal forms compiled by torch 2.11 are wrong; those of 2.13 are held by a test."""


def run(formula: Formula, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, *, causal: bool) -> Tensor:
    """`formula(q, k, v, pad)`, compiled for these shapes.

    Where operations are being counted it runs as it stands, operation by operation: what a compiler makes of
    it cannot be seen from here. Raises `Unsupported` on a CPU without a C++ compiler, and for gradients of a
    causal formula with a torch whose compiler gets them wrong.
    """
    if is_in_torch_dispatch_mode():
        return formula(q, k, v, pad)
    compiler = os.environ.get("CXX", "g++")
    if q.device.type == "cpu" and shutil.which(compiler) is None:
        raise Unsupported(f"backend compile needs a C++ compiler; {compiler} was not found (set CXX)")
    differentiated = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    if causal and differentiated and TorchVersion(torch.__version__) < CAUSAL_GRADIENTS_SINCE:
        raise Unsupported(
            f"backend compile: torch {torch.__version__} compiles wrong gradients of causal forms; "
            f"expected torch {CAUSAL_GRADIENTS_SINCE} or later, or backend: eager"
        )
    return _compiled(formula)(q, k, v, pad)


@cache
def _compiled(formula: Formula) -> Formula:
    compiled: Formula = torch.compile(formula, dynamic=False)
    return compiled
