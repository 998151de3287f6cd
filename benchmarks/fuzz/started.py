"""Verbs with which work begins: `init`, whose files must be read again, `env`, and `calibrate`."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import yaml
from hypothesis import strategies as st

from benchmarks.fuzz.examples import ODD, made
from benchmarks.fuzz.executed import measurable
from benchmarks.fuzz.oracle import Found, Place
from linrec_bench import attention
from linrec_bench.suite import load

NAMES = st.builds(
    "{}{}".format,
    st.text(max_size=6).map(lambda text: text.replace("\0", ""))
    | st.sampled_from(
        ["new/a", "a b", "{x}", "a\nb: 5", "#", "%", "'", '"', "my_attention", "-x", "./a", "é", "."]
    ),
    st.sampled_from([".yaml", ".yaml", "", ".py", ".json", "/"]),
)
PLUGINS = (
    st.sampled_from(["my_attention.py", "new/own.py", "a.py", "A.py", "x.txt", "a-b.py", "import.py"]) | NAMES
)


def started() -> st.SearchStrategy[list[str]]:
    """`init` with names of files, `env` with devices."""
    name = NAMES.map(lambda text: [text])
    flags = st.one_of(
        st.tuples(st.just("--schema"), st.sampled_from(["s.json", "new/s.json", "exists.json"]) | NAMES),
        st.tuples(st.just("--plugin"), PLUGINS),
        st.tuples(st.just("--plugin"), PLUGINS, st.just("--layer")),
        st.tuples(st.just("--plugin"), PLUGINS, st.just("--ci"), st.just("github")),
        st.tuples(st.sampled_from(["--layer", "--ci"])),
    )
    init = st.builds(
        lambda names, given: ["init", *names, *(part for each in given for part in each)],
        st.just([]) | name | name,
        st.lists(flags, max_size=2),
    )
    device = st.sampled_from(["cpu", "auto", "cuda", "cuda:0,cuda:1", "cpu,cpu", "cpu:1"]) | ODD.map(str)
    env = st.builds(lambda text: ["env", "--device", text.replace("\0", "")], device)
    return st.one_of(*[init] * 7, env)


def made_starts(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """Each in an empty folder of the place but for a file that exists."""

    def probe(arguments: object) -> None:
        before = {path for path in Path().iterdir()}
        Path("exists.json").write_text("{}")
        place.call(found, "made start", *map(str, arguments))  # type: ignore[call-overload]
        place.judge(found, "made start: what was written", read_again)
        attention.unload_plugins()
        for path in set(Path().iterdir()) - before:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def read_again() -> None:
        """Each suite is one, and each mechanism can be loaded; raises `AssertionError`."""
        try:
            written = {path: path.read_text(errors="replace") for path in Path().rglob("*") if path.is_file()}
            for path, text in written.items():
                if "\nSPEC = Spec(" in text:
                    attention.load_plugin(path)
            for path, text in written.items():
                if "\ntask: " in text:
                    load.load(path, device="cpu")
        except ValueError as refusal:
            raise AssertionError(f"what init wrote is refused: {refusal}") from refusal

    made(started(), probe, count=count // 2, seed=rng.getrandbits(32))


def made_calibrations(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """Small suites of few rounds, half of which have a timed ratio; each further one takes seconds."""
    Path("results").mkdir()

    def probe(suite: dict[str, object]) -> None:
        if rng.random() < 0.5:
            timed = {"attention": ["linrec", "softmax"], "fixed": {"hidden_size": 8, "heads": 2}}
            suite |= timed | {"task": "core", "phases": ["forward"], "measures": ["time"]}
            suite["grid"] = {"seq_len": [rng.choice((1, 8, 33))]}
        Path("made.yaml").write_text(yaml.safe_dump(suite))
        rounds = rng.choice(("2", "2", "2", "3", "1"))
        place.call(found, "made calibration", "calibrate", "made.yaml", "--rounds", rounds, "--device", "cpu")
        Path("results/calibration.json").unlink(missing_ok=True)

    made(measurable(), probe, count=count, seed=rng.getrandbits(32))
