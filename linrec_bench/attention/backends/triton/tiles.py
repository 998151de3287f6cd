"""What LinRec's Triton kernels do with one tile of tokens: rows of numbers, features, norms, products.

A tensor of tokens comes as (data, stride of batch, of head, of token), and the numbers of a token stand side
by side. A tile has T tokens and D features, the power of two from d on, 16 at least. Triton's compiler reads
these functions: they are left without annotations of shapes.
"""

from typing import no_type_check

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


@triton.jit
@no_type_check
def program(heads, segments, per_segment, length):
    """Batch, head and [first, last) of the tokens of this program, and its place among the heads."""
    number = tl.program_id(0)
    place = number // segments
    first = (number % segments) * per_segment
    batch, head = (place // heads).to(tl.int64), (place % heads).to(tl.int64)
    return batch, head, place, first, tl.minimum(first + per_segment, length)


@triton.jit
@no_type_check
def load_rows(rows, batch, head, tokens, here, d, D: tl.constexpr):
    """Tokens [T] of one head as [T, D] in float32: zeros where not `here`, and beyond d."""
    data, of_batch, of_head, of_token = rows
    columns = tl.arange(0, D)
    places = batch * of_batch + head * of_head + tokens.to(tl.int64)[:, None] * of_token + columns[None, :]
    return tl.load(data + places, mask=here[:, None] & (columns < d)[None, :], other=0.0).to(tl.float32)


@triton.jit
@no_type_check
def store_rows(rows, batch, head, tokens, here, d, numbers, D: tl.constexpr):
    data, of_batch, of_head, of_token = rows
    columns = tl.arange(0, D)
    places = batch * of_batch + head * of_head + tokens.to(tl.int64)[:, None] * of_token + columns[None, :]
    numbers = numbers.to(data.dtype.element_ty)
    tl.store(data + places, numbers, mask=here[:, None] & (columns < d)[None, :])


@triton.jit
@no_type_check
def sum_place(place, segments, D: tl.constexpr):
    """Where the D x D numbers of this program stand in [B, H, segments, D, D]."""
    number = place.to(tl.int64) * segments + tl.program_id(0) % segments
    return number * D * D + tl.arange(0, D)[:, None] * D + tl.arange(0, D)[None, :]


@triton.jit
@no_type_check
def row_place(place, segments, D: tl.constexpr):
    """Likewise the D numbers in [B, H, segments, D]."""
    return (place.to(tl.int64) * segments + tl.program_id(0) % segments) * D + tl.arange(0, D)


@triton.jit
@no_type_check
def real_tokens(mask, batch, length, tokens, last, MASKED: tl.constexpr):
    """Which tokens are inside of the segment, and which of them are real."""
    inside = tokens < last
    if MASKED:
        return inside, inside & (tl.load(mask + batch * length + tokens, mask=inside, other=0) != 0)
    return inside, inside


@triton.jit
@no_type_check
def elu(x):
    """x where positive, exp(x) - 1 elsewhere; near zero by its series, whose error is one of float32."""
    near = 1.0 + x * (0.5 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x * (1 / 720 + x * (1 / 5040))))))
    below = tl.minimum(x, 0.0)
    return tl.where(x > 0, x, tl.where(x > -0.3, x * near, tl.exp(below) - 1.0))


@triton.jit
@no_type_check
def over_root(x):
    """1 / sqrt(x), and 0 where x is 0."""
    return tl.where(x > 0, 1.0 / tl.sqrt(tl.where(x > 0, x, 1.0)), 0.0)


@triton.jit
@no_type_check
def row_scale(features, length):
    """[T, 1]: what brings every row to that length; 0 for a row of zeros."""
    return (length * over_root(tl.sum(features * features, axis=1)))[:, None]


@triton.jit
@no_type_check
def product(a, b, TYPE: tl.constexpr, PRECISION: tl.constexpr):
    """a b of numbers in the stored type, summed in float32."""
    if INTERPRETED:
        # The interpreter multiplies the bits of bfloat16 as if they were whole numbers.
        return tl.dot(a.to(TYPE).to(tl.float32), b.to(TYPE).to(tl.float32), out_dtype=tl.float32)
    return tl.dot(a.to(TYPE), b.to(TYPE), input_precision=PRECISION, out_dtype=tl.float32)


@triton.jit
@no_type_check
def through_norm(slope, unit, scale, length):
    """From the slope at rows of one length to that at the rows before."""
    along = tl.sum(unit * slope, axis=1)[:, None] / (length * length)
    return (slope - unit * along) * scale


@triton.jit
@no_type_check
def through_elu(slope, features):
    """From the slope at elu(x) to that at x."""
    return slope * tl.where(features > 0, 1.0, features + 1.0)


@triton.jit
@no_type_check
def prefix(features, squares, counts, batch, length, tokens, inside, MASKED: tl.constexpr):
    """Of every token of a tile: c^2 [T, D], 1 / sqrt(t c^2) [T, D], and t [T]; `squares` is c^2 before it."""
    count = tokens + 1
    if MASKED:
        count = tl.load(counts + batch * length + tokens, mask=inside, other=0)
    upto = squares[None, :] + tl.cumsum(features * features, axis=0)
    return upto, over_root(count.to(tl.float32)[:, None] * upto), count
