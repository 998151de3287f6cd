"""What a run says of where it was made."""

import shlex

import linrec_bench
from linrec_bench.results import environment


def test_native_code_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setattr(linrec_bench, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "kernel.cpp").write_text("int one;")
    before = environment.code_hash()
    (tmp_path / "kernel.cpp").write_text("int two;")
    assert environment.code_hash() != before


def test_the_command_can_be_typed_again(monkeypatch):
    asked = ["run", "quick", "--set", "attention=[softmax, linrec]", "--only", "attention=softmax|linrec"]
    monkeypatch.setattr("sys.argv", ["/bin/linrec-bench", *asked])
    command = str(environment.describe(device={"kind": "cpu"}, allocator={})["command"])
    assert shlex.split(command) == ["linrec-bench", *asked]
