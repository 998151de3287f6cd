"""Linformer: keys and values projected along the sequence to a fixed number of rows.

    o = softmax(q (E k)^T / sqrt(d)) (F v),    E, F [rank, N_max], learnt

Wang et al. 2020, Linformer (arXiv 2006.04768), equation 7, with the projections shared by the heads (its
"headwise sharing"). Upstream: facebookresearch/fairseq, `examples/linformer`, from which the initial weights
are taken (Xavier, gain 1 / sqrt(2)).

A shorter input uses the first N columns of E and F; a longer one than N_max has no columns and is refused.
Every projected row mixes all positions, so there is no causal form. Column j belongs to the j-th real token:
those are moved to the front, and padding adds nothing to the projections, wherever it stands.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.mechanisms.sdpa import kernel
from linrec_bench.attention.ops.compact_padding import real_first, take
from linrec_bench.attention.spec import Mask, Spec, Tokens, Unsupported


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    project_k: Float[Tensor, "rank M"],
    project_v: Float[Tensor, "rank M"],
) -> Tokens:
    """o [B, H, N, d] in O(N rank d) operations; raises `Unsupported` where N exceeds M, the N_max of E, F."""
    del causal
    _check_length(q.shape[2], project_k.shape[1])
    if padding_mask is not None:
        order = real_first(padding_mask)
        pads = ~padding_mask.gather(1, order)[:, None, :, None]
        k, v = (take(x, order).masked_fill(pads, 0) for x in (k, v))
    return F.scaled_dot_product_attention(q, _project(project_k, k), _project(project_v, v))


def _project(matrix: Tensor, x: Tensor) -> Tensor:
    """The first N columns of the matrix times x [B, H, N, d]: [B, H, rank, d]."""
    # The tokens on the left: a product of two matrices, whose gradient at E or F is summed over the batch
    # inside. Batched, it would be made for each head of each row.
    columns = x.permute(2, 0, 1, 3)
    rows = matrix[:, : x.shape[2]] @ columns.flatten(1)
    apart: Tensor = rows.unflatten(1, columns.shape[1:])
    return apart.permute(1, 2, 0, 3)


def _check_length(length: int, longest: int) -> None:
    if length > longest:
        raise Unsupported(
            f"attention linformer was made for at most {longest} tokens, got {length}: its projections have "
            "one column a position; expected a larger seq_len"
        )


class SequenceProjections(nn.Module):
    """E and F [rank, seq_len], `project_k` and `project_v`."""

    def __init__(self, hidden_size: int, heads: int, *, seq_len: int, rank: int = 256) -> None:
        super().__init__()
        del hidden_size, heads
        self.project_k, self.project_v = (nn.Parameter(torch.empty(rank, seq_len)) for _ in range(2))
        for weight in (self.project_k, self.project_v):
            nn.init.xavier_uniform_(weight, gain=1 / math.sqrt(2))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return {"project_k": self.project_k, "project_v": self.project_v}


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    project_k: Float[Tensor, "rank M"],
    project_v: Float[Tensor, "rank M"],
) -> Tokens:
    """Row by row of the batch: real tokens alone, projected; then softmax."""
    del causal
    rows = []
    for row in range(q.shape[0]):
        real = slice(None) if padding_mask is None else padding_mask[row]
        keys, values = k[row][:, real], v[row][:, real]
        keys = torch.einsum("rn,hnd->hrd", project_k[:, : keys.shape[1]], keys)
        values = torch.einsum("rn,hnd->hrd", project_v[:, : values.shape[1]], values)
        scores = torch.einsum("hnd,hrd->hnr", q[row], keys) / q.shape[-1] ** 0.5
        rows.append(scores.softmax(dim=-1) @ values)
    return torch.stack(rows)


SPEC = Spec(
    name="linformer",
    title="Linformer (learnt projection of the sequence)",
    paper="Linformer, arXiv 2006.04768",
    formula="softmax(q (E k)^T / sqrt(d)) (F v), E and F [rank, N_max]",
    source="github.com/facebookresearch/fairseq, examples/linformer",
    deviations=(
        "columns of E and F count real tokens, and padded tokens add nothing; the official code counts both",
        "E and F shared by all heads, not by keys and values, without a bias",
    ),
    core=core,
    reference=reference,
    causal=False,
    permutation_equivariant=False,
    complexity="8 N rank d a head",
    decode_state="none: no causal form",
    gate_module=SequenceProjections,
    kernel=kernel,
)
