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
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from linrec_bench.attention.spec import Unsupported

Formula = Callable[..., Tensor]


def run(formula: Formula, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> Tensor:
    """`formula(q, k, v, pad)`, compiled for these shapes.

    Where operations are being counted it runs as it stands, operation by operation: what a compiler makes of
    it cannot be seen from here. Raises `Unsupported` on a CPU without a C++ compiler.
    """
    if is_in_torch_dispatch_mode():
        return formula(q, k, v, pad)
    compiler = os.environ.get("CXX", "g++")
    if q.device.type == "cpu" and shutil.which(compiler) is None:
        raise Unsupported(f"backend compile needs a C++ compiler; {compiler} was not found (set CXX)")
    return _compiled(formula)(q, k, v, pad)


@cache
def _compiled(formula: Formula) -> Formula:
    compiled: Formula = torch.compile(formula, dynamic=False)
    return compiled
