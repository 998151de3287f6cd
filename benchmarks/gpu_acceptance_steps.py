"""The steps of `gpu_acceptance.py`: each measures with the ordinary verbs and says what that has shown.

    python benchmarks/gpu_acceptance_steps.py NAME --device cuda --form full --out FOLDER

prints one line of JSON: `shown` in words and `verdict`, `pass`, `fail` or `not shown`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
PASS, FAIL, NOT_SHOWN = "pass", "fail", "not shown"
Shown = tuple[str, str]
"""What was shown, and the verdict."""

FORMS = ("full", "small", "rehearsal")
LENGTHS = {
    "long_seq": {"full": [8192, 262_144], "small": [4096, 32_768], "rehearsal": [256]},
    "zoo": {"full": [131_072], "small": [16_384], "rehearsal": [256]},
    "decode": {"full": [262_144], "small": [32_768], "rehearsal": [256]},
}
LINEAR = 'attention={time_exponent: "<= 1", causal: true}'


@dataclass(frozen=True)
class Setting:
    """Where and how large a step runs; `out` is its folder."""

    device: str
    form: str
    out: Path

    @property
    def on_cpu(self) -> bool:
        return self.device == "cpu"

    def verb(self, *words: str, check: bool = True) -> str:
        """What a verb of linrec-bench prints to stdout; its stderr is this process's own."""
        command = [sys.executable, "-m", "linrec_bench", *words]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment())
        if check and ran.returncode not in (0, 4):
            raise SystemExit(f"{' '.join(words[:2])}: exit code {ran.returncode}")
        return ran.stdout

    def run(self, suite: str | Mapping[str, object], *flags: str, name: str = "suite") -> pd.DataFrame:
        """The summary of a run of a shipped suite, or of one that is given as data."""
        if not isinstance(suite, str):
            path = self.out / f"{name}.yaml"
            path.write_text(json.dumps(suite))
            suite = str(path)
        results = self.out / f"results-{name}"
        self.verb("run", suite, "--device", self.device, "--results", str(results), *flags)
        return self.table(results, "summary")

    @staticmethod
    def table(results: Path, table: Any) -> pd.DataFrame:
        from linrec_bench import load_results

        return load_results(results, table=table)


