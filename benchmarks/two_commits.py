"""Does `check --against COMMIT` tell a changed core from an unchanged one, by instructions and by times?

    python -m benchmarks.two_commits [--repeats 5] [--only instructions]

In a repository that `linrec-bench init` begins in a temporary folder, the working tree is compared with its
only commit: unchanged, and with changes planted in the core. A line of the table is one check: `answers` are
those of its cases, `least` and `most` the ratios found, now over before. The line `spread` has how far the
instructions of one case lie apart over all processes with unchanged code.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PLUGIN = "my_attention.py"
SUITE = """\
task: core
attention: [my-attention]
grid: {seq_len: [512, 1024]}
fixed: {hidden_size: 64, heads: 2}
phases: [forward]
measures: [time]
rounds: 5
"""
WRAPPED = """
original = core


def core(q, k, v, *, padding_mask=None, causal=False):
    import time

    started = time.perf_counter()
    {first}
    out = original(q, k, v, padding_mask=padding_mask, causal=causal)
    until = time.perf_counter() + {share} * (time.perf_counter() - started)
    while time.perf_counter() < until:
        pass
    return out

"""
NONE = "none"
CHANGES: Mapping[str, Mapping[str, str]] = {
    "instructions": {
        NONE: "",
        "a loop of 1,000 turns": WRAPPED.format(first="any(False for _ in range(1000))", share=0),
        "an operation more": WRAPPED.format(first="q = q + 0", share=0),
    },
    "times": {NONE: "", "1.3 times slower": WRAPPED.format(first="", share=0.3)},
}
TOLERANCE = 0.01
"""What bounds of instructions allow above the count of the commit."""


def linrec_bench(folder: Path, *words: str) -> str:
    """What a verb prints."""
    command = [sys.executable, "-m", "linrec_bench", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr)
    return done.stdout


def checked(folder: Path, kind: str, margin: str) -> list[dict[str, Any]]:
    """The verdicts of one kind of a check of the working tree against its commit."""
    option = ["--instructions"] if kind == "instructions" else ["--timed", "--margin", margin]
    words = ["check", "suite.yaml", "--plugin", PLUGIN, "--device", "cpu", "--json", "--against", "HEAD"]
    measure = "instructions" if kind == "instructions" else "time"
    found = json.loads(linrec_bench(folder, *words, *option))
    return [each for each in found if each["asked"]["measure"] == measure]


def repository(folder: Path) -> str:
    """A repository whose only commit has a mechanism and a suite; the text of the mechanism."""
    linrec_bench(folder, "init", "--plugin", PLUGIN)
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", PLUGIN, "suite.yaml"], ["commit", "-qm", "begin"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return (folder / PLUGIN).read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=list(CHANGES))
    parser.add_argument("--margin", default="0.1", help="of times")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "results" / "reference" / "gate" / "two_commits.csv"
    )
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    counts: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, given.out.open("w", encoding="utf-8", newline="") as file:
        folder, table = Path(name), csv.writer(file, lineterminator="\n")
        original = repository(folder)
        table.writerow(("kind", "change", "repeat", "answers", "least", "most"))
        for kind in [given.only] if given.only else CHANGES:
            for change, text in CHANGES[kind].items():
                changed = original.replace("\nSPEC = ", f"{text}\nSPEC = ")
                (folder / PLUGIN).write_text(changed, encoding="utf-8")
                for repeat in range(given.repeats):
                    found = checked(folder, kind, given.margin)
                    ratios = _ratios(kind, found)
                    if (kind, change) == ("instructions", NONE):
                        for each in found:
                            most = each["asked"]["bound"]["high"]
                            counts.setdefault(each["place"], []).extend(
                                (each["found"], most / (1 + TOLERANCE))
                            )
                    answers = ", ".join(
                        f"{number} {answer}"
                        for answer, number in Counter(each["answer"] for each in found).items()
                    )
                    line = (kind, change, repeat, answers, f"{min(ratios):.4f}", f"{max(ratios):.4f}")
                    table.writerow(line)
                    file.flush()
                    print(*line, sep=", ", flush=True)
        if counts:
            spread = max(max(of_case) / min(of_case) - 1 for of_case in counts.values())
            processes = 2 * given.repeats
            line = ("instructions", "spread", processes, f"{len(counts)} cases", "", f"{1 + spread:.6f}")
            table.writerow(line)
            print(*line, sep=", ")


def _ratios(kind: str, found: Sequence[Mapping[str, Any]]) -> list[float]:
    """Now over before, of each case."""
    if kind == "times":
        return [each["found"] for each in found]
    return [each["found"] / each["asked"]["bound"]["high"] * (1 + TOLERANCE) for each in found]


if __name__ == "__main__":
    main()
