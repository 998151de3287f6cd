"""Softmax attention through torch's `scaled_dot_product_attention`: the same function as `softmax`, tiled.

    o = softmax(q k^T / sqrt(d)) v

Dao et al. 2022, FlashAttention (arXiv 2205.14135), where torch picks that kernel; `kernel` tells which one
really runs. No N x N mask is ever built: without causality padding is a [B, 1, 1, N] mask of keys; with both,
the real tokens are moved to the front, in order, where plain causality is the whole mask.

The backend `native` is a causal kernel of our own for short histories on a CPU, see `native_softmax`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from linrec_bench.attention.backends import native, native_softmax
from linrec_bench.attention.mechanisms import softmax
from linrec_bench.attention.ops import kv_cache
from linrec_bench.attention.ops.compact_padding import inverse, real_first, take
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """o [B, H, N, d] in 4 N^2 d operations a head; O(N) memory but for the backend `math`.

    A query that sees no key gives zero. With `causal` and a mask, padded queries give zero too. A model that
    pads on the right needs no mask when causal, and saves the reordering.
    """
    if padding_mask is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    if causal:
        order = real_first(padding_mask)
        q, k, v = (take(x, order) for x in (q, k, v))
        packed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return take(packed, inverse(order)).masked_fill(~padding_mask[:, None, :, None], 0)
    # Rows of padding alone see everything and are zeroed afterwards: kernels differ in what they give there.
    blind = ~padding_mask.any(dim=1, keepdim=True)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=(padding_mask | blind)[:, None, None, :])
    return out.masked_fill(blind[:, None, :, None], 0)


def step(state: State, q: Events, k: Events, v: Events) -> tuple[State, Events]:
    """The same kernel over the cached keys and values; its `is_causal` would align the first rows."""
    state = kv_cache.remember(state, k, v)
    keys, values = state
    mask = None if q.shape[-2] == 1 else kv_cache.visible(q.shape[-2], keys.shape[-2], q.device)
    return state, F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


def kernel(call: Callable[[], object]) -> str:
    """The kernel that SDPA uses inside `call`, which is run once: flash, efficient, cudnn or math; empty
    where torch sees no attention.

    It is watched what is dispatched, because the choice depends on device, shape, strides, dtype, mask and on
    whether gradients are wanted.
    """
    watch = _Watch()
    with watch:
        call()
    return watch.seen


class _Watch(TorchDispatchMode):
    """Notes which attention operator goes by; `math` is a softmax of its own, and nothing what torch never
    sees."""

    KERNELS = (
        ("_scaled_dot_product_flash_attention", "flash"),
        ("_scaled_dot_product_efficient_attention", "efficient"),
        ("_scaled_dot_product_cudnn_attention", "cudnn"),
        ("_softmax", "math"),
        ("_safe_softmax", "math"),
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen = ""

    def __torch_dispatch__(
        self,
        func: OpOverload[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        # Under inference_mode the operator arrives whole; its own decomposition is what makes the choice.
        if func is torch.ops.aten.scaled_dot_product_attention.default:
            self.seen = "math"
            with self:
                return func.decompose(*args, **(kwargs or {}))
        for prefix, name in self.KERNELS:
            if func.__name__.startswith(prefix):
                self.seen = name
        return func(*args, **(kwargs or {}))


SPEC = Spec(
    name="sdpa",
    title="Softmax attention, torch SDPA",
    paper="FlashAttention, NeurIPS 2022, arXiv 2205.14135",
    formula="softmax(q k^T / sqrt(d)) v",
    source="torch.nn.functional.scaled_dot_product_attention",
    deviations=("a query that sees no key gives zero",),
    core=core,
    reference=softmax.reference,
    backends={"native": native.backend(native_softmax.attend, native_softmax.refusal)},
    time_exponent=2.0,
    memory_exponent=1.0,
    complexity="4 N^2 d a head",
    decode_state="2 N d numbers a head (keys and values)",
    state_exponent=1.0,
    init_state=kv_cache.init_state,
    remember=kv_cache.remember,
    step=step,
    one_query=softmax.one_query,
    kernel=kernel,
)