def environment() -> dict[str, str]:
    """This process's, with the package of this checkout in front."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def identity(setting: Setting) -> Shown:
    """The environment that a run would store."""
    text = setting.verb("env", "--device", setting.device)
    (setting.out / "environment.json").write_text(text)
    import torch

    found = json.loads(text)
    facts = found["device"]
    name = found["machine"]["processor"] if setting.on_cpu else facts.get("name")
    shown = f"{name or 'no name'}; torch {torch.__version__}; told of the device: {', '.join(facts)}"
    return shown, PASS if name and found["fingerprint"] else FAIL


def tests(setting: Setting) -> Shown:
    """The tests that are marked gpu, without plugins that a machine may lack."""
    marked = [
        path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "pytest.mark.gpu" in path.read_text()
    ]
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "--import-mode=importlib", "-q", "-m", "gpu"]
    if setting.form == "rehearsal":
        marked = [path for path in marked if path.parent.name == "measures"]
    command = [sys.executable, "-m", "pytest", *options, *(str(path) for path in marked)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment(), cwd=ROOT)
    (setting.out / "pytest.txt").write_text(ran.stdout)
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", ran.stdout)}
    shown = ", ".join(f"{n} {word}" for word, n in counts.items()) or f"exit code {ran.returncode}"
    if ran.returncode != 0:
        return shown, FAIL
    return shown, PASS if counts.get("passed") else NOT_SHOWN


def flex(setting: Setting) -> Shown:
    """flex-attention against float64 softmax attention, both directions, with padding."""
    import torch

    lengths = [129] if setting.form == "rehearsal" else [127, 128, 300, 4096]
    worst, where = 0.0, ""
    for length in lengths:
        for causal in (False, True):
            torch.manual_seed(0)
            tokens = [torch.randn(2, 2, length, 32, device=setting.device) for _ in range(3)]
            mask = torch.ones(2, length, dtype=torch.bool, device=setting.device)
            mask[0, length // 2 :] = False
            slope = torch.randn_like(tokens[2]) * mask[:, None, :, None]
            # On a CPU there is no backward pass.
            found = _both("flex-attention", tokens, mask, causal, None if setting.on_cpu else slope)
            exact = [x.double() for x in tokens]
            wanted = _both("softmax", exact, mask, causal, None if setting.on_cpu else slope.double())
            for which, (a, b) in enumerate(zip(found, wanted, strict=True)):
                error = ((a.double() - b).abs().max() / b.abs().max()).item()
                if not error <= worst:
                    worst, where = error, f"{('o', 'dq', 'dk', 'dv')[which]}, N = {length}, causal {causal}"
    shown = f"largest difference {worst:.1e} of the largest value ({where}), N = {lengths}"
    # Products in TF32 or in parts of bfloat16 are off by a thousandth or two.
    return shown, PASS if worst <= 1e-2 else FAIL


def _both(name: str, tokens: Sequence[Any], mask: Any, causal: bool, slope: Any) -> list[Any]:
    """o of real queries and, where there is a slope, the gradients."""
    import torch

    from linrec_bench import attention

    leaves = [x.detach().requires_grad_(slope is not None) for x in tokens]
    out = attention.core(name, *leaves, padding_mask=mask, causal=causal)
    kept = out.masked_fill(~mask[:, None, :, None], 0)
    return [kept.detach()] if slope is None else [kept.detach(), *torch.autograd.grad(kept, leaves, slope)]


def ceilings(setting: Setting) -> Shown:
    """The ceilings that every run measures beside its cases."""
    import torch

    from linrec_bench.measures.instruments.ceilings import readings

    small = {"copy_bytes": 1 << 22, "matrix_size": 128} if setting.form == "rehearsal" else {}
    found, said = [], []
    for dtype in (torch.bfloat16, torch.float32):
        samples = readings(torch.device(setting.device), dtype, **small)
        for measure, unit, size in (("copy_bandwidth", "TB/s", 1e12), ("matmul_rate", "TFLOP/s", 1e12)):
            rate = pd.Series([each.value for each in samples if each.measure == measure]).median()
            found.append(rate)
            said.append(f"{rate / size:.3g} {unit}")
    return f"bfloat16 {', '.join(said[:2])}; float32 {', '.join(said[2:])}", PASS if min(found) > 0 else FAIL


def timing(setting: Setting) -> Shown:
    """Copy and LinRec, sampled cold, warm and, where it is offered, as a CUDA graph."""
    from linrec_bench.suite.limits import Sampling

    size = {"full": (65_536, 512), "small": (16_384, 256), "rehearsal": (256, 32)}[setting.form]
    suite = {
        "task": "core",
        "attention": ["copy", "linrec"],
        "phases": ["forward"],
        "measures": ["time"],
        "rounds": 1,
        "grid": {"seq_len": [size[0]]},
        "fixed": {"batch_size": 1, "hidden_size": size[1], "heads": 8, "dtype": "bfloat16", "causal": False},
        "sampling": {"seconds": 0.1 if setting.form == "rehearsal" else 1.0, "min": 6, "max": 2000},
    }
    ways = {"cold": {"cache": "cold"}, "warm": {"cache": "warm"}}
    if "graph" in Sampling.model_fields and not setting.on_cpu:
        ways["graph"] = {"cache": "warm", "graph": True}
    times, drift = {}, 0.0
    for name, way in ways.items():
        summary = setting.run(suite | {"sampling": {**suite["sampling"], **way}}, name=name)
        times[name] = summary.set_index("attention")["time_s"]
        samples = setting.table(setting.out / f"results-{name}", "samples").query("measure == 'time'")
        for _, values in samples.groupby("attention")["value"]:
            third = max(len(values) // 3, 1)
            drift = max(drift, abs(values.tail(third).median() / values.head(third).median() - 1))
    linrec = {name: found["linrec"] for name, found in times.items()}
    shown = f"linrec {', '.join(f'{name} {value * 1e3:.3g} ms' for name, value in linrec.items())}"
    shown += f"; drift {drift:.1%}" + ("" if "graph" in ways else "; no graphs here")
    if setting.on_cpu:
        return shown, NOT_SHOWN
    # Warm and graph save what cold and launches cost; noise of a twentieth is allowed.
    held = drift <= 0.03 and all(value <= 1.05 * linrec["cold"] for value in linrec.values())
    return shown, PASS if held else FAIL


FORCED = 1000
"""The length at which a plugin takes all memory."""

PLUGIN = '''"""Takes all memory of a device, {how}."""
import torch
from torch._subclasses.fake_tensor import FakeTensor
from linrec_bench.attention.spec import Spec

def core(q, k, v, *, padding_mask=None, causal=False):
    # Counts and the probes of a mechanism's properties come with other tensors.
    if isinstance(q, FakeTensor) or q.shape[2] != {length}:
        return v.clone()
    held, size = [], 1 << {start}
    while size >= 1 << 20:
        try:
            held.append(torch.empty(size, dtype=torch.uint8, device=q.device))
        except torch.OutOfMemoryError:
            if {at_once}:
                raise
            size //= 2
    # Nothing is left for the workspace and the context of a library that was not asked before.
    torch.linalg.eigh(torch.eye(64, device=q.device))
    return torch.fft.fft(q.float(), dim=2).real.to(v.dtype)

def reference(q, k, v, *, padding_mask=None, causal=False):
    return v

SPEC = Spec(name="{name}", title="takes all memory", paper="-", formula="-", source="-", deviations=(),
            core=core, reference=reference)
'''


def memory(setting: Setting) -> Shown:
    """Allocated against predicted, and cases that run out of memory by the allocator and by the context."""
    length = {"full": 4096, "small": 1024, "rehearsal": 128}[setting.form]
    shape = {"batch_size": 2, "hidden_size": 64, "heads": 4, "causal": False}
    suite: dict[str, object] = {
        "task": "core",
        "attention": ["softmax", "sdpa", "linrec", "linrec-column"],
        "measures": ["peak_memory", "flops"],
        "rounds": 1,
        "grid": {"seq_len": [length]},
        "fixed": shape,
    }
    summary = setting.run(suite, name="peaks").query("status == 'ok'")
    ratio = summary["memory_bytes"].astype(float) / summary["predicted_peak_bytes"].astype(float)
    ends = {}
    for name, start, at_once in (("by-allocator", 50, True), ("by-context", 36, False)):
        if setting.on_cpu and name == "by-context":
            continue
        plugin = setting.out / f"{name.replace('-', '_')}.py"
        plugin.write_text(PLUGIN.format(how=name, start=start, at_once=at_once, name=name, length=FORCED))
        case = suite | {"attention": [name], "phases": ["forward"], "measures": ["time"]}
        case |= {"grid": {"seq_len": [FORCED]}}
        found = setting.run(case, "--plugin", str(plugin), name=name)
        ends[name] = ", ".join(found["status"].unique())
    shown = f"measured / predicted {ratio.min():.3f} .. {ratio.max():.3f} ({len(ratio)} cases); " + ", ".join(
        f"{name}: {status}" for name, status in ends.items()
    )
    close = len(ratio) > 0 and ratio.between(0.9, 1.1).all()
    return shown, PASS if close and set(ends.values()) == {"oom"} else FAIL


def _small_grid(setting: Setting, suite: str, flags: Sequence[str], needed: Callable[[str], bool]) -> Shown:
    """A shipped suite at a length or two. No case ends as an error, and mechanisms that are `needed` run at
    the longest of them."""
    lengths = LENGTHS[suite][setting.form]
    flags = [*flags, "--set", f"grid.seq_len={json.dumps(lengths)}", "--set", "rounds=1"]
    if setting.form == "rehearsal":
        flags += ["--only", "attention=softmax|linrec"]
    summary = setting.run(suite, *flags, name=suite)
    counts = summary["status"].value_counts().to_dict()
    longest = summary[summary["seq_len"] == lengths[-1]]
    ran = longest[longest["status"] == "ok"]["attention"]
    names = longest["attention"].map(lambda label: re.split(r"[ (\[]", str(label))[0])
    missing = sorted(set(longest["attention"][names.map(needed)]) - set(ran))
    shown = ", ".join(f"{count} {status}" for status, count in counts.items())
    shown += f"; {ran.nunique()} mechanisms at N = {lengths[-1]:,}"
    if missing:
        shown += f"; not there: {', '.join(missing)}"
    return shown, FAIL if counts.get("error") or missing or ran.empty else PASS


def _linear(name: str) -> bool:
    from linrec_bench import attention

    spec = attention.registry()[name]
    return spec.time_exponent <= 1 and spec.memory_exponent <= 1 and spec.refusal is None


def _recurrent(name: str) -> bool:
    from linrec_bench import attention

    return attention.registry()[name].state_exponent == 0


def long_seq(setting: Setting) -> Shown:
    """Batch 1, forward and backward, bidirectional; what is quadratic is skipped by prediction or fits."""
    mechanisms = "attention=copy|softmax|linrec|linrec-column|linear-transformer"
    conditions = ("causal=false", "batch_size=1", "phase=forward_backward", mechanisms)
    return _small_grid(setting, "long_seq", _only(*conditions), _linear)


def zoo(setting: Setting) -> Shown:
    """Every linear mechanism in its published layer, causal."""
    flags = ["--set", LINEAR, "--set", "reference=linrec", *_only("causal=true")]
    return _small_grid(setting, "zoo", flags if setting.form != "rehearsal" else flags[4:], _linear)


def decode(setting: Setting) -> Shown:
    """One more event, by every mechanism that decodes but flex-attention, which is compiled first."""
    return _small_grid(setting, "decode", _only("attention!=flex-attention", "batch_size=1"), _recurrent)


def _only(*conditions: str) -> list[str]:
    return [word for condition in conditions for word in ("--only", condition)]


def linrec(setting: Setting) -> Shown:
    """LinRec's kernels beside eager, compiled and fla's, as shares of the time that a copy would need."""
    size = {"full": (16_384, 16, 512), "small": (16_384, 2, 256), "rehearsal": (256, 1, 32)}[setting.form]
    rehearsal = setting.form == "rehearsal"
    forms = ["triton"] if rehearsal else ["triton", "compile", "fla"]
    suite = {
        "task": "core",
        "attention": ["copy", "linrec", *({"name": "linrec", "backend": form} for form in forms)],
        "measures": ["time", "flops"],
        "rounds": 1,
        "grid": {"seq_len": [size[0]], "causal": [False] if rehearsal else [False, True]},
        "fixed": {"batch_size": size[1], "hidden_size": size[2], "heads": 8, "dtype": "bfloat16"},
        "sampling": {"seconds": 0.01 if rehearsal else 0.3, "min": 5},
    }
    suite["attention"].append({"name": "linrec-column", "backend": "triton"})
    summary = setting.run(suite, name="linrec")
    summary.to_csv(setting.out / "linrec.csv", index=False)
    return judged_kernels(summary, on_cpu=setting.on_cpu)


def judged_kernels(summary: pd.DataFrame, *, on_cpu: bool) -> Shown:
    """Of a summary with `linrec` by several backends: shares of Triton's, and its speed beside the others."""
    rows = summary.assign(causal=summary["causal"].astype(str).str.lower() == "true")
    rows = rows.set_index(["attention", "phase", "causal"])

    def found(label: str, phase: str, causal: bool, column: str) -> float:
        at = (label, phase, causal)
        return float(rows.loc[at, column]) if at in rows.index else float("nan")

    triton, both = "linrec(backend=triton)", "forward_backward"
    if pd.isna(found(triton, "forward", False, "time_s")):
        reason = summary[summary["attention"] == triton]["detail"].iloc[0]
        return f"triton does not run here: {reason}", NOT_SHOWN if on_cpu else FAIL
    forward, backward = (found(triton, phase, False, "ceiling_share") for phase in ("forward", both))
    eager = found("linrec", both, False, "time_s") / found(triton, both, False, "time_s")
    fla = found("linrec(backend=fla)", both, True, "time_s") / found(triton, both, True, "time_s")
    shown = (
        f"{forward:.0%} of the copy's rate forward, {backward:.0%} with backward; {eager:.3g}x eager, causal "
    )
    shown += "fla is not installed" if pd.isna(fla) else f"{fla:.3g}x fla"
    return shown, PASS if forward >= 0.8 and backward >= 0.6 and not fla <= 1 else FAIL


