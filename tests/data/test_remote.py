"""Downloads: checked, resumed where a server lets one, nothing half-written where it does not."""

import gc
import hashlib
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from linrec_bench.data import remote
from linrec_bench.data.source import Remote

CONTENT = os.urandom(300_000)

# The HTTP client leaves the socket of a failed answer to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.0)


class Plain(SimpleHTTPRequestHandler):
    """Knows no ranges, and sends `sent` bytes of what it promises."""

    sent = None
    asked = ()

    def log_message(self, format, *arguments):
        pass

    def do_GET(self):
        type(self).asked += (self.headers.get("Range"),)
        if not self.path.endswith("ml-1m.zip"):
            self.send_error(404)
            return
        self.answer(0)

    def answer(self, start):
        self.send_header_lines(start)
        self.wfile.write(CONTENT[start : None if self.sent is None else start + self.sent])

    def send_header_lines(self, start):
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()


class Boasting(Plain):
    """Promises more bytes than any number of a machine can say."""

    def send_header_lines(self, start):
        self.send_response(200)
        self.send_header("Content-Length", "9" * 400)
        self.end_headers()


class Ranged(Plain):
    """Knows ranges, and cuts after 100,000 bytes of every answer."""

    sent = 100_000

    def send_header_lines(self, start):
        self.send_response_only(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).asked += (asked,)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer(start)


class Stuck(Ranged):
    """Sends 100,000 bytes, and then nothing more."""

    def answer(self, start):
        self.send_header_lines(start)
        self.wfile.write(CONTENT[start:100_000])


@pytest.fixture
def served():
    """A class of handlers -> a file behind a web server on this machine, and the class that counts."""
    servers = []

    def serve(handler, **attributes):
        counting = type(handler.__name__, (handler,), {"asked": (), **attributes})
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(counting))
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_port}/ml-1m.zip"
        digest = hashlib.sha256(CONTENT).hexdigest()
        return Remote(url=url, file="ml-1m.zip", known_hash=f"sha256:{digest}"), counting

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
    gc.collect()


def get(file, folder, progress=lambda done, total: None):
    return remote.fetch(file, folder, progress, name="ml-1m")


def refused(file, folder, message):
    with pytest.raises(ValueError, match=message) as error:
        get(file, folder)
    assert "\n" not in str(error.value)


def changed(file, **fields):
    return Remote(**{"url": file.url, "file": file.file, "known_hash": file.known_hash} | fields)


def test_a_fetched_file_is_checked_and_stands_alone_in_the_cache(served, cache):
    told = []
    path = get(served(Plain)[0], None, lambda done, total: told.append((done, total)))
    assert path == cache / "ml-1m.zip"
    assert path.read_bytes() == CONTENT
    assert [file.name for file in cache.iterdir()] == ["ml-1m.zip"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_is_there_is_not_fetched_again(served, tmp_path, monkeypatch):
    file, handler = served(Plain)
    mine = tmp_path / "mine"
    get(file, mine)
    assert get(file, mine) == mine / "ml-1m.zip"
    # Data that lie in the folder of the user are taken too, unless they are others.
    monkeypatch.setenv("LINREC_BENCH_DATA", str(mine))
    assert get(file, None) == mine / "ml-1m.zip"
    assert len(handler.asked) == 1
    (mine / "ml-1m.zip").write_bytes(b"other")
    assert get(file, None) == tmp_path / "cache" / "ml-1m.zip"


def test_a_cut_download_goes_on_where_it_was(served, tmp_path):
    file, handler = served(Ranged)
    told = []
    path = get(file, tmp_path / "mine", lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert handler.asked == (None, "bytes=100000-", "bytes=200000-")
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["ml-1m.zip"]


def test_a_later_command_goes_on_with_what_a_server_with_ranges_gave(served, tmp_path):
    mine = tmp_path / "mine"
    refused(
        served(Stuck)[0], mine, r"could not be downloaded: .*; 100,000 bytes are kept in .*ml-1m.zip.partial"
    )
    assert [entry.name for entry in mine.iterdir()] == ["ml-1m.zip.partial"]
    file, handler = served(Ranged, sent=None)
    assert get(file, mine).read_bytes() == CONTENT
    assert handler.asked == ("bytes=100000-",)
    assert [entry.name for entry in mine.iterdir()] == ["ml-1m.zip"]


def test_a_download_that_was_whole_but_for_its_name_is_finished(served, tmp_path):
    (tmp_path / "ml-1m.zip.partial").write_bytes(CONTENT)
    file, handler = served(Ranged, sent=None)
    assert get(file, tmp_path).read_bytes() == CONTENT
    assert handler.asked == ("bytes=300000-",)


def test_a_server_without_ranges_begins_anew(served, tmp_path):
    (tmp_path / "ml-1m.zip.partial").write_bytes(CONTENT[:1000])
    assert get(served(Plain)[0], tmp_path).read_bytes() == CONTENT


def test_what_was_kept_of_another_file_does_not_stay(served, tmp_path):
    (tmp_path / "ml-1m.zip.partial").write_bytes(b"x" * 1000)
    refused(served(Ranged, sent=None)[0], tmp_path, "does not match")
    assert not (tmp_path / "ml-1m.zip.partial").exists()
    (tmp_path / "ml-1m.zip.partial").write_bytes(CONTENT + b"more")
    assert get(served(Ranged, sent=None)[0], tmp_path).read_bytes() == CONTENT


def test_a_download_cut_by_a_server_without_ranges_leaves_nothing(served, tmp_path):
    file, handler = served(Plain, sent=100_000)
    refused(
        file, tmp_path / "mine", r"data ml-1m: .* could not be downloaded.*put it into .*mine as ml-1m.zip"
    )
    assert list((tmp_path / "mine").iterdir()) == []
    # The first try brought something; so many more in a row did not.
    assert len(handler.asked) == 1 + remote.TRIES


def test_a_size_beyond_all_sizes_is_none(served, tmp_path):
    file, _ = served(Boasting)
    totals = set()
    with pytest.raises(ValueError, match="could not be downloaded"):
        get(file, tmp_path, lambda done, total: totals.add(total))
    assert totals == {0}


def test_a_wrong_hash_leaves_nothing_behind(served, tmp_path):
    file, _ = served(Plain)
    refused(changed(file, known_hash=f"sha256:{'0' * 64}"), tmp_path / "mine", "does not match")
    assert list((tmp_path / "mine").iterdir()) == []


def test_no_server_and_no_such_file_are_said(served, tmp_path):
    file, handler = served(Plain)
    refused(changed(file, url=file.url + "x"), tmp_path / "mine", "could not be downloaded: 404")
    assert len(handler.asked) == 1
    refused(
        changed(file, url="http://127.0.0.1:1/x"),
        tmp_path / "mine",
        "downloaded: no connection to 127.0.0.1. Or",
    )
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_failed_download_leaves_the_old_file(served, tmp_path):
    (tmp_path / "ml-1m.zip").write_bytes(b"older")
    refused(changed(served(Plain)[0], known_hash=f"sha256:{'0' * 64}"), tmp_path, "does not match")
    assert (tmp_path / "ml-1m.zip").read_bytes() == b"older"
