"""Instructions of the processor in one call of each core, now and at another commit, by valgrind's callgrind.

They are the work of Python and of torch's dispatcher, which operations and bytes do not show.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from linrec_bench.analysis.verdict import Basis, Bound, Claim, Verdict, answer
from linrec_bench.case import Case
from linrec_bench.gate import call_each_core
from linrec_bench.gate.baseline import name_of
from linrec_bench.gate.other_commit import Tree
from linrec_bench.suite.expand import Job

LENGTH = 257
"""Short, so that most of a call is the work of Python and of torch's dispatcher."""

TOLERANCE = 0.01
"""Share by which the instructions of unchanged code may differ."""

Count = int | str
"""The instructions of a case, or why there are none."""


def refuse_without_valgrind() -> None:
    """Raises `ValueError`, one line, where valgrind is not installed."""
    if shutil.which("valgrind") is None or shutil.which("vgdb") is None:
        raise ValueError("--instructions: valgrind is not installed; install it, or leave the option out")


def verdicts(
    jobs: Sequence[Job], mechanisms: Collection[str], plugins: Sequence[Path], tree: Tree
) -> list[Verdict]:
    """For each way in which the jobs call a core of these mechanisms: no more instructions than at the commit
    of `tree`, but for `TOLERANCE`. Calls are made here, on the CPU, at `LENGTH`.

    Raises `ValueError`, one line, where a process fails or the jobs call no core.
    """
    cases = dict.fromkeys(replace(job.case, seq_len=LENGTH, device="cpu") for job in jobs)
    chosen = [case for case in cases if case.task == "core" and case.attention in mechanisms]
    if not chosen:
        raise ValueError("--instructions: no core is called; expected a suite with task core")
    with ThreadPoolExecutor(2) as both:
        at_commit = both.submit(counted, chosen, tree.plugins, tree.folder, tree.environment)
        now = both.submit(counted, chosen, plugins, Path(), os.environ)
        pairs = zip(now.result(), at_commit.result(), strict=True)
    return [verdict(name_of(case), *pair) for case, pair in zip(chosen, pairs, strict=True)]


def counted(
    cases: Sequence[Case], plugins: Sequence[Path], folder: Path, environment: Mapping[str, str]
) -> list[Count]:
    """The instructions of a warm call of each case, in a process of their own in `folder`."""
    with tempfile.TemporaryDirectory(prefix="linrec-bench-") as written:
        files, begin, asked = (Path(written) / name for name in ("counts", "begin", "cases"))
        asked.write_text("".join(f"{case.to_json()}\n" for case in cases), encoding="utf-8")
        # Imports are not counted: they run several times as fast then.
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no"]
        command += [f"--callgrind-out-file={files}", f"--vgdb-prefix={written}/vgdb"]
        # -P: the folder of a script is no place to import from.
        command += [
            sys.executable,
            "-P",
            call_each_core.__file__,
            "--cases",
            str(asked),
            "--begin",
            str(begin),
        ]
        command += [part for plugin in plugins for part in ("--plugin", str(plugin.resolve()))]
        fixed = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as log,
            subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, **fixed},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None, "it is a pipe"
            try:
                if process.stdout.readline() == "ready\n":
                    _instrument(process.pid, written)
                    begin.touch()
                answers = [json.loads(line) for line in process.stdout]
            except BaseException:
                process.kill()
                raise
            if process.wait() or len(answers) != len(cases):
                log.seek(0)
                reason = (log.read().strip() or f"exit {process.returncode}").splitlines()[-1]
                raise ValueError(f"--instructions: calls under valgrind failed: {reason}")
        return [each.get("error") or _total(Path(f"{files}.{each['part']}")) for each in answers]


def _instrument(process: int, folder: str) -> None:
    """Have valgrind begin to count."""
    command = ["vgdb", f"--pid={process}", f"--vgdb-prefix={folder}/vgdb", "instrumentation", "on"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or f"exit {done.returncode}").splitlines()[-1]
        raise ValueError(f"--instructions: valgrind takes no command: {reason}")


def _total(file: Path) -> int:
    """The instructions in one part of what callgrind wrote."""
    lines = file.read_text(encoding="utf-8").splitlines()
    (total,) = [line for line in lines if line.startswith("totals: ")]
    return int(total.split()[1])


def verdict(case: str, now: Count, before: Count) -> Verdict:
    """At most `TOLERANCE` more instructions than before; undecided, with the reason, without both."""
    nan = float("nan")
    if isinstance(now, str) or isinstance(before, str):
        reason = f"now: {now}" if isinstance(now, str) else f"before: {before}"
        most, found, basis = nan, nan, Basis("not_counted", {"reason": reason})
    else:
        most, found = before * (1 + TOLERANCE), float(now)
        basis = Basis("changed", {"accepted": before, "count": now}) if found > most else Basis()
    bound = Bound(-float("inf"), most, f"at most {TOLERANCE:.0%} more")
    return Verdict(
        claim=Claim(measure="instructions", quantity="baseline", bound=bound, source="baseline"),
        where={"case": case},
        answer=answer(bound, found, found),
        found=found,
        low=found,
        high=found,
        basis=basis,
    )
