"""Mechanisms named by what their SPECs declare."""

import re
from pathlib import Path

import pytest

from linrec_bench import attention
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import parse, resolved_text
from linrec_bench.suite.source_map import SuiteError

PLUGIN = """
from dataclasses import replace
from linrec_bench import attention

SPEC = replace(attention.registry()["linear-transformer"], name="aaa-mine")
"""


@pytest.fixture
def plugin(tmp_path):
    """A plugin with a mechanism of both directions that decodes; its path."""
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    before = attention.registry()
    attention.load_plugin(path)
    yield path
    attention.unload_plugins()
    assert list(attention.registry()) == list(before)


def parsed(entries, *, more="", settings=()):
    text = f"task: core\nattention: {entries}\nfixed: {{seq_len: 8}}\n{more}"
    return parse(text, name="s.yaml", stem="s", device="cpu", settings=settings)


def names(entries, **options):
    (sweep,) = parsed(entries, **options).sweeps
    return [entry.name for entry in sweep.attention]


def message(entries, **options):
    with pytest.raises(SuiteError) as caught:
        parsed(entries, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def declared(condition):
    return sorted(name for name, spec in attention.registry().items() if condition(spec))


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("all", lambda spec: True),
        ("{causal: true}", lambda spec: spec.causal),
        ("{causal: false}", lambda spec: not spec.causal),
        ("{bidirectional: true}", lambda spec: spec.bidirectional),
        ("{honours_padding: false}", lambda spec: not spec.honours_padding),
        ("{permutation_equivariant: true}", lambda spec: spec.permutation_equivariant),
        ("{decodes: true}", lambda spec: spec.step is not None),
        ("{gate_module: true}", lambda spec: spec.gate_module is not None),
        ("{layer: true}", lambda spec: spec.layer is not None),
        ("{timestamps: true}", lambda spec: spec.timestamps),
        ('{time_exponent: "<= 1"}', lambda spec: spec.time_exponent <= 1),
        ('{memory_exponent: "1.5 .. 2"}', lambda spec: 1.5 <= spec.memory_exponent <= 2),
        ('{state_exponent: "== 0"}', lambda spec: spec.step is not None and spec.state_exponent == 0),
        ("{except: [softmax, linrec]}", lambda spec: spec.name not in ("softmax", "linrec")),
        (
            '{causal: true, gate_module: false, time_exponent: ">= 2", except: [sdpa]}',
            lambda spec: (
                spec.causal and spec.gate_module is None and spec.time_exponent >= 2 and spec.name != "sdpa"
            ),
        ),
    ],
)
def test_a_query_selects_by_what_specs_declare_in_the_order_of_names(query, condition):
    found = names(query)
    assert found == declared(condition)
    assert found


def test_a_query_selects_by_the_backends_that_are_offered():
    assert {"linrec", "sdpa"} <= set(names("{backend: native}"))
    assert "gla" not in names("{backend: native}")
    assert {"linrec", "gla"} <= set(names("{backend: fla}"))


def test_names_parameters_and_queries_mix_and_each_mechanism_comes_once():
    entries = (
        "[softmax, {name: linrec, padding: ignore}, {timestamps: true}, {layer: true, causal: true}, hstu]"
    )
    (sweep,) = parsed(entries).sweeps
    found = [(entry.name, entry.params) for entry in sweep.attention]
    assert found[:2] == [("softmax", ()), ("linrec", (("padding", "ignore"),))]
    # hstu stands where it is named.
    assert [name for name, _ in found[2:4]] == ["fuxi-linear", "fuxi-temporal"]
    assert found[-1] == ("hstu", ())
    assert len(set(found)) == len(found)
    assert ("linrec", ()) in [
        (entry.name, entry.params) for entry in parsed(f"[all, {entries[1:]}").sweeps[0].attention
    ]


def test_a_name_without_parameters_is_the_mechanism_of_a_query_in_either_form():
    every = declared(lambda spec: spec.timestamps)
    assert names("[{timestamps: true}, {name: hstu}]") == [
        *(name for name in every if name != "hstu"),
        "hstu",
    ]


def test_a_name_that_is_written_twice_is_still_a_mistake():
    assert "repeat; expected each once" in message("[softmax, softmax, {timestamps: true}]")


def test_the_stored_suite_names_every_mechanism():
    suite = parsed("{causal: false}")
    text = resolved_text(suite)
    assert "causal: false}" not in text
    assert all(f"name: {name}\n" in text for name in declared(lambda spec: not spec.causal))
    assert parse(text, name="r", stem="other", device="cpu") == suite


