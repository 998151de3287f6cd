"""`linrec-bench report`: where it writes, what it says, how it ends."""

import json

import pytest

from linrec_bench.analysis.findings import Finding
from linrec_bench.cli import main
from linrec_bench.presentation.sentences import headline, sentences
from linrec_bench.results import store

pytestmark = pytest.mark.slow


@pytest.fixture
def report(monkeypatch, capsys):
    """Runs the verb; returns exit code, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["linrec-bench", "report", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


def test_one_run_gets_its_report_beside_its_rows(report, make_run, tmp_path):
    folder = make_run()
    code, out, err = report(folder, "--markdown", tmp_path / "deep" / "pr.md")
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(folder / "report.html"), str(tmp_path / "deep" / "pr.md")]
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "deep" / "pr.md").read_text().startswith("### A planted run")


def test_without_a_run_the_newest_of_every_suite_is_told(report, make_undrawn, tmp_path):
    folder = make_undrawn()
    code, out, _ = report("--results", tmp_path / "results")
    assert code == 0
    assert out.strip() == str(folder / "report.html")


def test_what_is_left_out_is_named_in_both_places(report, make_undrawn, make_run, tmp_path):
    good, empty = make_undrawn(), make_run(name="20260102-120000-abcd", chosen=[], summary=False)
    code, _, err = report(good, empty, "--out", tmp_path / "report.html")
    assert code == 0
    assert f"{empty}: left out: an empty run" in err
    assert f"{empty}: left out: an empty run" in (tmp_path / "report.html").read_text()


def test_json_has_findings_and_tables_and_writes_no_page(report, make_undrawn, make_run, tmp_path):
    folder = make_run()
    code, out, _ = report(folder, "--json")
    assert code == 0
    assert not (folder / "report.html").exists()
    (record,) = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (record["run_id"], record["reference"]) == (folder.name, "softmax")
    assert len(record["summary"]) == len(store.Run(folder).summary())
    found = [Finding(**finding) for finding in record["findings"]]
    assert sentences(found) == headline(store.Run(folder).summary(), "softmax")
    other = make_undrawn(name="20260102-120000-abcd")
    code, out, err = report(other, "--json", "--out", tmp_path / "page.html")
    assert json.loads(out)
    assert err == f"{tmp_path / 'page.html'}\n"


def test_nothing_left_to_report_is_a_mistake_of_usage(report, make_run, tmp_path):
    empty = make_run(chosen=[], summary=False)
    code, out, err = report(empty, "--out", tmp_path / "report.html")
    assert code == 2
    assert out == ""
    assert err.splitlines()[-1] == "error: no run is left to report"
    assert not (tmp_path / "report.html").exists()
    assert report("--results", tmp_path / "absent")[0] == 2
