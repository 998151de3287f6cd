"""Softmax attention through torch's `flex_attention`: one fused kernel, compiled for its mask.

    o = softmax(q k^T / sqrt(d)) v

Dong et al. 2024, FlexAttention (arXiv 2412.05496); `torch.nn.attention.flex_attention`. The kernel is told
which blocks of 128 x 128 weights to visit, and which of them need no mask: causality saves half of the
blocks, padding those that hold nothing else. Real tokens are moved to the front, so that padding is a tail,
and the blocks follow from counts: no N x N mask is ever made.

It runs fused or not at all. Without a compiler torch would write out the N x N weights, on a CPU it has no
gradient, and nowhere does it take float64: all of that is refused.

Decoding hands the kernel the whole memory of the cache, and blocks up to the last event: how many events
there are is a number among its inputs, so that it is compiled once and not for every length of the history.
"""

import os
import shutil
from collections.abc import Callable
from functools import cache
from typing import no_type_check

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.utils.flop_counter import register_flop_formula

from linrec_bench.attention.mechanisms import softmax
from linrec_bench.attention.ops import kv_cache
from linrec_bench.attention.ops.autograd import Context
from linrec_bench.attention.ops.compact_padding import inverse, real_first, take
from linrec_bench.attention.spec import Events, Mask, Request, Spec, State, Tokens, Unsupported

BLOCK = 128
"""Queries and keys of a block, torch's default."""


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """o [B, H, N, d] in 4 N^2 d operations a head, half of them if causal, and O(N d) memory.

    Padded queries give finite numbers without meaning. Raises `Unsupported` where there is no fused kernel,
    see `refusal`.
    """
    _refuse(q, k, v)
    if padding_mask is None:
        return _attend(q, k, v, None, causal)
    order, count = real_first(padding_mask), padding_mask.sum(dim=1)
    # Rows of padding alone see everything.
    count = count.masked_fill(count == 0, q.shape[2])
    q, k, v = (take(x, order) for x in (q, k, v))
    # Padding now comes last, where causality hides it.
    return take(_attend(q, k, v, None if causal else count, causal), inverse(order))


def init_state(like: Float[Tensor, "B H _ d"], *, seq_len: int) -> State:
    """No keys and no values, with room for `seq_len`: zeros, as the kernel reads whole blocks of it."""
    batch, heads, _, head_size = like.shape
    keys, values = (like.new_zeros(batch, heads, seq_len, head_size) for _ in range(2))
    return keys[:, :, :0], values[:, :, :0]


def step(state: State, q: Events, k: Events, v: Events) -> tuple[State, Events]:
    """The same kernel over the cached keys and values. Raises `Unsupported` as `core` does."""
    _refuse(q, k, v)
    state = kv_cache.remember(state, k, v)
    keys, values = state
    if q.device.type == "cpu":
        out: Tensor = _opaque_step(q, keys, values, kv_cache.room(keys))
        return state, out
    return state, _attend_to_cache(q, keys, values, kv_cache.room(keys))


def _refuse(*tensors: Tensor) -> None:
    """Raise `Unsupported` where real tensors have no fused kernel."""
    q = tensors[0]
    if isinstance(q, FakeTensor):
        return
    reason = refusal(Request(q.device.type, q.dtype, backward=_differentiated(*tensors)))
    if reason is not None:
        raise Unsupported(f"attention flex-attention: {reason}")


def refusal(request: Request) -> str | None:
    """Why such tensors have no fused kernel here; None where they have one."""
    if request.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return f"torch has no fused kernel for {request.dtype}; expected float32, bfloat16 or float16"
    if "1" in (os.environ.get("TORCHDYNAMO_DISABLE"), os.environ.get("TORCH_COMPILE_DISABLE")):
        return "torch.compile is switched off, and without it torch writes out the N x N weights"
    if request.device_type != "cpu":
        return None
    if request.backward:
        return "torch has no backward pass for it on a CPU; expected phase forward, or a CUDA device"
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        return f"on a CPU it needs a C++ compiler; {compiler} was not found (set CXX)"
    return None


