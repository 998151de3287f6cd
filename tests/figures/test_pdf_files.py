"""PDF files: fonts are embedded, and letters stand where they do with the whole font."""

import re

import matplotlib
import pytest
from matplotlib.figure import Figure

from linrec_bench.figures import pdf_files, style_of

LATIN = "AVATAR fi, time of one step: 1.5 µs ± 2 %, N² −3 → ½"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of fonts, empty."""
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(tmp_path))
    pdf_files.families.cache_clear()
    yield tmp_path / "fonts"
    pdf_files.families.cache_clear()


def saved(text):
    """The file of a figure with this text, and what its page draws."""
    with matplotlib.rc_context({**style_of().rc, "pdf.compression": 0}):
        figure = Figure()
        figure.text(0.1, 0.5, text)
        content = pdf_files.saved(figure)
    (page,) = (part for part in re.findall(rb"stream\n(.*?)endstream", content, re.DOTALL) if b" Tf" in part)
    return content, page


def without_a_cache(monkeypatch, folder, text):
    folder.touch()
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(folder))
    pdf_files.families.cache_clear()
    assert pdf_files.families() == (pdf_files.FAMILY,)
    return saved(text)


def test_the_small_font_is_kept_and_draws_what_the_whole_one_does(cache, monkeypatch, tmp_path):
    small, page = saved(LATIN)
    assert {path.stat().st_size < 10**5 for path in cache.iterdir()} == {True}
    for path in list(cache.iterdir()):
        # Another file: the one that is in use stays as it is.
        path.unlink()
        path.write_bytes(b"damaged")
    pdf_files.families.cache_clear()
    assert saved(LATIN)[0] == small
    whole, same = without_a_cache(monkeypatch, tmp_path / "file", LATIN)
    assert page == same
    for content in (small, whole):
        assert b"/FontFile2" in content
        assert b"/CIDFontType2" in content


def test_a_text_in_another_script_takes_the_whole_font(cache, monkeypatch, tmp_path):
    assert saved("Привет") == without_a_cache(monkeypatch, tmp_path / "file", "Привет")
