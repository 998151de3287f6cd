"""Data sets by name: settings of any kind, archives as published and damaged, and servers of any manners."""

from __future__ import annotations

import gzip
import io
import random
import shutil
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import requests
from hypothesis import strategies as st

from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.examples import ODD, made
from benchmarks.fuzz.logs import LOG, written
from benchmarks.fuzz.oracle import Found, Place
from linrec_bench import data
from linrec_bench.data import remote

ROWS = [(1 + at % 4, 1 + at * 7 % 5, 3 + at % 3, 1387670400 + 60 * at) for at in range(60)]


def archives() -> dict[str, tuple[str, bytes]]:
    """Source -> the name and the bytes of a small file in the form in which it is published."""

    def lines(by: str) -> str:
        return "".join(by.join(map(str, row)) + "\n" for row in ROWS)

    def zipped(**members: str) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in members.items():
                archive.writestr(name, text)
        return file.getvalue()

    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        for part in ("4_08_to_4_21", "4_22_to_5_08"):
            text = ("user_id,video_id,x,time_ms\n" + lines(",")).encode()
            entry = tarfile.TarInfo(f"KuaiRand-1K/data/log_standard_{part}_1k.csv")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    movies = {"ml-1m/movies.dat": "".join(f"{at}::M{at}::Drama|War\n" for at in range(1, 6))}
    gowalla = "".join(f"{u}\t2010-10-19T23:{t // 60 % 60:02d}:27Z\t30.2\t-97.7\t{i}\n" for u, i, _, t in ROWS)
    return {
        "ml-100k": ("ml-100k.zip", zipped(**{"ml-100k/u.data": lines("\t")})),
        "ml-1m": ("ml-1m.zip", zipped(**{"ml-1m/ratings.dat": lines("::")}, **movies)),
        "ml-20m": (
            "ml-20m.zip",
            zipped(**{"ml-20m/ratings.csv": "userId,movieId,rating,timestamp\n" + lines(",")}),
        ),
        "kuairand-1k": ("KuaiRand-1K.tar.gz", tarred.getvalue()),
        "gowalla": ("loc-gowalla_totalCheckins.txt.gz", gzip.compress(gowalla.encode())),
    }


def damaged_archives(place: Place, rng: random.Random, count: int, found: Found) -> None:
    whole = archives()
    for at in range(count):
        name = rng.choice(list(whole))
        file, content = whole[name]
        Path(file).write_bytes(damaged(rng, content) if at % 8 else content)
        verb = rng.choice(["prepare", "describe"])
        place.call(
            found, "damaged archive", "data", verb, name, "--set", "folder=.", "--set", "min_interactions=1"
        )
        Path(file).unlink()
        shutil.rmtree("cache", ignore_errors=True)


COUNT = st.integers(-1, 60) | ODD
SETTINGS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "synthetic": {
        **dict.fromkeys(("users", "items", "length", "distance", "features", "seed"), COUNT),
        **dict.fromkeys(("noise", "sigma"), st.floats(0, 3) | ODD),
    },
    "csv": {
        "path": st.sampled_from(["log.csv", "log.tsv", "log.txt", "log.dat", "iso.csv", "none", ".", ""])
        | ODD,
        "user": st.sampled_from(["user_id", "1", "2", "0"]) | ODD,
        "item": st.sampled_from(["item_id", "2", "1"]) | ODD,
        "time": st.sampled_from(["timestamp", "3", "none"]) | ODD,
        "times": st.sampled_from(["integer", "iso", "seconds", "%Y", "%Q", "%"]) | ODD,
        "unit": st.sampled_from(["s", "ms", "h"]),
        "separator": st.sampled_from([",", "tab", "::", "whitespace", '"\\t"', '""']) | ODD,
        "header": st.booleans(),
        "quotes": st.sampled_from(["line", "lines", "none", "x"]),
        "min_interactions": COUNT,
        "on_bad_rows": st.sampled_from(["refuse", "drop"]),
        "features": st.sampled_from(["items.csv", "log.csv", "none"]),
        "feature": st.sampled_from(["features", "2", "x"]),
    },
    "parquet": {
        "path": st.sampled_from(["log.parquet", "log.csv", "."]) | ODD,
        "user": st.sampled_from(["user_id", "item_id"]) | ODD,
        "times": st.sampled_from(["integer", "iso", "seconds", "%Y"]),
        "min_interactions": COUNT,
    },
    "amazon": {"path": st.sampled_from(["log.csv", "log.dat", "none"]) | ODD, "min_interactions": COUNT},
    "gowalla": {"folder": st.sampled_from([".", "none"]) | ODD},
}
WHOLE = {"csv": ["path=log.csv"], "parquet": ["path=log.parquet"], "amazon": ["path=log.csv"]}
"""Settings that read the log; each input changes a few of them, or adds others."""