def _differentiated(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(x.requires_grad for x in tensors)


def _attend(q: Tensor, k: Tensor, v: Tensor, count: Tensor | None, causal: bool) -> Tensor:
    """Attention to the first `count` [B] keys of each row, all if None."""
    if q.device.type == "cpu":
        out: Tensor = _opaque(q, k, v, count, causal)[0]
        return out
    mask = _block_mask(q.shape[2], q.device, count, causal, backward=_differentiated(q, k, v))
    return _compiled()(q, k, v, block_mask=mask)


@cache
def _compiled() -> Callable[..., Tensor]:
    compiled: Callable[..., Tensor] = torch.compile(flex_attention, dynamic=False, fullgraph=True)
    return compiled


def _block_mask(
    length: int, device: torch.device, count: Tensor | None, causal: bool, *, backward: bool
) -> BlockMask | None:
    if causal:
        return _causal_blocks(length, device, backward)
    return None if count is None else _first_blocks(length, count, backward=backward)


@cache
def _causal_blocks(length: int, device: torch.device, backward: bool) -> BlockMask:
    # Kept for later calls: outside of inference mode, whose tensors cannot be differentiated through.
    with torch.inference_mode(False):
        before = torch.arange(-(-length // BLOCK), dtype=torch.int32, device=device)[None]
        return _blocks((length, length), before, torch.ones_like(before), _up_to_itself, backward=backward)


# Functions of masks are traced into the kernel, where the checks of the import hook of jaxtyping, which keep
# a stack of the calls they are in, cannot be: they are left without.
@no_type_check
def _up_to_itself(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    del batch, head
    return key <= query


def _first_blocks(length: int, count: Int[Tensor, " B"], *, backward: bool) -> BlockMask:
    @no_type_check
    def real(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        del head, query
        return key < count[batch]

    blocks = -(-length // BLOCK)
    whole, cut = (x.to(torch.int32)[:, None].expand(-1, blocks) for x in (count // BLOCK, count % BLOCK > 0))
    return _blocks((length, length), whole, cut, real, backward=backward)


def _blocks(
    lengths: tuple[int, int],
    whole: Int[Tensor, "B nb"],
    cut: Int[Tensor, "B nb"],
    mask: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    *,
    backward: bool,
) -> BlockMask:
    """Each block of queries sees the `whole` first blocks of keys, and parts of the next `cut`."""
    batch, blocks = whole.shape
    places = torch.arange(-(-lengths[1] // BLOCK), dtype=torch.int32, device=whole.device)
    shape = (batch, 1, blocks, len(places))
    following = (whole[:, None, :, None] + places).clamp(max=len(places) - 1)
    # Kernels read all four as contiguous, whatever their strides.
    return BlockMask.from_kv_blocks(
        cut[:, None].contiguous(),
        following.to(torch.int32).contiguous(),
        whole[:, None].contiguous(),
        places.expand(shape).contiguous(),
        BLOCK_SIZE=BLOCK,
        mask_mod=mask,
        seq_lengths=lengths,
        compute_q_blocks=backward,
    )


def _attend_to_cache(
    q: Events, keys: Float[Tensor, "B H t d"], values: Float[Tensor, "B H t d"], room: int
) -> Events:
    """The last n of t tokens see what came before them and themselves."""
    new, total = q.shape[2], keys.shape[2]
    everything = (*keys.shape[:2], room, keys.shape[3])
    mask = _blocks_of_last(new, total, room, q.device)
    whole = (x.as_strided(everything, x.stride()) for x in (keys, values))
    return _compiled()(q, *whole, block_mask=mask)


def _blocks_of_last(new: int, total: int, room: int, device: torch.device) -> BlockMask:
    """Of the last `new` of `total` tokens as queries, to keys with room for more."""
    # Tensors: numbers of Python would be compiled in.
    start = torch.full((), total - new, dtype=torch.int32, device=device)

    @no_type_check
    def up_to_itself(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        del batch, head
        return key <= query + start

    first = start + torch.arange(0, new, BLOCK, dtype=torch.int32, device=device)[None]
    whole = (first + 1) // BLOCK
    # The last key that any query of the block sees, and what lies between.
    last = (first + BLOCK - 1).clamp(max=total - 1) // BLOCK
    return _blocks((new, room), whole, last + 1 - whole, up_to_itself, backward=False)


# One operation for the dispatcher: who watches operations sees it as such, as it sees the kernels of SDPA.
# torch.compile switches itself off under a dispatch mode, and the N x N form would be watched instead. On
# fake tensors it has the shapes of the CUDA kernels: they keep q, k, v, o and one logarithm a row.


@torch.library.custom_op("linrec_bench::flex_attention", mutates_args=())
def _opaque(q: Tensor, k: Tensor, v: Tensor, count: Tensor | None, causal: bool) -> tuple[Tensor, Tensor]:
    mask = _block_mask(q.shape[2], q.device, count, causal, backward=False)
    # The CPU kernel gives no logarithms; nothing reads them, since gradients are refused.
    return _compiled()(q, k, v, block_mask=mask), _logarithms(q)


@torch.library.custom_op("linrec_bench::flex_attention_step", mutates_args=())
def _opaque_step(q: Tensor, keys: Tensor, values: Tensor, room: int) -> Tensor:
    return _attend_to_cache(q, keys, values, room)


@torch.library.custom_op("linrec_bench::flex_attention_backward", mutates_args=())
def _opaque_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, logarithms: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    del grad, q, k, v, out, logarithms
    raise AssertionError("a gradient on a CPU, which core refuses")


def _logarithms(q: Tensor) -> Tensor:
    return q.new_empty(q.shape[:3], dtype=torch.float32)


@_opaque.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, count: Tensor | None, causal: bool) -> tuple[Tensor, Tensor]:
    del k, count, causal
    return v.new_empty(v.shape), _logarithms(q)


@_opaque_step.register_fake
def _(q: Tensor, keys: Tensor, values: Tensor, room: int) -> Tensor:
    del keys, values, room
    return q.new_empty(q.shape)


@_opaque_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, logarithms: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    del grad, out, logarithms
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _keep(
    ctx: Context,
    inputs: tuple[Tensor, Tensor, Tensor, Tensor | None, bool],
    output: tuple[Tensor, Tensor],
) -> None:
    ctx.save_for_backward(*inputs[:3], *output)


def _pull_back(ctx: Context, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return *_opaque_backward(grad, *ctx.saved_tensors), None, None


_opaque.register_autograd(_pull_back, setup_context=_keep)

Shape = tuple[int, ...]


# In full, as every attention kernel is counted, whatever blocks are skipped.
@register_flop_formula(torch.ops.linrec_bench.flex_attention)
def _forward_flops(q: Shape, *_: object, **__: object) -> int:
    batch, heads, length, head_size = q
    return 4 * batch * heads * length**2 * head_size


@register_flop_formula(torch.ops.linrec_bench.flex_attention_step)
def _step_flops(q: Shape, keys: Shape, *_: object, **__: object) -> int:
    batch, heads, new, head_size = q
    return 4 * batch * heads * new * keys[2] * head_size


@register_flop_formula(torch.ops.linrec_bench.flex_attention_backward)
def _backward_flops(_grad: Shape, q: Shape, *_: object, **__: object) -> int:
    # Five products: the weights again, and the gradients at them, at q, k and v.
    return 5 * _forward_flops(q) // 2


SPEC = Spec(
    name="flex-attention",
    title="Softmax attention, torch FlexAttention",
    paper="FlexAttention, arXiv 2412.05496",
    formula="softmax(q k^T / sqrt(d)) v",
    source="torch.nn.attention.flex_attention",
    deviations=("only where torch has a fused kernel: no float64, and on a CPU forward only",),
    core=core,
    reference=softmax.reference,
    time_exponent=2.0,
    memory_exponent=1.0,
    complexity="4 N^2 d a head",
    decode_state="2 N d numbers a head (keys and values)",
    state_exponent=1.0,
    init_state=init_state,
    remember=kv_cache.remember,
    step=step,
    refusal=refusal,
)
