"""HSTU: SiLU of scores and of biases by distance and by time, in place of a softmax.

    o_i = (1 / M) sum_{j <= i} SiLU(q_i . k_j + p[i - j] + w[b(t_(i+1) - t_j)]) v_j
    b(s) = floor(ln(max(1, |s|)) / 0.301), at most 128

Zhai et al. 2024, "Actions Speak Louder than Words" (ICML 2024, arXiv 2402.17152), equations 1 to 3.
Upstream: meta-recsys/generative-recommenders, `research/modeling/sequential/hstu.py`. No softmax and no
1 / sqrt(d); t_(i+1) is the time of the event that is to be predicted, known when it is asked for. Causal
only.

M is the longest sequence that the layer is made for, the length of the table p. Upstream divides by the
length that a batch is padded to, so that other padding gives other outputs; where it pads every batch to the
same length, that is M. Positions count real tokens.

The layer is [u, v, q, k] = SiLU(LN(x) W), y = W_o dropout(u * LN(o)) + b, both norms without weights. The
residual connection around it is the model's; there is no feed-forward network.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from linrec_bench.attention.layer import join_heads, split_heads
from linrec_bench.attention.ops import kv_cache
from linrec_bench.attention.ops.blockwise import pads
from linrec_bench.attention.ops.time_intervals import stand_in_intervals
from linrec_bench.attention.published_layers import TimedLayer
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens, Unsupported

BUCKETS = 128
"""The last of them; the first is 0."""

BUCKET_WIDTH = 0.301
"""Natural logarithms of seconds."""


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    wait: Int[Tensor, "B 1 N 1"],
    position_bias: Float[Tensor, " M"],
    time_bias: Float[Tensor, " buckets"],
) -> Tokens:
    """o [B, H, N, d] in 4 N^2 d operations a head and O(N^2) memory.

    wait: whole seconds from each event to the next. Raises `Unsupported` unless `causal` and N <= M.
    """
    SPEC.check_direction(causal=causal)
    length = q.shape[2]
    _check_length(length, position_bias)
    pad = pads(padding_mask)
    asked, happened = _times(wait if pad is None else wait.masked_fill(pad, 0))
    rows = torch.arange(length, device=q.device)
    places = rows if padding_mask is None else padding_mask.cumsum(dim=1)[:, None]
    hidden = rows[:, None] < rows
    if pad is not None:
        hidden = hidden | pad.mT
    bias = _bias(places, places, asked, happened, position_bias, time_bias)
    return _attend(q, k, v, bias, hidden) / len(position_bias)


def init_state(like: Float[Tensor, "B H _ d"], *, seq_len: int) -> State:
    """Empty caches of keys and values, and of times, which begin with that of the first event: 0."""
    times = torch.zeros((like.shape[0], 1, seq_len + 1, 1), dtype=torch.int64, device=like.device)
    return (*kv_cache.init_state(like, seq_len=seq_len), times[:, :, :1])


def remember(
    state: State,
    k: Events,
    v: Events,
    *,
    wait: Int[Tensor, "B 1 n 1"],
    position_bias: Float[Tensor, " M"],
    time_bias: Float[Tensor, " buckets"],
) -> State:
    """The caches with n more events, [B, H, t + n, d], and the times of these and of what comes after them,
    [B, 1, t + n + 1, 1]. Writes in place; raises `ValueError` when there is no more room."""
    del position_bias, time_bias
    *past, times = state
    keys, values = kv_cache.remember(tuple(past), k, v)
    return keys, values, kv_cache.extend(times, times[:, :, -1:] + wait.cumsum(dim=2))


def step(
    state: State,
    q: Events,
    k: Events,
    v: Events,
    *,
    wait: Int[Tensor, "B 1 n 1"],
    position_bias: Float[Tensor, " M"],
    time_bias: Float[Tensor, " buckets"],
) -> tuple[State, Events]:
    """The next rows of the same weights, over the cached keys, values and times."""
    state = remember(state, k, v, wait=wait, position_bias=position_bias, time_bias=time_bias)
    keys, values, times = state
    new, total = q.shape[2], keys.shape[2]
    _check_length(total, position_bias)
    places = torch.arange(total, device=q.device)
    bias = _bias(places[-new:], places, times[:, :, -new:], times[:, :, :-1], position_bias, time_bias)
    hidden = ~kv_cache.visible(new, total, q.device)
    return state, _attend(q, keys, values, bias, hidden) / len(position_bias)


def _check_length(length: int, position_bias: Tensor) -> None:
    if length > len(position_bias):
        raise Unsupported(
            f"attention hstu: {length} tokens exceed the {len(position_bias)} of its position bias; "
            "expected a larger seq_len of the layer"
        )


def _times(wait: Int[Tensor, "B 1 N 1"]) -> tuple[Tensor, Tensor]:
    """When what follows each event happens, and when the event did, since the first event."""
    asked = wait.cumsum(dim=2)
    return asked, asked - wait


def _bias(
    rows: Int[Tensor, "*B n"],
    columns: Int[Tensor, "*B m"],
    asked: Int[Tensor, "B 1 n 1"],
    happened: Int[Tensor, "B 1 m 1"],
    position_bias: Tensor,
    time_bias: Tensor,
) -> Float[Tensor, "B 1 n m"]:
    """What a query at place i, asked for time t, adds to its score with a key at place j of time s."""
    distances = (rows[..., :, None] - columns[..., None, :]).clamp(min=0)
    # Integers compared with integers: no logarithm whose last bit decides, on one device or another.
    powers = torch.arange(1, len(time_bias), dtype=torch.float64, device=asked.device) * BUCKET_WIDTH
    borders = powers.exp().clamp(max=2.0**62).ceil().long()
    spans = (asked - happened.mT).abs()
    buckets = torch.bucketize(spans, borders, out_int32=True, right=True)
    return _look_up(time_bias, buckets) + _look_up(position_bias, distances)


def _look_up(table: Float[Tensor, " entries"], index: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return table.index_select(0, index.flatten()).view(index.shape)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, hidden: Tensor) -> Tensor:
    scores = (q @ k.mT).add_(bias)
    return F.silu(scores).masked_fill_(hidden, 0) @ v


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    wait: Int[Tensor, "B 1 N 1"],
    position_bias: Float[Tensor, " M"],
    time_bias: Float[Tensor, " buckets"],
) -> Tokens:
    """A row at a time: the seconds from every past event to what the row asks for, and their logarithm."""
    SPEC.check_direction(causal=causal)
    length = q.shape[2]
    real = torch.ones_like(wait[:, 0, :, 0]) if padding_mask is None else padding_mask.long()
    seconds = wait[:, 0, :, 0] * real
    rows = []
    for i in range(length):
        past = slice(0, i + 1)
        span = seconds[:, past].flip(1).cumsum(dim=1).flip(1)
        bucket = (span.clamp(min=1).double().log() / BUCKET_WIDTH).floor().long().clamp(max=BUCKETS)
        distance = real[:, past].flip(1).cumsum(dim=1).flip(1) - real[:, past]
        bias = time_bias[bucket] + position_bias[distance]
        scores = torch.einsum("bhd,bhjd->bhj", q[:, :, i], k[:, :, past]) + bias[:, None]
        weights = scores * scores.sigmoid() * real[:, None, past]
        rows.append(torch.einsum("bhj,bhjd->bhd", weights, v[:, :, past]))
    return torch.stack(rows, dim=2) / len(position_bias)


class RelativeBias(nn.Module):
    """The tables p and w, drawn as upstream draws them: normal, with a standard deviation of 0.02."""

    def __init__(self, hidden_size: int, heads: int, *, seq_len: int) -> None:
        super().__init__()
        del hidden_size, heads
        self.position = nn.Parameter(0.02 * torch.randn(seq_len))
        self.time = nn.Parameter(0.02 * torch.randn(BUCKETS + 1))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        """The tables, and intervals that stand in for those of a layer that has times."""
        return {"wait": stand_in_intervals(x), **self.tables()}

    def tables(self) -> dict[str, Tensor]:
        """The learnt biases by their names in `core`."""
        return {"position_bias": self.position, "time_bias": self.time}


class HSTULayer(TimedLayer):
    """The sequential transduction unit but for its residual connection; see the module."""

    def __init__(
        self, hidden_size: int, heads: int, *, causal: bool, seq_len: int, dropout: float = 0.0
    ) -> None:
        super().__init__(heads, spec=SPEC, causal=causal, seq_len=seq_len)
        self.project = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        nn.init.normal_(self.project.weight, std=0.02)
        self.bias = RelativeBias(hidden_size, heads, seq_len=seq_len)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden_size, hidden_size)
        nn.init.xavier_uniform_(self.out.weight)

    def weights(self) -> dict[str, Tensor]:
        return self.bias.tables()

    def enter(self, x: Float[Tensor, "B n D"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        normed = F.layer_norm(x, x.shape[-1:], eps=1e-6)
        gate, v, q, k = F.silu(self.project(normed)).chunk(4, dim=-1)
        return split_heads(q, self.heads), split_heads(k, self.heads), split_heads(v, self.heads), gate

    def leave(self, mixed: Events, kept: Tensor) -> Float[Tensor, "B n D"]:
        """`kept` is the gate u."""
        joined = join_heads(mixed)
        out: Tensor = self.out(self.dropout(kept * F.layer_norm(joined, joined.shape[-1:], eps=1e-6)))
        return out


SPEC = Spec(
    name="hstu",
    title="HSTU",
    paper="Actions Speak Louder than Words, ICML 2024, arXiv 2402.17152",
    formula="SiLU(q k^T + position bias + time bias) v / M",
    source="github.com/meta-recsys/generative-recommenders, research/modeling/sequential/hstu.py",
    deviations=(
        "divided by M, the longest sequence that the layer is made for; the official code divides by the "
        "length that the batch is padded to",
        "positions and times skip padded tokens, wherever they stand; the official code pads on the right",
        "a table of M distances; half of the official one is of distances to the future, which is hidden",
        "bucket borders are whole seconds; the official code takes a logarithm in float32",
        "layer: the residual connection is left to the model",
    ),
    core=core,
    reference=reference,
    bidirectional=False,
    permutation_equivariant=False,
    time_exponent=2.0,
    memory_exponent=2.0,
    complexity="4 N^2 d a head",
    decode_state="2 N d numbers a head (keys and values) and N times",
    state_exponent=1.0,
    tokens=("wait",),
    gate_module=RelativeBias,
    layer=HSTULayer,
    timestamps=True,
    init_state=init_state,
    remember=remember,
    step=step,
)
