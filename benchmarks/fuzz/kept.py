"""Files that verbs of several runs and commits read: parts of a suite to merge, histories of counts."""

from __future__ import annotations

import json
import random
import shutil
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.examples import ODD, VALUE, made
from benchmarks.fuzz.oracle import Found, Place
from benchmarks.fuzz.stored import CARD, CASES, ENVIRONMENT, SUITE, ranks
from linrec_bench.gate import history
from linrec_bench.results import store
from linrec_bench.results.rows import TRIAL, row_of


def store_parts() -> list[Path]:
    """Two runs of half of a suite each."""
    environment = json.loads(ENVIRONMENT.read_text())
    parts = []
    for at in range(2):
        run = store.create(
            Path(f"part{at}"),
            suite="s",
            suite_text=SUITE,
            environment=environment | {"shard": f"{at + 1}/2"},
            now=datetime.now(UTC),
            cases=CASES,
        )
        with store.Writer(run) as writer:
            for case in CASES[2 * at : 2 * at + 2]:
                for round in range(2):
                    row = partial(
                        row_of, case, run_id=run.id, suite="s", round=round, unit="s", host=f"h{at}"
                    )
                    samples = [
                        row(measure="time", repeat=each, value=1e-3 + 1e-5 * each) for each in range(3)
                    ]
                    writer.append([*samples, row(measure=TRIAL, value=1.0)], {"ranks": ranks()})
        run.write_cards([CARD])
        parts.append(run.folder)
    return parts


def damaged_parts(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """A file of one of two parts, which are then merged."""
    parts = store_parts()
    whole = {path: path.read_bytes() for part in parts for path in part.rglob("*") if path.is_file()}
    for _ in range(count):
        path = rng.choice(list(whole))
        path.write_bytes(damaged(rng, whole[path]))
        given = rng.choice([parts, parts, parts, parts[:1], [*parts, parts[0]], [parts[0].parent, parts[1]]])
        place.call(found, "damaged part", "merge", *map(str, given))
        path.write_bytes(whole[path])
        shutil.rmtree("results", ignore_errors=True)


def histories() -> st.SearchStrategy[str]:
    """Lines of JSON that are entries of a history, whose values may be others."""
    text = st.text(max_size=5) | st.sampled_from(["a" * 40, "2026-01-01", ""])
    counts = st.dictionaries(
        text,
        st.dictionaries(st.sampled_from(["flops", "x"]), st.integers() | st.none() | ODD, max_size=2),
        max_size=2,
    )
    line = st.fixed_dictionaries(
        {
            "commit": text,
            "parent": text,
            "date": text,
            "subject": text,
            "torch": text,
            "changed": counts | VALUE,
        }
    )
    head = st.just({"schema_version": 1, "suite": "s"}) | VALUE
    return st.builds(
        lambda first, lines: "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in [first, *lines]),
        head,
        st.lists(line | line | line | VALUE, max_size=3),
    )


def made_histories(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """Half of them made, half damaged."""
    path = Path("counts.jsonl")
    commits = [
        history.Commit(commit=f"{at:040d}", parent="", date="2026-01-01", subject="s") for at in range(4)
    ]
    entries = [history.Entry(each, "2", {"case": {"flops": at // 2}}) for at, each in enumerate(commits)]
    history.write(path, history.History("s", tuple(entries)))
    whole = path.read_bytes()
    flags = [[], ["--json"], ["--export", "github"], ["--export", "bencher"]]

    def probe(text: object) -> None:
        for content in (str(text).encode("utf-8", "surrogatepass"), damaged(rng, whole)):
            path.write_bytes(content)
            place.call(found, "made history", "history", "--file", str(path), *rng.choice(flags))

    made(histories(), probe, count=count // 2, seed=rng.getrandbits(32))
