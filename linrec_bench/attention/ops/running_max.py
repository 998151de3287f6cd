"""Causal sums of exponentials, each relative to the largest exponent so far.

    m_t = max_{s <= t} a_s,    x_t = sum_{s <= t} exp(a_s - m_t) u_s

Nothing overflows, and what underflows is small beside what the same token has already seen: neither the
future nor the size of the exponents changes an output. The pairs (m, x) of neighbouring stretches of the
sequence merge into the pair of both, and merging is associative: a scan by groups, and by groups of groups
(Blelloch 1990, "Prefix Sums and Their Applications"), finds all of them with O(N) work in O(log N) calls.
Quotients of such sums do not depend on m, so that maxima carry no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

RADIX = 4
"""Stretches of a group. Larger ones need fewer calls, and more numbers: RADIX for each that is summed."""


class Running(NamedTuple):
    """n stretches of the sequence: m [B, H, n, *] and x [B, H, n, *], against which m broadcasts."""

    top: Tensor
    sums: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Running:
        """Both changed."""
        return Running(change(self.top), change(self.sums))


def lowest(x: Tensor) -> float:
    """An exponent below all others, for tokens that do not exist: finite, so that differences are numbers."""
    return torch.finfo(x.dtype).min


def merge(left: Running, right: Running) -> Running:
    """What `left` and, after it, `right` have seen."""
    top = torch.maximum(left.top, right.top)
    return Running(top, left.sums * (left.top - top).exp() + right.sums * (right.top - top).exp())


def prefixes(before: Running, parts: Running) -> Running:
    """For each of n >= 1 stretches what it, all before it and `before` (a single stretch) have seen."""
    length = parts.top.shape[2]
    if length == 1:
        return merge(before, parts)
    group = min(RADIX, length)
    missing = -length % group
    if missing:
        parts = Running(_append(parts.top, missing, lowest(parts.top)), _append(parts.sums, missing, 0.0))
    top, sums = parts.map(lambda x: x.unflatten(2, (-1, group)))
    tops = top.cummax(dim=3).values
    later = torch.ones(group, group, dtype=torch.bool, device=top.device).triu_(1)
    exponents = top.unsqueeze(3) - tops.unsqueeze(4)
    weights = exponents.masked_fill_(later.view(group, group, *[1] * (top.ndim - 4)), -inf).exp_()
    within = Running(tops, (weights * sums.unsqueeze(3)).sum(dim=4))
    groups = prefixes(before, within.map(lambda x: x[:, :, :, -1]))
    earlier = Running(*(torch.cat((x, y[:, :, :-1]), dim=2) for x, y in zip(before, groups, strict=True)))
    seen = merge(earlier.map(lambda x: x.unsqueeze(3)), within)
    return seen.map(lambda x: x.flatten(2, 3)[:, :, :length])


def _append(x: Tensor, count: int, value: float) -> Tensor:
    """x and `count` more stretches of one value."""
    return F.pad(x, (*[0, 0] * (x.ndim - 3), 0, count), value=value)


def largest(
    k: Float[Tensor, "B H N d"], padding_mask: Bool[Tensor, "B N"] | None
) -> Float[Tensor, "B H 1 d"]:
    """The largest real key of each feature, without a gradient; of no key at all `lowest`."""
    k = k.detach()
    if padding_mask is not None:
        k = k.masked_fill(~padding_mask[:, None, :, None], lowest(k))
    return k.amax(dim=2, keepdim=True)
