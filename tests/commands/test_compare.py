"""The room above the store: differences of environment and suite, margins, exit codes; what is printed."""

import json
import sys
from datetime import datetime
from functools import partial

import numpy as np
import pytest

from linrec_bench import cli
from linrec_bench.analysis.power import SAME, Tally
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.commands import compare
from linrec_bench.gate.calibration import Calibration
from linrec_bench.results import store
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.results.samples_file import plain
from linrec_bench.settings import TrainingSettings

ENVIRONMENT = {
    "linrec_bench": {"version": "0.1.0", "code": "aaa"},
    "python": "3.11.7",
    "torch": {"version": "2.12.0", "cuda": None, "cpu_capability": "AVX2"},
    "machine": {"system": "Linux 6.1", "processor": "EPYC", "cores": 2, "memory_bytes": 8_000_000_000},
    "device": {"kind": "cpu"},
    "allocator": {"MALLOC_MMAP_MAX_": "0"},
    "threads": 2,
    "plugins": {},
}
CODE = {"linrec_bench": {"version": "0.1.0", "code": "bbb"}}
MARGIN = 0.1


def case(attention="linrec", seq_len=1024):
    return Case(task="layer", phase="forward", attention=attention, seq_len=seq_len)


def plant(
    root,
    day,
    *,
    seconds=1e-3,
    changed=(),
    suite="rounds: 5\n",
    cases=None,
    status="ok",
    memory=4096,
    rounds=5,
):
    """A stored run of `cases` (case -> factor on the time)."""
    environment = ENVIRONMENT | dict(changed) | {"fingerprint": str(day), "command": f"day {day}"}
    run = store.create(
        root, suite="planted", suite_text=suite, cases=cases or [case()], environment=environment,
        now=datetime(2026, 1, day),
    )  # fmt: skip
    rng = np.random.default_rng(day)
    with store.Writer(run) as writer:
        for each, factor in (cases or {case(): 1.0}).items():
            for round in range(rounds):
                row = partial(row_of, each, run_id=run.id, suite="planted", round=round)
                rows = []
                if status == "ok":
                    times = seconds * factor * np.exp(rng.normal(0, 0.01, 5))
                    rows = [
                        row(measure="time", value=float(t), unit="s", repeat=i) for i, t in enumerate(times)
                    ]
                if status == "ok" and round == 0:
                    rows.append(row(measure="peak_live_bytes", value=memory, unit="B"))
                why = "" if status == "ok" else "why"
                writer.append([*rows, row(measure=TRIAL, value=1.0, unit="s", status=status, detail=why)])
    return run.folder


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The folder of a run with nothing changed; read it only."""
    return plant(tmp_path_factory.mktemp("usual"), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("b", "expected"),
    [
        ({}, 0),
        ({"seconds": 2e-3}, 1),
        ({"seconds": 0.5e-3}, 0),
        ({"seconds": 1.1e-3}, 3),
        ({"memory": 4097}, 1),
        ({"memory": 4095}, 0),
        ({"status": "oom"}, 1),
        ({"status": "skipped"}, 3),
        ({"rounds": 1}, 3),
        ({"cases": {case("softmax"): 1.0}}, 4),
        ({"seconds": 2e-3, "changed": {"threads": 4}}, 3),
        ({"seconds": 2e-3, "changed": CODE}, 1),
        ({"memory": 4097, "changed": {"threads": 4}}, 1),
    ],
)
def test_exit_codes(tmp_path, usual, b, expected):
    found = compare.runs(usual, plant(tmp_path, 2, **b), margin=MARGIN)
    assert compare.exit_code(found.comparison) == expected
    assert found.as_record()["exit_code"] == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "keys", "judged"),
    [
        ({}, [], True),
        (CODE, ["linrec_bench.code"], True),
        ({"torch": ENVIRONMENT["torch"] | {"version": "2.13.0"}}, ["torch.version"], True),
        ({"torch": ENVIRONMENT["torch"] | {"cpu_capability": "AVX512"}}, ["torch.cpu_capability"], False),
        (
            {"machine": ENVIRONMENT["machine"] | {"system": "Linux 6.2", "memory_bytes": 7_999_999_999}},
            ["machine.system", "machine.memory_bytes"],
            True,
        ),
        ({"machine": ENVIRONMENT["machine"] | {"processor": "Xeon"}}, ["machine.processor"], False),
        ({"threads": 1}, ["threads"], False),
        ({"allocator": {}}, ["allocator.MALLOC_MMAP_MAX_", "allocator"], False),
        ({"device": {"kind": "cpu", "name": "x"}}, ["device.name"], False),
        ({"plugins": {"mine.py": "abc"}}, ["plugins", "plugins.mine.py"], True),
    ],
)
def test_differences_of_environment_are_named_and_those_of_the_machine_stop_the_judging(
    tmp_path, usual, changed, keys, judged
):
    found = compare.runs(usual, plant(tmp_path, 2, changed=changed), margin=MARGIN)
    assert [difference.key for difference in found.differences] == keys
    (time,) = (line for line in found.comparison.lines if line.measure == "time")
    assert time.verdict == ("same" if judged else "undecided")
    assert (found.other_machine == "") == judged
    if not judged:
        assert keys[0] in time.reason


def test_differences_of_the_suite_are_named_by_their_keys(tmp_path):
    a = plant(tmp_path, 1, suite="sweeps:\n- training: {epochs: 14, k: [5, 10]}\n  limits: {}\n")
    b = plant(tmp_path, 2, suite="sweeps:\n- training: {epochs: 20, k: [5]}\n  limits: {}\n")
    found = compare.runs(a, b, margin=MARGIN).differences
    assert [(d.key, d.a, d.b) for d in found] == [
        ("suite.sweeps.0.training.epochs", 14, 20),
        ("suite.sweeps.0.training.k", [5, 10], [5]),
    ]
    (b / "suite.yaml").write_text("a: [")
    with pytest.raises(ValueError, match=r"suite\.yaml is damaged"):
        compare.runs(a, b, margin=MARGIN)


def test_the_margin_is_the_calibrated_one_of_the_same_machine(tmp_path):
    folder = plant(tmp_path, 1)
    assert compare.margin_of(folder, "calibration.json")[0] == 0.25
    parts = {part: ENVIRONMENT[part] for part in ("machine", "device", "threads", "allocator")}

    def calibrated(margin, machine):
        tally = Tally(SAME, 0.1, 500, 0, 0, 0.0, 0.007)
        found = Calibration(
            linrec_bench="0.1.0", made="2026-01-01", machine=machine, lines=(), suite="", rounds=30,
            looks=(5,), margins={"time": margin}, timed=(tally,), exact=(),
        )  # fmt: skip
        (tmp_path / "calibration.json").write_text(found.to_json())
        return compare.margin_of(folder, "calibration.json")

    assert calibrated(0.07, parts)[0] == 0.07
    assert calibrated(None, parts)[0] == 0.25
    margin, source = calibrated(0.07, parts | {"threads": 8})
    assert margin == 0.25
    assert "threads differ" in source


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["linrec-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code or 0


def widest_line(text):
    """Without the paths of both runs, which stay whole so that they can be copied."""
    return max(
        len(line)
        for line in text.splitlines()
        if not line.removeprefix("A ").removeprefix("B ").startswith("/")
    )


def test_two_runs_as_a_person_compares_them(tmp_path, monkeypatch, capfd):
    long = Case(
        task="layer", phase="forward", attention="linrec", seq_len=16384, batch_size=16, hidden_size=256,
        attention_params=(("chunk", 64), ("padding", "ignore")),
    )  # fmt: skip
    a = plant(tmp_path, 1, cases={case(): 1.0, long: 1.0, case("sdpa"): 1.0, case("softmax"): 1.0})
    b = plant(tmp_path, 2, cases={case(): 3.0, long: 1.0, case("sdpa"): 1.0}, changed=CODE, memory=4100)
    assert call(monkeypatch, "compare", a, b, "--margin", "0.1") == 1
    printed = capfd.readouterr()
    assert printed.err == "times within 10% count as no difference (as given)\n"
    text = printed.out
    assert widest_line(text) <= 80
    assert text.index('linrec_bench.code: "aaa" -> "bbb"') < text.index("time B/A")
    assert "slower" in text
    assert "no difference" in text
    assert "time of one call: smallest change that could be shown " in text
    assert " +4" in text, "a difference that three digits hide is said itself"
    assert "1 only in A\n- softmax, layer forward, bidirectional, N = 1,024" in text
    assert text.endswith("4 worse in B, 0 better, 2 without a difference, 0 undecided\n")


def test_curves_without_a_difference_are_counted_not_shown(tmp_path, monkeypatch, capfd):
    a, b = (
        plant(tmp_path, day, cases={case(): 1.0, case("sdpa"): factor}) for day, factor in ((1, 1), (2, 2))
    )
    assert call(monkeypatch, "compare", a, b, "--margin", "0.1") == 1
    text = capfd.readouterr().out
    assert "sdpa, layer forward" in text
    assert "linrec, layer forward" not in text
    assert "curves without any difference, not shown: 1 of 2" in text


def test_two_mechanisms_of_one_run(tmp_path, monkeypatch, capfd):
    folder = plant(tmp_path, 1, cases={case(): 0.25, case("softmax"): 1.0})
    assert call(monkeypatch, "compare", folder, "--attention", "linrec", "--against", "softmax") == 0
    printed = capfd.readouterr()
    assert " ".join(printed.out.split()).startswith(f"A softmax, B linrec, both in {folder} ")
    assert "faster" in printed.out
    assert "within 25%" in printed.err


def test_failures_are_shown_with_their_reasons(tmp_path, monkeypatch, capfd):
    a, b = plant(tmp_path, 1), plant(tmp_path, 2, status="timeout")
    assert call(monkeypatch, "compare", a, b) == 1
    text = " ".join(capfd.readouterr().out.split())
    assert "1 failed on one side - linrec, layer forward" in text
    assert "A ok, B timeout (why)" in text


def empty_run(root, day, cases):
    now = datetime(2026, 1, day)
    return store.create(root, suite="t", suite_text="", cases=cases, environment=ENVIRONMENT, now=now)


def plant_trainings(root, day, *, ndcg):
    """A stored run of one mechanism trained with three seeds."""
    cases = [
        Case(
            task="recommend", phase="train_and_rank", attention="linear-transformer", seq_len=200,
            batch_size=64, causal=True, seed=seed, model="sasrec", model_params=(("dropout", 0.2),),
            dataset="ml-1m",
        )
        for seed in range(3)
    ]  # fmt: skip
    run = empty_run(root, day, cases)
    with store.Writer(run) as writer:
        for seed, each in enumerate(cases):
            row = partial(row_of, each, run_id=run.id, suite="t")
            writer.append(
                [
                    row(measure="ndcg@10", value=ndcg + seed * 1e-4 * day, unit="1", phase="test"),
                    row(measure="train_time", value=300.0 + seed, unit="s"),
                    row(measure="peak_process_bytes", value=1.5e9, unit="B"),
                    row(measure=TRIAL, value=301.0, unit="s"),
                ]
            )
    return run.folder


def test_trainings_are_shown_by_measure(tmp_path, monkeypatch, capfd):
    folders = [plant_trainings(tmp_path, 1, ndcg=0.17), plant_trainings(tmp_path, 2, ndcg=0.22)]
    assert call(monkeypatch, "compare", *folders) == 0
    text = capfd.readouterr().out
    assert widest_line(text) <= 80
    assert "…" not in text
    (quality,) = (line.split() for line in text.splitlines() if line.startswith("NDCG@10"))
    assert quality[1:4] == ["0.1701", "0.2202", "+0.0501"]
    assert quality[-1] == "better"
    assert "3 seeds" in " ".join(text.split())


def test_a_budget_of_seconds_is_said_beside_quality(tmp_path):
    budget = TrainingSettings(budget_seconds=90.0)
    trained = Case(
        task="recommend",
        phase="train_and_rank",
        attention="linrec",
        seq_len=8,
        model="sasrec",
        dataset="synthetic",
        training=budget,
    )
    folders = [plant(tmp_path, day, cases={trained: 1.0}) for day in (1, 2)]
    (note,) = compare.runs(*folders, margin=MARGIN).notes
    expected = "90.0 s for each training: how far it comes, and so its quality, depends on the machine"
    assert note == expected


def plant_curve(root, day, curve, *, epoch_s):
    """A stored training whose validations read so."""
    each = Case(
        task="recommend", phase="train_and_rank", attention="linear-transformer", seq_len=200, batch_size=64,
        causal=True, model="sasrec", dataset="ml-1m",
    )  # fmt: skip
    run = empty_run(root, day, [each])
    row = partial(row_of, each, run_id=run.id, suite="t")
    with store.Writer(run) as writer:
        rows = []
        for number, quality in enumerate(curve, start=1):
            rows.append(row(measure="epoch_time", value=epoch_s, unit="s", repeat=number))
            rows.append(row(measure="epoch_energy", value=12345.6, unit="J", repeat=number))
            rows.append(row(measure="ndcg@10", value=quality, unit="1", phase="validation", repeat=number))
        writer.append([*rows, row(measure=TRIAL, value=1.0, unit="s")])
    return run.folder


def row_of_table(text, name):
    (found,) = (line for line in text.splitlines() if line.startswith(name))
    return found.removeprefix(name).split()


def test_time_to_one_quality_is_in_the_table_and_the_json(tmp_path, monkeypatch, capfd):
    a = plant_curve(tmp_path, 1, [0.10, 0.17], epoch_s=1000.0)
    b = plant_curve(tmp_path, 2, [0.16, 0.15], epoch_s=700.0)
    assert call(monkeypatch, "compare", a, b) == 4
    text = capfd.readouterr().out
    assert widest_line(text) <= 80
    assert "to validation NDCG@10 0.1600" in text
    assert row_of_table(text, "seconds of training") == ["33.3", "min", "11.7", "min", "0.350x", "-"]
    assert row_of_table(text, "joules of training") == ["24.7", "kJ", "12.3", "kJ", "0.500x", "-"]
    assert "seeds that reached it" not in text
    assert call(monkeypatch, "compare", a, b, "--target", "0.17") == 4
    text = capfd.readouterr().out
    assert widest_line(text) <= 80
    assert row_of_table(text, "seconds of training") == ["33.3", "min", ">23.3", "min", ">0.700x", "-"]
    assert "joules" not in text
    assert "seeds that reached it: 1 in A, 0 in B, of 1" in text
    assert call(monkeypatch, "compare", a, b, "--target", "0.17", "--json") == 4
    (reached,) = json.loads(capfd.readouterr().out)["reached"]
    assert (reached["a_s"], reached["b_s"], reached["b_reached"], reached["b_j"]) == (2000.0, 1400.0, 0, None)
    assert (reached["bound"], reached["target"]) == ("at least", 0.17)
    assert reached["case"].startswith("linear-transformer, training")
    assert call(monkeypatch, "compare", a, b, "--target", "1.7") == 2
    assert "expected a validation NDCG@10 between 0 and 1" in capfd.readouterr().err


def test_json_holds_everything_and_nothing_else_is_printed(tmp_path, monkeypatch, capfd):
    a, b = plant(tmp_path, 1), plant(tmp_path, 2, rounds=1)
    assert call(monkeypatch, "compare", a, b, "--json", "--margin", "0.1") == 3
    printed = capfd.readouterr()
    assert printed.err == ""
    found = json.loads(printed.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (found["margin"], found["exit_code"], found["correction"]) == (0.1, 3, "Holm")
    time, memory = found["lines"]
    assert (time["change_word"], time["low"], time["p"]) == ("undecided", None, None)
    assert time["case"] == (
        "linrec, layer forward, bidirectional, N = 1,024, batch 1, hidden 64, heads 2, layers 1, float32, cpu"
    )
    assert (memory["change_word"], memory["a"], memory["unit"]) == ("equal", 4096, "B")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("A",), "expected a second, or --attention NAME --against NAME"),
        (("A", "--attention", "linrec"), "expected a second"),
        (("A", "A"), "the same run twice"),
        (("A", "B", "--against", "linrec"), "--against is for one run"),
        (("A", "nowhere"), "cannot be read"),
        (("A", "B", "--attention", "linrex"), "no attention 'linrex'"),
        (("A", "--attention", "linrec", "--against", "softmax"), "no attention 'softmax'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capfd, arguments, expected):
    folders = {"A": plant(tmp_path, 1), "B": plant(tmp_path, 2)}
    assert call(monkeypatch, "compare", *(folders.get(word, word) for word in arguments)) == 2
    last = capfd.readouterr().err.strip().splitlines()
    assert last[-1].startswith("error: ")
    assert expected in last[-1]


def with_summary(folder):
    run = store.Run(folder)
    run.write_summary(summarise(run.samples(), reference="softmax"))
    return folder


def kept_as_summary(folder):
    (with_summary(folder) / "samples.csv").unlink()
    return folder


def test_a_run_that_is_kept_as_a_summary_is_compared_by_it(tmp_path):
    cases = {case("softmax"): 1.0, case("linrec"): 0.5}
    whole, slower = (
        plant(tmp_path, 1, cases=cases),
        plant(tmp_path, 2, cases=cases, seconds=2e-3, memory=8192),
    )
    paired = {"attention": "linrec", "against": "softmax", "margin": MARGIN}
    exact = by_measure(compare.mechanisms(whole, **paired), "linrec")
    apart = by_measure(compare.runs(whole, slower, margin=MARGIN), "linrec")
    kept_as_summary(slower), with_summary(whole)
    mixed = compare.runs(whole, slower, margin=MARGIN)
    assert [note for note in mixed.notes if note.startswith(f"{slower}: kept without samples")]
    again = by_measure(mixed, "linrec")
    # The ratio to the reference of a run is stored with its interval; that of two medians is theirs.
    stored = by_measure(compare.mechanisms(kept_as_summary(whole), **paired), "linrec")
    for before, after in ((exact, stored), (apart, again)):
        assert before.keys() == after.keys()
        for measure in ("time", "peak_live_bytes"):
            ends = [(line.change, line.low, line.high) for line in (before[measure], after[measure])]
            assert ends[1] == pytest.approx(ends[0], rel=1e-4), measure
            assert before[measure].verdict == after[measure].verdict
    assert {line.verdict for line in exact.values()} == {"better", "same"}
    assert {line.verdict for line in again.values()} == {"worse"}
    with pytest.raises(ValueError, match="needs the samples"):
        compare.runs(whole, slower, margin=MARGIN, target=0.1)


def by_measure(found, attention):
    return {line.measure: line for line in found.comparison.lines if line.place.attention == attention}


def test_a_summary_that_is_damaged_is_one_line(tmp_path, monkeypatch, capfd):
    whole, kept = with_summary(plant(tmp_path, 1)), plant(tmp_path, 2)
    (kept / "samples.csv").unlink()
    (kept / "summary.csv").write_text("")
    assert call(monkeypatch, "compare", whole, kept) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error: {kept / 'summary.csv'}: damaged")


def test_half_written_rows_empty_runs_and_other_versions_are_said_by_name(tmp_path, monkeypatch, capfd):
    whole, half = plant(tmp_path, 1), plant(tmp_path, 2)
    with (half / "samples.csv").open("a") as file:
        file.write("r,planted,half")
    assert call(monkeypatch, "compare", whole, half, "--json") == 0
    said = capfd.readouterr()
    assert f"{half}: 1 half-written row of a trial that was cut off, left out" in said.err
    assert json.loads(said.out)["notes"] == [
        f"{half}: 1 half-written row of a trial that was cut off, left out"
    ]
    header = (half / "samples.csv").read_text().splitlines()[0]
    (half / "samples.csv").write_text(header + "\n")
    assert call(monkeypatch, "compare", whole, half) == 4
    assert f"{half}: empty, no trial has ended" in capfd.readouterr().err
    environment = json.loads((half / "environment.json").read_text())
    (half / "environment.json").write_text(json.dumps(environment | {"schema_version": 99}))
    assert call(monkeypatch, "compare", whole, half) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert "schema_version is 99; expected 2" in last
    assert str(half) in last


def test_export_writes_what_can_be_read_and_names_the_rest(tmp_path, monkeypatch, capfd):
    run, damaged = plant(tmp_path, 1), plant(tmp_path, 2)
    (damaged / "environment.json").write_text("{")
    out = tmp_path / "rows.parquet"
    assert call(monkeypatch, "export", tmp_path, "--out", out) == 0
    talk = capfd.readouterr().err
    assert f"left out: {damaged}" in talk
    assert f"rows of 1 run: {out}" in talk
    import pandas as pd

    pd.testing.assert_frame_equal(pd.read_parquet(out), plain(store.Run(run).samples()))
    assert call(monkeypatch, "export", tmp_path, "--out", tmp_path / "rows.xlsx") == 2


def test_the_folder_of_a_suite_stands_for_its_newest_run(tmp_path):
    older, newer = plant(tmp_path, 2), plant(tmp_path, 1)
    notes = []
    assert compare.newest(tmp_path / "planted", notes.append) == newer
    assert notes == [f"{tmp_path / 'planted'}: its newest run, {newer.name}"]
    assert compare.newest(older, notes.append) == older
    with pytest.raises(ValueError, match=f"holds several suites; name one of: {tmp_path / 'planted'}"):
        compare.newest(tmp_path, notes.append)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no run is in it"):
        compare.newest(tmp_path / "empty", notes.append)
