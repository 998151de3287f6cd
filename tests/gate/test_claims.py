"""The ledger of claims: planted rows with a known truth, every ruling, the exit codes, the words."""

import json

import pandas as pd
import pytest

from linrec_bench import cli, terminal
from linrec_bench.analysis.measurements import of_samples
from linrec_bench.analysis.summary import summarise
from linrec_bench.gate import claims
from linrec_bench.gate.exact_counts import count
from linrec_bench.presentation.verdicts import ruling_counts, ruling_found, ruling_place
from linrec_bench.results.case_table import frame_of, text_of
from linrec_bench.results.rows import COLUMNS, SCHEMA_VERSION, TRIAL, row_of
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import parse, resolved_text
from linrec_bench.suite.shipped import shipped_suites
from linrec_bench.suite.source_map import SuiteError

LENGTHS = (256, 512, 1024, 2048)
SUITE = """\
sweeps:
  - task: layer
    attention: [softmax, linrec]
    grid: {seq_len: [256, 512, 1024, 2048]}
    phases: [forward]
  - task: recommend
    attention: [softmax, linrec]
    model: {name: sasrec, dropout: 0.1}
    dataset: synthetic
    grid: {seed: [0, 1, 2]}
    fixed: {seq_len: 50, causal: true}
  - task: recommend
    attention: [softmax]
    model: core
    dataset: synthetic
    grid: {seed: [0, 1, 2]}
    fixed: {seq_len: 50, causal: true, hidden_size: 32}
claims:
"""
NDCG = {"softmax": (0.170, 0.172, 0.171), "linrec": (0.168, 0.171, 0.169), "core": (0.150, 0.149, 0.151)}


def line(text):
    return f'  - {{paper: "P (2026), table 1", text: "a claim", theirs: 7.8, {text}}}\n'


def prepared(*lines):
    suite = parse(SUITE + "".join(map(line, lines)), name="s.yaml", stem="s", device="cpu")
    return suite, expand(suite, device="cpu")


def planted(jobs, *, seeds=3, failed=()):
    """softmax takes 1 s at N = 600 and grows with N^2; linrec with N, and crosses it there."""
    rows = []

    def add(case, measure, value, unit, round=0, **more):
        rows.append(
            row_of(case, run_id="r", suite="s", measure=measure, value=value, unit=unit, round=round, **more)
        )

    for job in jobs:
        case = job.case
        if case.task == "recommend":
            if case.seed < seeds:
                name = "core" if case.model == "core" else case.attention
                add(case, "ndcg@10", NDCG[name][case.seed], "1", phase="test")
                add(case, "parameters", 1000 if name == "core" else 2000, "1")
                add(case, TRIAL, 1.0, "s")
            continue
        if (case.attention, case.seq_len) in failed:
            add(
                case,
                TRIAL,
                1.0,
                "s",
                status="skipped",
                detail="predicted to need 9 GiB",
                group_by="reason",
                group="memory",
            )
            continue
        power = 2 if case.attention == "softmax" else 1
        for round, drift in enumerate((1.0, 1.03, 0.98)):
            for wobble in (1.0, 1.01):
                add(case, "time", (case.seq_len / 600) ** power * drift * wobble, "s", round)
            add(case, "peak_live_bytes", 64 * (case.seq_len if power == 1 else case.seq_len**2), "B", round)
            add(case, TRIAL, 1.0, "s", round)
    return frame_of(rows, [job.case for job in jobs])


def ruled(text, *, from_summary=False, device="cpu", **how):
    suite, jobs = prepared(text)
    samples = planted(jobs, **how)
    evidence = claims.evidence_of(None if from_summary else samples, summarise(samples, reference="softmax"))
    (found,) = claims.rule(suite, jobs, [evidence], device=device)
    return found


