"""x -> x: the projections around a mechanism, the same for every mechanism."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from linrec_bench import attention


class Mixer(nn.Module):
    """A mechanism as a module without weights: q, k, v [B, H, N, d] -> o [B, H, N, d].

    It is a module of its own so that the share of a step spent in attention can be measured around it.
    Raises `ValueError` at construction for unknown names, parameters and directions.
    """

    def __init__(self, name: str, *, causal: bool, **params: object) -> None:
        super().__init__()
        spec = attention.registry()[name]
        spec.check_params(params)
        spec.check_direction(causal=causal)
        self.name, self.causal, self.params = name, causal, params

    def forward(
        self,
        q: Float[Tensor, "B H N d"],
        k: Float[Tensor, "B H N d"],
        v: Float[Tensor, "B H N d"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
    ) -> Float[Tensor, "B H N d"]:
        return attention.core(
            self.name, q, k, v, padding_mask=padding_mask, causal=self.causal, **self.params
        )


class AttentionLayer(nn.Module):
    """Multi-head attention: one projection to q, k, v, the mechanism, one projection out.

    `hidden_size` D must be a multiple of `heads` H. Vaswani et al. 2017, section 3.2.2, with the mixing
    exchanged.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        attention: str,
        causal: bool,
        params: dict[str, object] | None = None,
    ) -> None:
        super().__init__()
        if hidden_size % heads:
            raise ValueError(f"hidden_size {hidden_size} is not a multiple of heads {heads}")
        self.heads = heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.mixer = Mixer(attention, causal=causal, **(params or {}))
        self.out = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        batch, length, hidden = x.shape
        # [B, N, 3D] -> three views of [B, H, N, d]; no copies, the mechanism sees strides.
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = self.mixer(q, k, v, padding_mask)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, hidden))
        return out
