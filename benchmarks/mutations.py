"""Which regressions, planted in a mechanism, does the complexity gate find, and by which line?

    python benchmarks/mutations.py [--only KIND] [--mechanism NAME]

Each row is a plugin, a small linear mechanism or a copy of one of the package, with one mutation. Its core
is checked in one direction as `linrec-bench check complexity --plugin FILE` does: without a baseline (its
SPEC declares `at_most`, as the gate suggests it before the change), and with a baseline of that mechanism.
The answer is the worst verdict, `line` the first claim that has it. Layers are checked by `linrec-bench
verify`. Rows of the kind `none` are of unchanged code, which must hold.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from linrec_bench import attention
from linrec_bench.analysis.verdict import Verdict
from linrec_bench.commands import run, verify
from linrec_bench.gate import baseline_verdicts, check, declared_bounds, real_calls
from linrec_bench.gate.baseline import Baseline
from linrec_bench.gate.exact_counts import count, counts_of, failures
from linrec_bench.presentation.verdicts import claim_text
from linrec_bench.suite.expand import Job

ROOT = Path(__file__).parents[1]
NAME = "mine"
COPIES = (
    "linear-transformer",
    "linrec",
    "linrec-column",
    "cosformer",
    "efficient-attention",
    "retnet",
    "gla",
    "deltanet",
    "aft-simple",
    "sdpa",
    "softmax",
)

PLAIN = """
def base(q, k, v, *, padding_mask=None, causal=False):
    q, k = torch.nn.functional.elu(q) + 1, torch.nn.functional.elu(k) + 1
    if padding_mask is not None:
        k = k * padding_mask[:, None, :, None]
    return q @ (k.mT @ v)


def reference(q, k, v, *, padding_mask=None, causal=False):
    return base(q, k, v, padding_mask=padding_mask, causal=causal)


SPEC = Spec(name="mine", core=functools.wraps(base)(core), reference=reference, causal=False)
"""
COPY = """
ORIGINAL = attention.registry()["{name}"]
base = ORIGINAL.core
core = functools.wraps(base)(core)
SPEC = replace(ORIGINAL, name="mine", core=core, layer=None, backends={{}}, step=None, init_state=None)
"""
PLUGIN = """
import functools, mmap
from dataclasses import replace
import numpy as np
import torch
from linrec_bench import attention
from linrec_bench.attention.spec import Spec

LEFT = []


class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad + 0 * (grad @ grad.mT)[..., :1]