def training(setting: Setting) -> Shown:
    """A training whose run is killed as soon as it has a checkpoint, and started again."""
    suite = setting.out / "training.yaml"
    suite.write_text(
        json.dumps(
            {
                "task": "recommend",
                "attention": ["linrec"],
                "model": {"name": "sasrec", "dropout": 0.2},
                "dataset": {"name": "synthetic", "users": 200, "items": 40, "length": 20, "distance": 2},
                "fixed": dict(seq_len=16, batch_size=16, hidden_size=32, heads=2, layers=2, causal=True),
                "training": {"epochs": 12, "patience": 12, "loss": "sampled_softmax", "negatives": 8},
                "measures": ["energy"],
                "rounds": 1,
                "limits": {"case_seconds": 120, "checkpoint_seconds": 0.05},
            }
        )
    )
    results = setting.out / "results-training"
    words = ("run", str(suite), "--device", setting.device, "--results", str(results))
    command = [sys.executable, "-m", "linrec_bench", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment())
    end = time.monotonic() + 30
    while (
        time.monotonic() < end
        and process.poll() is None
        and not list(results.rglob("trials/*/checkpoint.pt"))
    ):
        time.sleep(0.02)
    interrupted = process.poll() is None
    if interrupted:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    setting.verb(*words)
    samples = setting.table(results, "samples")
    ended = samples[samples["measure"] == "trial"]
    epochs = samples.query("measure == 'epochs'")["value"].tolist()
    runs = samples["run_id"].nunique()
    shown = f"killed {'with a checkpoint' if interrupted else 'too late'}, {runs} run, ended "
    shown += f"{', '.join(ended['status'].unique())} after {epochs} epochs"
    good = interrupted and runs == 1 and set(ended[ended["task"] == "recommend"]["status"]) == {"ok"}
    return shown, PASS if good and len(epochs) == 1 else FAIL


