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
from jaxtyping import Bool, Float
from torch import Tensor, nn

from linrec_bench import attention
from linrec_bench.attention.backends import fla
from linrec_bench.attention.backends.fla import Backend
from linrec_bench.attention.layer import Mixer, join_heads, split_heads
from linrec_bench.attention.ops.blockwise import advance, scan
from linrec_bench.attention.ops.delta_rule import delta_product, zero_state
from linrec_bench.attention.ops.feature_maps import drop_padding, unit_rows
from linrec_bench.attention.ops.gated_layer import ShortConvolution
from linrec_bench.attention.spec import Spec, State


def core(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    *,
    padding_mask: Bool[Tensor, "B N"] | None = None,
    causal: bool = False,
    beta: Float[Tensor, "B H N 1"],
    backend: Backend = "eager",
) -> Float[Tensor, "B H N d"]:
    """o [B, H, N, d] in O(N d^2) operations. Raises `Unsupported` unless `causal`.

    `backend` "fla": a kernel of fla-core, see `fla_kernels`; half types only.
    """
    SPEC.check_direction(causal=causal)
    widest = fla.WIDEST_HEAD
    if fla.chosen(backend, q, causal=causal, refusal=fla.half_only, widest=widest):
        return fla.over_real(_by_kernel, (q, k, v, beta), padding_mask)
    # The solution of a block is a row of 2 d numbers for each token.
    return scan(_step, init_state(q), (q, k, v, beta), padding_mask, width=2 * q.shape[-1])


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """S = 0, [B, H, d, d]."""
    return zero_state(like)


def step(
    state: State,
    q: Float[Tensor, "B H n d"],
    k: Float[Tensor, "B H n d"],
    v: Float[Tensor, "B H n d"],
    *,
    beta: Float[Tensor, "B H n 1"],
) -> tuple[State, Float[Tensor, "B H n d"]]:
    """S with the value at k' replaced, and S^T q' of it, for each event."""
    return advance(_step, state, (q, k, v, beta))


def _by_kernel(q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
    return fla.delta(unit_rows(q), unit_rows(k), v, beta)


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, pad: Tensor | None
) -> tuple[State, Tensor]:
    out, after = delta_product(unit_rows(q), unit_rows(k), v, drop_padding(beta, pad), None, state[0])
    return (after,), out


def reference(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    *,
    padding_mask: Bool[Tensor, "B N"] | None = None,
    causal: bool = False,
    beta: Float[Tensor, "B H N 1"],
) -> Float[Tensor, "B H N d"]:
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


class ConvolvedProjections(nn.Module):
    """q, k, v = SiLU(conv(x W)), [B, H, N, d] each."""

    def __init__(self, hidden_size: int, heads: int, *, kernel_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.convolution = ShortConvolution(3 * hidden_size, kernel_size=kernel_size, bias=False)

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self._split(self.convolution(self.project(x), padding_mask))

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The tokens before the first, which are zeros."""
        return self.convolution.init_state(x.new_empty(x.shape[0], 0, self.project.out_features))

    def step(self, state: State, x: Float[Tensor, "B n D"]) -> tuple[State, tuple[Tensor, Tensor, Tensor]]:
        """q, k, v of the events that follow."""
        state, mixed = self.convolution.step(state, self.project(x))
        return state, self._split(mixed)

    def _split(self, x: Float[Tensor, "B n DDD"]) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = x.chunk(3, dim=-1)
        return split_heads(q, self.heads), split_heads(k, self.heads), split_heads(v, self.heads)


class DeltaNetLayer(nn.Module):
    """Projections, short convolutions, the delta rule, an RMS norm for each head, a projection out."""

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        kernel_size: int = 4,
        backend: Backend = "eager",
    ) -> None:
        super().__init__()
        self.heads, self.seq_len = heads, seq_len
        self.qkv = ConvolvedProjections(hidden_size, heads, kernel_size=kernel_size)
        self.companion = Beta(hidden_size, heads)
        self.mixer = Mixer("deltanet", causal=causal, backend=backend)
        self.norm = nn.RMSNorm(hidden_size // heads, eps=1e-5)
        self.out = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(
        self, x: Float[Tensor, "B N D"], padding_mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        out: Tensor = self.mixer(*self.qkv(x, padding_mask), padding_mask, **self.companion(x))
        return self._out(out)

    def init_state(self, x: Float[Tensor, "B _ D"]) -> State:
        """The state before the first event: of the convolution, then of the delta rule."""
        like = split_heads(x, self.heads)
        own = attention.init_state(self.mixer.name, like, seq_len=self.seq_len)
        return (*self.qkv.init_state(x), *own)

    def step(self, state: State, x: Float[Tensor, "B n D"]) -> tuple[State, Float[Tensor, "B n D"]]:
        """The state after the events x and their outputs, as `forward` gives them. The old one is spent."""
        past, qkv = self.qkv.step(state[:1], x)
        own, out = self.mixer.step(state[1:], *qkv, seq_len=self.seq_len, **self.companion(x))
        return (*past, *own), self._out(out)

    def _out(self, o: Float[Tensor, "B H n d"]) -> Float[Tensor, "B n D"]:
        out: Tensor = self.out(join_heads(self.norm(o)))
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
        "no scale 1 / sqrt(d) on q, which the norm of the output takes out again",
        "a row of zeros gives zero, without an epsilon in the norms of q and k",
    ),
    core=core,
    reference=reference,
    bidirectional=False,
    permutation_equivariant=False,
    complexity="8 N d (C + d) + 6 N d^3 / C a head, C = max(16, d): 22 N d^2 from d = 16 on",
    decode_state="d^2 numbers a head, 3 D (kernel_size - 1) a layer",
    tokens=("beta",),
    companion=Beta,
    layer=DeltaNetLayer,
    init_state=init_state,
    step=step,
    kernel=fla.kernel,
    refusal=fla.half_only,
)
