"""DeltaNet: linear attention that replaces what it remembers of a key, instead of adding to it.

    S_t = S_{t-1} + beta_t k'_t (v_t - S_{t-1}^T k'_t)^T,    o_t = S_t^T q'_t,    q' = q / |q|,  k' = k / |k|

beta_t = sigmoid(w . x_t) in (0, 1) is how much of the old value gives way, per token and head. Schlag et al.
2021, "Linear Transformers Are Secretly Fast Weight Programmers" (ICML 2021, arXiv 2102.11174, section 4.2);
features, layer and chunk form of Yang et al. 2024 (NeurIPS 2024, arXiv 2406.06484, sections 2.2 and 3).
Upstream: fla-org/flash-linear-attention, `fla/layers/delta_net.py`. Causal only: the result depends on the
order in which values are replaced. Padded tokens have beta 0 and leave the state as it is.

The core takes q and k as they come and scales each row to unit length itself. The layer is

    q, k, v = SiLU(conv(x W)),    y = W_o norm(o)

with a depth-wise causal convolution over 4 tokens and one RMS norm over each head.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.backends import fla
from linrec_bench.attention.layer import join_heads, split_heads
from linrec_bench.attention.ops.blockwise import decoder, scan, zero_state
from linrec_bench.attention.ops.delta_rule import delta_product
from linrec_bench.attention.ops.feature_maps import drop_padding, unit_rows
from linrec_bench.attention.published_layers import ConvolvedLayer, ShortConvolution, norm_of_unscaled
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens
from linrec_bench.parameters import EAGER


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    beta: Float[Tensor, "B H N 1"],
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations. Raises `Unsupported` unless `causal`."""
    SPEC.check_direction(causal=causal)
    # The solution of a block is a row of 2 d numbers for each token.
    return scan(_step, zero_state(q), (q, k, v, beta), padding_mask, width=2 * q.shape[-1])


def _by_kernel(q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
    return fla.delta(unit_rows(q), unit_rows(k), v, beta)


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, pad: Tensor | None
) -> tuple[State, Tensor]:
    out, after = delta_product(unit_rows(q), unit_rows(k), v, drop_padding(beta, pad), None, state[0])
    return (after,), out


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    beta: Float[Tensor, "B H N 1"],
) -> Tokens:
    """The recurrence, a token at a time."""
    SPEC.check_direction(causal=causal)
    lengths = [x.norm(dim=-1, keepdim=True) for x in (q, k)]
    q, k = (x / torch.where(size > 0, size, 1) for x, size in zip((q, k), lengths, strict=True))
    if padding_mask is not None:
        beta = beta * padding_mask[:, None, :, None]
    state, rows = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1]), []
    for t in range(q.shape[2]):
        old = torch.einsum("bhfe,bhf->bhe", state, k[:, :, t])
        state = state + torch.einsum("bhf,bhe->bhfe", k[:, :, t], beta[:, :, t] * (v[:, :, t] - old))
        rows.append(torch.einsum("bhfe,bhf->bhe", state, q[:, :, t]))
    return torch.stack(rows, dim=2)


class Beta(nn.Module):
    """beta = sigmoid(x W), [B, H, N, 1]."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.beta = nn.Linear(hidden_size, heads, bias=False)

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        return {"beta": split_heads(self.beta(x).sigmoid(), self.beta.out_features)}


class DeltaNetLayer(ConvolvedLayer):
    """Projections, short convolutions, the delta rule, an RMS norm for each head, a projection out."""

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        kernel_size: int = 4,
        backend: str = EAGER,
    ) -> None:
        super().__init__(heads, spec=SPEC, causal=causal, seq_len=seq_len, params={"backend": backend})
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.convolution = ShortConvolution(3 * hidden_size, kernel_size=kernel_size, bias=False)
        self.gates = Beta(hidden_size, heads)
        self.norm = norm_of_unscaled(hidden_size // heads)
        self.out = nn.Linear(hidden_size, hidden_size, bias=False)

    def leave(self, mixed: Events, kept: Tensor) -> Float[Tensor, "B n D"]:
        del kept
        out: Tensor = self.out(join_heads(self.norm(mixed)))
        return out


SPEC = Spec(
    name="deltanet",
    title="DeltaNet",
    paper="Linear Transformers Are Secretly Fast Weight Programmers, ICML 2021, arXiv 2102.11174; "
    "layer and chunks: NeurIPS 2024, arXiv 2406.06484",
    formula="S += beta k (v - S^T k)^T, S^T q, q and k scaled to unit rows",
    source="github.com/fla-org/flash-linear-attention, fla/layers/delta_net.py",
    deviations=(
        "padded tokens leave the state as it is; upstream removes them from the sequence",
        "core: no scale 1 / sqrt(d) on q; layer: d times the epsilon in the norm of the output, which gives "
        "the same outputs",
        "a row of zeros gives zero, without the epsilon of 1e-6 in the norms of q and k: outputs of a layer "
        "of 8 features a head differ by 5e-6 of their root mean square",
    ),
    core=core,
    reference=reference,
    backends={"fla": fla.backend(_by_kernel, tokens=("beta",), dtypes=fla.HALF, widest_head=fla.WIDEST_HEAD)},
    bidirectional=False,
    permutation_equivariant=False,
    complexity="8 N d (C + d) + 6 N d^3 / C a head, C = max(16, d): 22 N d^2 from d = 16 on",
    decode_state="d^2 numbers a head, 3 D (kernel_size - 1) a layer",
    tokens=("beta",),
    gate_module=Beta,
    layer=DeltaNetLayer,
    init_state=zero_state,
    step=decoder(_step, core, tokens=("beta",)),
)
