"""Losses that compare the target with drawn negatives in place of the whole catalogue.

T positions of width D, V items; row 0 of the embeddings is padding. Scores are hidden @ embeddings.T.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from linrec_bench.attention.ops.autograd import Context

BLOCK_BYTES = 32 * 2**20
# Of gathered embeddings, the largest tensor of the binary loss.


def sampled_softmax(
    hidden: Float[Tensor, "T D"],
    embeddings: Float[Tensor, "V_plus_1 D"],
    targets: Int64[Tensor, " T"],
    negatives: Int64[Tensor, " K"],
    *,
    log_probability: Float[Tensor, " K"] | None = None,
) -> Float[Tensor, ""]:
    """Mean cross entropy of each target against K negatives, which all T positions share.

    With `log_probability`, log q of each negative in one draw, log(K q) is taken from its score (Bengio and
    Senécal 2008; Yi et al. 2019): the sum of exp(score) / (K q) over the negatives then is, on average, that
    of exp(score) over all items but the target, so that the loss tends to the full one as K grows. The
    target's own score stays as it is, because it is always there. A negative that is the target of a position
    is left out there. Logits and sums are in float32 at least. Raises `ValueError` when T or K is 0.
    """
    if len(targets) == 0 or len(negatives) == 0:
        raise ValueError(
            f"{len(targets)} targets and {len(negatives)} negatives; expected at least one of each"
        )
    precise = torch.promote_types(hidden.dtype, torch.float32)
    # One look-up for both, because its gradient is as large as the table.
    looked_up = F.embedding(torch.cat((targets, negatives)), embeddings)
    at_targets, at_negatives = looked_up.split((len(targets), len(negatives)))
    positive = (hidden.to(precise) * at_targets.to(precise)).sum(dim=1, keepdim=True)
    logits = (hidden @ at_negatives.T).to(precise)
    if log_probability is not None:
        logits = logits - (log_probability.to(precise) + math.log(len(negatives)))
    logits = logits.masked_fill(targets[:, None] == negatives, -torch.inf)
    all_scores = torch.cat((positive, logits), dim=1).logsumexp(dim=1, keepdim=True)
    loss: Tensor = (all_scores - positive).mean()
    return loss


def binary_cross_entropy(
    hidden: Float[Tensor, "T D"],
    embeddings: Float[Tensor, "V_plus_1 D"],
    targets: Int64[Tensor, " T"],
    negatives: Int64[Tensor, "T K"],
) -> Float[Tensor, ""]:
    """Mean over T and over the 1 + K items of a position of -log sigmoid(s) at the target, and
    -log(1 - sigmoid(s)) at each of its own K negatives.

    Kang and McAuley 2018 (arXiv 1808.09781, section 3.5) with K = 1, there as a sum of the two terms. A
    negative that is the target counts 0. Both gradients are made in blocks of positions in the forward pass,
    so that embeddings of [T, K + 1, D] never exist whole. Raises `ValueError` when T or K is 0.
    """
    if negatives.numel() == 0:
        raise ValueError(
            f"negatives of shape {list(negatives.shape)}; expected a target and a negative at least"
        )
    return _binary(hidden, embeddings, targets, negatives)


class _BinaryCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, hidden: Tensor, embeddings: Tensor, targets: Tensor, negatives: Tensor
    ) -> Tensor:
        precise = torch.promote_types(hidden.dtype, torch.float32)
        items = torch.cat((targets[:, None], negatives), dim=1)
        signs = torch.ones(items.shape[1], dtype=precise, device=hidden.device)
        signs[0] = -1
        grad_hidden = torch.empty_like(hidden)
        grad_embeddings = torch.zeros_like(embeddings, dtype=precise)
        rows = max(1, BLOCK_BYTES // (items.shape[1] * hidden.shape[1] * precise.itemsize))
        total = torch.zeros((), dtype=precise, device=hidden.device)
        for block, item, grad_block in zip(
            hidden.to(precise).split(rows), items.split(rows), grad_hidden.split(rows), strict=True
        ):
            looked_up = embeddings[item].to(precise)
            # -log sigmoid(s) = softplus(-s) and -log(1 - sigmoid(s)) = softplus(s).
            signed = torch.einsum("rd,rkd->rk", block, looked_up) * signs
            counts = torch.ones_like(signed)
            counts[:, 1:] = (item[:, 1:] != item[:, :1]).to(precise)
            total += (F.softplus(signed) * counts).sum()
            slopes = torch.sigmoid(signed) * signs * counts
            grad_block.copy_(torch.einsum("rk,rkd->rd", slopes, looked_up))
            shares = slopes[:, :, None] * block[:, None, :]
            grad_embeddings.index_add_(0, item.flatten(), shares.flatten(0, 1))
        terms = items.numel()
        ctx.save_for_backward(grad_hidden.div_(terms), grad_embeddings.div_(terms).to(embeddings.dtype))
        return total / terms

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_embeddings = ctx.saved_tensors
        return grad_hidden * grad, grad_embeddings * grad, None, None


_binary: Callable[..., Tensor] = _BinaryCrossEntropy.apply
