"""Mechanisms in files of their own whose code or declaration is odd: verified, listed, counted, planned."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from hypothesis import strategies as st

from benchmarks.fuzz.examples import made
from benchmarks.fuzz.oracle import Found, Place
from linrec_bench import attention

RETURNED = (
    *(
        "None",
        "out[..., :1]",
        "out[:, :, :0]",
        "out.detach().numpy()",
        "out * float('nan')",
        "out * 1e38 * 1e38",
    ),
    *("(out, out)", "'text'", "out.double()", "out.half()", "out.sum()", "[out]", "out.tolist()", "3.0"),
    *("out.to_sparse()", "out.int()", "out.bool()", "out.detach()", "torch.empty(0)", "nn.Parameter(out)"),
    *("out.mT", "out.requires_grad_()", "q.new_zeros(())", "object()", "iter(())", "out.numpy()", "out.imag"),
    *(
        "out.unsqueeze(0)",
        "torch.rand_like(out)",
        "out.to('meta')",
        "out.flip(2)",
        "out.cumsum(2)",
        "out.mean(2, True) + v",
    ),
)
BEFORE = (
    *(
        "raise ValueError('two\\nlines')",
        "raise KeyError",
        "raise Unsupported('not here')",
        "raise StopIteration",
    ),
    *("raise SystemExit(0)", "sys.exit('bye')", "raise MemoryError", "raise RecursionError", "raise Silent"),
    *(
        "raise GeneratorExit",
        "assert False",
        "1 / 0",
        "q.item()",
        "int(q.sum())",
        "np.asarray(q)",
        "q.add_(1)",
    ),
    *(
        "v.zero_()",
        "torch.set_default_dtype(torch.float64)",
        "torch.manual_seed(1)",
        "torch.set_num_threads(1)",
    ),
    *(
        "print('x', file=sys.stderr)",
        "time.sleep(0.001)",
        "warnings.warn('w')",
        "core(q, k, v)",
        "os.environ.clear",
    ),
    *(
        "torch.use_deterministic_algorithms(True)",
        "torch.set_grad_enabled(False)",
        "open('none')",
        "no_such_name",
    ),
    *("q = q @ q.mT @ q", "bool(q.any())", "padding_mask.sum()", "del q", "q.resize_(1)", "torch.nonzero(q)"),
    *("KEPT.append(q)", "causal.x", "q[10**9]", "torch.ones(10**7, 10**7)", "torch.linalg.inv(q.mT @ q)"),
)
TOP = (
    *(
        "import no_such_module",
        "raise SystemExit(0)",
        "sys.exit()",
        "1 / 0",
        "raise Silent",
        "def broken(:",
        "\0",
    ),
    *(
        "SPEC = 5",
        "print('imported')",
        "import torch.nn.functional as F",
        "warnings.warn('w')",
        "exit()",
        "a = b",
    ),
    *(
        "\ufeff",
        "# -*- coding: no-such -*-",
        "from . import x",
        "raise ValueError('two\\nlines')",
        "\x0c",
        "\ud800",
    ),
)
FIELDS = {
    "name": [
        "''",
        "'softmax'",
        "'a b'",
        "5",
        "None",
        "'x' * 5000",
        "'a\\nb'",
        "'../../x'",
        "'linrec(a=1)'",
        "'é'",
    ],
    "title": ["5", "None", "'\\x1b[1m'", "'x' * 5000"],
    "paper": ["None", "5"],
    "deviations": ["'text'", "(1,)", "None", "5"],
    "backends": ["None", "{'a': 5}", "{'best': None}", "[]", "{5: 6}"],
    "bidirectional": ["False", "None", "'no'"],
    "causal": ["True", "None", "'yes'", "2"],
    "honours_padding": ["False", "None"],
    "permutation_equivariant": ["False"],
    "time_exponent": ["2", "'1'", "None", "float('nan')", "-1.0", "1e400", "torch.tensor(1.0)", "True"],
    "memory_exponent": ["None", "0", "'x'", "float('inf')"],
    "dispatches_per_token": ["None", "-1", "'x'"],
    "state_exponent": ["None", "'x'", "float('nan')"],
    "at_most": [
        "{'forward operations': '1 B H N d'}",
        "{'x': 'y'}",
        "None",
        "{'forward operations': 5}",
        "5",
    ],
    "tokens": ["('gate',)", "'gate'", "None", "5"],
    "gate_module": ["nn.Linear", "None", "5", "Gates", "lambda hidden_size, heads: None", "Odd"],
    "layer": ["Layer", "Odd", "5", "nn.Linear", "lambda hidden_size, heads: None", "torch.relu"],
    "timestamps": ["True", "None"],
    "init_state": ["lambda like, **_: ()", "lambda like, **_: None", "5", "max", "lambda like, **_: 1 / 0"],
    "step": ["lambda state, q, k, v, **_: (state, v)", "lambda state, q, k, v, **_: None", "core", "5"],
    "decode_state": ["'a cache'", "5"],
    "kernel": ["lambda call: 'name'", "lambda call: None", "lambda call: 1 / 0", "5"],
    "refusal": [
        "lambda *_, **__: 'not here'",
        "lambda *_, **__: 1 / 0",
        "lambda: None",
        "5",
        "lambda *_, **__: 5",
    ],
    "reference": [
        "core",
        "lambda q, k, v, padding_mask=None, causal=False: 1 / 0",
        "None",
        "len",
        "torch.add",
    ],
    "no_such_field": ["1"],
}
SETTINGS = (
    "",
    "",
    "",
    ", *, size: int = 3",
    ", *, a: NoSuch = 1",
    ", *, a=1",
    ", *, a: float",
    ", *, w: torch.Tensor",
)
SOUND = "q * 1"
"""A body that holds all that is declared: the value alone."""

TEXT = """\
{top}
import os, sys, time, warnings
import numpy as np
import torch
from torch import nn
from linrec_bench.attention import Spec, Unsupported
KEPT = []
class Silent(Exception):
    def __str__(self): return None
