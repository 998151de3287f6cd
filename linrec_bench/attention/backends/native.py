"""The backend `native`: passes over tokens in C++, built for the machine that they run on.

One pass computes what eager operations take a dozen for, on a few tokens at a time, while they are in the
innermost cache. Here is what the C++ files need from Python; `native_linrec` and `native_softmax` run them.

Needs a C++ compiler with OpenMP (CXX, else g++) once for each file, data type and head size. The library is
then kept in the cache of the user: `first_call_time` holds the building only the first time on a machine.
"""

from __future__ import annotations

from ctypes import CDLL, Structure, byref, c_int, c_int64, c_void_p
from functools import cache
from math import ceil
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.backends.native_build import library, no_compiler, processor
from linrec_bench.attention.ops.blockwise import state_dtype
from linrec_bench.attention.spec import Backend, Core, Refusal, Request

TILE = 16
_STORED = {
    torch.float32: ("float", "float"),
    torch.float64: ("double", "double"),
    torch.bfloat16: ("BFloat16", "float"),
}


class _Shape(Structure):
    _fields_ = [(name, c_int64) for name in ("batch", "heads", "length", "segments", "threads")]


class _Rows(Structure):
    _fields_ = [("data", c_void_p), *((name, c_int64) for name in ("batch", "head", "token"))]


def refusal(request: Request) -> str | None:
    """Why the library cannot take such tensors; None where it can."""
    if request.device_type != "cpu":
        return f"backend native runs on a CPU, not on {request.device_type}; use eager or compile"
    if request.dtype not in _STORED:
        known = ", ".join(str(each).removeprefix("torch.") for each in _STORED)
        return f"backend native knows {known}, not {request.dtype}; use eager or compile"
    return no_compiler("native")


def backend(attend: Core, refusal: Refusal = refusal) -> Backend:
    """A C++ implementation; counts are those of `core`."""
    return Backend(attend=attend, refusal=refusal)


class Passes:
    """The library's passes over tokens such as `like`; `parts` is the shape of what they sum for each part.

    Heads are shared out over threads. Where there are fewer of them, so are segments of the sequence, if the
    pass may be `split`: sums have a leading axis of segments.
    """

    def __init__(self, source: str, like: Tensor, *, split: bool) -> None:
        batch, heads, length, head_size = like.shape
        threads = torch.get_num_threads()
        segments = max(1, min(ceil(threads / max(batch * heads, 1)), length // TILE)) if split else 1
        self._shape = _Shape(batch, heads, length, segments, threads)
        self.threads = threads
        self._library = _library(source, like.dtype, head_size, processor())
        self.parts = (segments, batch, heads)

    def run(self, name: str, *arguments: _Rows | Tensor | bool | None) -> int:
        """What the function `name` of the library returns, if anything."""
        answer: int = getattr(self._library, name)(byref(self._shape), *map(_pointer, arguments))
        return answer


def _pointer(argument: _Rows | Tensor | bool | None) -> object:
    if isinstance(argument, _Rows):
        return byref(argument)
    if isinstance(argument, Tensor):
        assert argument.is_contiguous(), "the library is told no strides of it"
        return c_void_p(argument.data_ptr())
    return None if argument is None else c_int(argument)


@cache
def _library(source: str, dtype: torch.dtype, head_size: int, march: str) -> CDLL:
    stored, real = _STORED[dtype]
    given = {"STORED": stored, "REAL": real, "HEAD_SIZE": head_size}
    return library(Path(__file__).with_name(source), given, march)


def rows(x: Float[Tensor, "B H N d"]) -> _Rows:
    """x as the library takes it, copied where the numbers of a token are not side by side."""
    x = x if x.stride(-1) == 1 else x.contiguous()
    rows = _Rows(x.data_ptr(), *x.stride()[:-1])
    # The numbers live as long as what points to them.
    rows.owner = x
    return rows


def empty(x: Tensor) -> Tensor:
    """Laid out as x, with the numbers of a token side by side."""
    return (
        torch.empty_like(x)
        if x.stride(-1) == 1
        else torch.empty_like(x, memory_format=torch.contiguous_format)
    )


def state(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(*shape, dtype=state_dtype(like))
