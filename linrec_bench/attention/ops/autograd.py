"""Functions that write their own gradient: the type of `ctx`, and when such a function is needed at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

if TYPE_CHECKING:

    class Context(FunctionCtx):
        """What torch hands from forward to backward."""

        saved_tensors: tuple[Tensor, ...]
        needs_input_grad: tuple[bool, ...]

        def save_for_backward(self, *tensors: Tensor | None) -> None: ...

        # Any: torch lets a function put attributes of its own on it.
        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: object) -> None: ...

else:
    # torch makes a subclass of it for each function.
    Context = FunctionCtx


def differentiated(*tensors: Tensor) -> bool:
    """Whether what is made of these tensors can get gradients. Where not, a custom function only costs time:
    some twenty microseconds a call, which a step of decoding is made of."""
    return torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
