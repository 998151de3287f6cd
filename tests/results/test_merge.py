"""Runs of parts of a suite become one run: nothing lost, nothing twice, and as if one run had measured it."""

from datetime import datetime
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from linrec_bench.cli import app
from linrec_bench.commands.merge import merge
from linrec_bench.execution import schedule
from linrec_bench.results import scratch, store
from linrec_bench.results.environment import MATTERS
from linrec_bench.results.rows import ROW_KEY, TRIAL, Row, row_of
from linrec_bench.results.store import StoreError, Writer
from linrec_bench.suite import load, select
from linrec_bench.suite.expand import expand

NOW = datetime(2026, 1, 2, 3, 4, 5)
SUITE = """\
title: parts
task: core
attention: [softmax, linrec]
grid: {seq_len: [64, 128, 256, 512, 1024]}
fixed: {hidden_size: 16, heads: 2}
phases: [forward]
measures: [time]
rounds: 2
"""
LOADED = load.parse(SUITE, name="parts.yaml", stem="parts", device="cpu")
JOBS = expand(LOADED, device="cpu")
DEVICE = dict.fromkeys(("attention", "model", "dataset"), "") | dict.fromkeys(
    ("seq_len", "batch_size", "hidden_size", "heads", "layers", "seed", "round"), 0
)


def ceilings(run_id, host):
    row = SimpleNamespace(**DEVICE, run_id=run_id, suite="parts", case_id="", task="device", phase="device")
    for measure, unit in (("copy_bandwidth", "B/s"), ("matmul_rate", "FLOP/s"), (TRIAL, "s")):
        yield Row(
            **vars(row), host=host, dtype="float32", device="cpu", causal=False, measure=measure, unit=unit,
            group_by="" if measure == TRIAL else "dtype", group="" if measure == TRIAL else "float32",
            repeat=0, value=1e9, status="ok", detail="",
        )  # fmt: skip


def stored(root, jobs, *, host="h", **more):
    """A run of these jobs, whose numbers depend on their cases alone."""
    environment = {name: {"cores": 2} for name in MATTERS} | {"device": {"kind": "cpu"}, "fingerprint": "f"}
    run = store.create(
        root, suite="parts", suite_text=load.resolved_text(LOADED), cases=[job.case for job in JOBS],
        environment=environment | more, now=NOW,
    )  # fmt: skip
    with Writer(run) as writer:
        writer.append(ceilings(run.id, host))
        for trial in schedule.order(jobs):
            case = trial.job.case
            common = {"run_id": run.id, "suite": "parts", "host": host, "round": trial.round}
            times = [
                row_of(
                    case,
                    measure="time",
                    unit="s",
                    value=1e-6 * case.seq_len + repeat / 7,
                    repeat=repeat,
                    **common,
                )
                for repeat in range(3)
            ]
            closing = row_of(
                case, measure=TRIAL, unit="s", value=1.0, status="ok", detail='said, "so"', **common
            )
            writer.append([*times, closing], {"arrays": case.id.encode()} if trial.round == 0 else {})
    run.write_cards([{"attention": "softmax"}, {"attention": jobs[0].case.attention}])
    return run


def parts(root, count=3):
    return [stored(root / f"{n}", select.shard(JOBS, f"{n}/{count}")) for n in range(1, count + 1)]


def test_parts_are_disjoint_whole_and_hold_what_is_compared():
    found = [select.shard(JOBS, f"{n}/3") for n in (1, 2, 3)]
    assert sorted(job.case.id for part in found for job in part) == sorted(job.case.id for job in JOBS)
    for part in found:
        points = [job.grid_point for job in part]
        assert all(points.count(point) == 2 for point in points)


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "1/0", "-1/2", "1/2/3", "a/b", "1 / 2"])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(ValueError, match=r"--shard .*: expected i/n with 1 <= i <= n, such as 2/4"):
        select.shard(JOBS, part)


