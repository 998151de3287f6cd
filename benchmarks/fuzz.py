"""Fuzzing of the command line in one process: made and damaged inputs of every verb that reads.

Inputs are made by the strategies of Hypothesis or are small valid files, damaged at a random place. A call
may end with a documented exit code, within 10 s of CPU time, and may write below its own folder only.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import lzma
import multiprocessing.util
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import hypothesis
import numpy as np
import torch
import yaml
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from pyarrow import csv, parquet

from linrec_bench import cli
from linrec_bench.case import Case
from linrec_bench.execution import server
from linrec_bench.gate import baseline
from linrec_bench.results import scratch, store
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.training.checkpoint import Checkpoint

DOCUMENTED = (0, 1, 2, 3, 4, 130)
LONGEST_S = 10
SUITE = """\
task: core
attention: [linrec, softmax]
grid: {seq_len: [8, 16]}
fixed: {hidden_size: 8, heads: 2, batch_size: 2}
phases: [forward]
rounds: 2
sampling: {seconds: 0.001, min: 2, max: 3}
limits: {memory: 1GiB, case_seconds: 20}
expect:
  - {attention: linrec, measure: flops, ratio: "<= 9", to: softmax}
"""
LOG = "user_id,item_id,timestamp\n" + "".join(
    f"u{at % 4},i{at * 7 % 5},{1387670400 + 60 * at}\n" for at in range(120)
)

Found = Counter[str]


class Hang(BaseException):
    """More CPU time than an input may take."""


def damaged(rng: random.Random, content: bytes) -> bytes:
    """One or two faults: cut, flipped, removed, repeated, zeroed or foreign bytes at a random place."""
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.choice((0, len(content), rng.randrange(len(content) + 1)))
        end = min(len(content), at + rng.choice((1, 4, 64, 4096)))
        line = content[content.rfind(b"\n", 0, at) + 1 : (content.find(b"\n", at) + 1) or len(content)]
        content = rng.choice(
            (
                content[:at],
                content[:at]
                + bytes(byte ^ (1 << rng.randrange(8)) for byte in content[at:end])
                + content[end:],
                content[:at] + content[end:],
                content[:at] + line * rng.choice((1, 300)) + content[at:],
                content[:at] + bytes(end - at) + content[end:],
                content[:at] + rng.choice(FOREIGN) + content[at:],
                content[:at] + rng.choice(FOREIGN) + content[end:],
                content.decode("latin-1").encode("utf-16"),
            )
        )
    return content


FOREIGN = (
    *(
        b"\n",
        b'"',
        b"'",
        b",",
        b":",
        b"\t",
        b"\0",
        b"\r",
        b"#",
        b"-",
        b"%",
        b"|",
        b"=",
        b" ",
        b"&a [*a]",
        b"!!python/name:os.system",
    ),
    *(
        b"[" * 500,
        b"{" * 500,
        b"1e999",
        b"nan",
        b"-inf",
        b"9" * 400,
        b"-1",
        b"0",
        b"0x10",
        b"1_0",
        b"true",
        b"null",
        b"[]",
        b"{}",
    ),
    *(
        b"\xff\xfe",
        b"\xc3",
        b"\xed\xa0\x80",
        "\u202e".encode(),
        "é".encode("latin-1"),
        b"../../x",
        b"/etc/passwd",
        b"\x1b[1m",
    ),
)


class Place:
    """A folder with small valid inputs, which is the working folder of all calls. Use as a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.written: list[str] = []
        self.kept = (os.getcwd(), tempfile.tempdir, sys.argv)
        self.watching = False

    def __enter__(self) -> Place:
        # The server of worker processes and its sockets outlive the folder.
        multiprocessing.util.get_temp_dir()
        server.start()
        os.chdir(self.folder)
        (self.folder / "tmp").mkdir()
        tempfile.tempdir = str(self.folder / "tmp")
        os.environ |= {
            "LINREC_BENCH_CACHE": str(self.folder / "cache"),
            "MPLCONFIGDIR": str(self.folder / "tmp"),
        }
        set_hypothesis_home_dir(self.folder / "tmp")
        sys.addaudithook(self._audit)
        self.watching = True
        self.seeds = _seeds(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self.watching = False
        os.chdir(self.kept[0])
        tempfile.tempdir, sys.argv = self.kept[1:]

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.watching:
            return
        paths: Sequence[object] = ()
        if (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ) or event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate"):
            paths = arguments[:1]
        elif event in ("os.rename", "os.link", "os.symlink"):
            paths = arguments[1:2]
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                real = os.path.realpath(os.fsdecode(path))
                if (
                    not f"{real}/".startswith((f"{self.folder}/", "/dev/", "/proc/"))
                    and "__pycache__" not in real
                ):
                    self.written.append(f"{event} {real}")

    def call(self, found: Found, kind: str, *arguments: str) -> None:
        """Call the command line, and count how it ended."""

        def verb() -> None:
            sys.argv = ["linrec-bench", *arguments]
            cli.main()

        self.judge(found, kind, verb, arguments)

    def judge(self, found: Found, kind: str, verb: Callable[[], object], shown: object = "") -> None:
        """Call a verb or a reader, and count how it ended."""
        said, code = io.StringIO(), 0
        signal.signal(signal.SIGVTALRM, _hang)
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                verb()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except ValueError as refusal:
            code = 2 if str(refusal).strip() else 70
        except Hang:
            found["hangs"] += 1
            found[f"hang: {kind} {shown}"[:300]] += 1
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            where = traceback.extract_tb(error.__traceback__)[-1]
            found["tracebacks"] += 1
            found[
                f"traceback: {kind} {shown} {type(error).__name__}: {error} ({where.name}:{where.lineno})"[
                    :400
                ]
            ] += 1
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        found["inputs"] += 1
        found[f"{kind}: exit {code}"] += 1
        if code not in DOCUMENTED or "Traceback" in said.getvalue():
            found["tracebacks"] += 1
            found[f"fault: {kind} {shown} {said.getvalue().strip()[-300:]}"] += 1
        if self.written:
            found["files outside"] += 1
            found[f"outside: {kind} {shown} {self.written[0]}"] += 1
            self.written.clear()


def _hang(*_: object) -> None:
    raise Hang


def _seeds(folder: Path) -> dict[str, bytes]:
    """Small valid inputs by file name; the stored run lies in results/s/RUN."""
    table = csv.read_csv(io.BytesIO(LOG.encode()))
    written = io.BytesIO()
    parquet.write_table(table, written)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("log.csv", LOG)
    rows = [line.split(",") for line in LOG.splitlines()[1:]]
    logs = {
        "log.csv": LOG.encode(),
        "log.tsv": LOG.replace(",", "\t").encode(),
        "log.txt": "".join(f"{row[0]} {row[1]}\n" for row in rows).encode(),
        "log.dat": "".join("::".join(row) + "\n" for row in rows).encode(),
        "iso.csv": "".join(
            f"{row[0]},{row[1]},2012-04-04T0{at // 60}:{at % 60:02d}:09Z\n" for at, row in enumerate(rows)
        ).encode(),
        "quoted.csv": "".join(f'"{row[0]}","a\n""b""",{row[2]}\n' for row in rows).encode(),
        "log.parquet": written.getvalue(),
        "log.csv.gz": gzip.compress(LOG.encode(), mtime=0),
        "log.csv.xz": lzma.compress(LOG.encode()),
        "log.zip": zipped.getvalue(),
    }
    (folder / "suite.yaml").write_text(SUITE)
    run = store.create(
        folder / "results",
        suite="s",
        suite_text=SUITE,
        environment=_environment(),
        now=datetime.now(UTC),
        cases=[case for case in _cases()],
    )
    with store.Writer(run) as writer:
        for case in _cases():
            for round in range(2):
                row = partial(row_of, case, run_id=run.id, suite="s", round=round, unit="s")
                value = 1e-3 * case.seq_len * (1 + 0.1 * round)
                samples = [row(measure="time", repeat=at, value=value + 1e-5 * at) for at in range(4)]
                writer.append([*samples, row(measure=TRIAL, value=1.0)], {"ranks": b"x"} if round else {})
    from linrec_bench.analysis.summary import summarise

    run.write_summary(summarise(run.samples(), reference="softmax"))
    return logs


def _cases() -> list[Case]:
    return [
        Case(task="core", phase="forward", attention=name, seq_len=n)
        for name in ("linrec", "softmax")
        for n in (8, 16)
    ]


def _environment() -> dict[str, object]:
    root = Path(__file__).parents[1] / "results" / "reference" / "cpu" / "quick" / "environment.json"
    return dict(json.loads(root.read_text()))


# -- What Hypothesis makes.

ODD = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "linrec",
            "softmax",
            "all",
            "core",
            "train",
            "1GiB",
            "-1",
            "1e999",
            ".inf",
            "0100",
            "cpu",
            "cuda:7",
            "*",
        ]
    ),
)
VALUE = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | ODD.map(str), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = (
    "task",
    "attention",
    "grid",
    "fixed",
    "phases",
    "rounds",
    "sampling",
    "limits",
    "expect",
    "claims",
    "dataset",
    "model",
    "title",
    "sweeps",
    "per_device",
    "measures",
    "seed",
    "seeds",
    "protocol",
    "x",
)


