import re

import pytest
import yaml

from linrec_bench.suite import load
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import parse, resolved_text
from linrec_bench.suite.shipped import shipped_suites
from linrec_bench.suite.source_map import SuiteError

GOOD = """\
title: T
task: core
attention: [softmax, {name: linrec, padding: ignore}]
grid: {seq_len: {from: 128, to: 1000, factor: 2}, causal: [false, true]}
fixed: {heads: 2}
"""


def read(text, **options):
    return parse(text, name="s.yaml", stem="s", device="cpu", **options)


def message(text, **options):
    with pytest.raises(SuiteError) as caught:
        read(text, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_good_suite_has_every_default_and_its_axes():
    suite = read(GOOD)
    (sweep,) = suite.sweeps
    assert suite.name == "s"
    assert sweep.grid.axes() == {"seq_len": (128, 256, 512), "causal": (False, True)}
    assert sweep.rounds == 5
    assert sweep.attention[1].params == (("padding", "ignore"),)


def test_the_resolved_text_reads_back_to_the_same_suite():
    suite = read(GOOD)
    assert parse(resolved_text(suite), name="r", stem="other", device="cpu") == suite


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("width_divisors: [1]", "model easrec: width_divisors is [1]; a search needs two different options"),
        ("width_divisors: [2, 2]", "width_divisors is [2, 2]; a search needs two different options"),
        ("search_epochs: -3", "model easrec: search_epochs is -3; expected a budget of 1 or more"),
        ("flops_weight: -0.1", "model easrec: flops_weight is -0.1; expected 0 or more"),
    ],
)
def test_a_search_with_nothing_to_choose_is_refused(given, expected):
    model = f"model: {{name: easrec, {given}}}"
    text = f"task: train_step\n{model}\nattention: [linrec]\nfixed: {{seq_len: 8}}\n"
    said = message(text)
    assert said.startswith("s.yaml:2:")
    assert expected in said


def test_a_model_with_a_mechanism_of_its_own_takes_no_other():
    text = "task: train_step\nmodel: recgrela\nattention: [rela, softmax]\nfixed: {seq_len: 8}\n"
    said = message(text)
    assert said.startswith("s.yaml:3:19: attention.1: model recgrela has its own way of mixing tokens")
    assert said.endswith("expected attention: rela")
    assert "unknown model" in message(text.replace("recgrela", "recgrella"))
    read(text.replace(", softmax", ""))


def shipped():
    for name, path in shipped_suites().items():
        yield pytest.param(path, [], id=name)
        for scale in yaml.safe_load(path.read_text()).get("scales", {}):
            yield pytest.param(path, [f"scale={scale}"], id=f"{name}-{scale}")


