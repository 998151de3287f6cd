"""Sums of all that came before, along the third axis: the states between chunks, and norms of prefixes.

    x_i = first + sum_{j < i} p_j,    dp_j = sum_{i > j} dx_i + dlast,    dfirst = sum_i dx_i + dlast

On a CPU torch's `cumsum` walks this axis number by number, against the grain of memory, and its gradient
turns the tensor around twice. There the sums go by groups and groups of groups (Blelloch 1990, "Prefix Sums
and Their Applications"): tens of additions of whole rows, O(log n) of them, in either direction.
"""

from collections.abc import Callable
from functools import partial
from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from linrec_bench.attention.ops.autograd import Context
from linrec_bench.measures.instruments import fake, kernel_scratch

FEWEST = 8
"""Rows that are summed one after another, without groups."""

LARGEST_GROUP = 16
"""Rows of a group at most: longer ones fall out of the innermost cache between two additions."""


class _SumsBefore(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, parts: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        del ctx
        return sums_beyond(parts, first, backwards=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        del ctx
        return sums_beyond(grad, last, backwards=True)


# `apply` is untyped in torch.
_sums_before: Callable[..., tuple[Tensor, Tensor]] = _SumsBefore.apply


def sums_before(
    parts: Float[Tensor, "B H n *rest"], first: Float[Tensor, "B H *rest"]
) -> tuple[Float[Tensor, "B H n *rest"], Float[Tensor, "B H *rest"]]:
    """For each of n >= 1 parts `first` and all parts before it; and `first` and all parts. Differentiable
    once."""
    return _sums_before(parts, first)


def sums_beyond(
    parts: Float[Tensor, "B H n *rest"],
    first: Float[Tensor, "B H *rest"],
    *,
    backwards: bool,
    own: bool = False,
) -> tuple[Float[Tensor, "B H n *rest"], Float[Tensor, "B H *rest"]]:
    """`sums_before` without gradients; if `backwards`, for each part `first` and all parts after it. If
    `own`, with the part itself."""
    if parts.device.type == "cpu" and not torch.compiler.is_compiling():
        found: tuple[Tensor, Tensor] = _in_groups(parts, first, backwards, own)
        return found
    # With the part itself, the last of the sums is one of the others too: a copy, for callers write to them.
    if backwards:
        sums = torch.cat((parts, first.unsqueeze(2)), dim=2).flip(2).cumsum(dim=2).flip(2)
        return (sums[:, :, :-1], sums[:, :, 0].clone()) if own else (sums[:, :, 1:], sums[:, :, 0])
    sums = torch.cat((first.unsqueeze(2), parts), dim=2).cumsum(dim=2)
    return (sums[:, :, 1:], sums[:, :, -1].clone()) if own else (sums[:, :, :-1], sums[:, :, -1])


# One operation to whoever counts, as `cumsum` is: how the rows are grouped is no part of a mechanism.
@torch.library.custom_op("linrec_bench::sums_in_groups", mutates_args=())
def _in_groups(parts: Tensor, first: Tensor, backwards: bool, own: bool) -> tuple[Tensor, Tensor]:
    out, last = _results(parts, first, backwards, own)
    last.copy_(_fill(out, parts, first, backwards=backwards, own=own))
    return out, last


@_in_groups.register_fake
def _results(parts: Tensor, first: Tensor, backwards: bool, own: bool) -> tuple[Tensor, Tensor]:
    del backwards, own
    return parts.new_empty(parts.shape), first.new_empty(first.shape)


def _scratch_bytes(parts: Tensor, *_: object) -> int:
    """The sums of groups, those before them, and one row a level to carry on with."""
    rows = parts.shape[2]
    return _scratch_rows(rows) * (parts.numel() // rows) * parts.element_size()


def _scratch_rows(rows: int) -> int:
    group = _group(rows)
    return 1 if group == 1 else 2 * (rows // group) + _scratch_rows(rows // group) + (rows % group > 0)


kernel_scratch.register(torch.ops.linrec_bench.sums_in_groups.default, _scratch_bytes)
fake.has_shape_function(torch.ops.linrec_bench.sums_in_groups)


def _group(rows: int) -> int:
    """Rows of a group."""
    return 1 if rows <= FEWEST else min(isqrt(rows), LARGEST_GROUP)


def _fill(out: Tensor, parts: Tensor, first: Tensor, *, backwards: bool, own: bool = False) -> Tensor:
    """Write the sums to `out`; return the last, which includes all parts."""
    length = parts.shape[2]
    group = _group(length)
    chain = partial(_chain, backwards=backwards, own=own)
    # What does not fill a group comes last in the direction of the sum.
    rest = length % group
    start = rest if backwards else 0
    whole, into = (x.narrow(2, start, length - rest).unflatten(2, (-1, group)) for x in (parts, out))
    if group == 1:
        last = chain(out, parts, first)
    else:
        sums = whole.sum(dim=3)
        starts = torch.empty_like(sums)
        last = _fill(starts, sums, first, backwards=backwards)
        chain(into.transpose(2, 3), whole.transpose(2, 3), starts, closed=False)
    if rest:
        start = 0 if backwards else length - rest
        last = chain(out.narrow(2, start, rest), parts.narrow(2, start, rest), last)
    return last


def _chain(
    out: Tensor, parts: Tensor, first: Tensor, *, backwards: bool, own: bool, closed: bool = True
) -> Tensor:
    """One row after another along the third axis; what is returned has the last part too if `closed`."""
    sums, rows = list(out.unbind(2)), list(parts.unbind(2))
    if backwards:
        sums.reverse()
        rows.reverse()
    if own:
        for before, row, after in zip((first, *sums), rows, sums, strict=False):
            torch.add(before, row, out=after)
        return sums[-1]
    sums[0].copy_(first)
    for before, row, after in zip(sums, rows, sums[1:], strict=False):
        torch.add(before, row, out=after)
    return sums[-1] + rows[-1] if closed else sums[-1]
