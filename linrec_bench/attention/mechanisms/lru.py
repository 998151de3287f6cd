"""LRU: a linear recurrence of complex numbers, each with a modulus and a turn of its own, and nothing else.

    h_t = lambda * h_{t-1} + gamma * v_t,    lambda = exp(-nu + i theta),    o_t = h_t

"Resurrecting Recurrent Neural Networks for Long Sequences", Orvieto et al. 2023 (ICML 2023, arXiv
2303.06349), sections 3.2 to 3.4; the recommender LRURec, Yue et al. 2024 (WSDM 2024, arXiv 2310.02367).
Upstream: yueqirex/LRURec, `model/lru.py`. The first half of the features of a head are real, the second
imaginary parts; queries and keys have no part in it, and no feature meets another: the layer mixes them. Of
an odd number of features the one in the middle has no imaginary part. Causal only. Padded tokens neither turn
nor fade what is remembered, and add nothing.

Within chunks of C tokens the recurrence is a product with the C x C powers of lambda, as real matrices of
twice that size; from chunk to chunk it is the same recurrence with lambda^C: O(N C) operations, O(log N)
calls. Powers are taken of the logarithm, their angles in float64.

The layer is o = Re(W_out h + b_out) for h of v = W_in x + b_in, with twice as many complex numbers as x has
features.
"""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from linrec_bench.attention.layer import MechanismLayer, join_heads, split_heads
from linrec_bench.attention.ops.blockwise import advance, pads, scan, state_dtype
from linrec_bench.attention.ops.compact_padding import inverse, real_first, take
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens

CHUNK = 16
"""C: tokens that one product takes together."""


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    nu: Float[Tensor, "H 1 h"],
    theta: Float[Tensor, "H 1 h"],
    gamma: Float[Tensor, "H 1 h"],
) -> Tokens:
    """o [B, H, N, d] in O(N d) operations; q and k are not used; h = d / 2, rounded up; nu > 0.

    Raises `Unsupported` unless `causal`.
    """
    del q, k
    SPEC.check_direction(causal=causal)
    order = None
    if padding_mask is not None:
        # Real tokens first: what stands behind them changes none of their states.
        order = real_first(padding_mask)
        v = take(drop_padding(v, pads(padding_mask)), order)
    out = scan(_step, init_state(v), (v.detach(), v.detach(), v), None, weights=(nu, theta, gamma))
    return out if order is None else take(out, inverse(order))


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """h = 0, [B, H, 2, (d + 1) / 2]: real parts, then imaginary ones."""
    batch, heads, _, d = like.shape
    return (like.new_zeros(batch, heads, 2, (d + 1) // 2, dtype=state_dtype(like)),)


def step(
    state: State,
    q: Events,
    k: Events,
    v: Events,
    *,
    nu: Float[Tensor, "H 1 h"],
    theta: Float[Tensor, "H 1 h"],
    gamma: Float[Tensor, "H 1 h"],
) -> tuple[State, Events]:
    """The recurrence, for each event."""
    del q, k
    return advance(_step, state, (v, v, v), weights=(nu, theta, gamma))


def _step(
    state: State,
    _first: Tensor,
    _second: Tensor,
    v: Tensor,
    pad: Tensor | None,
    nu: Tensor,
    theta: Tensor,
    gamma: Tensor,
) -> tuple[State, Tensor]:
    assert pad is None, "core has moved padding behind the real tokens"
    d = v.shape[-1]
    parts = F.pad(v, (0, d % 2)).unflatten(-1, (2, -1)) * gamma.unsqueeze(-2)
    # [H, h, 2, B, n]: each number has powers of its own, and the batch is columns of products with them.
    given = parts.permute(1, 4, 3, 0, 2)
    states = _recurrence(given, state[0].permute(1, 3, 2, 0), nu.squeeze(1), theta.squeeze(1).double())
    out = states.permute(3, 0, 4, 2, 1).flatten(-2)[..., :d]
    return (states[..., -1].permute(3, 0, 2, 1),), out


def _recurrence(
    given: Float[Tensor, "H h 2 B n"],
    first: Float[Tensor, "H h 2 B"],
    nu: Float[Tensor, "H h"],
    theta: Float[Tensor, "H h"],
) -> Float[Tensor, "H h 2 B n"]:
    """h after each token, where it was `first` before all of them; theta in float64."""
    batch, length = given.shape[-2:]
    chunk = min(CHUNK, length)
    chunks = F.pad(given, (0, -length % chunk)).unflatten(-1, (-1, chunk))
    count = chunks.shape[-2]
    places = torch.arange(chunk, device=given.device)
    # Token i of a chunk has lambda^(i - j) of token j before it, and lambda^(i + 1) of what came before both.
    apart = places[:, None] - places
    within = _powers(nu, theta, apart.clamp(min=0)) * (apart >= 0)
    weights = within.permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3)
    reach = _powers(nu, theta, places + 1).transpose(3, 4).flatten(2, 3)
    columns = chunks.permute(0, 1, 2, 5, 3, 4).flatten(2, 3).flatten(3)
    states = weights @ columns
    starts = first.unsqueeze(-1)
    if count > 1:
        totals = states.unflatten(2, (2, chunk))[:, :, :, -1].unflatten(-1, (batch, count))
        ends = _recurrence(totals, first, nu * chunk, theta * chunk)
        starts = torch.cat((starts, ends[..., :-1]), dim=-1)
    states = (states + reach @ starts.flatten(3)).unflatten(2, (2, chunk)).unflatten(-1, (batch, count))
    in_order: Tensor = states.permute(0, 1, 2, 4, 5, 3).flatten(-2)
    return in_order[..., :length]


def _powers(
    nu: Float[Tensor, "H h"], theta: Float[Tensor, "H h"], exponents: Int[Tensor, "*E"]
) -> Float[Tensor, "H h 2 2 *E"]:
    """lambda^e as the real 2 x 2 matrix that multiplies by it, in the type of nu."""
    apart = (..., *[None] * exponents.ndim)
    angles = theta[apart] * exponents
    cos, sin = angles.cos().to(nu.dtype), angles.sin().to(nu.dtype)
    turn = torch.stack((torch.stack((cos, -sin), dim=2), torch.stack((sin, cos), dim=2)), dim=2)
    powers: Tensor = turn * (-nu[apart] * exponents).exp()[:, :, None, None]
    return powers


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    nu: Float[Tensor, "H 1 h"],
    theta: Float[Tensor, "H 1 h"],
    gamma: Float[Tensor, "H 1 h"],
) -> Tokens:
    """One token after another, in complex numbers."""
    del q, k
    SPEC.check_direction(causal=causal)
    batch, heads, length, d = v.shape
    half = (d + 1) // 2
    imaginary = F.pad(v[..., half:], (0, d % 2))
    given = torch.complex(v[..., :half], imaginary)
    kept = torch.polar((-nu).exp(), theta)[:, 0]
    real = v.new_ones(batch, length) if padding_mask is None else padding_mask.to(v.dtype)
    hidden = given.new_zeros(batch, heads, half)
    outputs = []
    for t in range(length):
        after = kept * hidden + gamma[:, 0] * given[:, :, t]
        hidden = torch.where(real[:, t, None, None] > 0, after, hidden)
        outputs.append(torch.cat((hidden.real, hidden.imag), dim=-1)[..., :d])
    return torch.stack(outputs, dim=2)