def test_with_a_model_of_its_own_mechanisms_a_query_chooses_among_these():
    more = "model: {model}\nsweeps: [{{task: train_step}}]\n"
    assert names("all", more=more.format(model="lightsans")) == ["lightsans", "lightsans-linear"]
    assert names("{causal: true}", more=more.format(model="hstu")) == ["hstu"]
    assert "no mechanism of model hstu has causal: false" in message(
        "{causal: false}", more=more.format(model="hstu")
    )
    assert "unknown model" in message("all", more=more.format(model="hsty"))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("{casual: true}", "s.yaml:2:21: attention.casual: unknown key 'casual'; .*Did you mean 'causal'"),
        ("[softmax, {casual: 1}]", "s.yaml:2:31: attention.1.casual: unknown key 'casual'"),
        ("[{causal: maybe}]", "s.yaml:2:22: attention.0.causal: .*boolean.*got 'maybe'"),
        ("{time_exponent: 1}", "s.yaml:2:28: attention.time_exponent: 1 is no bound"),
        ("{nam: linrec}", "unknown key 'nam'; .*Did you mean 'name'"),
        ("{}", "s.yaml:2:12: attention: an empty query; expected conditions such as causal: true"),
        ("[softmax, {except: [linrek]}]", "s.yaml:2:22: attention.1: unknown attention 'linrek'.*'linrec'"),
        ("{backend: fle}", "s.yaml:2:12: attention: unknown backend 'fle'.*Did you mean 'fla'"),
        ("{causal: false, decodes: true}", "s.yaml:2:12: .*no mechanism has causal: false, decodes: true;"),
        ("[{timestamps: true}, sofmax]", "s.yaml:2:33: attention.1: unknown attention 'sofmax'.*'softmax'"),
        ("al", "s.yaml:2:12: attention: unknown attention 'al'"),
        ("[]", "attention: .*at least 1 item"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_query_is_one_line_with_its_place(entries, expected):
    found = message(entries)
    assert re.match(expected if expected.startswith("s.yaml") else f"s.yaml:2:.*{expected}", found), found


def test_a_mistake_in_a_query_of_a_flag_is_blamed_on_the_flag():
    found = message("all", settings=["attention={casual: true}"])
    assert found.startswith("--set attention={casual: true}: attention.casual: unknown key 'casual'")


BY_HAND = {
    ("zoo", 0): (
        "no-op copy softmax sdpa flex-attention sliding-window hstu linrec linrec-column "
        "linear-transformer efficient-attention cosformer performer based rebased hedgehog rela aft-simple "
        "retnet gla mamba2 lru deltanet gated-deltanet fuxi-linear"
    ),
    ("zoo", 1): (
        "no-op copy softmax sdpa flex-attention sliding-window linrec linrec-column linear-transformer "
        "efficient-attention cosformer performer based rebased hedgehog rela aft-simple linformer "
        "nystromformer lightsans lightsans-linear fnet"
    ),
    ("decode", 0): (
        "no-op copy softmax sdpa sliding-window hstu linrec linrec-column linear-transformer "
        "efficient-attention cosformer performer based rebased hedgehog rela aft-simple retnet gla mamba2 "
        "deltanet gated-deltanet lru fuxi-linear fuxi-temporal fuxi-positional"
    ),
    ("complexity", 1): (
        "no-op flex-attention sliding-window efficient-attention cosformer performer based rebased "
        "hedgehog rela aft-simple"
    ),
    ("complexity", 2): (
        "hstu retnet gla mamba2 deltanet gated-deltanet fuxi-linear fuxi-temporal fuxi-positional lru"
    ),
    ("complexity", 3): ("linformer nystromformer lightsans lightsans-linear fnet"),
}
"""(Suite, sweep) -> the mechanisms that it listed by name before it had a query."""

LISTED = {name for line in BY_HAND.values() for name in line.split()}


@pytest.mark.parametrize(("place", "listed"), BY_HAND.items(), ids=lambda item: str(item[:2]))
def test_the_suites_hold_what_they_listed_by_name(place, listed):
    name, number = place
    sweep = load.load(load.find(name), device="cpu").sweeps[number]
    found = {entry.name for entry in sweep.attention}
    assert found & LISTED == set(listed.split())


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        ("zoo", {("layer", True), ("layer", False)}),
        ("decode", {("decode", True)}),
        ("complexity", {("core", True), ("core", False)}),
    ],
)
def test_a_mechanism_of_a_plugin_is_in_the_suite_without_an_edit(plugin, suite, expected):
    path = load.find(suite)
    jobs = expand(load.load(path, device="cpu"), device="cpu")
    found = {(job.case.task, job.case.causal) for job in jobs if job.case.attention == "aaa-mine"}
    assert found == expected
    assert "aaa-mine" not in Path(path).read_text()
