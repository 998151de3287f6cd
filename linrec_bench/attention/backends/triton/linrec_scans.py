"""Causal passes of LinRec as Triton kernels; `linrec` launches them, `linrec_passes` has the equations.

As in `linrec_sums`, but a program starts from the sums of all segments before its own (on the way back: after
it), and within a tile of T tokens the T x T products are written out, o = q S + tril(q k^T) v.
"""

from typing import no_type_check

import triton
import triton.language as tl

from linrec_bench.attention.backends.triton.tiles import (
    elu,
    load_rows,
    prefix,
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
def scan(
    q, k, v, mask, counts, states, squares, out, heads, length, d, unit_length, segments, per_segment,
    D: tl.constexpr, T: tl.constexpr, COLUMN: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out, causal; `states` and `squares` are the sums before each segment."""
    batch, head, place, first, last = program(heads, segments, per_segment, length)
    TYPE: tl.constexpr = out[0].dtype.element_ty
    state = tl.load(states + sum_place(place, segments, D))
    square = tl.load(squares + row_place(place, segments, D))
    order = tl.arange(0, T)
    for start in range(first, last, T):
        tokens = start + order
        inside, real = real_tokens(mask, batch, length, tokens, last, MASKED)
        queries = elu(load_rows(q, batch, head, tokens, inside, d, D))
        queries *= row_scale(queries, unit_length)
        keys = elu(load_rows(k, batch, head, tokens, real, d, D))
        values = load_rows(v, batch, head, tokens, real, d, D)
        if COLUMN:
            _, by_column, _ = prefix(keys, square, counts, batch, length, tokens, inside, MASKED)
            queries *= by_column
            square += tl.sum(keys * keys, axis=0)
        else:
            keys *= row_scale(keys, 1.0)
        rows = product(queries, state, TYPE, PRECISION)
        within = product(queries, tl.trans(keys), TYPE, PRECISION)
        within = tl.where(order[:, None] >= order[None, :], within, 0.0)
        rows += product(within, values, TYPE, PRECISION)
        state += product(tl.trans(keys), values, TYPE, PRECISION)
        store_rows(out, batch, head, tokens, inside, d, rows, D)


@triton.jit
@no_type_check
def scan_back_queries(
    q, k, v, mask, counts, states, squares, slope, dq, dsums, dsquares, column_sums, before,
    heads, length, d, unit_length, segments, per_segment, tiles,
    D: tl.constexpr, T: tl.constexpr, COLUMN: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dq, causal, from the first token of each segment on, and dsums = p^T g of it, p what keys meet.

    For the column norm also h, twice the slope at c_t^2, of every token (`dsquares`), its sum over the
    segment (`column_sums`), and c^2 before every tile (`before`, [B, H, tiles, D]).
    """
    batch, head, place, first, last = program(heads, segments, per_segment, length)
    TYPE: tl.constexpr = dq[0].dtype.element_ty
    state = tl.load(states + sum_place(place, segments, D))
    square = tl.load(squares + row_place(place, segments, D))
    total = tl.zeros((D, D), tl.float32)
    column_sum = tl.zeros((D,), tl.float32)
    order = tl.arange(0, T)
    for start in range(first, last, T):
        tokens = start + order
        inside, real = real_tokens(mask, batch, length, tokens, last, MASKED)
        features = elu(load_rows(q, batch, head, tokens, inside, d, D))
        scale = row_scale(features, unit_length)
        unit = features * scale
        keys = elu(load_rows(k, batch, head, tokens, real, d, D))
        values = load_rows(v, batch, head, tokens, real, d, D)
        at_out = load_rows(slope, batch, head, tokens, inside, d, D)
        meets = unit
        if COLUMN:
            upto, by_column, count = prefix(keys, square, counts, batch, length, tokens, inside, MASKED)
            meets = unit * by_column
            tile = place.to(tl.int64) * tiles + start // T
            tl.store(before + tile * D + tl.arange(0, D), square)
            square += tl.sum(keys * keys, axis=0)
        else:
            keys *= row_scale(keys, 1.0)
        within = product(at_out, tl.trans(values), TYPE, PRECISION)
        within = tl.where(order[:, None] >= order[None, :], within, 0.0)
        at_unit = product(at_out, tl.trans(state), TYPE, PRECISION) + product(within, keys, TYPE, PRECISION)
        total += product(tl.trans(meets), at_out, TYPE, PRECISION)
        state += product(tl.trans(keys), values, TYPE, PRECISION)
        if COLUMN:
            at_unit *= by_column
            alone = (count == 1) & real
            known = (upto > 0) & (alone == 0)[:, None]
            h = tl.where(known, -at_unit * unit / tl.where(known, upto, 1.0), 0.0)
            column_sum += tl.sum(h, axis=0)
            store_rows(dsquares, batch, head, tokens, inside, d, h, D)
        at_features = through_norm(at_unit, unit, scale, unit_length)
        store_rows(dq, batch, head, tokens, inside, d, through_elu(at_features, features), D)
    tl.store(dsums + sum_place(place, segments, D), total)
    if COLUMN:
        tl.store(column_sums + row_place(place, segments, D), column_sum)


@triton.jit
@no_type_check
def scan_back_keys(
    q, k, v, mask, counts, slope, dstates, dsquares, column_sums, before, dk, dv,
    heads, length, d, unit_length, segments, per_segment, tiles,
    D: tl.constexpr, T: tl.constexpr, COLUMN: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dk and dv, causal, from the last token of each segment on; `dstates` and `column_sums` are those of
    what follows it. `dk` may be where `dsquares` are: a tile is read first."""
    batch, head, place, first, last = program(heads, segments, per_segment, length)
    TYPE: tl.constexpr = dk[0].dtype.element_ty
    dstate = tl.load(dstates + sum_place(place, segments, D))
    after = tl.load(column_sums + row_place(place, segments, D))
    order = tl.arange(0, T)
    for back in range(tl.cdiv(last - first, T)):
        start = first + (tl.cdiv(last - first, T) - 1 - back) * T
        tokens = start + order
        inside, real = real_tokens(mask, batch, length, tokens, last, MASKED)
        queries = elu(load_rows(q, batch, head, tokens, inside, d, D))
        queries *= row_scale(queries, unit_length)
        features = elu(load_rows(k, batch, head, tokens, real, d, D))
        values = load_rows(v, batch, head, tokens, real, d, D)
        at_out = load_rows(slope, batch, head, tokens, inside, d, D)
        # Slopes at the weights of this tile, as keys see them.
        slopes = product(values, tl.trans(at_out), TYPE, PRECISION)
        slopes = tl.where(order[:, None] <= order[None, :], slopes, 0.0)
        if COLUMN:
            keys = features
            tile = place.to(tl.int64) * tiles + start // T
            square = tl.load(before + tile * D + tl.arange(0, D))
            _, by_column, count = prefix(keys, square, counts, batch, length, tokens, inside, MASKED)
            queries *= by_column
            alone = (count == 1) & real
            slopes = tl.where(alone[:, None] & (order[:, None] == order[None, :]), 0.0, slopes)
        else:
            scale = row_scale(features, 1.0)
            keys = features * scale
        at_keys = product(values, tl.trans(dstate), TYPE, PRECISION) + product(
            slopes, queries, TYPE, PRECISION
        )
        weights = product(keys, tl.trans(queries), TYPE, PRECISION)
        weights = tl.where(order[:, None] <= order[None, :], weights, 0.0)
        at_values = product(keys, dstate, TYPE, PRECISION) + product(weights, at_out, TYPE, PRECISION)
        dstate += product(tl.trans(queries), at_out, TYPE, PRECISION)
        if COLUMN:
            h = load_rows(dsquares, batch, head, tokens, inside, d, D)
            at_keys += features * (after[None, :] + tl.cumsum(h, axis=0, reverse=True))
            after += tl.sum(h, axis=0)
        else:
            at_keys = through_norm(at_keys, keys, scale, 1.0)
        at_keys = tl.where(real[:, None], through_elu(at_keys, features), 0.0)
        store_rows(dk, batch, head, tokens, inside, d, at_keys, D)
        store_rows(dv, batch, head, tokens, inside, d, at_values, D)
