"""The acceptance of a GPU: its steps end apart from each other, and a rehearsal runs on a CPU."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import time
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

SCRIPTS = Path(__file__).parent.parent / "benchmarks"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def acceptance() -> ModuleType:
    return loaded("gpu_acceptance")


FAKE = """\
import json, sys, time
name = sys.argv[1]
if name == "hangs":
    time.sleep(60)
if name == "breaks":
    sys.exit("no such kernel")
print("talk")
print(json.dumps({"shown": "a | b " + " ".join(sys.argv[4:]), "verdict": "pass"}))
"""


@pytest.fixture
def fake_steps(acceptance: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    script = tmp_path / "steps.py"
    script.write_text(FAKE)
    monkeypatch.setattr(acceptance, "SCRIPT", script)
    return acceptance


def test_a_step_that_fails_or_hangs_does_not_stop_the_others(fake_steps: ModuleType, tmp_path: Path) -> None:
    steps = [
        fake_steps.Step(name, "it works", 2 if name == "hangs" else 30)
        for name in ("breaks", "hangs", "works")
    ]
    out = tmp_path / "out"
    began = time.monotonic()
    outcomes = fake_steps.run_all(steps, ["--device", "cpu"], out)
    assert time.monotonic() - began < 30
    assert [(each.step, each.verdict) for each in outcomes] == [
        ("breaks", "fail"),
        ("hangs", "fail"),
        ("works", "pass"),
    ]
    assert [each.shown for each in outcomes] == [
        "exit code 1: no such kernel",
        "stopped after 2 s",
        "a | b --device cpu",
    ]
    stored = json.loads((out / "acceptance.json").read_text())
    assert [each["expected"] for each in stored] == ["it works"] * 3
    # A bar in a cell would end it.
    assert "| works | a \\| b --device cpu | it works | pass |" in (out / "acceptance.md").read_text()


def test_steps_for_which_no_time_is_left_are_not_run(fake_steps: ModuleType, tmp_path: Path) -> None:
    steps = [fake_steps.Step(name, "", 2) for name in ("hangs", "works")]
    outcomes = fake_steps.run_all(steps, [], tmp_path / "out", total_seconds=6)
    assert [each.shown for each in outcomes] == ["stopped after 2 s", "not run: 6 s were over"]


def test_a_dry_run_shows_the_steps_and_runs_none(
    acceptance: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert acceptance.main(["--dry-run", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "12 steps, at most 480 s; nothing was run" in text
    assert all(step.name in text for step in acceptance.STEPS)
    assert not (tmp_path / "out").exists()


def test_results_of_another_time_are_not_written_over(
    acceptance: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old").touch()
    assert acceptance.main(["--device", "cpu", "--out", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err


def kernels(*, share: float, fla_s: float, status: str = "ok") -> pd.DataFrame:
    """The summary of the step `linrec`: Triton takes a second."""
    seconds = {"copy": 0.1, "linrec": 4.0, "linrec(backend=triton)": 1.0, "linrec(backend=fla)": fla_s}
    lines = [
        {
            "attention": label,
            "phase": phase,
            "causal": causal,
            "status": status,
            "detail": "no such device",
            "time_s": took if status == "ok" and (causal or "fla" not in label) else math.nan,
            "ceiling_share": share,
        }
        for label, took in seconds.items()
        for phase in ("forward", "forward_backward")
        for causal in (False, True)
    ]
    return pd.DataFrame(lines)


def test_kernels_are_judged_by_their_share_and_by_those_of_others() -> None:
    judged = loaded("gpu_acceptance_steps").judged_kernels
    said = "85% of the copy's rate forward, 85% with backward; 4x eager, causal 2x fla"
    assert judged(kernels(share=0.85, fla_s=2.0), on_cpu=False) == (said, "pass")
    assert judged(kernels(share=0.7, fla_s=2.0), on_cpu=False)[1] == "fail"
    assert judged(kernels(share=0.85, fla_s=0.9), on_cpu=False)[1] == "fail"
    shown, verdict = judged(kernels(share=0.85, fla_s=math.nan), on_cpu=False)
    assert (shown.endswith("fla is not installed"), verdict) == (True, "pass")
    refused = kernels(share=math.nan, fla_s=1.0, status="unsupported")
    assert judged(refused, on_cpu=True) == ("triton does not run here: no such device", "not shown")
    assert judged(refused, on_cpu=False)[1] == "fail"


@pytest.mark.slow
def test_a_rehearsal_on_a_cpu(
    acceptance: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--device", "cpu", "--out", str(out), "--steps", "environment", "ceilings", "linrec"]
    assert acceptance.main(words) == 0, capsys.readouterr().err
    found = {each["step"]: each for each in json.loads((out / "acceptance.json").read_text())}
    assert found["environment"]["verdict"] == found["ceilings"]["verdict"] == "pass"
    assert found["linrec"]["verdict"] == "not shown"
    assert "triton does not run here: backend triton runs on GPUs, not on cpu" in found["linrec"]["shown"]
