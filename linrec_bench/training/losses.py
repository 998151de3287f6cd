"""Cross entropy over the whole catalogue, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

BLOCK_BYTES = {"cpu": 8 * 2**20, "cuda": 256 * 2**20}
"""Size of one block of logits: on a CPU it is read several times and should stay near the cache, on a GPU
it should be large enough that launches do not count."""

_LEAST_ROWS = 32
# With fewer rows the products degrade to matrix-vector ones, which read the whole table for each row.

_MOST_BLOCKS = 256
# With more positions than fill these, what the model keeps for each of them outweighs a block by far.


def cross_entropy(
    hidden: Float[Tensor, "T D"],
    embeddings: Float[Tensor, "V_plus_1 D"],
    targets: Int64[Tensor, " T"],
    *,
    block_bytes: int | None = None,
) -> Float[Tensor, ""]:
    """Mean over T of -log softmax(hidden @ embeddings[1:].T) at the target; targets in 1..V.

    Row 0 of `embeddings` is padding and never a class. The logits [T, V] never exist whole, only blocks of
    positions of about `block_bytes` (by default `BLOCK_BYTES` of the device; at least 32 positions and 1/256
    of them all). Both gradients are made block by block in the forward pass, so that nothing is computed
    twice. Softmax and sums are taken in float32 at least. Raises `ValueError` when T is 0.
    """
    if len(targets) == 0:
        raise ValueError("no position has a target; expected at least one")
    if block_bytes is None:
        block_bytes = BLOCK_BYTES.get(hidden.device.type, BLOCK_BYTES["cuda"])
    return _cross_entropy(hidden, embeddings, targets, block_bytes)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, embeddings: Tensor, targets: Tensor, block_bytes: int) -> Tensor:
        precise = torch.promote_types(hidden.dtype, torch.float32)
        count, classes = len(targets), embeddings[1:]
        rows = max(block_bytes // (len(classes) * precise.itemsize), _LEAST_ROWS, -(-count // _MOST_BLOCKS))
        grad_hidden = torch.empty_like(hidden)
        grad_embeddings = torch.zeros_like(embeddings, dtype=precise)
        grad_classes = grad_embeddings[1:]
        losses = []
        for block, target, grad_block in zip(
            hidden.split(rows), (targets - 1)[:, None].split(rows), grad_hidden.split(rows), strict=True
        ):
            # One buffer all the way: logits, their softmax, and its difference from the one-hot target.
            logits = (block @ classes.T).to(precise)
            at_target = logits.gather(1, target)
            top = logits.amax(dim=1, keepdim=True)
            weights = logits.sub_(top).exp_()
            total = weights.sum(dim=1, keepdim=True)
            losses.append(total.log() + top - at_target)
            weights.div_(total).scatter_add_(1, target, torch.full_like(total, -1))
            weights = weights.to(hidden.dtype)
            torch.mm(weights, classes, out=grad_block)
            grad_classes += weights.T @ block
        ctx.save_for_backward(grad_hidden.div_(count), grad_embeddings.div_(count).to(embeddings.dtype))
        return torch.cat(losses).mean()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_embeddings = ctx.saved_tensors
        return grad_hidden * grad, grad_embeddings * grad, None, None


_cross_entropy: Callable[..., Tensor] = _CrossEntropy.apply
