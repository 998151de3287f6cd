"""Fuzzing of the readers of suites, rows and logs that is guided by which lines an input reaches.

    pip install atheris
    python -m benchmarks.guided_fuzzing suite --seconds 600 --corpus FOLDER

Begins with `fuzz/corpus.zip`, which holds inputs of earlier runs that reached lines of their own, and what
lies in FOLDER; adds what it finds there. An input that is neither read nor refused with a sentence, or takes
more than 10 s, ends it: the input is kept as `crash-...` in FOLDER. `--keep` puts what FOLDER holds into
`corpus.zip`; tests read all of these.

A long run is ten minutes of one core for each reader, about 10,000 logs, 100,000 suites or a million rows.
Keep what it found where its input ends no run.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType

CORPUS = Path(__file__).parent / "fuzz" / "corpus.zip"
LONGEST_S = 10
LONGEST_BYTES = 2000


def read_suite(content: bytes, folder: Path) -> None:
    from linrec_bench.suite.load import load

    (folder / "suite.yaml").write_bytes(content)
    load(folder / "suite.yaml", device="cpu")


def read_rows(content: bytes, folder: Path) -> None:
    """Below the header of samples.csv."""
    from linrec_bench.results.rows import COLUMNS
    from linrec_bench.results.samples_file import read_samples

    (folder / "samples.csv").write_bytes(",".join(COLUMNS).encode() + b"\n" + content)
    read_samples(folder / "samples.csv")


def read_log(content: bytes, folder: Path) -> None:
    from linrec_bench import data
    from linrec_bench.commands.describe_log import described

    path = folder / "log.csv"
    path.write_bytes(content)
    given = {"min_interactions": 1}
    _ = described(str(path), given, sniffed=data.sniff(str(path), given)).counts


READERS: Mapping[str, Callable[[bytes, Path], None]] = {
    "suite": read_suite,
    "rows": read_rows,
    "log": read_log,
}


def read(name: str, content: bytes, folder: Path) -> bool:
    """Whether the content was read; False where it was refused with a sentence. Raises anything else."""
    try:
        READERS[name](content, folder)
    except ValueError as refusal:
        if not str(refusal).strip():
            raise
        return False
    return True


def corpus(name: str) -> list[bytes]:
    """The kept inputs of a reader."""
    with zipfile.ZipFile(CORPUS) as archive:
        return [archive.read(member) for member in archive.namelist() if member.startswith(f"{name}/")]


def seeds(name: str) -> list[bytes]:
    """Small valid inputs, to begin a corpus with."""
    from benchmarks.fuzz import logs, stored

    if name == "suite":
        return [stored.SUITE.encode()]
    if name == "log":
        return [
            content for file, content in logs.written().items() if file.endswith((".csv", ".tsv", ".dat"))
        ]
    with tempfile.TemporaryDirectory() as folder:
        samples = (stored.store_run(Path(folder)) / "samples.csv").read_bytes()
    return samples.splitlines(keepends=True)[1:8]


def instrumented() -> ModuleType:
    """atheris, which sees the lines of all modules of linrec-bench that are imported from here on."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["linrec_bench"]):
        for module in ("commands.describe_log", "suite.load", "results.samples_file"):
            importlib.import_module(f"linrec_bench.{module}")
    return atheris


def fuzz(atheris: ModuleType, name: str, arguments: list[str]) -> None:
    """Read what libFuzzer makes, which takes these arguments and ends the process."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["LINREC_BENCH_CACHE"] = place
        atheris.Setup([sys.argv[0], *arguments], lambda content: read(name, content, Path(place)) and None)
        atheris.Fuzz()


def keep(name: str, folder: Path) -> None:
    """Make the inputs of a folder those of a reader in `corpus.zip`; libFuzzer leaves what reached lines of
    its own there."""
    found = {path.read_bytes() for path in folder.iterdir() if "-" not in path.name}
    others = {other: corpus(other) for other in READERS if other != name} if CORPUS.exists() else {}
    with zipfile.ZipFile(CORPUS, "w", zipfile.ZIP_DEFLATED) as archive:
        for reader, contents in sorted({**others, name: sorted(found)}.items()):
            for content in contents:
                # Equal inputs give an equal file.
                entry = zipfile.ZipInfo(f"{reader}/{sha256(content).hexdigest()[:16]}", (1980, 1, 1, 0, 0, 0))
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    given.corpus.mkdir(parents=True, exist_ok=True)
    if given.keep:
        keep(given.reader, given.corpus)
        return
    atheris = instrumented()
    arguments = [f"-timeout={LONGEST_S}", f"-max_len={LONGEST_BYTES}", f"-seed={given.seed}"]
    kept = corpus(given.reader) if CORPUS.exists() else []
    for content in [*seeds(given.reader), *kept]:
        (given.corpus / sha256(content).hexdigest()[:16]).write_bytes(content)
    arguments += [f"-max_total_time={given.seconds}", f"-artifact_prefix={given.corpus}/", str(given.corpus)]
    fuzz(atheris, given.reader, arguments)


if __name__ == "__main__":
    main()