def suites() -> st.SearchStrategy[str]:
    """The valid suite, with some keys set to what they should not hold."""
    changes = st.just({}) | st.dictionaries(st.sampled_from(KEYS), VALUE, min_size=1, max_size=2)
    nested = st.tuples(
        st.sampled_from(["grid", "fixed", "sampling", "limits"]),
        st.sampled_from(
            [
                "seq_len",
                "hidden_size",
                "heads",
                "batch_size",
                "seconds",
                "min",
                "memory",
                "case_seconds",
                "dtype",
            ]
        ),
        VALUE | st.sampled_from([1, 2, 4, 8, [8, 16], 0.001, "1GiB", "float32"]),
    )

    def changed(top: dict[str, object], inner: tuple[str, str, object]) -> str:
        content = yaml.safe_load(SUITE)
        content[inner[0]] = {**content[inner[0]], inner[1]: inner[2]}
        return str(yaml.safe_dump({**content, **top}, allow_unicode=True))

    return st.builds(changed, changes, nested)


def logs() -> st.SearchStrategy[str]:
    """Tables whose fields are mostly good, in any separator."""
    good = st.integers(1_300_000_000, 1_400_000_000).map(str)
    bad = st.text(max_size=6) | st.floats().map(str) | st.integers().map(str)
    bad |= st.sampled_from(["", '"', "NaN", "2010-02-31", "2012-04-04 00:00:00", "1e400", "-1", "inf", "０"])
    names = st.sampled_from(["u1", "u2", "7", "8"]) | bad
    row = st.one_of(
        *[st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["7", "8"]), good)] * 4,
        st.tuples(names, names, good | bad),
    )
    header = st.sampled_from(["", "user_id,item_id,timestamp", "user,item", "a,a,a", ","])
    return st.builds(
        lambda head, rows, by: "\n".join([head, *(by.join(each) for each in rows)]) + "\n",
        header,
        st.lists(row, max_size=12),
        st.sampled_from([",", "\t", "::", ";", " ", "|"]),
    )


