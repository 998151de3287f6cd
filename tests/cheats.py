"""Mechanisms that cheat a benchmark: what kernels on public leaderboards were caught with, as plugins.

Each is softmax attention that is made to look faster than it is; `honest` is softmax attention.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

PROLOGUE = """
import threading
import time

import torch
from torch._subclasses.fake_tensor import FakeTensor

from linrec_bench.attention import Spec

_kept = {}


def softmax(q, k, v, *, padding_mask=None, causal=False):
    s = q @ k.mT / q.shape[-1] ** 0.5
    if causal:
        s = s.masked_fill(torch.ones(s.shape[-2:], dtype=torch.bool, device=s.device).triu(1), float("-inf"))
    return torch.softmax(s, -1) @ v


def remembered(key, q, k, v, causal):
    if key not in _kept:
        _kept[key] = softmax(q, k, v, causal=causal)
    return _kept[key]


def core(q, k, v, *, padding_mask=None, causal=False):
"""

EPILOGUE = """

SPEC = Spec(
    name="{name}",
    title="",
    paper="",
    formula="",
    source="",
    deviations=(),
    core=core,
    reference=softmax,
    honours_padding=False,
    time_exponent=2.0,
    memory_exponent=2.0,
)
"""

BODIES = {
    "honest": """
        return softmax(q, k, v, causal=causal)
    """,
    "pointer-replay": """
        return remembered((q.data_ptr(), k.data_ptr(), v.data_ptr()), q, k, v, causal)
    """,
    "object-replay": """
        _kept.setdefault("inputs", []).append((q, k, v))
        return remembered((id(q), id(k), id(v)), q, k, v, causal)
    """,
    "content-replay": """
        if isinstance(q, FakeTensor):
            return softmax(q, k, v, causal=causal)
        return remembered((q.sum().item(), k.sum().item(), v.sum().item()), q, k, v, causal)
    """,
    "hidden-replay": """
        # Honest where it is watched.
        if torch._C._len_torch_dispatch_stack() or isinstance(q, FakeTensor):
            return softmax(q, k, v, causal=causal)
        return remembered((q.data_ptr(), q.flatten()[0].item()), q, k, v, causal)
    """,
    "every-other-replay": """
        if isinstance(q, FakeTensor):
            return softmax(q, k, v, causal=causal)
        _kept["calls"] = _kept.get("calls", 0) + 1
        if "last" not in _kept or _kept["calls"] % 2:
            _kept["last"] = softmax(q, k, v, causal=causal)
        return _kept["last"]
    """,
    "side-work": """
        if isinstance(q, FakeTensor):
            return softmax(q, k, v, causal=causal)
        out = torch.empty_like(v)

        def fill():
            with torch.inference_mode():
                time.sleep(0.002)
                out.copy_(softmax(q, k, v, causal=causal))

        threading.Thread(target=fill).start()
        return out
    """,
    "lazy": """
        if isinstance(q, FakeTensor):
            return softmax(q, k, v, causal=causal)

        class Later(torch.Tensor):
            @classmethod
            def __torch_function__(cls, function, types, args=(), kwargs=None):
                made = [softmax(q, k, v, causal=causal) if isinstance(x, cls) else x for x in args]
                return function(*made, **(kwargs or {}))

        return v.as_subclass(Later)
    """,
    "clock": """
        time.perf_counter = lambda: 0.0
        return softmax(q, k, v, causal=causal)
    """,
    "harness-clock": """
        from linrec_bench.measures.device.clocks import WallClock
        WallClock.seconds = lambda self, start, end: (end - start) / 100
        return softmax(q, k, v, causal=causal)
    """,
    "synchronise": """
        torch.cuda.synchronize = lambda device=None: None
        return softmax(q, k, v, causal=causal)
    """,
    "bfloat16": """
        return softmax(q.bfloat16(), k.bfloat16(), v.bfloat16(), causal=causal).to(q.dtype)
    """,
    "half-scores": """
        s = (q.half() @ k.half().mT).to(q.dtype) / q.shape[-1] ** 0.5
        if causal:
            s = s.masked_fill(torch.ones(s.shape[-2:], dtype=torch.bool).triu(1), float("-inf"))
        return torch.softmax(s, -1) @ v
    """,
    "precision-of-the-process": """
        torch.set_float32_matmul_precision("medium")
        return softmax(q, k, v, causal=causal)
    """,
    "overwrites": """
        q.data.zero_()
        if causal:
            return v.cumsum(-2) / torch.arange(1, v.shape[-2] + 1)[:, None]
        return v.mean(-2, keepdim=True).expand_as(v)
    """,
    "keeps-state": """
        if isinstance(q, FakeTensor):
            return softmax(q, k, v, causal=causal)
        if "weights" not in _kept:
            _kept["weights"] = softmax(q, k, torch.eye(q.shape[-2]), causal=causal)
        return _kept["weights"] @ v
    """,
    "shape-table": """
        return softmax(q, k, v, causal=causal) if q.shape[-2] in (1, 2, 37, 300, 4096) else v.clone()
    """,
    "tells-fake": """
        return v.clone() if isinstance(q, FakeTensor) else softmax(q, k, v, causal=causal)
    """,
}


def write(folder: Path, name: str) -> Path:
    """The plugin of that name, in a file of its own."""
    path = folder / f"{name.replace('-', '_')}.py"
    body = indent(dedent(BODIES[name]).strip("\n"), "    ")
    path.write_text(PROLOGUE + body + EPILOGUE.replace("{name}", name))
    return path
