"""The backend `triton` of LinRec: its passes as kernels for GPUs, see `linrec_sums` and `linrec_scans`.

Bytes. Bidirectional, forward reads k, v, then q, and writes o: 4 N d numbers a head, the least there is;
backward reads q, g and k, v and writes dq, dk, dv: 7 N d. Causal, forward is one pass of 4 N d where heads
fill the device, and 6 N d where the sequence is split, since k^T v of each segment comes first; backward 11
or 13, and float32 slopes of c_t^2 with the column norm, written and read once.

Grid. Summing k^T v over N leaves one d x d block a head, too few programs for a GPU: a head's tokens are
split into segments until there are `PROGRAMS` programs, several for each multiprocessor, whose partial sums
torch adds. A segment has at least 16 D tokens, so that its D x D float32 numbers stay below an eighth of what
it reads in bfloat16. A causal pass is split to `CAUSAL_PROGRAMS` only, as splitting costs it a pass.

Registers. A program has 4 warps, or 8 where sums and tiles are large. As Triton 3.6 compiles them for compute
capability 9.0, bidirectional passes in bfloat16 keep everything in registers up to d = 128, causal ones up to
d = 64 with the token norm; with the column norm, or wider, those spill from some bytes to a kilobyte a
thread. Products of float32 are made of three of TF32, above d = 64 of plain multiplications, whose operands
fit shared memory: that is slow, and not what these kernels are for.

Aim: at N >= 8,192 in bfloat16, bidirectional, at least 80 % of the device's copy bandwidth forward and 60 %
forward and backward. `benchmarks/gpu_acceptance.py` measures it; nothing is claimed here.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache, partial
from math import ceil
from typing import Any

import torch
from torch import Tensor

from linrec_bench.attention.backends import linrec_passes
from linrec_bench.attention.ops.blockwise import state_dtype
from linrec_bench.attention.spec import Backend, Request

DEVICES = ("cuda", "xpu")
DTYPES = (torch.float32, torch.bfloat16)
WIDEST_HEAD = 128
PROGRAMS = 1024
CAUSAL_PROGRAMS = 256


def refusal(request: Request) -> str | None:
    """Why the kernels cannot run such tensors here; None where they can.

    On a CPU they run in Triton's interpreter alone, which `TRITON_INTERPRET=1` switches on: for tests.
    """
    if request.device_type not in DEVICES and not (request.device_type == "cpu" and interpreted()):
        return f"backend triton runs on GPUs, not on {request.device_type}; use eager or compile"
    if importlib.util.find_spec("triton") is None:
        return "backend triton needs the package triton, which is not installed (torch for GPUs has it)"
    if request.dtype not in DTYPES:
        known = " or ".join(str(each).removeprefix("torch.") for each in DTYPES)
        return (
            f"backend triton has no kernel for {str(request.dtype).removeprefix('torch.')}; expected {known}"
        )
    if request.head_size is not None and request.head_size > WIDEST_HEAD:
        return f"backend triton takes at most {WIDEST_HEAD} features a head, got {request.head_size}"
    return None


def interpreted() -> bool:
    """Whether Triton runs kernels operation by operation in Python."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def backend(*, column: bool) -> Backend:
    """The kernels of `linrec` or, if `column`, of `linrec-column`; counts are those of `core`."""
    attend = partial(linrec_passes.attend, TritonPasses(), column=column)
    return Backend(attend=attend, refusal=refusal)


@cache
def _kernel(name: str) -> Any:
    # Any: Triton has no types. Not at the top: it is asked for when it is used.
    from linrec_bench.attention.backends.triton import linrec_scans, linrec_sums

    return getattr(linrec_scans if name.startswith("scan") else linrec_sums, name)


