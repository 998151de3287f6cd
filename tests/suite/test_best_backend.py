"""`backend: best` stands for one back end by name, and says which and why."""

import importlib.util
from types import SimpleNamespace

import pytest

from linrec_bench.attention.backends.native_build import no_compiler
from linrec_bench.suite import best_backend
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import parse

BEST = "{name: linrec, backend: best}"
NATIVE = pytest.mark.skipif(no_compiler("native") is not None, reason="needs a C++ compiler")


def suite(attention, device="cpu", **keys):
    lines = {"task": "core", "attention": attention, "fixed": "{seq_len: 8}", "phases": "[forward]", **keys}
    text = "".join(f"{key}: {value}\n" for key, value in lines.items())
    return parse(text, name="s.yaml", stem="s", device=device)


def labels(found, device="cpu"):
    return [job.case.attention_label for job in expand(found, device=device)]


@NATIVE
def test_on_a_cpu_it_is_the_cpp_back_end_where_a_compiler_is():
    found, notes = best_backend.named(suite(f"[softmax, linrec, {BEST}]"), device="cpu")
    assert labels(found) == ["softmax", "linrec", "linrec(backend=native)"]
    assert notes == ["linrec(backend=best) is backend native here"]


def test_without_a_compiler_it_is_the_core_itself_once_and_the_reasons_are_told(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    found, (note,) = best_backend.named(suite(f"[linrec, {BEST}]"), device="cpu")
    assert labels(found) == ["linrec"]
    assert "is backend eager here; backend native needs a C++ compiler" in note
    assert "backend compile needs" in note


@NATIVE
def test_one_back_end_serves_all_cases_of_a_mechanism():
    grid = "{dtype: [float32, float16]}"
    found, (note,) = best_backend.named(suite(f"[{BEST}]", grid=grid), device="cpu")
    assert set(labels(found)) == {"linrec(backend=compile)"}
    assert "backend native knows float32" in note


@pytest.mark.parametrize(("installed", "expected"), [(True, "triton"), (False, "compile")])
def test_on_a_gpu_it_is_triton_where_that_is_installed(monkeypatch, installed, expected):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: SimpleNamespace(name=name) if installed else None
    )
    found, (note,) = best_backend.named(suite(f"[{BEST}]", device="cuda"), device="cuda")
    assert labels(found, "cuda") == [f"linrec(backend={expected})"]
    assert ("needs the package triton" in note) is not installed


def test_a_mechanism_without_back_ends_and_a_decoding_step_have_the_core(monkeypatch):
    found, _ = best_backend.named(suite("[{name: softmax, backend: best}]"), device="cpu")
    assert labels(found) == ["softmax"]
    step = suite(f"[{BEST}]", task="decode", fixed="{seq_len: 8, causal: true}", phases="[step]")
    found, (note,) = best_backend.named(step, device="cpu")
    assert labels(found) == ["linrec"]
    assert "a decoding step has no other" in note


def test_lines_about_it_follow_and_other_settings_stay(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    written = suite(
        "[softmax, {name: linrec, padding: ignore, backend: best}]",
        reference="linrec(backend=best,padding=ignore)",
        expect='[{attention: "linrec(backend=best,padding=ignore)", measure: flops, value: "<= 1"}]',
    )
    found, _ = best_backend.named(written, device="cpu")
    assert found.reference == found.expect[0].attention == "linrec(padding=ignore)"
    assert labels(found) == ["softmax", "linrec(padding=ignore)"]


def test_of_a_stored_run_it_is_the_back_end_that_its_cases_have():
    stored = [job.case for job in expand(suite("[linrec, {name: linrec, backend: triton}]"), device="cuda")]
    written = suite(f"[linrec, {BEST}]")
    assert labels(best_backend.named(written, device="cuda", stored=stored)[0]) == [
        "linrec",
        "linrec(backend=triton)",
    ]
    assert labels(best_backend.named(written, device="cuda", stored=stored[:1])[0]) == ["linrec"]


def test_a_suite_that_does_not_ask_is_left_as_it_is():
    written = suite("[linrec, {name: linrec, backend: native}]")
    assert best_backend.named(written, device="cpu") == (written, [])