def test_merged_parts_of_one_host_are_byte_equal_to_one_run(tmp_path):
    whole = stored(tmp_path / "whole", JOBS)
    runs = parts(tmp_path)
    before = [(run.folder / "samples.csv").read_bytes() for run in runs]
    merged, missing = merge([run.folder for run in reversed(runs)], tmp_path / "out", now=NOW)
    assert missing == 0
    text = (merged.folder / "samples.csv").read_text()
    assert text.replace(merged.id, whole.id) == (whole.folder / "samples.csv").read_text()
    found = {key: path.read_bytes() for key, path in scratch.artefacts(merged.folder)}
    assert found == {(job.case.id, 0): job.case.id.encode() for job in JOBS}
    assert merged.is_summarised()
    assert merged.has_cards()
    origins = merged.environment()["merged"]
    assert {each["run_id"] for each in origins} == {run.id for run in runs}
    assert [(run.folder / "samples.csv").read_bytes() for run in runs] == before


def test_files_of_a_trial_that_was_cut_off_do_not_replace_those_of_the_closed_one(tmp_path):
    runs = parts(tmp_path, 2)
    key, other = (select.shard(JOBS, "1/2")[0].case.id, 0), select.shard(JOBS, "2/2")[0].case.id
    scratch.store(runs[1].folder, *key, {"arrays": b"cut off"})
    scratch.store(runs[0].folder, other, 1, {"arrays": b"of no closed trial of this part"})
    merged, _ = merge([run.folder for run in runs], tmp_path / "out", now=NOW)
    found = {each: path.read_bytes() for each, path in scratch.artefacts(merged.folder)}
    assert found == {(job.case.id, 0): job.case.id.encode() for job in JOBS}
    assert found[key] == key[0].encode()


def test_hosts_keep_their_ceilings_and_rows_their_key(tmp_path):
    runs = [
        stored(tmp_path / host, select.shard(JOBS, f"{n}/2"), host=host) for n, host in ((1, "a"), (2, "b"))
    ]
    merged, _ = merge([run.folder for run in runs], tmp_path / "out", now=NOW)
    samples = merged.samples()
    assert not samples.duplicated(list(ROW_KEY)).any()
    device = samples[samples["task"] == "device"]
    assert device.groupby("host")["round"].unique().map(list).to_dict() == {"a": [0], "b": [1]}


def test_what_is_missing_is_counted_and_the_run_can_go_on(tmp_path):
    runs = parts(tmp_path)[:2]
    merged, missing = merge([run.folder for run in runs], tmp_path / "out", now=NOW)
    assert missing == 2 * len(select.shard(JOBS, "3/3"))
    assert len(merged.finished_trials() - {("", 0)}) == 2 * len(JOBS) - missing


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"torch": {"version": "other"}}, "torch differ from those of"),
        ({"machine": {"cores": 4}}, "machine differ from those of"),
        ({"jobs": "1/2"}, "stands in"),
    ],
)
def test_what_is_no_other_part_is_refused_and_nothing_is_written(tmp_path, second, said):
    first = stored(tmp_path / "1", select.shard(JOBS, "1/2"))
    jobs = select.shard(JOBS, second.pop("jobs", "2/2"))
    other = stored(tmp_path / "2", jobs, **second)
    with pytest.raises(StoreError, match=said):
        merge([first.folder, other.folder], tmp_path / "out", now=NOW)
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_nodes_of_one_kind_may_differ_in_a_little_memory(tmp_path):
    runs = [
        stored(tmp_path / str(n), select.shard(JOBS, f"{n}/2"), machine={"cores": 2, "memory_bytes": n})
        for n in (1, 2)
    ]
    merged, missing = merge([run.folder for run in runs], tmp_path / "out", now=NOW)
    assert missing == 0
    assert merged.environment()["machine"] == {"cores": 2, "memory_bytes": 1}


def test_the_command(tmp_path):
    folders = [str(run.folder) for run in parts(tmp_path, 2)]
    done = CliRunner().invoke(app, ["merge", *folders, "--results", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert store.open_run(next((tmp_path / "out" / "parts").iterdir())).is_summarised()
    for wrong in (folders[:1], [folders[0], folders[0]]):
        with pytest.raises(StoreError, match="at least two runs, each once"):
            CliRunner().invoke(app, ["merge", *wrong], catch_exceptions=False)