@torch.library.custom_op("mutant::square", mutates_args=())
def square_op(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return (q @ k.mT)[..., :1].clone()


square_op.register_fake(lambda q, k: q.new_empty((*q.shape[:-1], 1)))


def hidden_backward(ctx, grad):
    return torch.ops.mutant.square(grad, grad).expand(ctx.shape), None


def remember(ctx, inputs, output):
    ctx.shape = inputs[0].shape


square_op.register_autograd(hidden_backward, setup_context=remember)


def in_memory_of_no_tensor(n):
    with mmap.mmap(-1, 4 * n * n) as held:
        held[:: mmap.PAGESIZE] = bytes(-(-4 * n * n // mmap.PAGESIZE))
    return 0.0


def core(q, k, v, *, padding_mask=None, causal=False, **more):
    N = q.shape[2]
    extra = {extra}
    return base(q, k, v, padding_mask=padding_mask, causal=causal, **more) + extra

"""
SQUARE = "0 * (q @ k.mT)[..., :1]"
GUARD = "0 * torch.exp(q).cumsum(2).exp().sin().sum(-1, keepdim=True)"


@dataclass(frozen=True)
class Mutation:
    """What a core adds to its output after the change, and before it."""

    kind: str
    after: str
    before: str = "0"


MUTATIONS = (
    Mutation("square, everywhere", SQUARE),
    Mutation("square, batch above 1", f"({SQUARE}) if q.shape[0] > 1 else 0"),
    Mutation("square, with a padding mask", f"({SQUARE}) if padding_mask is not None else 0"),
    Mutation("square, N no power of two", f"({SQUARE}) if N & (N - 1) else 0"),
    Mutation("square, half types", f"({SQUARE}) if q.dtype.itemsize == 2 else 0"),
    Mutation("square, backward alone", "0 * Backward.apply(q)"),
    Mutation("square, numpy", "float(np.zeros((N, N), np.float32)[0, 0])"),
    Mutation("square, Python list", "0 * len([0] * (N * N))"),
    Mutation("square, memory of no tensor", "in_memory_of_no_tensor(N)"),
    Mutation("square, Python loop without memory", "0 * sum(1 for _ in range(N * N // 16))"),
    Mutation("square, custom operation", "0 * torch.ops.mutant.square(q.detach(), k.detach())"),
    Mutation("square, custom operation, both passes", "0 * torch.ops.mutant.square(q, k)"),
    Mutation("square, real tensors alone", f"({SQUARE}) if type(q.detach()) is torch.Tensor else 0"),
    Mutation("loop over tokens", "0 * torch.stack([q[:, :, t] for t in range(0, N, 2)], 2).sum()"),
    Mutation("chunks lost", "0 * (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(2).sum(-2)[..., :1]"),
    Mutation("no_grad lost", GUARD, f"0 * torch.no_grad()(lambda: {GUARD})()"),
    Mutation("float64", "0 * q.double().sum(-1, keepdim=True).to(q.dtype)"),
    Mutation("leak", "0 if LEFT.append(q + 0) is None else 0"),
    Mutation("extra copy", "0 * v.clone()[..., :1]"),
    Mutation("3 % more operations", "0 * (q @ k[:, :, :{keys}].mT).sum(-1, keepdim=True)"),
    Mutation("numpy()", "float(q.detach().numpy()[0, 0, 0, 0]) * 0"),
    Mutation("item()", "0 * q.sum().item()"),
    Mutation("tolist()", "0 * len(q.tolist())"),
)

LAYER = """
class Layer(torch.nn.Module):
    def __init__(self, hidden_size, heads, *, causal=False):
        super().__init__()
        self.inner = torch.nn.Linear(hidden_size, hidden_size)

    def forward(self, x, padding_mask=None):
        {mask}
        y = self.inner(x)
        return y + x.sum(1, keepdim=True){mixed}


SPEC = replace(SPEC, layer=Layer)
"""
MASKED = "x = x if padding_mask is None else x * padding_mask[..., None]"
LAYERS = {
    "layer ignores its mask": {"mask": "pass", "mixed": ""},
    "layer mixes users": {"mask": MASKED, "mixed": " + x.mean(0, keepdim=True)"},
}
MISSED, UNCHANGED = "missed", "none"
WITHOUT, WITH, PROBED = "without a baseline", "with a baseline", "verify"


@dataclass(frozen=True)
class Row:
    mutation: str
    mechanism: str
    gate: str
    answer: str
    line: str


def text(mechanism: str, extra: str, at_most: dict[str, str] | None = None) -> str:
    """The plugin: its core adds `extra`."""
    definition = PLAIN if mechanism == "plugin" else COPY.format(name=mechanism)
    bounds = f"\nSPEC = replace(SPEC, at_most={at_most!r})\n" if at_most else ""
    return PLUGIN.format(extra=extra) + definition + bounds


@contextlib.contextmanager
def loaded(folder: Path, source: str):  # type: ignore[no-untyped-def]
    """The jobs of the shipped suite that use the plugin of this text."""
    path = folder / f"{NAME}.py"
    path.write_text(source, encoding="utf-8")
    try:
        # The causal direction of those that have no other.
        causal = "false" if attention.load_plugin(path).bidirectional else "true"
        attention.unload_plugins()
        only = [f"attention={NAME}", "task=core", f"causal={causal}"]
        yield run.prepare("complexity", device="cpu", only=only, settings=[], plugins=[path])
    finally:
        attention.unload_plugins()


def judged(planned: run.Plan, counted: pd.DataFrame) -> list[Verdict]:
    """As `check` does, without a baseline; nothing in these suites is timed."""
    exact = [line for line in planned.suite.expect if line.attention == NAME]
    suite = planned.suite.model_copy(update={"expect": exact})
    found = check.of_suite(suite, planned.jobs, counted, measure=_never, budget_s=0)
    found += declared_bounds.verdicts(planned.jobs, counted)
    if check.exit_code(found) == check.BROKEN:
        # Real calls would add to what is found, and take longer than all else.
        return found
    return found + real_calls.verdicts(planned.jobs, attention.plugins())


def against(accepted: Baseline, jobs: Sequence[Job], counted: pd.DataFrame) -> list[Verdict]:
    failed = failures(jobs, counted)
    return baseline_verdicts.compare(counts_of(jobs, counted), accepted, whole=True, failed=failed)


def row(kind: str, mechanism: str, gate: str, verdicts: Sequence[Verdict]) -> Row:
    for answer, name in (("broken", "caught"), ("undecided", "undecided")):
        for verdict in verdicts:
            if verdict.answer == answer:
                said = claim_text(verdict.claim)
                reason = str(verdict.basis.facts.get("detail") or verdict.basis.facts.get("reason") or "")
                return Row(kind, mechanism, gate, name, f"{said}: {reason}" if reason else said)
    return Row(kind, mechanism, gate, MISSED if kind != UNCHANGED else "holds", "")


def suggested(planned: run.Plan, counted: pd.DataFrame) -> dict[str, str]:
    """`at_most` as the gate suggests it."""
    (line,) = declared_bounds.undeclared(planned.jobs, counted, [NAME])
    bounds: dict[str, str] = ast.literal_eval(line.partition("at_most=")[2])
    return bounds


def more_keys(counted: pd.DataFrame) -> str:
    """How many keys each query must meet besides, for 3 % more operations at the shapes of the suite."""
    operations = counted[(counted["measure"] == "operations") & (counted["phase"] == "forward_backward")]
    elements = operations["seq_len"] * operations["batch_size"] * operations["hidden_size"]
    # Forward and backward of a product are six operations for each number and key.
    share = (operations["value"] * 0.03 / (6 * elements)).max()
    exponent = attention.registry()[NAME].time_exponent
    if exponent > 1:
        return f"max(1, -(-N * {share / operations['seq_len'].max():.6g} // 1).__int__())"
    return f"{max(1, -(-share // 1)):.0f}"


def rows_of(mechanism: str, chosen: Sequence[Mutation], folder: Path) -> Iterable[Row]:
    """Both gates on every mutation of one mechanism; the unchanged ones must pass both."""
    before: dict[str, tuple[Baseline, dict[str, str], str]] = {}
    for mutation in chosen:
        if mutation.before not in before:
            with loaded(folder, text(mechanism, mutation.before)) as planned:
                counted = count(planned.jobs)
                accepted = Baseline("", counts_of(planned.jobs, counted))
                bounds, keys = suggested(planned, counted), more_keys(counted)
            with loaded(folder, text(mechanism, mutation.before, bounds)) as planned:
                assert counts_of(planned.jobs, count(planned.jobs)) == accepted.counts
                unchanged = judged(planned, counted) + against(accepted, planned.jobs, counted)
            yield row(UNCHANGED, mechanism, "both", unchanged)
            before[mutation.before] = accepted, bounds, keys
        accepted, bounds, keys = before[mutation.before]
        with loaded(folder, text(mechanism, mutation.after.replace("{keys}", keys), bounds)) as planned:
            counted = count(planned.jobs)
            alone = judged(planned, counted)
            yield row(mutation.kind, mechanism, WITHOUT, alone)
            both = against(accepted, planned.jobs, counted) + alone
            yield row(mutation.kind, mechanism, WITH, both)


def rows_of_layers(folder: Path) -> Iterable[Row]:
    good = {"mask": MASKED, "mixed": ""}
    for kind, filled in {UNCHANGED: good, **LAYERS}.items():
        with loaded(folder, text("plugin", "0") + LAYER.format(**filled)):
            cards = verify.cards([NAME])
        wrong = [line for card in cards for line in card.contradictions if line.startswith("layer")]
        answer = "caught" if wrong else "holds" if kind == UNCHANGED else MISSED
        yield Row(kind, "plugin", PROBED, answer, wrong[0] if wrong else "")


def _never(_: Sequence[Job]) -> pd.DataFrame:
    raise AssertionError("nothing here is timed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reference" / "gate" / "mutations.csv")
    parser.add_argument("--only", default="", help="mutations whose name has this text")
    parser.add_argument(
        "--mechanism", action="append", help="plugin, layer or one to copy; all of them by default"
    )
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    chosen = [mutation for mutation in MUTATIONS if given.only in mutation.kind]
    answers: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as parent, given.out.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Row.__dataclass_fields__)
        for name in given.mechanism or ("plugin", *COPIES, "layer"):
            folder = Path(parent)
            for found in rows_of_layers(folder) if name == "layer" else rows_of(name, chosen, folder):
                table.writerow((found.mutation, found.mechanism, found.gate, found.answer, found.line))
                file.flush()
                unchanged = found.mutation == UNCHANGED
                answers["unchanged" if unchanged else "mutated", found.answer] += 1
                if found.answer == MISSED or (unchanged and found.answer != "holds"):
                    print(f"{found.answer}: {found.mutation}, {found.mechanism}, {found.gate}: {found.line}")
                    sys.stdout.flush()
    for (code, answer), number in sorted(answers.items()):
        print(f"{code}: {number} {answer}")


if __name__ == "__main__":
    main()
