"""What a mechanism cannot do, from a suite to its rows: `unsupported` with the reason."""

from __future__ import annotations

import pytest

from linrec_bench.execution import worker
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import load


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            "task: core\nattention: [linformer]\nfixed: {causal: true}",
            "attention linformer has no causal form",
        ),
        (
            "task: layer\nattention: [lightsans]\nfixed: {causal: true}",
            "attention lightsans has no causal form",
        ),
        (
            "task: layer\nattention: [hstu]\nfixed: {causal: false}",
            "attention hstu has no bidirectional form",
        ),
        (
            "task: core\nattention: [{name: cosformer, length_scale: 8}]",
            "attention cosformer: 16 tokens exceed length_scale 8",
        ),
        (
            "task: core\nattention: [{name: fuxi-temporal, base: 1}]\nfixed: {causal: true}",
            "are no whole numbers that grow; expected base >= 2",
        ),
        (
            "task: decode\nattention: [nystromformer]\nphases: [step]\nfixed: {causal: true}",
            "attention nystromformer has no causal form",
        ),
        (
            "task: decode\nattention: [linrec]\nphases: [step]\nfixed: {causal: false}",
            "decoding goes forward in time; expected causal: true",
        ),
    ],
)
def test_a_case_that_cannot_be_is_known_before_it_runs(tmp_path, lines, reason):
    phases = "" if "phases" in lines else "phases: [forward]\n"
    path = tmp_path / "s.yaml"
    path.write_text(f"title: s\n{phases}measures: [flops]\ngrid: {{seq_len: [16]}}\n{lines}\n")
    (job,) = expand(load(path, device="cpu", settings=[]), device="cpu")
    found = worker.predict(job.case)
    assert found is not None
    assert reason in found.unsupported
