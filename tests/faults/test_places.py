"""Places where people work: clusters, containers, limits, other users, a user's own settings."""

import ctypes
import locale
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import pandas as pd
import pytest

from linrec_bench import allotment, data, load_results
from linrec_bench.data.events import identity_of
from linrec_bench.execution.process_bounds import limit_memory
from linrec_bench.figures.style import PAPER
from linrec_bench.results import export, store, stored_runs
from linrec_bench.results.kept import kept
from linrec_bench.results.store import Run

GIB = 2**30
# The form of a host without limits, of version 1; 2**63 - 4096 is no limit.
ENDLESS = str(2**63 - 4096)


def machine(root, cgroup, files):
    """A root with the control groups of a process."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_limits_of_a_container_of_version_2(tmp_path):
    files = {
        "memory.max": str(8 * GIB),
        "memory.current": str(6 * GIB),
        "memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
        "cpu.max": "max 100000",
        "job/memory.max": str(4 * GIB),
        "job/memory.current": str(1 * GIB),
        "job/cpu.max": "250000 100000",
        "job/step/memory.max": "max",
        "job/step/cpu.max": "max 100000",
    }
    root = machine(tmp_path, "0::/job/step\n", files)
    assert allotment.memory_limits(root) == [(4 * GIB, 1 * GIB), (8 * GIB, 4 * GIB)]
    assert allotment.cpu_quota(root) == 2.5


def test_limits_of_a_container_of_version_1(tmp_path):
    # A container sees its own groups at the root of the mount, under the names of the host.
    files = {
        "memory/memory.limit_in_bytes": str(2 * GIB),
        "memory/memory.usage_in_bytes": str(GIB),
        "memory/memory.stat": "total_inactive_file 4096\n",
        "cpu/cpu.cfs_quota_us": "50000",
        "cpu/cpu.cfs_period_us": "100000",
    }
    root = machine(tmp_path, "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n", files)
    assert allotment.memory_limits(root) == [(2 * GIB, GIB - 4096)]
    assert allotment.cpu_quota(root) == 0.5


def test_without_limits_the_host_is_all_there_is(tmp_path):
    assert allotment.memory_limits(tmp_path) == []
    assert allotment.cpu_quota(tmp_path) is None
    files = {"memory.max": "max", "cpu.max": "max 100000", "memory.current": "5"}
    root = machine(tmp_path, "0::/\n", files)
    assert allotment.memory_limits(root) == []
    assert allotment.cpu_quota(root) is None
    assert 1 <= allotment.cpus() <= len(os.sched_getaffinity(0))
    assert 0 < allotment.free_bytes() <= allotment.total_bytes()


def test_a_hard_limit_of_the_user_below_ours_holds():
    pid = os.fork()
    if pid == 0:
        own = 16 * GIB
        resource.setrlimit(resource.RLIMIT_DATA, (own, own))
        limit_memory(64 * GIB, device="cpu")
        os._exit(0 if resource.getrlimit(resource.RLIMIT_DATA) == (own, own) else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_copy_of_equal_size_and_time_is_another_file(tmp_path):
    path, copy = tmp_path / "log.csv", tmp_path / "copy"
    path.write_text("a,b,1\n")
    before = identity_of(path)
    assert identity_of(path) == before
    copy.write_text("a,c,1\n")
    kept = path.stat()
    os.utime(copy, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    copy.replace(path)
    assert path.stat().st_mtime_ns == kept.st_mtime_ns
    assert identity_of(path) != before


def test_no_setting_of_the_user_reaches_a_figure():
    plain = dict(PAPER.rc)
    with matplotlib.rc_context(
        {"text.usetex": True, "lines.linestyle": "--", "axes.formatter.use_locale": True}
    ):
        assert dict(PAPER.rc) == plain
        with matplotlib.rc_context(PAPER.rc):
            kept = {name: matplotlib.rcParams[name] for name in plain}
            assert (kept["text.usetex"], kept["lines.linestyle"]) == (False, "-")
            assert kept["axes.formatter.use_locale"] is False
    asked = [name for name in matplotlib.rcParamsDefault if "backend" not in name]
    assert set(asked) <= set(plain)


def said_without_root(act: Callable[[], object]) -> str:
    """The `ValueError` that `act` raises where modes of files hold, as they do not for root; else nothing."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "another exception"
        try:
            if os.geteuid() == 0:
                # No capabilities are left: version 3 of the header, this process, three empty sets.
                header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
                assert ctypes.CDLL(None).capset(header, sets) == 0
            act()
            said = ""
        except ValueError as error:
            said = str(error)
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with open(reader) as pipe:
        return pipe.read()


REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "cpu" / "ml1m"


def test_a_run_that_another_user_closed_is_left_out_by_name(tmp_path):
    suite = tmp_path / "results" / "ml1m"
    for name in ("closed", "open"):
        shutil.copytree(REFERENCE, suite / name)
    (suite / "closed").chmod(0o000)

    def read() -> None:
        runs, notes = stored_runs.at(tmp_path / "results")
        assert [run.id for run in runs] == ["open"]
        raise ValueError(" ".join(notes))

    said = said_without_root(read)
    (suite / "closed").chmod(0o755)
    assert said == f"{suite / 'closed'}: left out: cannot be read (Permission denied)"


