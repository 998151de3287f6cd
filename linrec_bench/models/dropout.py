"""Dropout whose mask is cheap on a CPU, where drawing it costs more than the product with it.

    y = x m / (1 - p),   m = 1 with probability 1 - p, else 0

Srivastava et al. 2014, scaled while training. torch draws a number for each entry; here one draw of
64 bits serves four of them, so that p is exact to 2^-16. The generator is torch's global one all the same:
`torch.manual_seed` decides, and the state of a training holds it. Elsewhere torch's own kernel is used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int16
from torch import Tensor, nn

_LEVELS = 2**16
_LOWEST = -(2**15)


class Dropout(nn.Module):
    """An entry is 0 with probability `p`, 0 <= p < 1, or grows by 1 / (1 - p); in eval it stays."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        return x * _weights(x, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _weights(x: Float[Tensor, "*shape"], p: float) -> Float[Tensor, "*shape"]:
    """0 or 1 / (1 - p) for each entry of x."""
    # A share below half a level would drop nothing, one above all but half a level everything.
    dropped = min(max(round(p * _LEVELS), 1), _LEVELS - 1)
    kept = _sixteen_bits(x) >= _LOWEST + dropped
    return torch.where(kept, x.new_full((), _LEVELS / (_LEVELS - dropped)), 0.0)


def _sixteen_bits(x: Float[Tensor, "*shape"]) -> Int16[Tensor, "*shape"]:
    """A uniform number of 16 bits for each entry of x."""
    drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    return drawn.view(torch.int16)[: x.numel()].view(x.shape)