class Launch:
    """How kernels run over tokens like `like` [B, H, N, d]: one program for each segment of a head."""

    def __init__(self, like: Tensor, *, causal: bool) -> None:
        self.batch, self.heads, self.length, self.d = like.shape
        self.width = max(16, 1 << (self.d - 1).bit_length())
        exact = like.dtype == torch.float32
        self.tile = 64 if not causal and not exact else 32
        if self.width > 64:
            self.tile //= 2
        large = self.width > 64 or (self.width > 32 and (causal or exact))
        self.options = {
            "D": self.width,
            "T": self.tile,
            "PRECISION": "tf32x3" if exact and self.width <= 64 else "ieee",
            "num_warps": 8 if large else 4,
        }
        wanted = ceil((CAUSAL_PROGRAMS if causal else PROGRAMS) / max(self.batch * self.heads, 1))
        split = max(1, min(wanted, self.length // (16 * self.width)))
        self.per_segment = max(1, ceil(self.length / split / self.tile)) * self.tile
        self.segments = max(1, ceil(self.length / self.per_segment))
        self.tiles = self.segments * self.per_segment // self.tile
        self._like = like

    def sums(self) -> Tensor:
        """Room for a D x D sum of each segment."""
        return self.numbers(self.segments, self.width, self.width)

    def rows(self) -> Tensor:
        """Room for D numbers of each segment."""
        return self.numbers(self.segments, self.width)

    def numbers(self, *shape: int) -> Tensor:
        return self._like.new_zeros(self.batch, self.heads, *shape, dtype=state_dtype(self._like))

    # Any: constants of whatever kernel it is.
    def run(
        self, kernel: str, *arguments: object, unit: bool = False, tiles: bool = False, **flags: Any
    ) -> None:
        """Launch a kernel on its `arguments`; `unit`: it scales queries, `tiles`: it counts tiles."""
        shape: list[float] = [self.heads, self.length, self.d]
        shape += [self.d**-0.5] if unit else []
        shape += [self.segments, self.per_segment]
        shape += [self.tiles] if tiles else []
        with torch.accelerator.device_index(self._like.device.index):
            _kernel(kernel)[(self.batch * self.heads * self.segments,)](
                *arguments, *shape, **self.options, **flags
            )


class TritonPasses:
    """See `linrec_passes.Passes`."""

    def summarise(self, k: Tensor, v: Tensor, mask: Tensor | None, *, column: bool) -> tuple[Tensor, Tensor]:
        launch = Launch(k, causal=False)
        sums, squares = _summarise(launch, k, v, mask, column)
        return sums.sum(dim=2), squares.sum(dim=2)

    def read(self, q: Tensor, sums: Tensor) -> Tensor:
        out = _empty(q)
        Launch(q, causal=False).run("read", _rows(q), sums, _rows(out), unit=True)
        return out

    def read_back(self, q: Tensor, sums: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        launch, dq = Launch(q, causal=False), _empty(q)
        dsums = launch.sums()
        launch.run("read_back", _rows(q), sums, _rows(grad), _rows(dq), dsums, unit=True)
        return dq, dsums.sum(dim=2)

    def summarise_back(
        self, k: Tensor, v: Tensor, mask: Tensor | None, dsums: Tensor, dsquares: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        launch, dk, dv = Launch(k, causal=False), _empty(k), _empty(v)
        tokens = (_rows(k), _rows(v), _bytes(mask), dsums, dsquares, _rows(dk), _rows(dv))
        launch.run("summarise_back", *tokens, COLUMN=dsquares is not None, MASKED=mask is not None)
        return dk, dv

    def scan(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, column: bool) -> Tensor:
        launch, out = Launch(q, causal=True), _empty(v)
        before = _before(launch, k, v, mask, column)
        tokens = (_rows(q), _rows(k), _rows(v), _bytes(mask), _counts(mask))
        launch.run("scan", *tokens, *before, _rows(out), unit=True, **_flags(mask, column))
        return out

    def scan_back(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, grad: Tensor, *, column: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        launch, flags = Launch(q, causal=True), _flags(mask, column)
        dq, dk, dv = _empty(q), _empty(k), _empty(v)
        dsums, column_sums = launch.sums(), launch.rows()
        dsquares = torch.empty_like(dk, dtype=state_dtype(k)) if column else dk
        of_tiles = launch.numbers(launch.tiles, launch.width) if column else launch.rows()
        tokens = (_rows(q), _rows(k), _rows(v), _bytes(mask), _counts(mask))
        launch.run(
            "scan_back_queries",
            *(*tokens, *_before(launch, k, v, mask, column), _rows(grad)),
            *(_rows(dq), dsums, _rows(dsquares), column_sums, of_tiles),
            **(flags | {"unit": True, "tiles": True}),
        )
        launch.run(
            "scan_back_keys",
            *(*tokens, _rows(grad), _after(dsums), _rows(dsquares), _after(column_sums), of_tiles),
            *(_rows(dk), _rows(dv)),
            **(flags | {"unit": True, "tiles": True}),
        )
        return dq, dk, dv


def _summarise(
    launch: Launch, k: Tensor, v: Tensor, mask: Tensor | None, column: bool
) -> tuple[Tensor, Tensor]:
    """The sums of each segment: [B, H, segments, D, D] and [B, H, segments, D]."""
    sums, squares = launch.sums(), launch.rows()
    launch.run("summarise", _rows(k), _rows(v), _bytes(mask), sums, squares, **_flags(mask, column))
    return sums, squares


def _before(launch: Launch, k: Tensor, v: Tensor, mask: Tensor | None, column: bool) -> tuple[Tensor, Tensor]:
    """The sums of all that comes before each segment; without a split that is nothing."""
    if launch.segments == 1:
        return launch.sums(), launch.rows()
    sums, squares = _summarise(launch, k, v, mask, column)
    return _shifted(sums), _shifted(squares)


def _shifted(x: Tensor) -> Tensor:
    """Sums over the segments before each one (dim 2)."""
    return torch.cat((torch.zeros_like(x[:, :, :1]), x[:, :, :-1].cumsum(dim=2)), dim=2)


def _after(x: Tensor) -> Tensor:
    """Sums over the segments after each one (dim 2)."""
    return _shifted(x.flip(2)).flip(2).contiguous()


def _flags(mask: Tensor | None, column: bool) -> dict[str, bool]:
    return {"COLUMN": column, "MASKED": mask is not None}


def _bytes(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask.view(torch.uint8)


def _counts(mask: Tensor | None) -> Tensor | None:
    """The real tokens up to each one, [B, N]."""
    return None if mask is None else mask.cumsum(dim=1, dtype=torch.int32)


def _rows(x: Tensor) -> tuple[Tensor, int, int, int]:
    """x [B, H, N, d] as kernels take it, copied where the numbers of a token are not side by side."""
    x = x if x.stride(-1) == 1 else x.contiguous()
    return x, x.stride(0), x.stride(1), x.stride(2)


def _empty(x: Tensor) -> Tensor:
    """Laid out as x, with the numbers of a token side by side."""
    return torch.empty_like(x) if x.stride(-1) == 1 else torch.empty(x.shape, dtype=x.dtype, device=x.device)
