"""The short form of `benchmarks/faults.py`: random kills, and made and damaged inputs."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import faults, fuzz, guided_fuzzing
from benchmarks.fuzz import suites
from benchmarks.fuzz.examples import made
from benchmarks.fuzz.oracle import Place, command
from linrec_bench.suite.load import load
from linrec_bench.suite.source_map import SuiteError


def test_kills_lose_and_double_nothing(tmp_path):
    found = Counter()
    faults.kills(random.Random(3), 8, tmp_path, found)
    assert found["kills"] == 8
    assert faults.bad(found) == 0, found


COUNTS = {
    "damaged_states": 40,
    "damaged_caches": 20,
    "damaged_suites": 12,
    "damaged_logs": 6,
    "damaged_runs": 8,
    "made_suites": 16,
    "made_logs": 12,
    "made_flags": 12,
    "made_rows": 12,
    "damaged_archives": 10,
    "made_sources": 12,
    "rude_servers": 10,
    "damaged_parts": 8,
    "made_histories": 12,
    "made_starts": 12,
    "made_plugins": 6,
}
"""Those whose inputs take milliseconds; a suite that is measured takes seconds."""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), COUNTS.items())
def test_what_is_damaged_or_made_is_read_or_refused_with_a_sentence(tmp_path, monkeypatch, kind, count):
    for name in ("LINREC_BENCH_CACHE", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = fuzz.fuzz(kind, seed=1, count=count, folder=tmp_path)
    assert found["inputs"] == count
    assert faults.bad(found) == 0, found
    assert sum(number for name, number in found.items() if name.endswith("exit 2")) > 0


def verbs(group, *before):
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from verbs(each, *before, name)
        else:
            yield " ".join((*before, name))


REFERENCE = Path(faults.__file__).parents[1] / "results" / "reference" / "faults" / "faults.json"


def test_the_long_form_went_through_every_verb_and_kind():
    counted = json.loads(REFERENCE.read_text())
    assert {kind for kind, _, _ in counted["parts"]} == {kind for kind, _, _ in faults.parts(1, 200, 1)}
    found = Counter(counted["found"])
    assert faults.bad(found) == 0
    assert found["kills"] >= 200
    assert found["inputs"] >= 20_000
    reached = Counter()
    for name, number in found.items():
        if name.startswith("reached "):
            reached[name.removeprefix("reached ").partition(":")[0]] += number
    # Beyond the reading of flags. A calibration takes seconds.
    assert {verb for verb in verbs(command()) if reached[verb] < 10} == set()


def test_the_oracle_sees_a_traceback_a_silence_and_a_file_outside(tmp_path, tmp_path_factory, monkeypatch):
    for name in ("LINREC_BENCH_CACHE", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    found = Counter()
    outside = tmp_path_factory.mktemp("other") / "file"
    with Place(tmp_path) as place:
        place.judge(found, "planted", lambda: {}["x"])
        place.judge(found, "planted", lambda: outside.write_text("x"))
        place.call(found, "planted", "list", "no-such-kind")
    assert (found["tracebacks"], found["files outside"], found["planted: exit 2"]) == (1, 1, 1)


def test_made_suites_are_valid_until_a_fault_is_planted(tmp_path):
    outcomes = []

    def probe(text):
        (tmp_path / "made.yaml").write_text(text)
        try:
            load(tmp_path / "made.yaml", device="cpu")
        except SuiteError:
            outcomes.append(False)
        else:
            outcomes.append(True)

    made(suites.suites(), probe, count=60, seed=1)
    assert 0.3 < sum(outcomes) / len(outcomes) < 0.9


@pytest.mark.parametrize("reader", guided_fuzzing.READERS)
def test_inputs_that_reached_lines_of_their_own_are_read_or_refused(reader, tmp_path, monkeypatch):
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(tmp_path / "cache"))
    outcomes = {guided_fuzzing.read(reader, content, tmp_path) for content in guided_fuzzing.corpus(reader)}
    assert outcomes == {True, False}