class Units(nn.Module):
    """nu, theta and gamma from their logarithms, drawn as upstream draws them.

    |lambda| has a uniform square between r_min^2 and r_max^2, theta is uniform over the circle, and gamma
    makes up for what a unit sums: sqrt(1 - |lambda|^2).
    """

    def __init__(self, hidden_size: int, heads: int, *, r_min: float = 0.8, r_max: float = 0.99) -> None:
        super().__init__()
        if not 0 <= r_min < r_max < 1:
            raise ValueError(
                f"attention lru: r_min is {r_min} and r_max {r_max}; expected 0 <= r_min < r_max < 1"
            )
        half = (hidden_size // heads + 1) // 2
        square = torch.rand(heads, 1, half) * (r_max**2 - r_min**2) + r_min**2
        turn = 2 * pi * torch.rand(heads, 1, half).clamp(min=torch.finfo(square.dtype).eps)
        self.log_nu = nn.Parameter((-0.5 * square.log()).log())
        self.log_theta = nn.Parameter(turn.log())
        self.log_gamma = nn.Parameter(0.5 * torch.log1p(-square))

    def forward(self, x: Float[Tensor, "B N D"] | None) -> dict[str, Tensor]:
        del x
        return {"nu": self.log_nu.exp(), "theta": self.log_theta.exp(), "gamma": self.log_gamma.exp()}


class LRULayer(MechanismLayer):
    """Projections in and out of 2 D complex numbers, and the recurrence between them.

    Complex weights are pairs of real ones: x is real, and of the output only the real part is kept.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        r_min: float = 0.8,
        r_max: float = 0.99,
    ) -> None:
        super().__init__(heads, spec=SPEC, causal=causal, seq_len=seq_len)
        self.into = nn.Linear(hidden_size, 4 * hidden_size)
        self.gates = Units(4 * hidden_size, heads, r_min=r_min, r_max=r_max)
        self.out = nn.Linear(4 * hidden_size, hidden_size)

    def enter(self, x: Float[Tensor, "B n D"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        v = split_heads(self.into(x), self.heads)
        return v, v, v, x

    def leave(self, mixed: Events, kept: Tensor) -> Float[Tensor, "B n D"]:
        del kept
        out: Tensor = self.out(join_heads(mixed))
        return out

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The state of the mechanism before the first event."""
        return super().init_state(x.new_empty(*x.shape[:-1], self.into.out_features))


SPEC = Spec(
    name="lru",
    title="LRU (linear recurrent unit)",
    paper="Resurrecting Recurrent Neural Networks for Long Sequences, ICML 2023, arXiv 2303.06349",
    formula="h_t = exp(-nu + i theta) h_(t-1) + gamma v_t, o_t = (Re h_t, Im h_t)",
    source="github.com/yueqirex/LRURec, model/lru.py",
    deviations=(
        "padded tokens neither turn nor fade what is remembered; upstream pads on the left, where nothing is",
        "complex numbers are pairs of real ones; the imaginary part of the output's bias, which nothing "
        "reads, is left out",
        "heads share out the numbers and mean nothing else",
        "layer: the residual connection and the norm around it are left to the model",
    ),
    core=core,
    uses_float64=True,
    reference=reference,
    bidirectional=False,
    complexity="4 N d C (1 + 1 / C) a head, chunks of C = 16",
    decode_state="d numbers a head; the layer has four times as many",
    gate_module=Units,
    layer=LRULayer,
    init_state=init_state,
    step=step,
)
