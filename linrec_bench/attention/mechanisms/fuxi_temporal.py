"""The temporal channel of FuXi-Linear: weights that only the time between events decides.

    o_i = sum_{j <= i} f(w_h (t_(i+1) - t_j)) gamma_h^(w_h (t_(i+1) - t_j)) v_j,    w_h = 2 pi / I_h

with periods I_h = base^(start + h stride), and f = sin for the first half of the features of a head, cos for
the second. FuXi-Linear 2026 (arXiv 2602.23671). Upstream: USTC-StarTeam/fuxi-linear, `fuxi_modules/attn.py`,
`LinearTemporalChannel`. t_(i+1) is the time of the event that is to be predicted. Queries and keys have no
part in it. Causal only.

cos(a - b) = cos a cos b + sin a sin b, and sin is cos a quarter of a turn later: linear attention with two
features, the phases of a token's time in the period, and a decay by the time that passes. Phases come from
integers modulo the period, decays from differences: neither loses precision with the length of the history.
"""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from linrec_bench.attention.layer import split_heads
from linrec_bench.attention.ops.blockwise import advance, pads, scan, state_dtype
from linrec_bench.attention.ops.decayed_product import decayed_product
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.ops.time_intervals import stand_in_intervals
from linrec_bench.attention.published_layers import TimedLayer
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens, Unsupported


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    wait: Int[Tensor, "B 1 N 1"],
    log_gamma: Float[Tensor, "H 1 1"],
    base: int = 2,
    start: int = 10,
    stride: int = 3,
) -> Tokens:
    """o [B, H, N, d] in O(N d) operations; q and k are not used.

    wait: whole units of time from each event to the next; log_gamma < 0, for each radian that passes. Raises
    `Unsupported` unless `causal`, and for periods that are no whole numbers below 2^62.
    """
    del q, k
    SPEC.check_direction(causal=causal)
    pad = pads(padding_mask)
    wait = wait if pad is None else wait.masked_fill(pad, 0)
    periods = _periods(v, base=base, start=start, stride=stride)
    tokens = _clock(v, wait, wait.cumsum(dim=2), periods)
    first, _ = init_state(v)
    # Of a block the scores of both halves are widest: two chunks of 16 numbers a token.
    width = max(32, v.shape[-1])
    return scan(_step, (first,), tokens, padding_mask, weights=(_rates(log_gamma, periods),), width=width)


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """The sums of both halves = 0, [B, 2 H, 2, (d + 1) / 2], and the time since the first event, 0."""
    batch, heads, _, d = like.shape
    sums = like.new_zeros(batch, 2 * heads, 2, (d + 1) // 2, dtype=state_dtype(like))
    return sums, torch.zeros((batch, 1, 1, 1), dtype=torch.int64, device=like.device)


def step(
    state: State,
    q: Events,
    k: Events,
    v: Events,
    *,
    wait: Int[Tensor, "B 1 n 1"],
    log_gamma: Float[Tensor, "H 1 1"],
    base: int = 2,
    start: int = 10,
    stride: int = 3,
) -> tuple[State, Events]:
    """Add the event, let `wait` pass, read: for each event."""
    del q, k
    sums, elapsed = state
    asked = elapsed + wait.cumsum(dim=2)
    periods = _periods(v, base=base, start=start, stride=stride)
    tokens = _clock(v, wait, asked, periods)
    (sums,), out = advance(_step, (sums,), tokens, weights=(_rates(log_gamma, periods),))
    return (sums, asked[:, :, -1:]), out


def _periods(like: Float[Tensor, "B H _ d"], *, base: int, start: int, stride: int) -> Int[Tensor, "H 1 1"]:
    """I_h, from the powers of `base`."""
    heads = like.shape[1]
    if base < 2 or start < 0 or stride < 0:
        raise Unsupported(
            f"attention fuxi-temporal: periods {base}^({start} + h {stride}) are no whole numbers that grow; "
            "expected base >= 2, start >= 0, stride >= 0"
        )
    longest = base ** (start + (heads - 1) * stride)
    if longest >= 2**62:
        raise Unsupported(
            f"attention fuxi-temporal: the period of head {heads} is {base}^{start + (heads - 1) * stride}, "
            "too long for an integer of 64 bits; expected a smaller base, start or stride"
        )
    exponents = start + stride * torch.arange(heads, device=like.device)
    return torch.pow(base, exponents)[:, None, None]


def _rates(log_gamma: Float[Tensor, "H 1 1"], periods: Int[Tensor, "H 1 1"]) -> Float[Tensor, "H 1 1"]:
    """w_h log gamma_h: log decays of one unit of time, in the type of the state."""
    dtype = state_dtype(log_gamma)
    return log_gamma.to(dtype) * (2 * pi / periods.double()).to(dtype)


def _clock(
    v: Tensor, wait: Int[Tensor, "B 1 n 1"], asked: Int[Tensor, "B 1 n 1"], periods: Int[Tensor, "H 1 1"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The tokens of `_step`: in radians, the phases of each event and of the time it is read for,
    [B, H, n, 1]; v; and the time between both, [B, 1, n, 1]."""
    dtype = state_dtype(v)
    happened, read = ((time % periods) * (2 * pi / periods.double()) for time in (asked - wait, asked))
    return happened.to(dtype), read.to(dtype), v, wait.to(dtype)


def _step(
    state: State, happened: Tensor, read: Tensor, v: Tensor, wait: Tensor, pad: Tensor | None, rates: Tensor
) -> tuple[State, Tensor]:
    heads, _, d = v.shape[1:]
    log_decay = _for_both(rates * wait)
    quarters = read.new_tensor((pi / 2, 0.0))[:, None, None]
    # [B, H, 2, n, 1]: read a quarter of a turn early, the cosine is a sine.
    angles = (read.unsqueeze(2) - quarters).flatten(1, 2)
    queries = torch.cat((angles.cos(), angles.sin()), dim=-1)
    keys = _for_both(drop_padding(torch.cat((happened.cos(), happened.sin()), dim=-1), pad))
    halves = F.pad(v, (0, d % 2)).unflatten(-1, (2, -1)).movedim(-2, 2).flatten(1, 2)
    # What is read after an event has waited with it.
    sums, after = decayed_product(queries, keys * log_decay.exp(), halves, log_decay, state[0])
    out = sums.unflatten(1, (heads, 2)).movedim(2, -2).flatten(-2)[..., :d]
    return (after,), out


def _for_both(x: Float[Tensor, "B H n g"]) -> Float[Tensor, "B 2*H n g"]:
    """The same for both halves of a head."""
    return x.repeat_interleave(2, dim=1)


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    wait: Int[Tensor, "B 1 N 1"],
    log_gamma: Float[Tensor, "H 1 1"],
    base: int = 2,
    start: int = 10,
    stride: int = 3,
) -> Tokens:
    """The N x N sines and cosines of the time between every two tokens, head by head."""
    del q, k
    SPEC.check_direction(causal=causal)
    heads, length, d = v.shape[1:]
    real = torch.ones_like(wait[:, 0, :, 0]) if padding_mask is None else padding_mask.long()
    passed = wait[:, 0, :, 0] * real
    rows = [passed[:, : i + 1].flip(1).cumsum(dim=1).flip(1) for i in range(length)]
    spans = torch.stack([F.pad(row, (0, length - row.shape[1])) for row in rows], dim=1)
    visible = (real[:, None, :] * spans.new_ones(length, length)).tril()
    outputs = []
    for head in range(heads):
        period = base ** (start + head * stride)
        angles = 2 * pi / period * (spans % period).to(v.dtype)
        decays = (log_gamma[head] * (2 * pi / period) * spans.to(v.dtype)).exp() * visible
        middle = (d + 1) // 2
        first = (angles.sin() * decays) @ v[:, head, :, :middle]
        second = (angles.cos() * decays) @ v[:, head, :, middle:]
        outputs.append(torch.cat((first, second), dim=-1))
    return torch.stack(outputs, dim=1)


class Gammas(nn.Module):
    """log gamma_h of gamma = sigmoid(c_h), c drawn as upstream draws it: gamma near 1/2."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        del hidden_size
        self.logits = nn.Parameter(0.02 * torch.randn(heads))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        """The logarithms, and intervals that stand in for those of a layer that has times."""
        return {"wait": stand_in_intervals(x), **self.weights()}

    def weights(self) -> dict[str, Tensor]:
        """What is learnt, by its name in `core`."""
        return {"log_gamma": F.logsigmoid(self.logits)[:, None, None]}


class TemporalChannel(TimedLayer):
    """x projected to values, without bias, and the mechanism; no projection out."""

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        base: int = 2,
        start: int = 10,
        stride: int = 3,
    ) -> None:
        params = {"base": base, "start": start, "stride": stride}
        super().__init__(heads, spec=SPEC, causal=causal, seq_len=seq_len, params=params)
        self.values = nn.Linear(hidden_size, hidden_size, bias=False)
        self.gammas = Gammas(hidden_size, heads)

    def weights(self) -> dict[str, Tensor]:
        return self.gammas.weights()

    def enter(self, x: Float[Tensor, "B n D"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        v = split_heads(self.values(x), self.heads)
        return v, v, v, x


SPEC = Spec(
    name="fuxi-temporal",
    title="FuXi-Linear, temporal channel",
    paper="FuXi-Linear, 2026, arXiv 2602.23671",
    formula="weights sin or cos (w_h (t_(i+1) - t_j)) gamma_h^(w_h (t_(i+1) - t_j)), w_h = 2 pi / I_h",
    source="github.com/USTC-StarTeam/fuxi-linear, fuxi_modules/attn.py",
    deviations=(
        "sine and cosine share a head, half of its features each; the official code has a head for each",
        "gamma of every layer is its own; the official code shares that of the first layer, or fixes 1/2",
        "as many periods as heads; the official code has 8, also where there are 4 heads",
        "no learnt sum alpha o + beta v behind it, as in the official settings for ML-20M; those for "
        "KuaiRand and KuaiRec have one for each head",
        "padded tokens take no time and stay out of the sums",
    ),
    core=core,
    uses_float64=True,
    reference=reference,
    bidirectional=False,
    permutation_equivariant=False,
    complexity="4 N d (C + 2) a head, chunks of C = 16",
    decode_state="2 d numbers a head and a time",
    tokens=("wait",),
    gate_module=Gammas,
    layer=TemporalChannel,
    timestamps=True,
    init_state=init_state,
    step=step,
)
