"""LinRec as its official code computes it: ELU features, every query and key scaled to unit length.

    o_i = (1 / sqrt(d)) sum_j (q'_i . k'_j) v_j,    q' = elu(q) / |elu(q)|,  k' = elu(k) / |elu(k)|

Both norms run over the feature axis, of each token alone ("token norm"). Liu et al. 2023, LinRec (SIGIR 2023,
arXiv 2411.01537); the function is that of `layers.py` in Applied-Machine-Learning-Lab/LinRec, which differs
from the paper's equation: see `linrec_column`. There is no denominator, so outputs grow with N.

Causal: S_t = S_{t-1} + k'_t v_t^T, o_t = S_t^T q'_t / sqrt(d); the official code has no causal form.

`padding="mask"` (default) leaves padded tokens out of the sum, as every mechanism here does. The official
code lets them in: `padding="ignore"` reproduces that, and the mask then has no influence. The SPEC declares
the default, so `padding="ignore"` contradicts `honours_padding`: a finding, not an oversight.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from linrec_bench.attention.backends import compiled, fla, native, native_linrec
from linrec_bench.attention.backends.triton import linrec as triton_linrec
from linrec_bench.attention.ops.blockwise import decoder, scan, sum_then_read, zero_state
from linrec_bench.attention.ops.causal_product import causal_product
from linrec_bench.attention.ops.feature_maps import drop_padding, elu, unit_rows
from linrec_bench.attention.ops.transposed_matmul import sum_of_outer
from linrec_bench.attention.spec import Backend, Core, Mask, Spec, State, Tokens


def core(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    padding: Literal["mask", "ignore"] = "mask",
) -> Tokens:
    """o [B, H, N, d] in O(N d^2) operations; see the module for the equation."""
    mask = padding_mask if padding == "mask" else None
    if causal:
        return scan(_step, zero_state(q), (q, k, v), mask, backward_step=partial(_step, backward_only=True))
    return sum_then_read(_summarise, _read, (q,), (k, v), mask)


def _formula(q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> Tensor:
    return _read(_summarise(k, v, pad), q)


def _causal_formula(q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> Tensor:
    return _step(zero_state(q), q, k, v, pad)[1]


def _as_padding_says(backend: Backend) -> Backend:
    """The backend with the setting `padding` of `core`."""

    def ours(attend: Core) -> Core:
        def run(
            q: Tensor,
            k: Tensor,
            v: Tensor,
            *,
            padding_mask: Tensor | None = None,
            causal: bool = False,
            padding: str = "mask",
        ) -> Tensor:
            mask = padding_mask if padding == "mask" else None
            return attend(q, k, v, padding_mask=mask, causal=causal)

        return run

    counted = None if backend.counted is None else ours(backend.counted)
    return replace(backend, attend=ours(backend.attend), counted=counted)


def _by_kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return fla.linear(unit_rows(elu(q), length=q.shape[-1] ** -0.5), unit_rows(elu(k)), v)


def _summarise(k: Tensor, v: Tensor, pad: Tensor | None) -> State:
    return (sum_of_outer(drop_padding(unit_rows(elu(k)), pad), v),)


def _read(state: State, q: Tensor) -> Tensor:
    # The scale 1 / sqrt(d) is the length of the rows of q'.
    return unit_rows(elu(q), length=q.shape[-1] ** -0.5) @ state[0]


def _step(
    state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, *, backward_only: bool = False
) -> tuple[State, Tensor]:
    q = unit_rows(elu(q), length=q.shape[-1] ** -0.5)
    out, after = causal_product(
        q, drop_padding(unit_rows(elu(k)), pad), v, state[0], backward_only=backward_only
    )
    return (after,), out


def reference(
    q: Tokens,
    k: Tokens,
    v: Tokens,
    *,
    padding_mask: Mask = None,
    causal: bool = False,
    padding: Literal["mask", "ignore"] = "mask",
) -> Tokens:
    """The N x N weights written out, scaled, masked, applied."""
    q, k = F.elu(q), F.elu(k)
    products = torch.einsum("bhid,bhjd->bhij", q, k)
    sizes = torch.einsum("bhi,bhj->bhij", q.norm(dim=-1), k.norm(dim=-1))
    weights = torch.where(sizes > 0, products / torch.where(sizes > 0, sizes, 1), 0) / q.shape[-1] ** 0.5
    if causal:
        weights = weights.tril()
    if padding_mask is not None and padding == "mask":
        weights = weights * padding_mask[:, None, None, :]
    return torch.einsum("bhij,bhjd->bhid", weights, v)


SPEC = Spec(
    name="linrec",
    title="LinRec, official code (token norm)",
    paper="LinRec, SIGIR 2023, arXiv 2411.01537",
    formula="q'(k'^T v) / sqrt(d), q' and k' = elu scaled to unit rows",
    source="github.com/Applied-Machine-Learning-Lab/LinRec, layers.py",
    deviations=(
        "padded tokens stay out of the sum; padding='ignore' restores the official behaviour",
        "a feature row of zeros gives zero; the official code divides by its norm and gives NaN",
        "a causal form, which the official code lacks",
        "no attention dropout; the official code creates it and never applies it",
    ),
    core=core,
    reference=reference,
    backends={
        "compile": _as_padding_says(compiled.backend(_formula, _causal_formula)),
        "native": _as_padding_says(native.backend(partial(native_linrec.attend, column=False))),
        "triton": _as_padding_says(triton_linrec.backend(column=False)),
        "fla": _as_padding_says(fla.backend(_by_kernel)),
    },
    complexity="4 N d^2 a head",
    decode_state="d^2 numbers a head",
    init_state=zero_state,
    step=decoder(_step, core),
)