TRUE = {
    "exponent": 'attention: linrec, measure: time, exponent: "0.9 .. 1.2"',
    "exact exponent": 'attention: softmax, measure: peak_memory, exponent: "== 2"',
    "crossover": 'attention: linrec, to: softmax, measure: time, crossover: "550 .. 650"',
    "memory": 'attention: linrec, to: softmax, measure: peak_memory, crossover: "<= 256"',
    "ratio": 'attention: linrec, to: softmax, measure: time, ratio: "<= 0.31", where: "seq_len=2048"',
    "value": 'attention: linrec, measure: time, value: "3 .. 4", where: "seq_len=2048"',
    "difference": 'attention: linrec, to: softmax, measure: ndcg@10, difference: ">= -0.01"',
    "mean": 'attention: softmax, model: sasrec, measure: ndcg@10, value: "0.16 .. 0.18"',
    "models": 'model: core, to_model: sasrec, to: softmax, measure: ndcg@10, difference: "<= 0"',
    "ratio over seeds": 'attention: linrec, to: softmax, measure: ndcg@10, ratio: ">= 0.95"',
    "parameters": 'model: core, to_model: sasrec, to: softmax, measure: parameters, ratio: "== 0.5"',
}
FALSE = {
    "exponent": 'attention: softmax, measure: time, exponent: "<= 1.1"',
    "crossover": 'attention: linrec, to: softmax, measure: time, crossover: "<= 300"',
    "never": 'attention: softmax, to: linrec, measure: time, crossover: "<= 2048"',
    "ratio": 'attention: linrec, to: softmax, measure: time, ratio: "<= 0.1", where: "seq_len=2048"',
    "value": 'attention: linrec, measure: peak_memory, value: "<= 1000", where: "seq_len=2048"',
    "models": 'model: core, to_model: sasrec, to: softmax, measure: ndcg@10, difference: ">= 0"',
}


@pytest.mark.parametrize("name", TRUE)
def test_what_was_planted_is_reproduced(name):
    assert ruled(TRUE[name]).ruling == "reproduced", ruling_found(ruled(TRUE[name]))


def stored_difference(**more):
    """A row of quality.csv: `linrec` in sasrec against `softmax` there."""
    row = {
        "metric": "ndcg@10", "system": "sasrec, linrec", "against": "sasrec, softmax", "against_causal": True,
        "model": "", "dataset": "synthetic", "seq_len": 50, "causal": True, "layers": float("nan"),
        "heads": float("nan"), "hidden_size": float("nan"), "batch_size": float("nan"), "dtype": "float32",
        "difference": -0.002, "low": -0.005, "high": 0.001, "users": 900, "seeds": 3,
    }  # fmt: skip
    return pd.DataFrame([row | more])


SIDES = {"linrec": "softmax", "softmax": "linrec"}


@pytest.mark.parametrize(
    ("attention", "stored", "found"),
    [
        ("linrec", {}, "difference of NDCG@10 -0.00200 [-0.00500, 0.00100] (3 seeds, 900 users, paired)"),
        ("softmax", {}, "difference of NDCG@10 0.00200 [-0.00100, 0.00500] (3 seeds, 900 users, paired)"),
        # Of other seeds than the claim's, it is another number.
        ("linrec", {"seeds": 2}, "difference of NDCG@10 -0.00167 [-0.00310, -0.000232] (3 seeds, paired)"),
    ],
)
def test_a_claim_of_quality_has_the_interval_of_the_finding(attention, stored, found):
    to = SIDES[attention]
    claim = f'attention: {attention}, to: {to}, model: sasrec, measure: ndcg@10, difference: ">= -1"'
    suite, jobs = prepared(claim)
    evidence = claims.evidence_of(planted(jobs), None, stored_difference(**stored))
    (ruling,) = claims.rule(suite, jobs, [evidence], device="cpu")
    assert ruling_found(ruling) == found
    assert ruling.ruling == "reproduced"


@pytest.mark.parametrize("name", FALSE)
def test_what_was_not_planted_is_not_reproduced(name):
    assert ruled(FALSE[name]).ruling == "not reproduced", ruling_found(ruled(FALSE[name]))


@pytest.mark.parametrize("name", sorted({*TRUE} - {"exponent"}))
def test_a_summary_alone_answers_all_but_timed_exponents(name):
    assert ruled(TRUE[name], from_summary=True).ruling == "reproduced"


