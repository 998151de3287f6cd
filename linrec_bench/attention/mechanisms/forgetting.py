"""Softmax attention that forgets: scores fall with the forget gates between a key and its query.

    o_i = sum_{j<=i} p_ij v_j,  p_i = softmax_j(q_i . k_j / sqrt(d) + c_i - c_j),  c_i = sum_{l<=i} log f_l

Lin et al. 2025, "Forgetting Transformer: Softmax Attention with a Forget Gate" (ICLR 2025, arXiv 2503.02130),
section 3; f = sigmoid(w_h . x + b_h) is a number for each token and head. It needs no positions beside.
Upstream: fla-org/flash-linear-attention, `layers/forgetting_attn.py`. `core` takes log f, since products of
many gates vanish. Causal only. Padded tokens do not forget and are not seen.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.backends import fla
from linrec_bench.attention.ops import kv_cache
from linrec_bench.attention.ops.blockwise import state_dtype
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens

Gates = Float[Tensor, "B H N 1"]


def core(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, log_forget: Gates
) -> Tokens:
    """o [B, H, N, d] in 4 N^2 d operations a head and O(N^2) memory; log_forget <= 0.

    Raises `Unsupported` unless `causal`.
    """
    SPEC.check_direction(causal=causal)
    if padding_mask is not None:
        log_forget = log_forget.masked_fill(~padding_mask[:, None, :, None], 0)
    sums = log_forget.to(state_dtype(q)).cumsum(dim=2)
    hidden = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool, device=q.device).triu_(1)
    if padding_mask is None:
        return _read(q, k, v, sums, sums, hidden)
    seen = padding_mask.cumsum(dim=1)[:, None, :, None]
    return _read(q, k, v, sums, sums, hidden | ~padding_mask[:, None, None, :]).masked_fill(seen == 0, 0)


def _read(q: Tensor, k: Tensor, v: Tensor, here: Tensor, sums: Tensor, hidden: Tensor | None) -> Tensor:
    """The rows of queries whose sums of gates are `here`, over keys whose sums are `sums`."""
    scores = (q * q.shape[-1] ** -0.5) @ k.mT + (here - sums.mT).to(q.dtype)
    if hidden is not None:
        # The smallest finite number, not -inf: a row without a visible key stays finite until it is zeroed.
        scores.masked_fill_(hidden, torch.finfo(scores.dtype).min)
    return torch.matmul(scores.softmax(dim=-1), v)


def init_state(like: Float[Tensor, "B H _ d"], *, seq_len: int) -> State:
    """No keys, values [B, H, 0, d] and sums of gates [B, H, 0, 1], with room for `seq_len`."""
    batch, heads, _, _ = like.shape
    sums = like.new_empty(batch, heads, seq_len, 1, dtype=state_dtype(like))
    return *kv_cache.init_state(like, seq_len=seq_len), sums[:, :, :0]


def step(state: State, q: Events, k: Events, v: Events, *, log_forget: Gates) -> tuple[State, Events]:
    """The next rows of the same weights, over the cached keys, values and sums."""
    here = log_forget.to(state[2].dtype).cumsum(dim=2)
    if state[2].shape[2]:
        here = here + state[2][:, :, -1:]
    keys, values, sums = (kv_cache.extend(past, new) for past, new in zip(state, (k, v, here), strict=True))
    several = q.shape[-2] > 1
    hidden = ~kv_cache.visible(q.shape[-2], keys.shape[-2], q.device) if several else None
    return (keys, values, sums), _read(q, keys, values, here, sums, hidden)


def reference(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, log_forget: Gates
) -> Tokens:
    """A row of weights after another, its gates multiplied from the query back to each key."""
    SPEC.check_direction(causal=causal)
    real = torch.ones_like(q[:, 0, :, 0]) if padding_mask is None else padding_mask.to(q.dtype)
    log_gates = log_forget.squeeze(-1) * real[:, None]
    rows = []
    for i in range(q.shape[2]):
        scores = torch.einsum("bhd,bhjd->bhj", q[:, :, i], k[:, :, : i + 1]) / q.shape[-1] ** 0.5
        after = log_gates[:, :, 1 : i + 1].flip(2).cumsum(dim=2).flip(2)
        scores = scores + F.pad(after, (0, 1))
        weights = (scores - scores.detach().amax(dim=-1, keepdim=True)).exp() * real[:, None, : i + 1]
        total = weights.sum(dim=-1, keepdim=True)
        rows.append(
            torch.einsum("bhj,bhjd->bhd", weights / torch.where(total > 0, total, 1), v[:, :, : i + 1])
        )
    return torch.stack(rows, dim=2)


class ForgetGate(nn.Module):
    """log f = logsigmoid(x W + b), one number for each token and head."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.to_gates = nn.Linear(hidden_size, heads)

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        return {"log_forget": F.logsigmoid(self.to_gates(x)).mT.unsqueeze(-1)}


SPEC = Spec(
    name="forgetting",
    title="Forgetting attention (FoX)",
    paper="Forgetting Transformer, ICLR 2025, arXiv 2503.02130",
    formula="softmax(q k^T / sqrt(d) + c_i - c_j) v, c = cumsum(log f), f = sigmoid(x w + b)",
    source="github.com/fla-org/flash-linear-attention, fla/layers/forgetting_attn.py",
    deviations=(
        "layer: the paper's form without output gate, output norm, norms of q and k, and shifted keys and "
        "values (its 'Pro' block has them)",
        "padded tokens do not forget and are not seen; a query that sees no key gives zero",
    ),
    core=core,
    reference=reference,
    gate_module=ForgetGate,
    tokens=("log_forget",),
    backends={"fla": fla.backend(fla.forgetting, tokens=("log_forget",))},
    bidirectional=False,
    time_exponent=2.0,
    memory_exponent=2.0,
    complexity="4 N^2 d a head",
    decode_state="2 N d + N numbers a head (keys, values and sums of gates)",
    state_exponent=1.0,
    init_state=init_state,
    step=step,
)