SETTINGS = st.sampled_from(
    [
        "rounds",
        "grid.seq_len",
        "limits.memory",
        "limits.case_seconds",
        "sampling.min",
        "time",
        "times",
        "user",
        "separator",
        "min_interactions",
        "on_bad_rows",
        "quotes",
        "unit",
        "x",
        "",
    ]
)


def flags() -> st.SearchStrategy[list[str]]:
    """A verb that measures nothing, and flags of it with values of any kind."""
    text = ODD.map(str) | st.sampled_from(
        ["suite.yaml", "log.csv", "results", "results/s", "none", ".", "", "out.csv"]
    )
    flag = st.one_of(
        st.tuples(st.just("--set"), st.builds("{}={}".format, SETTINGS, text)),
        st.tuples(
            st.just("--only"),
            st.builds(
                "{}{}{}".format,
                st.sampled_from(["seq_len", "attention", "x", ""]),
                st.sampled_from(["=", "<=", ">", "~", ""]),
                text,
            ),
        ),
        st.tuples(
            st.sampled_from(
                [
                    "--device",
                    "--memory",
                    "--margin",
                    "--budget",
                    "--table",
                    "--attention",
                    "--against",
                    "--target",
                    "--style",
                ]
            ),
            text,
        ),
        st.tuples(st.sampled_from(["--json", "--help", "--fresh", "--escape-formulas", "--x"])),
    )
    verb = st.sampled_from(
        [
            ["run", "suite.yaml", "--dry-run"],
            ["predict", "suite.yaml"],
            ["data", "describe", "log.csv"],
            ["compare", "results/s"],
            ["answer", "log.csv", "--dry-run"],
            ["export", "results", "--out", "out.csv"],
            ["list", "attention"],
            ["list", "datasets"],
            ["list"],
            ["check", "suite.yaml", "--from", "results/s"],
            ["convert", "results/s"],
            ["env"],
            ["init", "made.yaml"],
        ]
    )
    return st.builds(
        lambda verb, given: [*verb, *(part.replace("\0", "") for each in given for part in each)],
        verb,
        st.lists(flag, max_size=3),
    )