def test_a_timed_exponent_needs_the_samples():
    found = ruled(TRUE["exponent"], from_summary=True)
    assert (found.ruling, ruling_found(found)) == (
        "undecided",
        "it needs the raw samples, which are not stored",
    )


@pytest.mark.parametrize(
    ("text", "how", "ruling", "said"),
    [
        (TRUE["difference"], {"seeds": 1}, "undecided", "two seeds or more are needed"),
        (TRUE["mean"], {"seeds": 1}, "undecided", "one seed decides nothing"),
        (TRUE["ratio"] + ", device: cuda", {}, "not testable on this device", "needs cuda; this is cpu"),
        (TRUE["ratio"].replace("2048", "7"), {}, "not testable on this device", "no case on cpu matches"),
        (
            TRUE["ratio"],
            {"failed": [("softmax", 2048)]},
            "not testable on this device",
            "softmax: skipped: predicted to need 9 GiB",
        ),
        (
            'attention: linrec, to: softmax, measure: time, ratio: "<= 1", where: "seq_len>=1024"',
            {"failed": [("softmax", 2048)]},
            "reproduced",
            "",
        ),
        (
            'model: core, to_model: sasrec, measure: ndcg@10, difference: "<= 0"',
            {},
            "undecided",
            "several cases of sasrec there; `where` must leave one",
        ),
        ('attention: linrec, measure: energy, value: "<= 1"', {}, "undecided", "no energy"),
    ],
)
def test_what_cannot_be_told_says_why(text, how, ruling, said):
    found = ruled(text, **how)
    assert found.ruling == ruling
    assert said in ruling_found(found)


def test_the_place_that_decides_is_the_worst():
    found = ruled('attention: linrec, to: softmax, measure: time, ratio: "<= 1.5"')
    assert found.ruling == "not reproduced"
    assert "N = 256" in ruling_place(found)
    assert ruling_place(found).endswith("(it decides, of 4 places)")


def test_without_a_run_a_claim_about_counts_is_answered_from_them():
    suite, jobs = prepared(TRUE["memory"], TRUE["ratio"])
    jobs = [job for job in jobs if job.case.task == "layer"]
    evidence = [claims.Evidence(of_samples(count(jobs)), exact=True)]
    counted, timed = claims.rule(suite, jobs, evidence, device="cpu")
    assert counted.ruling == "reproduced"
    assert (timed.ruling, timed.basis.kind) == ("undecided", "no_run")
    assert ruling_counts([counted, timed]) == "1 reproduced, 1 undecided"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'attention: linrek, measure: time, exponent: "<= 1"',
            "s.yaml:19:75: claims.0.attention: 'linrek' is not among the mechanisms of the suite",
        ),
        ('attention: linrec, measure: time, exponent: "<= 1", wher: x', "Did you mean 'where'?"),
        (
            'attention: linrec, measure: time, exponent: "about 1"',
            "claims.0.exponent: 'about 1' is no bound; expected such as '<= 1.05'",
        ),
        ('attention: linrec, measure: time, ratio: "<= 1"', "needs `to`"),
        ('attention: linrec, measure: time, value: "<= 1", to: softmax', "takes no `to`"),
        ('measure: time, value: "<= 1"', "neither attention nor model"),
        ('model: sasrek, measure: time, value: "<= 1"', "Did you mean 'sasrec'?"),
        (
            'model: sasrec, to_model: core, measure: time, crossover: "<= 1"',
            "crossover compares two mechanisms",
        ),
        (
            'attention: linrec, measure: time, exponent: "<= 1", where: "seqlen=4"',
            "claims.0.where: where: unknown field 'seqlen'; expected one of",
        ),
        ('attention: linrec, measure: time, exponent: "<= 1", device: tpu', "claims.0.device"),
    ],
)
def test_a_claim_that_cannot_be_tested_is_refused_with_its_place(text, said):
    with pytest.raises(SuiteError) as error:
        prepared(text)
    assert str(error.value).startswith("s.yaml:19:")
    assert "\n" not in str(error.value)
    assert said in str(error.value)


