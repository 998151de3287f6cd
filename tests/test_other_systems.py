"""Verbs that measure nothing work where there is no /proc, nothing of Unix alone, and no fork server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = Path(__file__).parents[1] / "results/reference/cpu/quick"

LIGHT = (
    "list suites",
    f"compare {QUICK} --attention linrec --against softmax",
    f"export {QUICK} --out rows.csv",
    f"report {QUICK} --json",
)
"""They read what is stored, and import no torch."""

VERBS = (*LIGHT, "env", "check quick --only task=core --only attention=linrec", "run quick")

TAKEN_AWAY = """
import multiprocessing, os, sys

def refuse(event, arguments):
    # psutil asks each system in its own way.
    if event == "open" and str(arguments[0]).startswith("/proc"):
        if "psutil" not in sys._getframe(1).f_code.co_filename:
            raise FileNotFoundError(2, "No such file or directory", arguments[0])

# They use what is taken away, and have a form of their own elsewhere.
import psutil, multiprocessing.util, subprocess
for module in ("fcntl", "resource", "pwd", "grp"):
    sys.modules[module] = None
for name in ("sched_getaffinity", "getloadavg", "waitid", "geteuid"):
    delattr(os, name)
multiprocessing.get_all_start_methods = lambda: ["spawn"]
sys.addaudithook(refuse)

from linrec_bench.cli import main
for words in sys.argv[1:]:
    sys.argv = ["linrec-bench", *words.split()]
    print(f"== {words}", flush=True)
    print(f"== {words}", file=sys.stderr, flush=True)
    try: main()
    except SystemExit as end: print(f"exit {end.code or 0} {'torch' in sys.modules}", flush=True)
"""


@pytest.mark.slow
def test_verbs_that_measure_nothing_work_and_what_is_not_told_has_a_reason(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_AWAY, *VERBS],
        cwd=tmp_path,
        env={**os.environ, "LINREC_BENCH_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    said = dict(part.split("\n", 1) for part in done.stdout.split("== ")[1:])
    ends = {words: text.rsplit("exit ", 1)[-1].split() for words, text in said.items()}
    codes = {words: code for words, (code, _) in ends.items()}
    assert codes.pop(LIGHT[1]) in ("0", "1", "3"), done.stderr
    assert codes == {words: "2" if words == "run quick" else "0" for words in VERBS if words != LIGHT[1]}, (
        done.stderr
    )
    assert {ends[words][1] for words in LIGHT} == {"False"}
    found = json.loads(said["env"].rpartition("exit")[0])
    assert found["affinity"] is None
    assert found["machine"]["cores"] == os.cpu_count()
    assert set(found["untold"]) == {"affinity", "machine.vector_extensions"}
    assert done.stderr.splitlines()[-1].startswith(f"error: {sys.platform}: processes cannot be forked here")
    assert not (tmp_path / "results").exists()
