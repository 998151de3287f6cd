"""What a run says of where it was made."""

import linrec_bench
from linrec_bench.results import environment


def test_native_code_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setattr(linrec_bench, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "kernel.cpp").write_text("int one;")
    before = environment.code_hash()
    (tmp_path / "kernel.cpp").write_text("int two;")
    assert environment.code_hash() != before