@st.composite
def described(draw: st.DrawFn) -> list[str]:
    """`data` with a verb and a source whose settings are mostly its own."""
    name = draw(st.sampled_from([*SETTINGS, "csv", "csv"]) | ODD.map(str))
    known = SETTINGS.get(name, SETTINGS["csv"])
    settings = [*WHOLE.get(name, []), draw(st.sampled_from(["min_interactions=1", "min_interactions=2"]))]
    settings = settings if name != "synthetic" else ["users=20", "items=20", "length=10"]
    for _ in range(draw(st.integers(0, 2))):
        key = draw(st.sampled_from(list(known)))
        settings.append(f"{key}={draw(known[key])}")
    flags = draw(st.sampled_from([[], [], [], ["--json"], ["--plot", "out.png"], ["--plot", "out.txt"]]))
    verb = draw(st.sampled_from(["prepare", "describe", "describe", "list"]))
    if verb == "list":
        return ["data", "list", *flags[:1]]
    flags = flags if verb == "describe" else []
    return ["data", verb, name, *(part for each in settings for part in ("--set", each)), *flags]


def made_sources(place: Place, rng: random.Random, count: int, found: Found) -> None:
    for file, content in written().items():
        Path(file).write_bytes(content)
    Path("items.csv").write_text("item_id,features\n" + "".join(f"i{at},a|b\n" for at in range(5)))

    def probe(arguments: object) -> None:
        place.call(found, "made source", *(str(each).replace("\0", "") for each in arguments))  # type: ignore[attr-defined]
        if rng.random() < 0.1:
            shutil.rmtree("cache", ignore_errors=True)

    made(described(), probe, count=count, seed=rng.getrandbits(32))


BODY = LOG.encode() * 40
ANSWERS = {
    "status": [200, 200, 200, 206, 206, 301, 302, 403, 404, 416, 429, 500, 503, 204, 304, 999],
    "Content-Length": [None, None, "0", "10", "-1", "x", str(2**70), "9" * 400],
    "Content-Range": [None, None, "bytes 100-200/300", "bytes */4720", "bytes x", f"bytes 0-{2**70}/*"],
    "Content-Encoding": [None, None, None, "gzip", "br", "x"],
    "Accept-Ranges": [None, "bytes", "none"],
    "Location": [None, "/", "//", "file:///etc/passwd", "http://[", "x" * 5000],
    "Transfer-Encoding": [None, None, None, None, "chunked", "x"],
}
"""What a server says; it may say it wrongly."""


def rude_servers(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """`data fetch` of servers whose answers are cut, wrong or endless redirections."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            chosen = {name: rng.choice(values) for name, values in ANSWERS.items()}
            self.wfile.write(f"HTTP/1.1 {chosen.pop('status')} {rng.choice(['OK', '', 'é'])}\r\n".encode())
            for name, value in chosen.items():
                if value is not None:
                    self.wfile.write(f"{name}: {value}\r\n".encode())
            self.wfile.write(b"\r\n" + BODY[: rng.choice((0, 10, 100, len(BODY)))])
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    get, home = requests.get, f"http://127.0.0.1:{server.server_port}/"
    remotes = {source.name: source.remote.file for source in data.registry().values() if source.remote}
    names = [*remotes, "csv", "none"]
    files = [file + suffix for file in remotes.values() for suffix in ("", ".partial")]
    with (
        mock.patch.object(requests, "get", lambda _, **given: get(home, **given)),
        mock.patch.object(remote, "FIRST_WAIT_S", 0.0),
    ):
        for _ in range(count):
            Path("down").mkdir()
            for file in rng.sample(files, rng.choice((0, 0, 1, 5))):
                Path("down", file).write_bytes(damaged(rng, BODY))
            folder = [] if rng.random() < 0.2 else ["--folder", "down"]
            place.call(found, "rude server", "data", "fetch", rng.choice(names), *folder)
            shutil.rmtree("down")
    server.shutdown()
    server.server_close()
