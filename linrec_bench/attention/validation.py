"""Arguments of `core` and `step`, checked against the shapes in their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from linrec_bench.registry import did_you_mean

_KINDS = {"float": "a floating dtype", "int": "whole numbers such as int64"}
"""How the dtypes of an annotation are called, by what they begin with."""


def check_inputs(q: Tensor, k: Tensor, v: Tensor, padding_mask: Tensor | None) -> None:
    """Raise `ValueError` unless the shapes and dtypes are those that `core` documents."""
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.ndim != 4:
            raise ValueError(f"{name} has shape {list(tensor.shape)}; expected [B, H, N, d]")
        if tensor.shape != q.shape:
            raise ValueError(f"{name} has shape {list(tensor.shape)}; expected that of q, {list(q.shape)}")
        if tensor.dtype != q.dtype or not tensor.is_floating_point():
            raise ValueError(f"{name} has dtype {tensor.dtype}; expected one floating dtype for q, k and v")
    if padding_mask is not None:
        expected = [q.shape[0], q.shape[2]]
        if list(padding_mask.shape) != expected:
            raise ValueError(
                f"padding_mask has shape {list(padding_mask.shape)}; expected [B, N] = {expected}"
            )
        if padding_mask.dtype != torch.bool:
            raise ValueError(
                f"padding_mask has dtype {padding_mask.dtype}; expected bool, True where a token is real"
            )


def check_tensors(
    what: str, declared: Mapping[str, inspect.Parameter], given: Mapping[str, Tensor], q: Tensor
) -> None:
    """Raise `ValueError` unless `given` are the tensors that a mechanism takes besides q, k, v, or none.

    Sizes that the annotations name B, H, N and d are those of q [B, H, N, d]; other names stand for one size
    wherever they occur.
    """
    if not given:
        return
    for name in given:
        if name not in declared:
            known = ", ".join(declared) or "none"
            hint = did_you_mean(name, declared)
            raise ValueError(f"{what} takes no tensor {name!r}; it takes: {known}.{hint}")
    for name, parameter in declared.items():
        if name not in given and parameter.default is parameter.empty:
            raise ValueError(f"{what} needs the tensor {name!r} beside {', '.join(given)}; it is missing")
    sizes: dict[str, int] = dict(zip("BHNd", q.shape, strict=True))
    for name, tensor in given.items():
        _check_shape(what, name, tensor, declared[name].annotation, sizes)


# Any: jaxtyping makes a class for each annotation.
def _check_shape(what: str, name: str, tensor: Tensor, annotation: Any, sizes: dict[str, int]) -> None:
    axes = getattr(annotation, "dim_str", "...").split()
    if not all(axis.isalnum() for axis in axes):
        # Any shape, or one that only jaxtyping can read.
        return
    wanted = [int(axis) if axis.isdigit() else sizes.get(axis) for axis in axes]
    fits = len(axes) == tensor.ndim and all(
        want in (None, size) for want, size in zip(wanted, tensor.shape, strict=True)
    )
    if not fits:
        known = [axis if want is None else str(want) for axis, want in zip(axes, wanted, strict=True)]
        raise ValueError(
            f"{what}: {name} has shape {list(tensor.shape)}; "
            f"expected [{', '.join(axes)}] = [{', '.join(known)}]"
        )
    sizes.update(zip(axes, tensor.shape, strict=True))
    dtypes = annotation.dtypes if isinstance(annotation.dtypes, tuple | list) else ()
    if dtypes and str(tensor.dtype).removeprefix("torch.") not in dtypes:
        kind = next((kind for family, kind in _KINDS.items() if dtypes[0].startswith(family)), "another")
        raise ValueError(f"{what}: {name} has dtype {tensor.dtype}; expected {kind}")


def check_alike(q: Tensor, k: Tensor, v: Tensor) -> None:
    """Raise `ValueError` unless they are of one shape and type: kernels read memory by those of q."""
    for name, x in (("k", k), ("v", v)):
        if (x.shape, x.dtype) != (q.shape, q.dtype):
            raise ValueError(
                f"{name} is {list(x.shape)} of {x.dtype}; expected {list(q.shape)} of {q.dtype}, as q is"
            )