@pytest.mark.slow
@pytest.mark.parametrize(("path", "settings"), list(shipped()))
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_shipped_suite_loads_expands_and_reads_back(path, settings, device):
    suite = load.load(path, device=device, settings=settings)
    again = parse(resolved_text(suite), name="r", stem=path.stem, device=device)
    assert expand(again, device=device) == expand(suite, device=device) != []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("grid:", "gird:"), "s.yaml:4:7: unknown key 'gird'; expected one of: .*Did you mean 'grid'"),
        (("seq_len:", "seqlen:"), "s.yaml:4:16: grid.seqlen: unknown key.*Did you mean 'seq_len'"),
        (("core", "cores"), "s.yaml:2:7: task: unknown task 'cores'.*Did you mean 'core'"),
        (("[softmax", "[sofmax"), "s.yaml:3:13: attention.0: unknown attention 'sofmax'.*'softmax'"),
        (("padding: ignore", "pading: ignore"), "s.yaml:3:22: attention.1: .*no parameter 'pading'"),
        (
            ("ignore", "zero"),
            "s.yaml:3:22: attention.1: .*padding is 'zero'; expected one of 'mask', 'ignore'",
        ),
        (("to: 1000", "to: 10"), "s.yaml:4:17: grid.seq_len: from 128 is above to 10; expected from <= to$"),
        (("heads: 2", "heads: two"), "s.yaml:5:16: fixed.heads: .*integer.*got 'two'"),
        (("heads: 2", "heads: 2, causal: true"), "causal stands in both grid and fixed"),
        (("title: T", "title: T\ntitle: U"), "s.yaml:2:1: 'title' stands twice"),
        (("grid: {", "grid: {{"), "s.yaml:.*not valid YAML"),
        (("fixed: {heads: 2}", "measures: [tim]"), "s.yaml:5:11: measures: unknown measure 'tim'.*'time'"),
        (("fixed: {heads: 2}", "phases: [backward]"), "s.yaml:5:9: phases: unknown phase 'backward'"),
        (("fixed: {heads: 2}", "training: {epoch: 2}"), "s.yaml:5:11: training: .*'epoch'.*'epochs'"),
        (("fixed: {heads: 2}", "limits: {memory: lots}"), "s.yaml:5:18: limits.memory: 'lots' is no amount"),
        (("fixed: {heads: 2}", "sweeps: [{rouns: 2}]"), "s.yaml:5:18: sweeps.0.rouns: .*'rounds'"),
        (("fixed: {heads: 2}", "per_device: {gpu: {}}"), "unknown device 'gpu'"),
        (("fixed: {heads: 2}", "reference: lin"), "reference: 'lin' is not among"),
        (("fixed: {heads: 2}", "expect: [{attention: softmax, measure: time}]"), "expect.0: 0 quantities"),
        (
            ("fixed: {heads: 2}", "expect: [{attention: softmax, measure: time, exponent: 2}]"),
            "s.yaml:5:.*expect.0.exponent: 2 is no bound",
        ),
        (
            ("fixed: {heads: 2}", "expect: [{attention: softmax, measure: time, ratio: '<= 1'}]"),
            "ratio needs `to`",
        ),
        (
            ("fixed: {heads: 2}", "expect: [{attention: sdpa, measure: time, value: '<= 1'}]"),
            "expect.0.attention: 'sdpa' is not among",
        ),
        (("task: core", "task: recommend"), "task recommend needs a model"),
        (("fixed: {heads: 2}", "scales: [small]"), "s.yaml:5:9: scales is .*; expected a mapping of names"),
        (("fixed: {heads: 2}", "scales: {small: 3}"), "s.yaml:5:17: scales.small is 3; expected a mapping"),
        (("fixed: {heads: 2}", "scales: {a/b: {}}"), "s.yaml:5:15: 'a/b' names no scale"),
        (("fixed: {heads: 2}", "scales: {small: {rouns: 2}}"), "s.yaml:5:25: unknown key 'rouns'.*'rounds'"),
        (("fixed: {heads: 2}", "scale: small"), "s.yaml:5:8: unknown key 'scale'.*Did you mean 'scales'"),
        (("title: T", "name: ../up"), "s.yaml:1:7: name: .*pattern"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_a_hint(change, expected):
    found = message(GOOD.replace(*change))
    assert re.search(expected, found), found


def test_all_positions_without_causality_is_refused_with_the_reason():
    text = (
        "task: recommend\nattention: [softmax]\nmodel: sasrec\ndataset: synthetic\n"
        "fixed: {seq_len: 8, causal: false}\ntraining: {objective: all_positions}\n"
    )
    found = message(text)
    assert found.startswith("s.yaml:6:11: training: objective all_positions needs causal: true")
    assert "sees the item that each position predicts" in found
    read(text.replace("causal: false", "causal: true"))


PROTOCOL = """\
task: recommend
attention: [softmax]
model: sasrec
dataset: synthetic
fixed: {seq_len: 8}
training: {objective: last_position}
sweeps:
  - grid: {causal: [false, true]}
  - attention: [linrec]
    training: {epochs: 100}
  - model: popularity
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("training: {objective: last_position}", "title: T"),
            "s.yaml:8:5: sweeps.0.training: model sasrec on synthetic: training.objective is "
            "'last_position' in sweep 1 with causal: false and 'all_positions' in sweep 1 with causal: true, "
            "two protocols",
        ),
        (
            ("epochs: 100", "epochs: 7"),
            "s.yaml:10:15: sweeps.1.training: .*training.epochs is 100 in sweep 1",
        ),
        (
            ("epochs: 100", "loss: bce"),
            "s.yaml:10:15: .*training.loss is 'cross_entropy' .* and 'bce' in sweep 2",
        ),
        (
            ("model: popularity", "{model: popularity, evaluation: {exclude_seen: false}}"),
            "s.yaml:11:37: sweeps.2.evaluation: on synthetic: evaluation.exclude_seen is True in sweep 1",
        ),
        (
            ("objective: last_position", "objective: cloze"),
            "s.yaml:6:11: .*objective cloze is not for this model",
        ),
    ],
)
def test_variants_under_two_protocols_are_refused_with_their_place(change, expected):
    read(PROTOCOL)
    found = message(PROTOCOL.replace(*change))
    assert re.search(expected, found), found
    assert "cloze" in found or "to compare the two on purpose, write a suite for each" in found


def test_empty_and_foreign_files_are_said():
    assert "empty" in message("")
    assert "a suite is a mapping" in message("- 1")


def test_numbers_in_scientific_notation_are_numbers():
    suite = read(GOOD + "training: {learning_rate: 1e-3}\n")
    assert suite.sweeps[0].training.learning_rate == 1e-3


def test_a_sweep_inherits_from_the_top_and_overrides_it():
    suite = read(
        "task: core\nattention: [softmax]\nrounds: 2\nfixed: {seq_len: 8, heads: 1}\n"
        "sweeps:\n  - {}\n  - {fixed: {seq_len: 16}, rounds: 1}\n"
    )
    assert [(s.rounds, s.fixed.seq_len, s.fixed.heads) for s in suite.sweeps] == [(2, 8, 1), (1, 16, 1)]


def test_a_device_changes_only_its_own_runs():
    text = GOOD + "per_device: {cuda: {grid: {seq_len: {to: 4096}}}}\n"
    on_cuda = parse(text, name="s.yaml", stem="s", device="cuda")
    assert max(on_cuda.sweeps[0].grid.seq_len) == 4096
    assert max(read(text).sweeps[0].grid.seq_len) == 512


def test_set_wins_over_the_top_and_over_every_sweep():
    text = "task: core\nattention: [softmax]\nrounds: 2\nfixed: {seq_len: 8}\nsweeps: [{}, {rounds: 5}]\n"
    assert [sweep.rounds for sweep in read(text, settings=["rounds=1"]).sweeps] == [1, 1]
    assert read(text, settings=["fixed.seq_len=32"]).sweeps[0].fixed.seq_len == 32


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("rounds", "expected key=value"), ("rounds=0", "--set rounds=0: Input"), ("rouns=1", "'rounds'")],
)
def test_a_bad_flag_is_said(setting, expected):
    assert expected in message(GOOD, settings=[setting])


def test_a_flag_is_blamed_where_sweeps_and_parts_of_a_value_take_it():
    text = "task: core\nattention: [softmax]\nfixed: {seq_len: 8}\nsweeps: [{}, {rounds: 5}]\n"
    assert message(text, settings=["rounds=0"]).startswith("--set rounds=0: Input should be greater than 0")
    found = message(GOOD, settings=["grid.seq_len.to=10"])
    assert found.startswith("--set grid.seq_len.to=10: from 128 is above to 10")
    # What no flag gave is blamed on the file.
    assert message(GOOD.replace("heads: 2", "heads: two"), settings=["rounds=1"]).startswith("s.yaml:5:16: ")


SCALED = (
    GOOD + "per_device: {cuda: {rounds: 7}}\n"
    "scales:\n  small: {rounds: 1, grid: {seq_len: {to: 256}}}\n"
    "  wide: {sweeps: [{fixed: {hidden_size: 8}}]}\n"
)


def test_a_scale_is_chosen_by_name_and_names_the_runs():
    whole, small = read(SCALED), read(SCALED, settings=["scale=small"])
    assert (whole.name, whole.sweeps[0].rounds) == ("s", 5)
    assert (small.name, small.sweeps[0].rounds) == ("s-small", 1)
    assert small.sweeps[0].grid.axes() == {"seq_len": (128, 256), "causal": (False, True)}
    assert parse(resolved_text(small), name="r", stem="other", device="cpu") == small
    assert read("name: mine\n" + SCALED, settings=["scale=small"]).name == "mine-small"
    assert read(SCALED.replace("small: {", "small: {name: own, "), settings=["scale=small"]).name == "own"


def test_a_scale_wins_over_the_device_and_a_flag_over_both():
    def rounds(*settings):
        return parse(SCALED, name="s", stem="s", device="cuda", settings=settings).sweeps[0].rounds

    assert (rounds(), rounds("scale=small"), rounds("rounds=2", "scale=small")) == (7, 1, 2)


def test_a_mistake_in_a_scale_has_its_place():
    bad = SCALED.replace("hidden_size: 8", "hidden_size: eight")
    read(bad)
    assert message(bad, settings=["scale=wide"]).startswith("s.yaml:9:41: sweeps.0.fixed.hidden_size: ")
    bad = SCALED.replace("rounds: 1", "rounds: 0")
    assert message(bad, settings=["scale=small"]).startswith("s.yaml:8:19: rounds: ")


def test_an_unknown_scale_is_said_with_a_hint():
    found = message(SCALED, settings=["scale=smal"])
    assert found == ("--set scale=smal: unknown scale; expected one of: small, wide. Did you mean 'small'?")
    assert message(GOOD, settings=["scale=small"]).endswith("the suite has no scales")


def test_a_suite_is_found_by_file_or_by_name(tmp_path):
    assert load.find("quick").name == "quick.yaml"
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD)
    assert load.find(str(file)) == file
    with pytest.raises(SuiteError, match=r"no such suite.*Did you mean 'quick'"):
        load.find("quik")


def test_suites_of_a_folder_are_found_by_folder_and_name(tmp_path, monkeypatch):
    (tmp_path / "suites" / "papers").mkdir(parents=True)
    (tmp_path / "linrec_bench" / "suite").mkdir(parents=True)
    module = tmp_path / "linrec_bench" / "suite" / "shipped.py"
    monkeypatch.setattr("linrec_bench.suite.shipped.__file__", str(module))
    for name in ("papers/one", "plain"):
        (tmp_path / "suites" / f"{name}.yaml").write_text(GOOD)
    assert list(shipped_suites()) == ["plain", "papers/one"]
    for name in ("papers/one", "papers/one.yaml"):
        assert load.find(name) == tmp_path / "suites" / "papers" / "one.yaml"
    with pytest.raises(SuiteError, match=r"no such suite; .*one of: plain, papers/one.*'papers/one'"):
        load.find("paper/one")


@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        ("rounds: yes", "5:9", "yes is read in different ways"),
        ("rounds: true", "5:9", "rounds: Input should be a valid integer, got True"),
        ("rounds: '3'", "5:9", "rounds: Input should be a valid integer, got '3'"),
        ("limits: {memory: -5}", "5:18", "-5 is no amount of memory"),
        ("limits: {memory: true}", "5:18", "True is no amount of memory"),
        ("limits: {memory: 0.1B}", "5:18", "expected at least a byte"),
        ("limits: {case_seconds: .inf}", "5:24", "less than or equal to 1000000"),
        ("limits: {case_seconds: .nan}", "5:24", "got nan"),
        ("limits: {case_seconds: 1e10}", "5:24", "less than or equal to 1000000"),
        ("sampling: {min: 0100}", "5:17", "0100 is read in different ways"),
        ("fixed: {batch_size: true}", "5:21", "should be a valid integer, got True"),
        ("fixed: {causal: 1}", "5:17", "should be a valid boolean, got 1"),
    ],
)
def test_numbers_and_booleans_are_strict_with_line_and_column(line, place, expected):
    text = "title: T\ntask: core\nattention: [softmax]\ngrid: {seq_len: [8]}\n" + line + "\n"
    said = message(text)
    assert said.startswith(f"s.yaml:{place}: ")
    assert expected in said


def test_flags_are_as_strict_as_files():
    assert message(GOOD, settings=["rounds=yes"]).startswith(
        "--set rounds=yes: yes is read in different ways"
    )
    assert message(GOOD, settings=["rounds=[[*a"]).startswith("--set rounds=[[*a: not valid YAML")


def test_a_value_that_every_sweep_takes_is_one_mistake():
    text = "task: core\nattention: [softmax]\nfixed: {seq_len: 8}\nsweeps: [{}, {rounds: 5}, {}]\n"
    assert "more)" not in message(text, settings=["rounds=0"])
    assert message(text, settings=["rounds=0", "fixed.heads=0"]).endswith("(and 1 more)")
