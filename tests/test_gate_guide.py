"""The files that docs/gate.md shows do what it says."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/gate.md").read_text(encoding="utf-8")
PLUGIN, SUITE, PYTEST = re.findall(r"```(?:python|yaml)\n(.*?)```", GUIDE, re.DOTALL)
CORE = "    return v.mean(dim=-2, keepdim=True).expand_as(v).clone()\n"


@pytest.fixture
def gate(tmp_path, monkeypatch, exit_code):
    """The exit code of `linrec-bench check` on the files of the guide."""
    monkeypatch.chdir(tmp_path)
    Path("my_complexity.yaml").write_text(SUITE)

    def run(plugin, *more):
        Path("my_attention.py").write_text(plugin)
        command = "check my_complexity.yaml --plugin my_attention.py --device cpu"
        return exit_code(*command.split(), *more)

    return run


def test_the_mechanism_holds_and_with_materialised_weights_is_broken(gate, capfd):
    baseline = ("--baseline", "complexity-baseline.json")
    assert gate(PLUGIN, *baseline, "--update-baseline") == 0
    assert gate(PLUGIN, *baseline) == 0
    assert CORE in PLUGIN
    capfd.readouterr()
    assert gate(PLUGIN.replace(CORE, "    return (q @ k.mT).softmax(dim=-1) @ v\n")) == 1
    assert "found 2 (258 N^2)" in capfd.readouterr().out


def test_a_change_since_a_commit_is_broken_and_leaves_no_worktree(gate, capfd):
    def git(*arguments):
        done = subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@b", *arguments], stdout=-1)
        assert done.returncode == 0
        return done.stdout.decode()

    assert gate(PLUGIN, "--against", "HEAD") == 2
    git("init", "-q")
    assert gate(PLUGIN, "--against", "HEAD") == 2
    git("add", "my_complexity.yaml")
    git("commit", "-qm", "suite")
    assert gate(PLUGIN, "--against", "HEAD") == 2
    git("add", "my_attention.py")
    git("commit", "-qm", "plugin")
    errors = capfd.readouterr().err
    for reason in ("in no git repository", "--against HEAD: no commit of", "has no my_attention.py"):
        assert reason in errors
    assert gate(PLUGIN.replace(CORE, CORE.replace(".clone()", ".clone().clone()")), "--against", "HEAD") == 1
    assert gate(PLUGIN + "\n", "--against", "HEAD") == 0
    assert len(git("worktree", "list").splitlines()) == 1


def test_the_assertion_passes_for_the_mechanism():
    names = {}
    exec(PLUGIN, names)
    names["my_attention"] = names["core"]
    exec(PYTEST, names)
    names["test_my_attention_keeps_no_square"]()


def test_the_workflow_runs_the_gate():
    workflow = yaml.safe_load((ROOT / ".github/workflows/complexity.yml").read_text())
    commands = " ".join(step.get("run", "") for step in workflow["jobs"]["gate"]["steps"])
    assert "linrec-bench check complexity --device cpu --baseline tests/complexity-baseline.json" in commands
