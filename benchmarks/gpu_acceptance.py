"""Whether everything that needs a GPU works on this one: one command, eight minutes at most.

    python benchmarks/gpu_acceptance.py [--device cuda] [--form full|small|rehearsal] [--out FOLDER]
                                        [--steps NAME ...] [--dry-run]

Steps run one after another, each in a process of its own with a time limit of its own; one that fails or is
stopped does not stop the others. The form `full` is for cards with 80 GB or more, `small` for 8 GB;
`rehearsal` is the whole machinery in small, the default with `--device cpu`, with four times as long limits.
What each step wrote is in FOLDER/STEP; the table of step, shown, expected and verdict is printed and written
to FOLDER/acceptance.md and acceptance.json.

Exit code: 0 when nothing failed, 1 when a step failed or was stopped, 2 for wrong arguments. `not shown` is
what this device or installation cannot show, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

TOTAL_SECONDS = 480
PATIENCE = {"full": 1, "small": 1, "rehearsal": 4}
"""What limits are multiplied with."""
SCRIPT = Path(__file__).with_name("gpu_acceptance_steps.py")


@dataclass(frozen=True)
class Step:
    """A step of `gpu_acceptance_steps`: what it is expected to show, within how many seconds."""

    name: str
    expected: str
    seconds: int


@dataclass(frozen=True)
class Outcome:
    """What a step has shown. verdict: `pass`, `fail` or `not shown`."""

    step: str
    shown: str
    expected: str
    verdict: str
    seconds: float = 0.0


STEPS = (
    Step("environment", "the device has a name, memory and the facts that a fingerprint needs", 25),
    Step("tests", "all tests marked gpu pass", 70),
    Step("flex", "o and gradients of softmax attention at N = 127, 128, 300 and 4,096", 60),
    Step("ceilings", "copy bandwidth and matrix products have rates, in bfloat16 and float32", 25),
    Step(
        "timing", "drift of at most 3 % within a trial; warm no slower than cold; CUDA graphs no slower", 40
    ),
    Step("memory", "allocated is within 10 % of predicted; out of memory in two ways ends as oom", 60),
    Step("long_seq", "no error; every linear mechanism runs at the longest N", 45),
    Step("zoo", "no error; every linear mechanism runs at the longest N", 60),
    Step("decode", "no error; every recurrent mechanism runs at the longest N", 60),
    Step("linrec", "Triton: 80 % of copy bandwidth forward, 60 % forward and backward; ahead of fla", 75),
    Step("training", "a training killed with its run is resumed and ends ok", 45),
    Step("energy", "joules of a call are above zero", 20),
)
# Limits add up to more than all steps together may take: who is early leaves time to the others.


def run_step(step: Step, arguments: Sequence[str], out: Path, *, seconds: float) -> Outcome:
    """Run a step in a process group of its own, which is killed after `seconds`.

    The last line that the step prints is the JSON of what it shows: `shown` and `verdict`.
    """
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (out / "stdout.txt").open("wb") as stdout, (out / "stderr.txt").open("wb") as stderr:
        command = [sys.executable, str(SCRIPT), step.name, "--out", str(out), *arguments]
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, start_new_session=True)
        try:
            code: int | None = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Also when this process is told to end: whatever a step started goes with it.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    took = time.monotonic() - began
    if code is None:
        return Outcome(step.name, f"stopped after {seconds:.0f} s", step.expected, "fail", took)
    lines = (out / "stdout.txt").read_text(errors="replace").strip().splitlines()
    if code != 0 or not lines:
        last = (out / "stderr.txt").read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
        return Outcome(step.name, f"exit code {code}: {last[0][:200]}", step.expected, "fail", took)
    found = json.loads(lines[-1])
    return Outcome(step.name, found["shown"], step.expected, found["verdict"], took)


def run_all(
    steps: Sequence[Step],
    arguments: Sequence[str],
    out: Path,
    *,
    patience: float = 1,
    total_seconds: float = TOTAL_SECONDS,
) -> list[Outcome]:
    """All steps in order; those for which no time is left are not run, and fail.

    `patience` stretches all limits.
    """
    end = time.monotonic() + patience * total_seconds
    outcomes = []
    for number, step in enumerate(steps, 1):
        left = end - time.monotonic()
        if left < 5:
            outcome = Outcome(step.name, f"not run: {total_seconds:.0f} s were over", step.expected, "fail")
        else:
            outcome = run_step(step, arguments, out / step.name, seconds=min(patience * step.seconds, left))
        print(
            f"[{number}/{len(steps)}] {step.name}: {outcome.verdict}, {outcome.shown}",
            file=sys.stderr,
            flush=True,
        )
        outcomes.append(outcome)
        write(outcomes, out)
    return outcomes


def write(outcomes: Sequence[Outcome], out: Path) -> None:
    """acceptance.json and acceptance.md of what there is so far."""
    (out / "acceptance.json").write_text(json.dumps([asdict(each) for each in outcomes], indent=2) + "\n")
    rows = ["| step | shown | expected | verdict | s |", "|---|---|---|---|---|"]
    for each in outcomes:
        cells = [each.step, each.shown, each.expected, each.verdict, f"{each.seconds:.0f}"]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    (out / "acceptance.md").write_text("\n".join(rows) + "\n")


def show(rows: Sequence[Mapping[str, str]], title: str) -> None:
    """A table in the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_lines=True)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="Device, such as cuda, cuda:1 or cpu.")
    parser.add_argument("--form", choices=("full", "small", "rehearsal"), help="Sizes; see above.")
    parser.add_argument("--out", type=Path, help="Folder of all results.")
    parser.add_argument("--steps", nargs="+", choices=[step.name for step in STEPS], help="These steps only.")
    parser.add_argument("--dry-run", action="store_true", help="Print the steps; run nothing.")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    args = parsed(words)
    form = args.form or ("rehearsal" if args.device == "cpu" else "full")
    steps = [step for step in STEPS if args.steps is None or step.name in args.steps]
    if args.dry_run:
        factor = PATIENCE[form]
        rows = [{"step": s.name, "expected": s.expected, "limit": f"{factor * s.seconds} s"} for s in steps]
        most = factor * min(TOTAL_SECONDS, sum(step.seconds for step in steps))
        show(rows, f"{form} on {args.device}: {len(steps)} steps, at most {most} s; nothing was run")
        return 0
    out = args.out or Path("results") / f"gpu_acceptance-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if out.exists() and any(out.iterdir()):
        print(f"--out {out} is not empty; expected a new folder", file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    outcomes = run_all(steps, ["--device", args.device, "--form", form], out, patience=PATIENCE[form])
    rows = [
        {"step": o.step, "shown": o.shown, "expected": o.expected, "verdict": o.verdict} for o in outcomes
    ]
    show(rows, f"Acceptance, {form}, on {args.device}")
    print(f"Written: {out}")
    return 1 if any(each.verdict == "fail" for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
