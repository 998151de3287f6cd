"""Changes of level: found where they were planted, seldom where there is none."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from linrec_bench.analysis.change_points import change_points
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.results import store
from linrec_bench.results.rows import TRIAL, row_of

NOISE = 0.03


def series(rng, *levels):
    """Twenty numbers of each level, one of ten far off, as on a shared machine."""
    noise = rng.normal(0, NOISE, (len(levels), 20)) + (rng.random((len(levels), 20)) < 0.1) * 0.3
    return list((np.array(levels)[:, None] * np.exp(noise)).ravel())


def test_a_planted_change_is_found_where_it_is():
    rng = np.random.default_rng(0)
    ratios = [1.1, 1 / 1.1] * 25
    found = [change_points(series(rng, 1, 1, ratio)) for ratio in ratios]
    assert sum(any(abs(point.at - 40) <= 3 for point in points) for points in found) >= 44
    # Of the two parts some are split again by chance.
    assert sum(len(points) > 1 for points in found) <= 9
    single = [(points[0], ratio) for points, ratio in zip(found, ratios, strict=True) if len(points) == 1]
    assert sum(point.low <= ratio <= point.high for point, ratio in single) >= 0.9 * len(single)


def test_unchanged_series_have_no_more_changes_than_the_level_allows():
    rng = np.random.default_rng(1)
    alarms = sum(bool(change_points(series(rng, 1, 1), seed=seed)) for seed in range(200))
    # The 99.9 % quantile of binomial(200, 0.05).
    assert alarms <= 21


def test_two_changes_are_two():
    points = change_points(series(np.random.default_rng(2), 1, 1.5, 1))
    assert [point.at for point in points] == [20, 40]
    assert [round(point.ratio, 1) for point in points] == [1.5, 0.7]


def test_series_too_short_to_tell_have_none():
    assert change_points([1, 1, 1, 1, 9, 9, 9, 9, 9]) == []
    assert [point.at for point in change_points([1, 1.01, 1.02, 1.03, 1.04, 9, 9.1, 9.2, 9.3, 9.4])] == [5]


CASES = [Case(task="core", phase="forward", attention="mine", seq_len=length) for length in (512, 1024)]


def plant(root, number, seconds, *, code, machine="one"):
    run = store.create(
        root,
        suite="mine",
        suite_text="title: T\n",
        cases=CASES,
        environment={
            **dict.fromkeys(("python", "torch", "device", "allocator", "threads"), "same"),
            "linrec_bench": {"code": code},
            "machine": machine,
        },
        now=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number),
    )
    with store.Writer(run) as writer:
        for case, time in zip(CASES, seconds, strict=True):
            row = partial(row_of, case, run_id=run.id, suite="mine", unit="s")
            writer.append([row(measure="time", value=time), row(measure=TRIAL, value=1)])
    run.write_summary(summarise(run.samples(), reference="mine"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Fourteen runs; from the eighth on the longer case takes 1.3 times as long."""
    root, rng = tmp_path_factory.mktemp("results"), np.random.default_rng(3)
    for number in range(14):
        slower = 1.3 if number >= 7 else 1
        times = np.array([1e-3, 2e-3 * slower]) * rng.lognormal(0, NOISE, 2)
        plant(root, number, times, code="after" if number >= 7 else "before")
    return root


@pytest.fixture
def runs(planted, tmp_path):
    return Path(shutil.copytree(planted, tmp_path / "results")) / "mine"


@pytest.fixture
def history(exit_code):
    return lambda *arguments: exit_code("history", *map(str, arguments))


def test_the_run_that_changed_a_time_is_named(runs, history, capfd):
    assert history("--times", runs) == 0
    printed = capfd.readouterr().out
    stored = sorted(folder.name for folder in runs.iterdir())
    assert printed.startswith(
        f"{stored[7]} 2026-01-08\n  linrec_bench: before -> after\n  mine, core forward"
    )
    assert "N = 1,024" in printed
    assert "N = 512" not in printed
    assert printed.endswith("14 runs, 2 cases: 1 step\n")
    assert history("--times", runs, "--json") == 0
    (step,) = json.loads(capfd.readouterr().out)
    assert (step["run"], step["before"]) == (stored[7], stored[6])
    (case,) = step["cases"]
    assert case["seq_len"] == 1024
    assert case["low"] <= 1.3 <= case["high"]


def test_runs_on_another_machine_are_left_out_and_too_few_are_an_error(runs, history, capfd):
    plant(runs.parent, 30, (9, 9), code="after", machine="another")
    assert history("--times", runs) == 2
    assert "no case has a time in 10 runs on one machine, 1 found" in capfd.readouterr().err
    plant(runs.parent, 31, (1e-3, 2.6e-3), code="after")
    assert history("--times", runs) == 0
    assert "1 of 16 runs left out: not on the machine of the newest" in capfd.readouterr().err


def test_damage_is_left_out(runs, history, capfd):
    first, second, third, *_ = sorted(runs.iterdir())
    (first / "environment.json").write_text("{")
    environment = json.loads((second / "environment.json").read_text())
    del environment["suite"]
    (second / "environment.json").write_text(json.dumps(environment))
    rows = (third / "summary.csv").read_text().splitlines()
    at = rows[0].split(",").index("time_s")
    cells = [row.split(",") for row in rows[1:]]
    cells = [[*row[:at], value, *row[at + 1 :]] for row, value in zip(cells, ("inf", "1e300"), strict=True)]
    (third / "summary.csv").write_text("\n".join([rows[0], *map(",".join, cells)]) + "\n")
    assert history("--times", runs) == 2
    assert "holds runs of , mine" in capfd.readouterr().err
    shutil.rmtree(second)
    assert history("--times", runs) == 0
    assert capfd.readouterr().out.endswith("12 runs, 2 cases: 1 step\n")


def test_a_suite_beside_times_is_an_error(history, capfd):
    assert history("quick", "--times", "results") == 2
    assert "expected a folder of runs, and no suite" in capfd.readouterr().err
