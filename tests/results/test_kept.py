"""What is kept in the cache folder, and when it is found out anew."""

import json
import os
import subprocess
import sys

from linrec_bench.results.kept import kept
from linrec_bench.results.torch_facts import circumstances, torch_facts

TOLD = """
import sys
from linrec_bench.cli import main
sys.argv = ["linrec-bench", "env"]
try: main()
finally: print("torch" in sys.modules, file=sys.stderr)
"""


def test_what_is_kept_is_made_anew_in_other_circumstances_and_where_it_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(tmp_path))
    assert kept("number", lambda: 1, under="a") == 1
    assert kept("number", lambda: 2, under="a") == 1
    assert kept("number", lambda: 3, under="b") == 3
    file = tmp_path / "number.json"
    file.write_text(file.read_text().replace("3", "4"))
    assert kept("number", lambda: 5, under="b") == 5


def test_env_says_what_torch_says_without_importing_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    kept("torch", lambda: torch_facts() | {"threads": 77}, under=circumstances())
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, env=os.environ)
    assert done.stderr == "False\n"
    found = json.loads(done.stdout)
    assert found["threads"] == 77
    assert found["torch"]["version"] == torch_facts()["version"]


def test_what_torch_reads_is_among_the_circumstances(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = circumstances()
    assert circumstances() == one
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert circumstances() != one
