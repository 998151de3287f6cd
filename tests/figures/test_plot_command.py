"""`linrec-bench plot`: its options reach the figures, and files go where they are asked for."""

from typer.testing import CliRunner

from linrec_bench.cli import app
from linrec_bench.results import store


class Stored:
    """A run in memory."""

    id = "r"

    def __init__(self, folder, summary, samples):
        self.folder, self._summary, self._samples = folder, summary, samples

    def summary(self):
        return self._summary

    def samples(self):
        return self._samples


def test_style_and_theme_reach_the_files(decode_summary, decode_samples, tmp_path, monkeypatch):
    run = Stored(tmp_path / "run", decode_summary, decode_samples)
    monkeypatch.setattr(store, "open_run", lambda folder: run)
    done = CliRunner().invoke(app, ["plot", "run", "--theme", "dark"])
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "run/figures").iterdir()} == {
        f"{name}_dark.{ending}" for name in ("latency", "state") for ending in ("png", "svg", "pdf")
    }


def test_an_unknown_style_is_a_usage_error():
    done = CliRunner().invoke(app, ["plot", "--style", "poster"])
    assert done.exit_code == 2
    assert "paper" in done.output