class Gates(nn.Module):
    def __init__(self, hidden_size, heads): super().__init__()
    def forward(self, x): return {{"gate": x}}
class Odd(nn.Module):
    def __init__(self, hidden_size, heads): super().__init__()
    def forward(self, *given): raise Silent
class Layer(nn.Module):
    def __init__(self, hidden_size, heads): super().__init__()
    def forward(self, x, padding_mask=None, *_):
        q = k = v = x
        {in_layer}
        return x
def core(q, k, v, padding_mask=None, causal=False{settings}):
    {before}
    out = v * 1
    return {returned}
def reference(q, k, v, padding_mask=None, causal=False):
    return v * 1
fields = dict(name="own", core=core, reference=reference, causal=False)
fields.update({fields})
SPEC = Spec(**fields)
{bottom}
"""
SUITE = "task: core\nattention: [own]\ngrid: {seq_len: [8]}\nfixed: {hidden_size: 8, heads: 2}\n"


@st.composite
def plugins(draw: st.DrawFn, *, faults: int = 3) -> str:
    """A file of Python with up to so many oddities; without one it is a sound mechanism."""
    odd = {"top": "", "bottom": "", "before": "pass", "in_layer": "pass", "returned": "out", "settings": ""}
    fields: dict[str, str] = {}
    for _ in range(draw(st.integers(0, faults))):
        where = draw(st.sampled_from(["returned", "before", "fields", "fields", "top", "settings", "layer"]))
        if where == "fields":
            name = draw(st.sampled_from(list(FIELDS)))
            fields[name] = draw(st.sampled_from(FIELDS[name]))
        elif where == "layer":
            fields["layer"], odd["in_layer"] = "Layer", draw(st.sampled_from(BEFORE))
        elif where == "top":
            odd[draw(st.sampled_from(["top", "bottom"]))] = draw(st.sampled_from(TOP))
        else:
            odd[where] = draw(
                st.sampled_from({"returned": RETURNED, "before": BEFORE, "settings": SETTINGS}[where])
            )
    written = ", ".join(f"{name}={value}" for name, value in fields.items())
    return TEXT.format(fields=written, **odd)


def write(text: object) -> Path:
    path = Path("own.py")
    path.write_bytes(str(text).encode("utf-8", "surrogatepass"))
    return path


def forget() -> None:
    """Of a plugin, which may have set anything of torch."""
    attention.unload_plugins()
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(False)


def made_plugins(place: Place, rng: random.Random, count: int, found: Found) -> None:
    Path("own.yaml").write_text(SUITE)
    verbs = [
        *[["verify"]] * 4,
        ["verify", "own", "--json"],
        ["verify", "own(size=5)"],
        ["list", "attention"],
        ["list", "attention", "own"],
        ["run", "own.yaml", "--dry-run", "--device", "cpu"],
        ["check", "own.yaml", "--device", "cpu"],
        ["predict", "own.yaml", "--device", "cpu"],
    ]

    def probe(text: object) -> None:
        place.call(found, "made plugin", *rng.choice(verbs), "--plugin", str(write(text)))
        forget()

    made(plugins(), probe, count=count, seed=rng.getrandbits(32))