def test_what_belongs_to_another_user_is_named_with_what_to_do(tmp_path, monkeypatch):
    shutil.copytree(REFERENCE, tmp_path / "run")
    cache = tmp_path / "cache"
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id,timestamp\n" + "".join(f"{at % 2},{at % 3},{at}\n" for at in range(9)))
    source = data.sniff(str(log), {})

    def describe() -> None:
        data.load(source.source, min_interactions=1, **source.params)

    monkeypatch.setenv("LINREC_BENCH_CACHE", str(cache))
    cache.mkdir(mode=0o555)
    said = said_without_root(describe)
    assert said.startswith(f"data {source.source}: cannot use the cache {cache}")
    assert said.endswith("Set LINREC_BENCH_CACHE to another folder")
    cache.chmod(0o755)
    # Two users of one cache: what the first prepared serves the second, unless it is closed to others.
    describe()
    assert said_without_root(describe) == ""
    (made,) = (cache / "prepared").iterdir()
    made.chmod(0o000)
    assert "Set LINREC_BENCH_CACHE to another folder" in said_without_root(describe)
    made.chmod(0o755)
    # A list of mechanisms that cannot be kept is made each time.
    cache.chmod(0o000)
    assert said_without_root(lambda: kept("attention", list)) == ""
    cache.chmod(0o755)
    run = Run(tmp_path / "run")
    run.folder.chmod(0o555)
    closed = "(Permission denied); expected a folder"
    assert f"{run.folder / 'cards.json'}: cannot be written {closed}" in said_without_root(
        lambda: run.write_cards([])
    )
    given = {"suite": "s", "suite_text": "", "cases": [], "environment": {}, "now": datetime.now(UTC)}
    for root in (run.folder, run.folder / "results"):
        said = said_without_root(lambda root=root: store.create(root, **given))
        assert f"{root / 's'}: cannot hold results {closed}" in said
    run.folder.chmod(0o755)


@pytest.fixture
def decimal_comma(tmp_path, monkeypatch):
    made = tmp_path / "de_DE.UTF-8"
    if shutil.which("localedef") is None:
        pytest.skip("no localedef to make a locale with")
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(made)], check=False)
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, made.name)
    except locale.Error:
        pytest.skip("localedef made no locale")
    yield
    locale.setlocale(locale.LC_ALL, before)


def test_numbers_are_read_and_written_with_a_point_in_a_decimal_comma_locale(tmp_path, decimal_comma):
    del decimal_comma
    assert locale.str(0.5) == "0,5"
    shutil.copytree(REFERENCE, tmp_path / "run")
    run = Run(tmp_path / "run")
    summary, quality = run.summary(), run.quality()
    run.write_summary(summary)
    run.write_quality(quality)
    pd.testing.assert_frame_equal(run.summary(), summary)
    pd.testing.assert_frame_equal(run.quality(), quality)
    assert summary["time_s"].dtype == float
    export.export([load_results(run.folder, table="summary")], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[1].count(",") >= len(summary.columns) - 1


def test_a_reader_that_ends_early_is_no_fault():
    """`linrec-bench list measures | head -1`, with the exit code that a shell shows for SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "linrec_bench", "list", "measures", "--json"]
    with os.fdopen(writer, "w") as pipe:
        ended = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (141, "")


SUITE = """\
task: core
attention: [no-op, softmax]
grid: {seq_len: [64, 128]}
fixed: {hidden_size: 16}
phases: [forward]
rounds: 1
sampling: {seconds: 0.001, min: 2, max: 3}
"""


@pytest.mark.slow
def test_a_run_and_its_figures_in_an_inhospitable_place(tmp_path):
    """A long TMPDIR, no HOME, a list of threads, 40 columns, LaTeX in a matplotlibrc, a peak of 0 bytes."""
    long = tmp_path / ("x" * 100) / ("y" * 100)
    long.mkdir(parents=True)
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    (tmp_path / "suite.yaml").write_text(SUITE)
    kept = {
        name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ
    }
    place = {"TMPDIR": str(long), "OMP_NUM_THREADS": "1,3,2", "COLUMNS": "40", "LC_ALL": "C", **kept}

    def call(*arguments):
        command = [sys.executable, "-m", "linrec_bench", *arguments]
        ended = subprocess.run(command, cwd=tmp_path, env=place, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended

    ended = call("run", "suite.yaml", "--device", "cpu")
    assert max(map(len, ended.stdout.splitlines())) <= 40
    ended = call("plot")
    assert "math domain error" not in ended.stderr
    (folder,) = (tmp_path / "results/suite").glob("*/figures")
    assert {path.stem for path in folder.iterdir()} >= {"time_core", "memory_core"}
    assert not (Path(tmp_path) / "~").exists()
