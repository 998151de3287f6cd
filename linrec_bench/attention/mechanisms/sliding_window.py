"""Softmax attention within a sliding window: every token sees its neighbours, exactly.

    o_i = sum_j p_ij v_j,    p_i = softmax over j of q_i . k_j / sqrt(d)
    causal: i - w < j <= i          bidirectional: |i - j| < w

Beltagy et al. 2020, Longformer (arXiv 2004.05150), section 3.1; causal, Child et al. 2019 (arXiv 1904.10509).
`window` is w, the tokens to one side, the token itself among them. Positions count real tokens: padding takes
no place in a window.

Queries are cut into blocks of w, and each block is given itself and its neighbours, 2 w keys, 3 w without
causality: N / w small problems of the usual kernel, which keeps O(N d) numbers. The blocks at the ends lack a
neighbour and are computed apart.

Decoding keeps the last w keys and values in a ring: event t is at place t mod w.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linrec_bench.attention.mechanisms.sdpa import kernel
from linrec_bench.attention.ops.compact_padding import inverse, real_first, take
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens, Unsupported


def core(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, window: int = 128
) -> Tokens:
    """o [B, H, N, d] in 8 N w d operations a head, 12 N w d without causality, and O(N d) memory.

    Padded queries give finite numbers without meaning.
    """
    _check_window(window)
    if padding_mask is None:
        count = torch.full((q.shape[0],), q.shape[2], device=q.device)
        return _causal(q, k, v, window) if causal else _bidirectional(q, k, v, count, window)
    order, count = real_first(padding_mask), padding_mask.sum(dim=1)
    q, k, v = (take(x, order) for x in (q, k, v))
    # Padding now comes last, where causality hides it.
    packed = _causal(q, k, v, window) if causal else _bidirectional(q, k, v, count, window)
    return take(packed, inverse(order))


def _causal(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """The first block sees itself, every other itself and the one before."""
    head = F.scaled_dot_product_attention(
        q[:, :, :window], k[:, :, :window], v[:, :, :window], is_causal=True
    )
    if q.shape[2] <= window:
        return head
    return torch.cat((head, _from_second_block(q, k, v, window, after=0)), dim=2)


def _bidirectional(q: Tensor, k: Tensor, v: Tensor, count: Int[Tensor, " B"], window: int) -> Tensor:
    """Every block sees itself and both neighbours, as far as there are: of N tokens `count` are real."""
    length = q.shape[2]
    steps = torch.arange(min(2 * window, length), device=q.device)
    # Of the first two blocks, or of all there is.
    near = _near(steps[:window], steps[None], count, window)
    head = F.scaled_dot_product_attention(
        q[:, :, :window], k[:, :, : len(steps)], v[:, :, : len(steps)], attn_mask=near
    )
    if length <= window:
        return head
    out = torch.cat((head, _from_second_block(q, k, v, window, after=1)), dim=2)
    # The last w real queries were given zeros or padding as keys.
    asked = (count - window).clamp(min=0)[:, None] + steps[:window]
    seen = (count - 2 * window).clamp(min=0)[:, None] + steps
    tail = F.scaled_dot_product_attention(
        take(q, asked), take(k, seen), take(v, seen), attn_mask=_near(asked, seen, count, window)
    )
    return out.scatter(2, asked[:, None, :, None].expand_as(tail), tail)


def _from_second_block(q: Tensor, k: Tensor, v: Tensor, window: int, *, after: int) -> Tensor:
    """Outputs of the queries from number w on; a block sees the one before, itself and `after` more.

    Behind the last token there are zeros.
    """
    batch, heads, length, head_size = q.shape
    blocks, missing = -(-length // window), -length % window
    size = (2 + after) * window
    queries = F.pad(q[:, :, window:], (0, 0, 0, missing)).reshape(batch, -1, window, head_size)
    keys, values = (
        F.pad(x, (0, 0, 0, missing + after * window)).unfold(2, size, window).mT.flatten(1, 2) for x in (k, v)
    )
    row, column = torch.arange(window, device=q.device)[:, None], torch.arange(size, device=q.device)
    # Row a is the token w + a of its keys.
    near = (column > row) & (column <= row + window + after * (window - 1))
    out = F.scaled_dot_product_attention(queries, keys, values, attn_mask=near)
    return out.reshape(batch, heads, (blocks - 1) * window, head_size)[:, :, : length - window]


def _near(
    asked: Int[Tensor, "... n"], seen: Int[Tensor, "#B m"], count: Int[Tensor, " B"], window: int
) -> Bool[Tensor, "B 1 n m"]:
    """Whether the query at place `asked` sees the key at place `seen`: within the window, and real.

    Rows of padding alone see everything near: kernels differ in what they give where there is nothing.
    """
    near = (asked[..., :, None] - seen[..., None, :]).abs() < window
    real = (seen < count[:, None]) | (count[:, None] == 0)
    return (near & real[:, None, :])[:, None]


def _check_window(window: int) -> None:
    if window < 1:
        raise Unsupported(f"attention sliding-window: window is {window}; expected at least 1 token")


def init_state(like: Float[Tensor, "B H _ d"], *, window: int = 128) -> State:
    """Empty rings of w keys and w values, [B, H, w, d] each, and how many events there were."""
    _check_window(window)
    batch, heads, _, head_size = like.shape
    keys, values = (like.new_zeros(batch, heads, window, head_size) for _ in range(2))
    return keys, values, torch.zeros((), dtype=torch.int64, device=like.device)


def remember(state: State, k: Events, v: Events) -> State:
    """The rings with the new events in the places of the oldest. Writes in place."""
    keys, values, count = state
    window, new = keys.shape[2], k.shape[2]
    kept = min(new, window)
    places = (count + torch.arange(new - kept, new, device=k.device)) % window
    keys.index_copy_(2, places, k[:, :, new - kept :])
    values.index_copy_(2, places, v[:, :, new - kept :])
    return keys, values, count + new


def step(state: State, q: Events, k: Events, v: Events) -> tuple[State, Events]:
    """The events among the last w of what came before them and themselves."""
    keys, values, count = state
    window, new = keys.shape[2], q.shape[2]
    column = torch.arange(window, device=q.device)
    if new == 1:
        # In a full ring every place is within the window, whatever the order.
        state = remember(state, k, v)
        filled = (column <= count)[None]
        return state, F.scaled_dot_product_attention(q, state[0], state[1], attn_mask=filled)
    # From the oldest event on, then the new ones.
    places = (count + column) % window
    keys, values = (
        torch.cat((x.index_select(2, places), more), dim=2) for x, more in ((keys, k), (values, v))
    )
    column = torch.arange(window + new, device=q.device)
    row = column[:new, None]
    near = (column > row) & (column <= row + window) & (column >= window - count)
    out = F.scaled_dot_product_attention(q, keys, values, attn_mask=near)
    return remember(state, k, v), out


def reference(
    q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False, window: int = 128
) -> Tokens:
    """The N x N weights of softmax, but for pairs of real tokens whose places are w or more apart."""
    batch, _, length, d = q.shape
    real = padding_mask if padding_mask is not None else q.new_ones(batch, length, dtype=torch.bool)
    places = real.cumsum(dim=1)
    distance = places[:, :, None] - places[:, None, :]
    visible = (distance < window) & (distance >= 0 if causal else distance > -window) & real[:, None, :]
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / d**0.5
    scores = torch.where(visible[:, None], scores, torch.finfo(scores.dtype).min)
    return torch.einsum("bhij,bhjd->bhid", scores.softmax(dim=-1), v)


SPEC = Spec(
    name="sliding-window",
    title="Softmax attention in a sliding window",
    paper="Longformer, arXiv 2004.05150",
    formula="softmax(q k^T / sqrt(d)) v over the tokens within w",
    source="github.com/allenai/longformer",
    deviations=(
        "a window alone: no global tokens, no dilation",
        "positions in a window count real tokens; the official code counts padding too",
        "a causal form; without causality w counts to each side and includes the token itself",
    ),
    core=core,
    reference=reference,
    permutation_equivariant=False,
    complexity="8 N w d a head, 12 N w d without causality",
    decode_state="2 w d numbers a head (keys and values)",
    init_state=init_state,
    remember=remember,
    step=step,
    kernel=kernel,
)