def test_a_claim_needs_its_paper():
    with pytest.raises(SuiteError, match=r"s\.yaml:19:.*paper"):
        parse(SUITE + "  - {text: t, attention: linrec, measure: time, exponent: '<= 1'}\n", name="s.yaml",
              stem="s", device="cpu")  # fmt: skip


def test_claims_come_back_from_the_resolved_suite():
    suite, _ = prepared(TRUE["crossover"])
    text = resolved_text(suite)
    assert parse(text, name="r.yaml", stem="r", device="cpu").claims == suite.claims
    assert suite.claims[0].theirs == "7.8"


@pytest.mark.parametrize("path", shipped_suites().values(), ids=lambda path: path.stem)
def test_every_shipped_claim_selects_cases_of_both_its_sides(path):
    for device in ("cpu", "cuda"):
        suite = load.load(path, device=device)
        jobs = expand(suite, device=device)
        for stated in suite.claims:
            if stated.device in ("any", device):
                cases = [job.case for job in claims.select(jobs, [stated.where] if stated.where else [])]
                known = {name for case in cases for name in (case.attention, case.attention_label)}
                assert {stated.attention, stated.to} - {""} <= known, stated


@pytest.fixture
def stored(tmp_path):
    """A suite file with one claim of each answer, and its planted run."""
    suite = tmp_path / "s.yaml"
    suite.write_text(
        SUITE + line(TRUE["crossover"]) + line(FALSE["exponent"]) + line(TRUE["ratio"] + ", device: cuda")
    )
    loaded = load.load(suite, device="cpu")
    samples = planted(expand(loaded, device="cpu"))
    folder = tmp_path / "run"
    folder.mkdir()
    samples[list(COLUMNS)].to_csv(folder / "samples.csv", index=False)
    (folder / "cases.jsonl").write_text(text_of(job.case for job in expand(loaded, device="cpu")))
    (folder / "suite.yaml").write_text(resolved_text(loaded))
    (folder / "environment.json").write_text(
        json.dumps({"schema_version": SCHEMA_VERSION, "device": {"kind": "cpu"}})
    )
    return suite, folder


def exit_of(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["linrec-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_the_ledger_is_printed_and_gates_only_when_asked(stored, capsys, monkeypatch):
    suite, folder = stored
    monkeypatch.setattr(terminal.out, "width", 80)
    assert exit_of(monkeypatch, "check", suite, "--from", folder) == 0
    said = capsys.readouterr().out
    assert "1 reproduced, 1 not reproduced, 1 not testable on this device" in said
    assert "stated 7.8; found 6" in said
    assert max(map(len, said.splitlines())) <= 80
    assert exit_of(monkeypatch, "check", suite, "--from", folder, "--strict-claims") == 1


def test_the_ledger_as_json(stored, capsys, monkeypatch):
    suite, folder = stored
    exit_of(monkeypatch, "check", suite, "--from", folder, "--json")
    records = json.loads(capsys.readouterr().out)
    lines = [record for record in records if "paper" in record]
    assert [each["answer"] for each in lines] == [
        "reproduced",
        "not reproduced",
        "not testable on this device",
    ]
    assert lines[0]["theirs"] == "7.8"
    assert 550 < lines[0]["low"] <= lines[0]["found"] <= lines[0]["high"] < 650
    assert lines[2]["found"] is None


def test_without_from_the_newest_run_that_can_be_read_is_asked(stored, tmp_path, capsys, monkeypatch):
    suite, folder = stored
    results = tmp_path / "results" / "s"
    results.mkdir(parents=True)
    folder.rename(results / "20260101-120000-aaaa")
    damaged = results / "20260102-120000-bbbb"
    damaged.mkdir()
    (damaged / "environment.json").write_text("{")
    monkeypatch.setattr(terminal.talk, "width", 500)
    exit_of(monkeypatch, "check", suite, "--only", "task=layer", "--results", tmp_path / "results", "--json")
    said = capsys.readouterr()
    assert f"{damaged}: left out" in said.err
    lines = [record for record in json.loads(said.out) if "paper" in record]
    assert [each["answer"] for each in lines][:2] == ["reproduced", "not reproduced"]
