"""Cross entropy over the whole catalogue, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from linrec_bench.attention.ops.autograd import Context
from linrec_bench.block_cache import run
from linrec_bench.measures.device.names import ByKind

BLOCK_BYTES = ByKind(cpu=8 * 2**20, accelerator=256 * 2**20)
"""Size of one block of logits: on a CPU it is read several times and should stay near the cache, elsewhere
it should be large enough that launches do not count."""

_LEAST_ROWS = 32
# With fewer rows the products degrade to matrix-vector ones, which read the whole table for each row.

_ROWS_OF_PARTS = 256
_LEAST_COLUMNS = 1024
# The shape of a block where the catalogue does not fit beside the least rows.

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
    about `block_bytes` (by default `BLOCK_BYTES` of the device): at least 32 positions (and 1/256 of them
    all) by the whole catalogue or, where that is too much, at least 256 positions by a part of it. Both
    gradients are made block by block in the forward pass. Nothing is computed twice where a block holds the
    whole catalogue; of parts the logits are, because their softmax needs the sums over all. Softmax and sums
    are taken in float32 at least. Raises `ValueError` when T is 0.
    """
    if len(targets) == 0:
        raise ValueError("no position has a target; expected at least one")
    if block_bytes is None:
        block_bytes = BLOCK_BYTES.on(hidden.device.type)
    return _cross_entropy(hidden, embeddings, targets, block_bytes)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, hidden: Tensor, embeddings: Tensor, targets: Tensor, block_bytes: int
    ) -> Tensor:
        precise = torch.promote_types(hidden.dtype, torch.float32)
        count, classes = len(targets), embeddings[1:]
        grad_hidden = torch.empty_like(hidden)
        grad_embeddings = torch.zeros_like(embeddings, dtype=precise)
        rows, columns = block_shape(count, len(classes), block_bytes // precise.itemsize)
        blocks = zip(
            hidden.split(rows), (targets - 1)[:, None].split(rows), grad_hidden.split(rows), strict=True
        )
        losses = []
        for block, target, grad_block in blocks:
            if columns == len(classes):
                loss = run(_whole, block, classes, target, grad_block, grad_embeddings[1:])
            else:
                loss = run(_in_parts, block, classes, target, grad_block, grad_embeddings[1:], columns)
            losses.append(loss)
        ctx.save_for_backward(grad_hidden.div_(count), grad_embeddings.div_(count).to(embeddings.dtype))
        return torch.cat(losses).mean()

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_embeddings = ctx.saved_tensors
        return grad_hidden * grad, grad_embeddings * grad, None, None


_cross_entropy: Callable[..., Tensor] = _CrossEntropy.apply


def block_shape(positions: int, classes: int, entries: int) -> tuple[int, int]:
    """Positions and classes of a block of about so many entries."""
    fair = -(-positions // _MOST_BLOCKS)
    if classes * _LEAST_ROWS <= entries or classes <= _LEAST_COLUMNS:
        return max(entries // classes, _LEAST_ROWS, fair), classes
    rows = min(max(_ROWS_OF_PARTS, fair), positions)
    return rows, min(max(entries // rows, _LEAST_COLUMNS), classes)


def _whole(
    block: Float[Tensor, "R D"],
    classes: Float[Tensor, "V D"],
    target: Int64[Tensor, "R 1"],
    grad_block: Float[Tensor, "R D"],
    grad_classes: Float[Tensor, "V D"],
) -> Float[Tensor, "R 1"]:
    """The losses of a block that holds every class; writes `grad_block`, adds to `grad_classes`."""
    # One buffer all the way: logits, their softmax, and its difference from the one-hot target.
    logits = (block @ classes.T).to(grad_classes.dtype)
    at_target = logits.gather(1, target)
    top = logits.amax(dim=1, keepdim=True)
    weights = logits.sub_(top).exp_()
    total = weights.sum(dim=1, keepdim=True)
    loss = total.log() + top - at_target
    weights.div_(total).scatter_add_(1, target, torch.full_like(total, -1))
    weights = weights.to(block.dtype)
    torch.mm(weights, classes, out=grad_block)
    grad_classes += weights.T @ block
    return loss


def _in_parts(
    block: Float[Tensor, "R D"],
    classes: Float[Tensor, "V D"],
    target: Int64[Tensor, "R 1"],
    grad_block: Float[Tensor, "R D"],
    grad_classes: Float[Tensor, "V D"],
    columns: int,
) -> Float[Tensor, "R 1"]:
    """`_whole` with `columns` classes at a time: their sums first, then each part again for the gradients."""
    precise = grad_classes.dtype
    parts = classes.split(columns)
    top = torch.full_like(target, -torch.inf, dtype=precise)
    total = torch.zeros_like(top)
    at_target = torch.zeros_like(top)
    for start, part in zip(range(0, len(classes), columns), parts, strict=True):
        logits = (block @ part.T).to(precise)
        place, inside = _within(target, start, len(part))
        at_target += logits.gather(1, place) * inside
        higher = torch.maximum(top, logits.amax(dim=1, keepdim=True))
        total = total * (top - higher).exp_() + logits.sub_(higher).exp_().sum(dim=1, keepdim=True)
        top = higher
        # Before the next product, which would stand beside it.
        del logits
    log_total = total.log() + top
    gradient = torch.zeros_like(block, dtype=precise)
    for start, part in zip(range(0, len(classes), columns), parts, strict=True):
        weights = (block @ part.T).to(precise).sub_(log_total).exp_()
        place, inside = _within(target, start, len(part))
        weights.scatter_add_(1, place, -inside.to(precise))
        weights = weights.to(block.dtype)
        gradient += weights @ part
        grad_classes[start : start + len(part)] += weights.T @ block
        del weights
    grad_block.copy_(gradient)
    return log_total - at_target


def _within(target: Int64[Tensor, "R 1"], start: int, width: int) -> tuple[Tensor, Tensor]:
    """Where each target stands in a part of the classes (anywhere, if it does not), and whether it does."""
    place = target - start
    return place.clamp(0, width - 1), (place >= 0) & (place < width)
