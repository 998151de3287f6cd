"""Mamba-2, the state space dual: linear attention that forgets at one rate a head, by steps that tokens set.

    S_t = exp(A dt_t) S_{t-1} + dt_t k_t v_t^T,    o_t = S_t^T q_t + D v_t,    dt_t = softplus(x_t W + b)

Dao and Gu 2024, "Transformers are SSMs" (ICML 2024, arXiv 2405.21060): the duality of section 4, the chunks
of section 6, the layer of section 7. In the paper's letters q = C, k = B, v = x; A < 0 and the skip D are one
number a head. Upstream: state-spaces/mamba, `modules/mamba2_simple.py`.

The layer: one projection to the gate z and to x, B, C; a short causal convolution with SiLU over x, B and C;
the mechanism; a root mean square norm of o * SiLU(z); a projection. Causal only. Padded tokens have dt = 0,
which is neither decay nor update, and are zeros to the convolution.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from linrec_bench.attention.backends import fla
from linrec_bench.attention.layer import join_heads
from linrec_bench.attention.ops.blockwise import decoder, scan, zero_state
from linrec_bench.attention.ops.decayed_product import decayed_product
from linrec_bench.attention.ops.feature_maps import drop_padding
from linrec_bench.attention.published_layers import ConvolvedLayer, ShortConvolution
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens
from linrec_bench.parameters import EAGER


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    dt: Float[Tensor, "B H N 1"],
    a: Float[Tensor, "H 1 1"],
    skip: Float[Tensor, "H 1 1"],
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; dt >= 0, a < 0. Raises `Unsupported` unless `causal`."""
    SPEC.check_direction(causal=causal)
    return scan(_step, zero_state(q), (q, k, v, dt), padding_mask, weights=(a, skip))


def _by_kernel(q: Tensor, k: Tensor, v: Tensor, dt: Tensor, *, a: Tensor, skip: Tensor) -> Tensor:
    return fla.decayed(q, k * dt, v, a.float() * dt.float()) + skip * v


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, dt: Tensor, pad: Tensor | None, a: Tensor, skip: Tensor
) -> tuple[State, Tensor]:
    dt = drop_padding(dt, pad)
    out, after = decayed_product(q, drop_padding(k, pad) * dt, v, a * dt, state[0])
    return (after,), out + skip * v


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    dt: Float[Tensor, "B H N 1"],
    a: Float[Tensor, "H 1 1"],
    skip: Float[Tensor, "H 1 1"],
) -> Tokens:
    """The N x N weights of the dual form: (q_i . k_j) exp(sum of A dt over j + 1 .. i) dt_j."""
    SPEC.check_direction(causal=causal)
    if padding_mask is not None:
        dt = dt * padding_mask[:, None, :, None].to(dt.dtype)
    seconds = (dt * a).squeeze(-1)
    rows = [torch.zeros_like(seconds)]
    for i in range(1, q.shape[2]):
        # Row i: what decays from each j < i to i; columns from i on are not used.
        grown = rows[-1] + seconds[..., i : i + 1]
        rows.append(torch.where(torch.arange(q.shape[2], device=q.device) < i, grown, 0))
    decay = torch.stack(rows, dim=2).exp().tril()
    weights = torch.einsum("bhid,bhjd->bhij", q, k) * decay * dt.squeeze(-1)[:, :, None, :]
    return weights @ v + skip * v


class StepSizes(nn.Module):
    """dt = softplus(x W + b), and A and the skip of each head.

    Drawn as upstream draws them: steps of 0.001 to 0.1 at x = 0, -A of 1 to 16, a skip of 1.
    """

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.project = nn.Linear(hidden_size, heads, bias=False)
        start = torch.empty(heads).uniform_(log(0.001), log(0.1)).exp()
        # softplus^-1
        self.bias = nn.Parameter(start + torch.log(-torch.expm1(-start)))
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.skip = nn.Parameter(torch.ones(heads))

    def forward(self, x: Float[Tensor, "B N D"]) -> dict[str, Tensor]:
        dt = F.softplus(self.project(x) + self.bias)
        return {
            "dt": dt.mT[..., None],
            "a": -self.log_rate.exp()[:, None, None],
            "skip": self.skip[:, None, None],
        }


class Mamba2Layer(ConvolvedLayer):
    """The Mamba-2 block with its norm before the last projection, section 7.1.

    Inside it is `expand` times as wide as outside.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        *,
        causal: bool,
        seq_len: int,
        expand: int = 1,
        backend: str = EAGER,
    ) -> None:
        super().__init__(heads, spec=SPEC, causal=causal, seq_len=seq_len, params={"backend": backend})
        if expand < 1:
            raise ValueError(f"attention mamba2: expand is {expand}; expected at least 1")
        inner = expand * hidden_size
        self.gate = nn.Linear(hidden_size, inner, bias=False)
        self.qkv = nn.Linear(hidden_size, 3 * inner, bias=False)
        self.convolution = ShortConvolution(3 * inner)
        self.gates = StepSizes(hidden_size, heads)
        self.norm = nn.RMSNorm(inner, eps=1e-5)
        self.out = nn.Linear(inner, hidden_size, bias=False)

    def leave(self, mixed: Events, kept: Tensor) -> Float[Tensor, "B n D"]:
        out: Tensor = self.out(self.norm(join_heads(mixed) * F.silu(self.gate(kept))))
        return out


SPEC = Spec(
    name="mamba2",
    title="Mamba-2 (SSD)",
    paper="Transformers are SSMs, ICML 2024, arXiv 2405.21060",
    formula="S_t = exp(A dt_t) S_(t-1) + dt_t k_t v_t^T, o_t = S_t^T q_t + D v_t, dt = softplus(x W + b)",
    source="github.com/state-spaces/mamba, mamba_ssm/modules/mamba2_simple.py",
    deviations=(
        "B and C (k and q) of each head; upstream shares one pair among all heads",
        "as many state as value features, and no expansion unless expand says so; upstream has 64 or more, "
        "and twice the width",
        "padded tokens neither decay nor add to the state, and are zeros to the convolution",
    ),
    core=core,
    reference=reference,
    backends={"fla": fla.backend(_by_kernel, tokens=("dt",))},
    bidirectional=False,
    complexity="4 N d (C + d) + 32 N d^2 / C a head, chunks of C",
    decode_state="d^2 numbers a head; the layer's convolution 9 d more",
    tokens=("dt",),
    gate_module=StepSizes,
    layer=Mamba2Layer,
    init_state=zero_state,
    step=decoder(_step, core, tokens=("dt",), weights=("a", "skip")),
)