def made(
    strategy: st.SearchStrategy[object], probe: Callable[[object], None], *, count: int, seed: int
) -> None:
    """Call `probe` with `count` examples that follow from the seed."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def each(example: object) -> None:
        probe(example)

    each()


# -- One kind of input each; `count` inputs.


def damaged_logs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    for at in range(count):
        name = rng.choice(list(place.seeds))
        Path(name).write_bytes(damaged(rng, place.seeds[name]))
        verb = ("answer", name, "--dry-run", "--budget", "1m") if at % 10 == 0 else ("data", "describe", name)
        dropped = ["--set", "on_bad_rows=drop"] if at % 3 == 0 else []
        place.call(found, "damaged log", *verb, *dropped, "--set", "min_interactions=1")
        shutil.rmtree("cache", ignore_errors=True)


def made_logs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    def probe(text: object) -> None:
        Path("made.csv").write_bytes(str(text).encode("utf-8", "surrogatepass"))
        place.call(found, "made log", "data", "describe", "made.csv", "--set", "min_interactions=1")
        shutil.rmtree("cache", ignore_errors=True)

    made(logs(), probe, count=count, seed=rng.getrandbits(32))


def damaged_suites(place: Place, rng: random.Random, count: int, found: Found) -> None:
    for _ in range(count):
        Path("bad.yaml").write_bytes(damaged(rng, SUITE.encode()))
        place.call(found, "damaged suite", "run", "bad.yaml", "--dry-run", "--device", "cpu")


def made_suites(place: Place, rng: random.Random, count: int, found: Found) -> None:
    def probe(text: object) -> None:
        Path("made.yaml").write_bytes(str(text).encode("utf-8", "surrogatepass"))
        place.call(found, "made suite", "run", "made.yaml", "--dry-run", "--device", "cpu")

    made(suites(), probe, count=count, seed=rng.getrandbits(32))


def made_flags(place: Place, rng: random.Random, count: int, found: Found) -> None:
    Path("log.csv").write_text(LOG)

    def probe(arguments: object) -> None:
        place.call(found, "flags", *map(str, arguments))  # type: ignore[call-overload]

    made(flags(), probe, count=count, seed=rng.getrandbits(32))


def damaged_runs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    (run,) = Path("results/s").iterdir()
    verbs: list[list[str]] = [
        ["export", "results", "--out", "out.csv"],
        ["export", "results", "--out", "out.parquet", "--table", "summary"],
        ["compare", "results/s", "--attention", "linrec", "--against", "softmax"],
        ["check", "suite.yaml", "--from", str(run)],
        ["convert", str(run)],
        ["run", "suite.yaml", "--dry-run", "--device", "cpu"],
    ]
    slow = [["report", "results"], ["plot", "results", "--format", "svg"]]
    whole = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for at in range(count):
        path = rng.choice(list(whole))
        path.write_bytes(damaged(rng, whole[path]))
        place.call(found, "damaged run", *rng.choice(slow if at % 25 == 0 else verbs))
        shutil.rmtree("results")
        for file, content in whole.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def damaged_states(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """Baselines, checkpoints and arrays of ranks, given to their readers."""
    case = _cases()[0]
    content = {
        "schema_version": baseline.SCHEMA_VERSION,
        "torch": torch.__version__,
        "counts": {},
        "ratios": {},
    }
    content["counts"] = {str(case): {"flops": 1, "operations": 2, "peak_live_bytes": 3, "saved_bytes": 4}}
    Checkpoint(Path("state.pt"), identity="a").save({"weights": torch.zeros(4), "step": 3})
    Path("ranks").mkdir(exist_ok=True)
    arrays = io.BytesIO()
    np.savez(arrays, users=np.arange(5), ranks=np.arange(5))
    readers: list[tuple[str, Path, bytes, Callable[[], object]]] = [
        (
            "baseline",
            Path("b.json"),
            json.dumps(content).encode(),
            lambda: baseline.read(Path("b.json"), torch_version=torch.__version__),
        ),
        (
            "checkpoint",
            Path("state.pt"),
            Path("state.pt").read_bytes(),
            lambda: Checkpoint(Path("state.pt"), identity="a", on_damage=str).load(),
        ),
        ("ranks", Path(f"ranks/{case.id}-0.npz"), arrays.getvalue(), lambda: scratch.ranks(Path("."))),
    ]
    for _ in range(count):
        kind, path, whole, read = rng.choice(readers)
        path.write_bytes(damaged(rng, whole))
        place.judge(found, f"damaged {kind}", read)


KINDS: dict[Callable[[Place, random.Random, int, Found], None], float] = {
    damaged_logs: 0.1,
    made_logs: 0.1,
    damaged_suites: 0.2,
    made_suites: 0.1,
    made_flags: 0.1,
    damaged_runs: 0.1,
    damaged_states: 0.3,
}


def fuzz(kind: str, *, seed: int, count: int, folder: Path) -> Found:
    """`count` inputs of a kind, which follow from the seed."""
    found: Found = Counter({"inputs": 0, "tracebacks": 0, "hangs": 0, "files outside": 0})
    make = next(each for each in KINDS if each.__name__ == kind)
    with Place(folder) as place:
        make(place, random.Random(f"{seed} {kind}"), count, found)
    return found
