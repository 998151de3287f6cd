"""The positional channel of FuXi-Linear: weights that only the places of events decide.

    o_i = alpha sum_{j <= i} (E_i . E_j / (p / 2)) v_j + beta v_i

E holds p numbers for each of M places, is learnt, and begins as sines and cosines, whose inner product is a
function of the distance. FuXi-Linear 2026 (arXiv 2602.23671). Upstream: USTC-StarTeam/fuxi-linear,
`fuxi_modules/attn.py`, `LinearPositionalChannel`. One head as wide as all; queries and keys have no part in
it. Places count real tokens. Causal only.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.layer import MechanismLayer, join_heads, split_heads
from linrec_bench.attention.ops.blockwise import advance, scan, state_dtype
from linrec_bench.attention.ops.causal_product import causal_product
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens, Unsupported

BASE = 10_000.0
"""Of the periods that E begins with."""


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    places: Float[Tensor, "M p"],
    alpha: Float[Tensor, ""],
    beta: Float[Tensor, ""],
) -> Tokens:
    """o [B, H, N, d] in O(N p d) operations; q and k are not used. `places` is E.

    Raises `Unsupported` unless `causal` and N <= M.
    """
    del q, k
    SPEC.check_direction(causal=causal)
    batch, heads, length, _ = v.shape
    _check_length(length, places)
    if padding_mask is None:
        rows = places[None, None, :length]
    else:
        index = (padding_mask.cumsum(dim=1) - 1).clamp(min=0)
        rows = places.index_select(0, index.flatten()).view(batch, 1, length, -1)
    values = _side_by_side(v)
    # All rows of the batch may share `rows`, of which blocks are made.
    width = values.shape[-1] * (batch // rows.shape[0])
    first = values.new_zeros(batch, 1, places.shape[1], values.shape[-1], dtype=state_dtype(v))
    out = scan(_step, (first,), (rows, rows, values), padding_mask, weights=(alpha, beta), width=width)
    return split_heads(out[:, 0], heads)


def init_state(like: Float[Tensor, "B H _ d"], *, position_size: int = 32) -> State:
    """The sums = 0, [B, 1, p, D], and how many events came: the length of a tensor without elements, so that
    one too many is refused without reading a number."""
    batch, heads, _, d = like.shape
    sums = like.new_zeros(batch, 1, position_size, heads * d, dtype=state_dtype(like))
    return sums, like.new_empty(0, 0)


def step(
    state: State,
    q: Events,
    k: Events,
    v: Events,
    *,
    places: Float[Tensor, "M p"],
    alpha: Float[Tensor, ""],
    beta: Float[Tensor, ""],
) -> tuple[State, Events]:
    """Add the event at its place, and read: for each event."""
    del q, k
    sums, seen = state
    done, new = seen.shape[0], v.shape[2]
    _check_length(done + new, places)
    rows = places[None, None, done : done + new]
    (sums,), out = advance(_step, (sums,), (rows, rows, _side_by_side(v)), weights=(alpha, beta))
    return (sums, seen.new_empty(done + new, 0)), split_heads(out[:, 0], v.shape[1])


def _check_length(length: int, places: Tensor) -> None:
    if length > places.shape[0]:
        raise Unsupported(
            f"attention fuxi-positional: {length} tokens exceed the {places.shape[0]} places that were made; "
            "expected a larger seq_len of the layer"
        )


def _side_by_side(v: Events) -> Float[Tensor, "B 1 n D"]:
    """All heads as one: the weights are the same for all of them."""
    return join_heads(v)[:, None]


def _step(
    state: State, queries: Tensor, keys: Tensor, v: Tensor, pad: Tensor | None, alpha: Tensor, beta: Tensor
) -> tuple[State, Tensor]:
    scale = 2 / keys.shape[-1]
    sums, after = causal_product(queries, keys * scale, drop_padding(v, pad), state[0])
    return (after,), alpha * sums + beta * v


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    places: Float[Tensor, "M p"],
    alpha: Float[Tensor, ""],
    beta: Float[Tensor, ""],
) -> Tokens:
    """The N x N weights of the real tokens alone, sequence by sequence."""
    del q, k
    SPEC.check_direction(causal=causal)
    out = beta * v
    for row in range(v.shape[0]):
        real = torch.arange(v.shape[2], device=v.device)
        if padding_mask is not None:
            real = real[padding_mask[row]]
        own = places[: len(real)]
        weights = (own @ own.T / (own.shape[1] / 2)).tril()
        mixed = torch.zeros_like(v[row]).index_add(1, real, weights @ v[row, :, real])
        out = out + alpha * nn.functional.pad(mixed[None], (0, 0, 0, 0, 0, 0, row, v.shape[0] - 1 - row))
    return out


class Places(nn.Module):
    """E, alpha and beta, drawn as upstream draws them: sines and cosines, near 0, and 1."""

    def __init__(self, hidden_size: int, heads: int, *, seq_len: int, position_size: int = 32) -> None:
        super().__init__()
        del hidden_size, heads
        if position_size < 2 or position_size % 2:
            raise ValueError(
                f"attention fuxi-positional: position_size is {position_size}; "
                "expected an even number, 2 or more"
            )
        pairs = position_size // 2
        rates = BASE ** -(torch.arange(pairs, dtype=torch.float64) / pairs)
        angles = torch.arange(seq_len, dtype=torch.float64)[:, None] * rates
        start = torch.cat((angles.sin(), angles.cos()), dim=1)
        self.embedding = nn.Parameter(start.to(torch.get_default_dtype()))
        self.alpha = nn.Parameter(0.02 * torch.randn(()))
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        del x
        return {"places": self.embedding, "alpha": self.alpha, "beta": self.beta}


class PositionalChannel(MechanismLayer):
    """x projected to values, without bias, and the mechanism; no projection out."""

    def __init__(
        self, hidden_size: int, heads: int, *, causal: bool, seq_len: int, position_size: int = 32
    ) -> None:
        params = {"position_size": position_size}
        super().__init__(heads, spec=SPEC, causal=causal, seq_len=seq_len, params=params)
        self.values = nn.Linear(hidden_size, hidden_size, bias=False)
        self.gates = Places(hidden_size, heads, seq_len=seq_len, position_size=position_size)

    def enter(self, x: Float[Tensor, "B n D"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        v = split_heads(self.values(x), self.heads)
        return v, v, v, x


SPEC = Spec(
    name="fuxi-positional",
    title="FuXi-Linear, positional channel",
    paper="FuXi-Linear, 2026, arXiv 2602.23671",
    formula="alpha sum_j (E_i . E_j / (p / 2)) v_j + beta v_i, E learnt for each place",
    source="github.com/USTC-StarTeam/fuxi-linear, fuxi_modules/attn.py",
    deviations=("padded tokens take no place and stay out of the sum",),
    core=core,
    reference=reference,
    bidirectional=False,
    permutation_equivariant=False,
    complexity="4 N d (C + p) a head, chunks of C = p = 32",
    decode_state="32 d numbers a head",
    gate_module=Places,
    layer=PositionalChannel,
    init_state=init_state,
    step=step,
)
