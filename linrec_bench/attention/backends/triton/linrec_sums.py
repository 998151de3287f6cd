"""Bidirectional passes of LinRec as Triton kernels, launched by `linrec`; equations in `linrec_passes`.

A program takes a segment of the tokens of one head, `per_segment` of them, in tiles: loads a tile of each
tensor in the stored type, maps it by elu and scales it in float32, and multiplies it in the stored type with
sums in float32. Its own sum, D x D numbers, stays in registers.
"""

from typing import no_type_check

import triton
import triton.language as tl

from linrec_bench.attention.backends.triton.tiles import (
    elu,
    load_rows,
    product,
    program,
    real_tokens,
    row_place,
    row_scale,
    store_rows,
    sum_place,
    through_elu,
    through_norm,
)


@triton.jit
@no_type_check
def summarise(
    k, v, mask, sums, squares, heads, length, d, segments, per_segment,
    D: tl.constexpr, T: tl.constexpr, COLUMN: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """sums = k'^T v of each segment, k' = elu(k) in unit rows or, if `COLUMN`, as it is; and its squares."""
    batch, head, place, first, last = program(heads, segments, per_segment, length)
    TYPE: tl.constexpr = v[0].dtype.element_ty
    total = tl.zeros((D, D), tl.float32)
    square = tl.zeros((D,), tl.float32)
    for start in range(first, last, T):
        tokens = start + tl.arange(0, T)
        _, real = real_tokens(mask, batch, length, tokens, last, MASKED)
        features = elu(load_rows(k, batch, head, tokens, real, d, D))
        values = load_rows(v, batch, head, tokens, real, d, D)
        if COLUMN:
            square += tl.sum(features * features, axis=0)
        else:
            features *= row_scale(features, 1.0)
        total += product(tl.trans(features), values, TYPE, PRECISION)
    tl.store(sums + sum_place(place, segments, D), total)
    if COLUMN:
        tl.store(squares + row_place(place, segments, D), square)


@triton.jit
@no_type_check
def read(
    q, states, out, heads, length, d, unit_length, segments, per_segment,
    D: tl.constexpr, T: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out = q' S, q' = elu(q) in rows of `unit_length`; S is one for each head."""
    batch, head, place, first, last = program(heads, segments, per_segment, length)
    TYPE: tl.constexpr = out[0].dtype.element_ty
    square = tl.arange(0, D)[:, None] * D + tl.arange(0, D)[None, :]
    state = tl.load(states + place.to(tl.int64) * D * D + square)
    for start in range(first, last, T):
        tokens = start + tl.arange(0, T)
        inside = tokens < last
        features = elu(load_rows(q, batch, head, tokens, inside, d, D))
        rows = product(features * row_scale(features, unit_length), state, TYPE, PRECISION)
        store_rows(out, batch, head, tokens, inside, d, rows, D)


@triton.jit
@no_type_check
def read_back(
    q, states, slope, dq, dsums, heads, length, d, unit_length, segments, per_segment,
    D: tl.constexpr, T: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dq, and dsums = q'^T g of each segment."""
    batch, head, place, first, last = program(heads, segments, per_segment, length)
    TYPE: tl.constexpr = dq[0].dtype.element_ty
    square = tl.arange(0, D)[:, None] * D + tl.arange(0, D)[None, :]
    state = tl.load(states + place.to(tl.int64) * D * D + square)
    total = tl.zeros((D, D), tl.float32)
    for start in range(first, last, T):
        tokens = start + tl.arange(0, T)
        inside = tokens < last
        features = elu(load_rows(q, batch, head, tokens, inside, d, D))
        scale = row_scale(features, unit_length)
        unit = features * scale
        at_out = load_rows(slope, batch, head, tokens, inside, d, D)
        total += product(tl.trans(unit), at_out, TYPE, PRECISION)
        at_unit = product(at_out, tl.trans(state), TYPE, PRECISION)
        at_features = through_norm(at_unit, unit, scale, unit_length)
        store_rows(dq, batch, head, tokens, inside, d, through_elu(at_features, features), D)
    tl.store(dsums + sum_place(place, segments, D), total)


@triton.jit
@no_type_check
def summarise_back(
    k, v, mask, dsums, dsquares, dk, dv, heads, length, d, segments, per_segment,
    D: tl.constexpr, T: tl.constexpr, COLUMN: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dk and dv from the slopes at the sums of each head and, for the column norm, at its squares."""
    batch, head, place, first, last = program(heads, segments, per_segment, length)
    TYPE: tl.constexpr = dk[0].dtype.element_ty
    square = tl.arange(0, D)[:, None] * D + tl.arange(0, D)[None, :]
    dsum = tl.load(dsums + place.to(tl.int64) * D * D + square)
    for start in range(first, last, T):
        tokens = start + tl.arange(0, T)
        inside, real = real_tokens(mask, batch, length, tokens, last, MASKED)
        features = elu(load_rows(k, batch, head, tokens, real, d, D))
        values = load_rows(v, batch, head, tokens, real, d, D)
        at_keys = product(values, tl.trans(dsum), TYPE, PRECISION)
        if COLUMN:
            keys = features
            dsquare = tl.load(dsquares + place.to(tl.int64) * D + tl.arange(0, D))
            at_keys += 2 * features * dsquare[None, :]
        else:
            scale = row_scale(features, 1.0)
            keys = features * scale
            at_keys = through_norm(at_keys, keys, scale, 1.0)
        at_values = product(keys, dsum, TYPE, PRECISION)
        at_keys = tl.where(real[:, None], through_elu(at_keys, features), 0.0)
        store_rows(dk, batch, head, tokens, inside, d, at_keys, D)
        store_rows(dv, batch, head, tokens, inside, d, at_values, D)
