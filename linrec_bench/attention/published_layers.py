"""What published layers have around their mechanism: a short causal convolution, a gated way out, times.

Shapes: B batch, H heads, N tokens, D hidden size, d = D / H head size, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from linrec_bench.attention.layer import MechanismLayer
from linrec_bench.attention.ops.time_intervals import check_timestamps, time_intervals
from linrec_bench.attention.spec import Spec, State


class ShortConvolution(nn.Module):
    """Each channel convolved over a token and the `kernel_size` - 1 before it, then SiLU if `silu`.

    The depth-wise causal convolution that Mamba (Gu and Dao 2023, arXiv 2312.00752) and the gated linear
    mechanisms after it put before q, k and v. Padded tokens count as zeros, as everything before the first
    token does: nothing that stands in them reaches a real one.
    """

    def __init__(self, channels: int, *, kernel_size: int = 4, bias: bool = True, silu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size, groups=channels, bias=bias)
        self.silu = silu

    def forward(
        self, x: Float[Tensor, "B N C"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N C"]:
        if padding_mask is not None:
            x = x.masked_fill(~padding_mask[..., None], 0)
        return self._convolve(F.pad(x, (0, 0, self._past, 0)))

    def init_state(self, x: Float[Tensor, "B _ C"]) -> State:
        """The tokens before the first: zeros [B, kernel_size - 1, C]."""
        return (x.new_zeros(x.shape[0], self._past, x.shape[-1]),)

    def step(self, state: State, x: Float[Tensor, "B n C"]) -> tuple[State, Float[Tensor, "B n C"]]:
        """The last tokens, raw, after the events x; and what `forward` gives for these events."""
        seen = torch.cat((*state, x), dim=1)
        return (seen[:, x.shape[1] :],), self._convolve(seen)

    @property
    def _past(self) -> int:
        return int(self.conv.kernel_size[0]) - 1

    def _convolve(self, x: Tensor) -> Tensor:
        """One output for each token that has the whole kernel behind it."""
        out: Tensor = self.conv(x.mT).mT
        return F.silu(out) if self.silu else out


def norm_of_unscaled(head_size: int, *, eps: float = 1e-5) -> nn.RMSNorm:
    """The root mean square norm of o / sqrt(d), for outputs o of a mechanism that leaves the scale out.

    norm(o / sqrt(d)) with `eps` is norm(o) with d eps: only for an epsilon of 0 would the scale cancel.
    """
    return nn.RMSNorm(head_size, eps=head_size * eps)


class GatedOutput(nn.Module):
    """W_o (norm(o) * SiLU(W_g x)): each head normalised alone, gated by the layer's input, projected out.

    `norm` sees o as [B, N, H, d]: `nn.RMSNorm(d)`, `nn.LayerNorm(d)`, or `nn.Identity()` for none. The way
    out of RetNet (arXiv 2307.08621, equation 8) and of gated linear attention (arXiv 2312.06635, section
    4.4).
    """

    def __init__(self, hidden_size: int, *, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.gate = nn.Linear(hidden_size, hidden_size, bias=False)
        self.out = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, o: Float[Tensor, "B H N d"], x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        normed: Tensor = self.norm(o.transpose(1, 2)).flatten(2)
        out: Tensor = self.out(normed * F.silu(self.gate(x)))
        return out


class GatedLayer(MechanismLayer):
    """Projections to q, k, v without bias, the causal mechanism, and a `GatedOutput`."""

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        spec: Spec,
        seq_len: int,
        norm: nn.Module,
        gates: nn.Module | None = None,
        backend: str,
    ) -> None:
        super().__init__(heads, spec=spec, causal=True, seq_len=seq_len, params={"backend": backend})
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.gates = gates
        self.out = GatedOutput(hidden_size, norm=norm)

    def enter(self, x: Float[Tensor, "B n D"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return *self.split(self.qkv(x)), x

    def leave(self, mixed: Float[Tensor, "B H n d"], kept: Tensor) -> Float[Tensor, "B n D"]:
        out: Tensor = self.out(mixed, kept)
        return out


class ConvolvedLayer(MechanismLayer):
    """q, k, v = SiLU(conv(x W)) for a causal mechanism; `leave` is given x.

    A subclass makes `qkv`, which is W, and the convolution over its outputs.
    """

    qkv: nn.Linear
    convolution: ShortConvolution

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        q, k, v = self.split(self.convolution(self.qkv(x), padding_mask))
        return self.leave(self.attention(q, k, v, padding_mask, **self.tensors(x)), x)

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The state before the first event: of the convolution, then of the mechanism."""
        wide = x.new_empty(*x.shape[:-1], self.qkv.out_features)
        like, _, _ = self.split(wide)
        return (
            *self.convolution.init_state(wide),
            *self.attention.init_state(like, seq_len=self.seq_len),
        )

    def step(self, state: State, x: Float[Tensor, "B n D"]) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state after the events x and their outputs, as `forward` gives them. The old one is spent."""
        past, convolved = self.convolution.step(state[:1], self.qkv(x))
        inner, mixed = self.attention.step(
            state[1:], *self.split(convolved), seq_len=self.seq_len, **self.tensors(x)
        )
        return (*past, *inner), self.leave(mixed, x)


class TimedLayer(MechanismLayer):
    """A layer of a mechanism that takes `wait`, the time from each event to the next.

    Raises `ValueError` for timestamps that are no whole numbers, or not one more than there are events.
    """

    def weights(self) -> dict[str, Tensor]:
        """What is learnt and does not depend on the tokens, by its name in `core`."""
        raise NotImplementedError

    def forward(  # type: ignore[override]
        self,
        x: Float[Tensor, "B N D"],
        padding_mask: Bool[Tensor, "B N"] | None,
        timestamps: Shaped[Tensor, "B N_plus_1"],
    ) -> Float[Tensor, "B N D"]:
        check_timestamps(timestamps, x)
        *qkv, kept = self.enter(x)
        wait = time_intervals(timestamps, padding_mask)
        return self.leave(self.attention(*qkv, padding_mask, wait=wait, **self.weights()), kept)

    def step(  # type: ignore[override]
        self, state: State, x: Float[Tensor, "B n D"], timestamps: Shaped[Tensor, "B n_plus_1"]
    ) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state after the events x and their outputs, as `forward` gives them. The old one is spent."""
        check_timestamps(timestamps, x)
        *qkv, kept = self.enter(x)
        wait = time_intervals(timestamps, None)
        state, mixed = self.attention.step(state, *qkv, seq_len=self.seq_len, wait=wait, **self.weights())
        return state, self.leave(mixed, kept)