def energy(setting: Setting) -> Shown:
    """Joules of a copy that takes milliseconds, from the device's counter."""
    rehearsal = setting.form == "rehearsal"
    suite = {
        "task": "core",
        "attention": ["copy"],
        "phases": ["forward"],
        "measures": ["time", "energy"],
        "rounds": 1,
        "grid": {"seq_len": [256 if rehearsal else 65_536]},
        "fixed": {"batch_size": 1, "hidden_size": 32 if rehearsal else 512, "heads": 8},
    }
    summary = setting.run(suite, name="energy")
    joules = summary["energy_j"].dropna()
    if joules.empty:
        return "no counter of energy here", NOT_SHOWN if setting.on_cpu else FAIL
    return f"{joules.iloc[0]:.3g} J a call", PASS if joules.iloc[0] > 0 else FAIL


STEPS: dict[str, Callable[[Setting], Shown]] = {
    "environment": identity,
    **{
        step.__name__: step for step in (tests, flex, ceilings, timing, memory, long_seq, zoo, decode, linrec)
    },
    **{step.__name__: step for step in (training, energy)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--device", required=True)
    parser.add_argument("--form", choices=FORMS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if importlib.util.find_spec("linrec_bench") is None:
        sys.path.insert(0, str(ROOT))
    shown, verdict = STEPS[args.step](Setting(args.device, args.form, args.out.resolve()))
    print(json.dumps({"shown": shown, "verdict": verdict}))


if __name__ == "__main__":
    main()
