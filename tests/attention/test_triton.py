"""The backend `triton`: right in Triton's interpreter, built for a GPU, refused with a reason elsewhere."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from linrec_bench import attention
from linrec_bench.attention import Unsupported, contract, registry
from linrec_bench.attention.backends.triton import linrec
from linrec_bench.attention.contract.probe_inputs import Given, difference, gradients, run
from linrec_bench.attention.spec import Request
from linrec_bench.case import Case, freeze
from linrec_bench.execution.worker import predict

NAMES = ["linrec", "linrec-column"]
TRITON = {"backend": "triton"}
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="triton is not installed (extra `test`, Linux on x86-64)",
)


@pytest.mark.slow
@needs_triton
def test_the_interpreter_gives_the_references_and_their_gradients() -> None:
    script = Path(__file__).with_name("triton_in_interpreter.py")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == []


ROWS = {"q", "k", "v", "out", "slope", "dq", "dk", "dv"}
WHOLE = {"heads", "length", "d", "segments", "per_segment", "tiles"}


@pytest.mark.slow
@needs_triton
@pytest.mark.parametrize(
    "kernel",
    ["summarise", "read", "read_back", "summarise_back", "scan", "scan_back_queries", "scan_back_keys"],
)
def test_kernels_are_built_for_a_gpu_without_one(kernel: str) -> None:
    """For compute capability 9.0, of bfloat16, with padding and the column norm: no number of it runs."""
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module = "linrec_scans" if kernel.startswith("scan") else "linrec_sums"
    function = getattr(importlib.import_module(f"linrec_bench.attention.backends.triton.{module}"), kernel)
    constants = {"D": 16, "T": 32, "COLUMN": True, "MASKED": True, "PRECISION": "ieee"}

    def kind(name: str) -> str | tuple[str, ...]:
        if name in constants:
            return "constexpr"
        if name in ROWS or (name == "dsquares" and kernel.startswith("scan")):
            return ("*bf16" if name in ROWS else "*fp32", "i32", "i32", "i32")
        if name in WHOLE:
            return "i32"
        return {"mask": "*u8", "counts": "*i32", "unit_length": "fp32"}.get(name, "*fp32")

    names = function.arg_names
    given = {(names.index(name),): value for name, value in constants.items() if name in names}
    source = ASTSource(function, {name: kind(name) for name in names}, given)
    built = compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4})
    assert built.asm["cubin"]


@pytest.mark.parametrize("name", NAMES)
def test_a_cpu_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(Unsupported, match="backend triton runs on GPUs, not on cpu; use eager or compile"):
        attention.core(name, *contract.inputs(5, torch.float32), backend="triton")


@pytest.mark.parametrize(
    ("dtype", "head_size", "reason"),
    [
        (torch.float16, 16, "no kernel for float16; expected float32 or bfloat16"),
        (torch.float64, 16, "no kernel for float64"),
        (torch.bfloat16, 129, "at most 128 features a head, got 129"),
        (torch.bfloat16, 128, None),
    ],
)
def test_what_the_kernels_do_not_take(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, head_size: int, reason: str | None
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    found = linrec.refusal(Request("cuda", dtype, backward=True, causal=True, head_size=head_size))
    assert found is None if reason is None else found is not None and reason in found


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = linrec.refusal(Request("cuda", torch.bfloat16, backward=False))
    assert found is not None
    assert "needs the package triton, which is not installed" in found


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_form_in_torch(name: str) -> None:
    counts = [
        predict(
            Case(
                task="core",
                phase="forward_backward",
                attention=name,
                seq_len=4096,
                attention_params=freeze({"backend": backend}),
            )
        )
        for backend in ("eager", "triton")
    ]
    assert counts[1].compiles
    assert counts[0] == replace(counts[1], compiles=False)


def test_a_head_is_split_into_segments_that_cover_it_once() -> None:
    """Whole tiles each; many heads are not split, and neither is a short sequence."""
    for batch, heads, length in ((1, 8, 131_072), (2, 1, 300), (64, 8, 8192), (1, 1, 1)):
        for causal in (False, True):
            launch = linrec.Launch(
                torch.empty(batch, heads, length, 64, dtype=torch.bfloat16, device="meta"), causal=causal
            )
            assert (launch.segments - 1) * launch.per_segment < length <= launch.segments * launch.per_segment
            assert launch.per_segment % launch.tile == 0
            assert launch.tiles * launch.tile == launch.segments * launch.per_segment
            assert launch.segments == 1 or launch.per_segment >= 16 * 64
            if batch * heads >= linrec.PROGRAMS or length < 16 * 64:
                assert launch.segments == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("shape", [(2, 3, 1, 16), (2, 3, 300, 24), (1, 2, 5000, 64), (1, 2, 700, 128)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_gives_the_references_and_their_gradients(
    name: str, causal: bool, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    spec = registry()[name]
    if name == "linrec-column" and causal and shape[2] > 1000:
        pytest.skip("its reference takes a pass for every prefix")
    with torch.device("cuda"):
        having = Given({key: contract.noise(shape, dtype, seed=seed) for seed, key in enumerate("qkv")}, {})
        masks = contract.masks(spec, shape[2]) if shape[0] == 2 else {"none": None}
        for what, mask in masks.items():
            weights = contract.noise(shape, dtype, seed=9)
            if mask is not None:
                weights = weights.masked_fill(~mask[:, None, :, None], 0)
            exact = having.map(torch.Tensor.double)
            found = gradients(spec, having, weights, causal=causal, params=TRITON, padding_mask=mask)
            wanted = gradients(
                spec, exact, weights.double(), causal=causal, padding_mask=mask, reference=True
            )
            scale = max(x.abs().max().item() for x in wanted.values())
            for which, x in wanted.items():
                reason = difference(found[which], x, dtype, scale=scale, tokens=shape[2])
                assert reason is None, f"{what}, d{which}: {reason}"
            if mask is None:
                out = run(spec, having, causal=causal, params=TRITON)
                assert difference(out, run(spec, exact, causal=causal, reference=True), dtype) is None
