"""x -> x: a mechanism between its projections, or inside the layer that its paper publishes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench import attention
from linrec_bench.attention.spec import State, accepted


def make_layer(
    name: str,
    hidden_size: int,
    heads: int,
    *,
    causal: bool,
    seq_len: int,
    params: dict[str, object] | None = None,
) -> nn.Module:
    """The layer of mechanism `name`: the published one where its SPEC has one, else an `AttentionLayer`.

    Call it with x [B, N, D], padding_mask [B, N] or None and, where the SPEC says `timestamps`, those
    [B, N + 1]; N is at most `seq_len`. Raises `ValueError` for unknown names, parameters and sizes that do
    not divide, and `Unsupported` for a direction that does not exist.
    """
    spec = attention.registry()[name]
    params = params or {}
    spec.check_params(params)
    spec.check_direction(causal=causal)
    if spec.layer is None:
        return AttentionLayer(
            hidden_size, heads, attention=name, causal=causal, seq_len=seq_len, params=params
        )
    check_heads(hidden_size, heads)
    return spec.layer(hidden_size, heads, **accepted(spec.layer, params, causal=causal, seq_len=seq_len))


def check_heads(hidden_size: int, heads: int) -> None:
    """Raise `ValueError` unless every head gets the same width."""
    if hidden_size % heads:
        raise ValueError(f"hidden_size {hidden_size} is not a multiple of heads {heads}")


class Mixer(nn.Module):
    """A mechanism as a module without weights: q, k, v [B, H, N, d] -> o [B, H, N, d].

    It is a module of its own so that the share of a step spent in attention can be measured around it;
    `tensors` are what a companion or a layer makes for `core` beside q, k, v. Raises `ValueError` at
    construction for unknown names, parameters and directions.
    """

    def __init__(self, name: str, *, causal: bool, **params: object) -> None:
        super().__init__()
        spec = attention.registry()[name]
        spec.check_params(params)
        spec.check_direction(causal=causal)
        self.name, self.causal, self.params = name, causal, params

    def forward(
        self,
        q: Float[Tensor, "B H M d"],
        k: Float[Tensor, "B H N d"],
        v: Float[Tensor, "B H N d"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        scale: float | None = None,
        **tensors: Tensor,
    ) -> Float[Tensor, "B H M d"]:
        """M is N, unless there is a `scale`: then the mechanism's `one_query` answers queries that see every
        key where `padding_mask` is true."""
        if scale is not None:
            one_query = attention.registry()[self.name].one_query
            assert one_query is not None, "the layer has asked"
            assert padding_mask is not None, "the layer knows what the queries see"
            return one_query(q, k, v, seen=padding_mask, scale=scale)
        given = {**self.params, **tensors}
        out: Tensor = attention.core(
            self.name, q, k, v, padding_mask=padding_mask, causal=self.causal, **given
        )
        return out

    def step(
        self,
        state: State,
        q: Float[Tensor, "B H n d"],
        k: Float[Tensor, "B H n d"],
        v: Float[Tensor, "B H n d"],
        *,
        seq_len: int,
        **tensors: Tensor,
    ) -> tuple[State, Float[Tensor, "B H n d"]]:
        """The events that follow `state`; see `attention.step`."""
        return attention.step(self.name, state, q, k, v, seq_len=seq_len, **self.params, **tensors)


def split_heads(x: Float[Tensor, "B N D"], heads: int) -> Float[Tensor, "B H N d"]:
    """A view [B, H, N, d] of x; no copy, the mechanism sees strides."""
    heads_apart: Tensor = x.unflatten(-1, (heads, -1))
    return heads_apart.transpose(1, 2)


def join_heads(x: Float[Tensor, "B H N d"]) -> Float[Tensor, "B N D"]:
    """The heads side by side again."""
    return x.transpose(1, 2).flatten(2)


class AttentionLayer(nn.Module):
    """Multi-head attention: one projection to q, k, v, the mechanism, one projection out.

    `hidden_size` D must be a multiple of `heads` H. Vaswani et al. 2017, section 3.2.2, with the mixing
    exchanged. Where the mechanism needs more than q, k, v its companion makes it from x.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        attention: str,
        causal: bool,
        seq_len: int,
        params: dict[str, object] | None = None,
    ) -> None:
        super().__init__()
        check_heads(hidden_size, heads)
        self.heads, self.seq_len = heads, seq_len
        params = params or {}
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.mixer = Mixer(attention, causal=causal, **params)
        self.companion = _companion(attention, hidden_size, heads, seq_len=seq_len, params=params)
        self.out = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        out: Tensor = self.out(self.mixed(x, padding_mask))
        return out

    def at(
        self,
        positions: Int64[Tensor, " B"],
        x: Float[Tensor, "B N D"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
    ) -> Float[Tensor, "B D"]:
        """Row b of `forward` at positions[b], which is no padding.

        A mechanism with `one_query` is asked for it alone, any other runs whole; the last projection is done
        for one token.
        """
        rows = torch.arange(len(x), device=x.device)
        if attention.registry()[self.mixer.name].one_query is None:
            mixed = self.mixed(x, padding_mask)[rows, positions]
        else:
            mixed = self._mixed_at(positions, x[rows, positions], x, padding_mask)
        out: Tensor = self.out(mixed)
        return out

    def _mixed_at(
        self, positions: Tensor, asked: Float[Tensor, "B D"], x: Tensor, padding_mask: Tensor | None
    ) -> Float[Tensor, "B D"]:
        """`mixed` of the tokens `asked` alone, without a key or value of any other:

            q . (W_k x_j + b_k) = (W_k^T q) . x_j + q . b_k
            sum_j w_j (W_v x_j + b_v) = W_v sum_j w_j x_j + b_v

        since weights sum to 1 and do not change with q . b_k, which is the same for all keys.
        """
        seen = padding_mask
        if self.mixer.causal:
            earlier = torch.arange(x.shape[1], device=x.device) <= positions[:, None]
            seen = earlier if seen is None else earlier & seen
        elif seen is None:
            seen = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        w_q, w_k, w_v = self.qkv.weight.chunk(3)
        b_q, _, b_v = self.qkv.bias.chunk(3)
        heads = (self.heads, -1)
        q = F.linear(asked, w_q, b_q).unflatten(-1, heads)
        turned = torch.einsum("bhd,hdw->bhw", q, w_k.unflatten(0, heads))[:, None]
        x = x[:, None]
        read = self.mixer(turned, x, x, seen, q.shape[-1] ** -0.5)[:, 0]
        return torch.einsum("bhw,hdw->bhd", read, w_v.unflatten(0, heads)).flatten(1) + b_v

    def mixed(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """All but the last projection; a layer that mixes in more than the mechanism has its own."""
        return join_heads(self.mixer(*self._qkv(x), padding_mask, **self._tensors(x)))

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The state before the first of at most `seq_len` events like those of x."""
        like = split_heads(x, self.heads)
        return attention.init_state(self.mixer.name, like, seq_len=self.seq_len, **self.mixer.params)

    def step(self, state: State, x: Float[Tensor, "B n D"]) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state after the events x and their outputs, as `forward` gives them. The old one is spent."""
        state, mixed = self.mixer.step(state, *self._qkv(x), seq_len=self.seq_len, **self._tensors(x))
        out: Tensor = self.out(join_heads(mixed))
        return state, out

    def _qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return split_heads(q, self.heads), split_heads(k, self.heads), split_heads(v, self.heads)

    def _tensors(self, x: Tensor) -> dict[str, Tensor]:
        made: dict[str, Tensor] = {} if self.companion is None else self.companion(x)
        return made


def _companion(
    name: str, hidden_size: int, heads: int, *, seq_len: int, params: dict[str, object]
) -> nn.Module | None:
    companion = attention.registry()[name].companion
    if companion is None:
        return None
    return companion(hidden_size, heads, **accepted(companion, params, seq_len=seq_len))
