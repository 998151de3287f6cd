"""x -> x: a mechanism between its projections, and the parts that published layers are made of too."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.attention import calls
from linrec_bench.attention.spec import Spec, State, make_gates


def check_heads(hidden_size: int, heads: int) -> None:
    """Raise `ValueError` unless every head gets the same width."""
    if hidden_size % heads:
        raise ValueError(f"hidden_size {hidden_size} is not a multiple of heads {heads}")


class AttentionOp(nn.Module):
    """A mechanism as a module without weights: q, k, v [B, H, N, d] -> o [B, H, N, d].

    It is a module of its own so that the share of a step spent in attention can be measured around it.
    `tensors` are what a gate module or a layer makes for `core` besides q, k, v; `params` are settings.
    Raises `ValueError` at construction for unknown parameters and `Unsupported` for a direction that does not
    exist.
    """

    def __init__(self, spec: Spec, *, causal: bool, **params: object) -> None:
        super().__init__()
        spec.check_params(params)
        spec.check_direction(causal=causal)
        self.spec, self.causal, self.params = spec, causal, params

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
            assert self.spec.one_query is not None, "the layer has asked"
            assert padding_mask is not None, "the layer knows what the queries see"
            return self.spec.one_query(q, k, v, seen=padding_mask, scale=scale)
        params = {**self.params, **tensors}
        return calls.attend(self.spec, q, k, v, padding_mask=padding_mask, causal=self.causal, params=params)

    def init_state(self, like: Float[Tensor, "B H _ d"], *, seq_len: int) -> State:
        """The state before the first of at most `seq_len` events; see `attention.init_state`."""
        return calls.init_state(self.spec, like, seq_len=seq_len, params=self.params)

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
        return calls.step(self.spec, state, q, k, v, seq_len=seq_len, params={**self.params, **tensors})


def split_heads(x: Float[Tensor, "B N D"], heads: int) -> Float[Tensor, "B H N d"]:
    """A view [B, H, N, d] of x; no copy, the mechanism sees strides."""
    heads_apart: Tensor = x.unflatten(-1, (heads, -1))
    return heads_apart.transpose(1, 2)


def join_heads(x: Float[Tensor, "B H N d"]) -> Float[Tensor, "B N D"]:
    """The heads side by side, as `split_heads` found them."""
    return x.transpose(1, 2).flatten(2)


class MechanismLayer(nn.Module):
    """What layers around a mechanism have in common; a subclass says how tokens enter and leave.

    `gates`, where a subclass sets it, makes from x the tensors that the mechanism takes besides q, k, v.
    """

    def __init__(
        self,
        heads: int,
        *,
        spec: Spec,
        causal: bool,
        seq_len: int,
        params: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.seq_len = heads, seq_len
        self.attention = AttentionOp(spec, causal=causal, **(params or {}))
        self.gates: nn.Module | None = None

    def enter(self, x: Float[Tensor, "B n D"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """q, k, v [B, H, n, d], and what `leave` needs besides them."""
        raise NotImplementedError

    def leave(self, mixed: Float[Tensor, "B H n d"], kept: Tensor) -> Float[Tensor, "B n D"]:
        """The outputs of the layer from those of the mechanism: here the heads side by side."""
        del kept
        return join_heads(mixed)

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        *qkv, kept = self.enter(x)
        return self.leave(self.attention(*qkv, padding_mask, **self.tensors(x)), kept)

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The state before the first of at most `seq_len` events like those of x."""
        return self.attention.init_state(split_heads(x, self.heads), seq_len=self.seq_len)

    def step(self, state: State, x: Float[Tensor, "B n D"]) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state after the events x and their outputs, as `forward` gives them. The old one is spent."""
        *qkv, kept = self.enter(x)
        state, mixed = self.attention.step(state, *qkv, seq_len=self.seq_len, **self.tensors(x))
        return state, self.leave(mixed, kept)

    def tensors(self, x: Float[Tensor, "B n D"]) -> dict[str, Tensor]:
        """What the mechanism takes besides q, k, v, by name."""
        made: dict[str, Tensor] = {} if self.gates is None else self.gates(x)
        return made

    def split(self, x: Float[Tensor, "B n DDD"]) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v [B, H, n, d], which lie side by side in x."""
        q, k, v = (split_heads(part, self.heads) for part in x.chunk(3, dim=-1))
        return q, k, v


class AttentionLayer(MechanismLayer):
    """Multi-head attention: one projection to q, k, v, the mechanism, one projection out.

    `hidden_size` D must be a multiple of `heads` H. Vaswani et al. 2017, section 3.2.2, with the mixing
    exchanged. Where the mechanism needs more than q, k, v its gate module makes it from x.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        spec: Spec,
        causal: bool,
        seq_len: int,
        params: Mapping[str, object],
    ) -> None:
        super().__init__(heads, spec=spec, causal=causal, seq_len=seq_len, params=params)
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        if spec.gate_module is not None:
            self.gates = make_gates(spec, hidden_size, heads, seq_len=seq_len, params=params)
        self.out = nn.Linear(hidden_size, hidden_size)

    def enter(self, x: Float[Tensor, "B n D"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return *self.split(self.qkv(x)), x

    def leave(self, mixed: Float[Tensor, "B H n d"], kept: Tensor) -> Float[Tensor, "B n D"]:
        del kept
        out: Tensor = self.out(join_heads(mixed))
        return out

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
        if self.attention.spec.one_query is None:
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
        if self.attention.causal:
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
        read = self.attention(turned, x, x, seen, q.shape[-1] ** -0.5)[:, 0]
        return torch.einsum("bhw,hdw->bhd", read, w_v.unflatten(0, heads)).flatten(1) + b_v

    def mixed(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """All but the last projection; a layer that mixes in more than the mechanism has its own."""
        *qkv, _ = self.enter(x)
        return join_heads(self.attention(*qkv, padding_mask, **self.tensors(x)))
