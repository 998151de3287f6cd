"""What published layers have around their mechanism: a short causal convolution, a gated way out.

Shapes: B batch, H heads, N tokens, D hidden size, d = D / H head size, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from linrec_bench import attention as mechanisms
from linrec_bench.attention.backends.fla import Backend
from linrec_bench.attention.layer import Mixer, split_heads
from linrec_bench.attention.spec import State


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


class GatedLayer(nn.Module):
    """Projections to q, k, v without bias, the causal mechanism, and a `GatedOutput`.

    `companion` makes from x what the mechanism takes beside q, k, v; None where it takes nothing.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        attention: str,
        seq_len: int,
        norm: nn.Module,
        companion: nn.Module | None = None,
        backend: Backend = "eager",
    ) -> None:
        super().__init__()
        self.heads, self.seq_len = heads, seq_len
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.companion = companion
        self.mixer = Mixer(attention, causal=True, backend=backend)
        self.out = GatedOutput(hidden_size, norm=norm)

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        out: Tensor = self.out(self.mixer(*self._qkv(x), padding_mask, **self._tensors(x)), x)
        return out

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The state of the mechanism before the first event."""
        return mechanisms.init_state(self.mixer.name, split_heads(x, self.heads), seq_len=self.seq_len)

    def step(self, state: State, x: Float[Tensor, "B n D"]) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state after the events x and their outputs, as `forward` gives them. The old one is spent."""
        state, mixed = self.mixer.step(state, *self._qkv(x), seq_len=self.seq_len, **self._tensors(x))
        return state, self.out(mixed, x)

    def _qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return q, k, v

    def _tensors(self, x: Tensor) -> dict[str, Tensor]:
        made: dict[str, Tensor] = {} if self.companion is None else self.companion(x)
        return made
