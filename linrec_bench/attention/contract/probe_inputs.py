"""What probes give to a mechanism, and how they compare what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from linrec_bench.attention.backends import choice
from linrec_bench.attention.spec import Spec, accepted

Params = Mapping[str, object]
NONE: Params = {}

LENGTHS = (1, 2, 37, 300)
"""One token, two, a ragged chunk, many chunks and a ragged one."""

SEQ_LEN = 512
"""What gate modules are made for: at least every length that probes use on real tensors."""

HEADS, HEAD_SIZE = 3, 8

STEPS = 8
"""Roundings of size epsilon that one value may pass through, apart from sums."""


@dataclass(frozen=True)
class Given:
    """The arguments of a core: `tokens` (q, k, v first) have a row for each token, `weights` have not."""

    tokens: dict[str, Tensor]
    weights: dict[str, Tensor]

    def map(self, change: Callable[[Tensor], Tensor]) -> Given:
        """Every tensor changed."""
        return Given(
            {name: change(x) for name, x in self.tokens.items()},
            {name: change(x) for name, x in self.weights.items()},
        )

    def map_tokens(self, change: Callable[[Tensor], Tensor]) -> Given:
        """The tensors of tokens changed, the weights kept."""
        return Given({name: change(x) for name, x in self.tokens.items()}, self.weights)

    def map_qkv(self, change: Callable[[Tensor], Tensor]) -> Given:
        """q, k and v changed, all else kept."""
        return Given(
            {name: change(x) if name in "qkv" else x for name, x in self.tokens.items()}, self.weights
        )

    def where(self, chosen: Tensor, other: Given) -> Given:
        """The tokens of `other` where `chosen` (a boolean that broadcasts to [B, 1, N, 1]), else these."""
        return Given(
            {name: torch.where(chosen, other.tokens[name], x) for name, x in self.tokens.items()},
            self.weights,
        )

    def rows(self, chosen: Sequence[int]) -> Given:
        """Those rows of the batch, in this order; the weights kept."""
        return self.map_tokens(lambda x: x[list(chosen)])

    @property
    def length(self) -> int:
        return self.tokens["q"].shape[2]


def given(
    spec: Spec, length: int, dtype: torch.dtype = torch.float64, *, params: Params = NONE, seed: int = 0
) -> Given:
    """Seeded q, k, v of shape [2, H, length, d], and what the mechanism's gate module makes of seeded tokens.

    Another `seed` gives other tokens and the same weights.
    """
    tokens = dict(zip("qkv", inputs(length, dtype, seed=seed), strict=True))
    x = noise((2, length, HEADS * HEAD_SIZE), dtype, seed=seed + 13)
    made = {
        name: tensor.detach()
        for name, tensor in spec.gate_tensors(x, HEADS, seq_len=SEQ_LEN, params=params).items()
    }
    tokens |= {name: made.pop(name) for name in spec.tokens}
    return Given(tokens, made)


def inputs(length: int, dtype: torch.dtype = torch.float64, *, seed: int = 0) -> list[Tensor]:
    """Seeded q, k, v of shape [2, 3, length, 8]."""
    return [noise((2, HEADS, length, HEAD_SIZE), dtype, seed=seed + more) for more in (10, 11, 12)]


def noise(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Seeded standard normal numbers, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(shape, dtype=torch.float64, generator=generator, device="cpu")
    return numbers.to(torch.get_default_device()).to(dtype)


def masks(spec: Spec, length: int) -> dict[str, Tensor | None]:
    """No mask and, where the SPEC honours them, padding on either side, in the middle, and of a whole row."""
    if not spec.honours_padding:
        return {"none": None}
    positions = torch.arange(length)
    kept = max(1, length * 2 // 3)
    rows = {
        "right": positions < kept,
        "left": positions >= length - kept,
        "holes": positions % 3 != 1,
        "whole row": positions < 0,
    }
    full = positions >= 0
    return {"none": None, **{name: torch.stack((row, full)) for name, row in rows.items()}}


@dataclass(frozen=True)
class Masked:
    """Several of `masks` as one batch: a row of each, then the row without padding that all of them share.

    `parts` has for each mask its name and its rows of the batch; `rows` are those of `given` that they hold.
    """

    mask: Tensor | None
    rows: tuple[int, ...]
    parts: tuple[tuple[str, list[int]], ...]


def masked_batches(spec: Spec, length: int) -> list[Masked]:
    """`masks` in two calls: without padding, and all the others at once."""
    found = {name: mask for name, mask in masks(spec, length).items() if mask is not None}
    alone = Masked(None, (0, 1), (("none", [0, 1]),))
    if not found:
        return [alone]
    whole = next(iter(found.values()))[1:]
    return [
        alone,
        Masked(
            torch.cat([*(mask[:1] for mask in found.values()), whole]),
            (*(0 for _ in found), 1),
            tuple((name, [at, len(found)]) for at, name in enumerate(found)),
        ),
    ]


def run(
    spec: Spec,
    having: Given,
    *,
    causal: bool,
    params: Params = NONE,
    padding_mask: Tensor | None = None,
    reference: bool = False,
) -> Tensor:
    """o of the implementation that `params` choose, or of the `reference`; `TypeError` where it is no tensor.

    Settings that only a gate module or a layer has are left out.
    """
    if reference:
        own = accepted(spec.reference, params)
        return _tensor(
            spec.reference(
                **having.tokens, padding_mask=padding_mask, causal=causal, **having.weights, **own
            ),
            "reference",
        )
    qkv = (having.tokens[name] for name in "qkv")
    others = {name: x for name, x in having.tokens.items() if name not in "qkv"} | having.weights
    return _tensor(
        choice.attend(spec, *qkv, padding_mask=padding_mask, causal=causal, settings=params, tensors=others),
        "core",
    )


def _tensor(found: object, of: str) -> Tensor:
    if not isinstance(found, Tensor):
        raise TypeError(f"{of} gives {type(found).__name__}; expected a tensor [B, H, N, d]")
    return found


def gradients(
    spec: Spec,
    having: Given,
    weights: Tensor,
    *,
    causal: bool,
    params: Params = NONE,
    padding_mask: Tensor | None = None,
    reference: bool = False,
) -> dict[str, Tensor]:
    """Gradients of sum(weights * o) at every floating tensor; zeros where one has no part in o."""
    leaves = having.map(lambda x: x.detach().clone().requires_grad_(x.is_floating_point()))
    out = run(spec, leaves, causal=causal, params=params, padding_mask=padding_mask, reference=reference)
    named = {name: x for name, x in {**leaves.tokens, **leaves.weights}.items() if x.requires_grad}
    found = torch.autograd.grad(out, list(named.values()), weights, allow_unused=True, materialize_grads=True)
    return dict(zip(named, found, strict=True))


def real(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with its padded rows zeroed: they are finite and carry no meaning."""
    return x if mask is None else x.masked_fill(~mask[:, None, :, None], 0)


def difference(
    found: Tensor,
    exact: Tensor,
    dtype: torch.dtype = torch.float64,
    *,
    scale: float | None = None,
    tokens: int | None = None,
) -> str | None:
    """None within the error budget, else the largest difference and what the budget allows.

    In units of `scale`, by default the largest exact value: STEPS roundings of `dtype`, and for each of them
    the random walk of a sum over N tokens, which half types make in float32: STEPS (eps(dtype) +
    2 sqrt(N) eps(sum)). N is `tokens`, by default the rows of `exact`.
    """
    if scale is None:
        scale = exact.double().abs().max().item()
    largest = (found.double() - exact.double()).abs().max().item()
    sums = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    allowed = scale * STEPS * (torch.finfo(dtype).eps + 2 * sqrt(tokens or exact.shape[-2]) * sums)
    # Not "largest > allowed": a NaN must count as a difference.
    return None if largest <= allowed else f"{largest:.1e}, allowed {allowed:.1e}"
