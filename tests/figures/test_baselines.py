"""Figures compared with pictures of them in `baseline/`, up to a tolerance.

After a wanted change, draw them anew and look at each before it is committed:

    LINREC_BENCH_RENEW_BASELINES=1 pytest tests/figures/test_baselines.py
"""

import functools
import io
import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageFilter
from typer.testing import CliRunner

from linrec_bench.cli import app
from linrec_bench.figures import (
    FIGURES,
    PAPER,
    style_of,
)

pytestmark = pytest.mark.slow

BASELINE = Path(__file__).with_name("baseline")
RENEW = os.environ.get("LINREC_BENCH_RENEW_BASELINES") == "1"

DRAWN_WITH = "3.11"
"""Other versions of matplotlib render words differently."""

DPI = 45
BLUR = 2
"""Pixels; how words are rendered then counts less than whether a mark is there."""

TOLERANCE = 65.0
"""Largest difference of a channel of the blurred pictures, of 255."""

DARK = style_of("slides", "dark")

DRAWN = {
    "time": ("cost", FIGURES["time"].draw, PAPER),
    "time_slides_dark": ("cost", FIGURES["time"].draw, DARK),
    "memory": ("cost", FIGURES["memory"].draw, PAPER),
    "growth": ("cost", FIGURES["growth"].draw, PAPER),
    "memory_kinds": ("cost", FIGURES["memory_kinds"].draw, PAPER),
    "speedup": ("shapes", FIGURES["speedup"].draw, PAPER),
    "speedup_slides_dark": ("shapes", FIGURES["speedup"].draw, DARK),
    "time_zoo": ("zoo", FIGURES["time"].draw, PAPER),
    "amdahl": ("step", FIGURES["amdahl"].draw, PAPER),
    "latency": ("decode", FIGURES["latency"].draw, PAPER),
    "state": ("decode", FIGURES["state"].draw, PAPER),
    "quality": ("quality", FIGURES["quality"].draw, PAPER),
    "learning_curves": ("quality", FIGURES["learning_curves"].draw, PAPER),
    "quality_by_history": ("quality", FIGURES["quality_by_history"].draw, PAPER),
    "quality_by_users": ("quality", FIGURES["quality_by_users"].draw, PAPER),
}


@pytest.fixture(scope="module")
def figure_of(request):
    """`figure_of(name, keep)`: a figure of the planted rows that `keep` leaves of the summary."""

    @functools.cache
    def draw(name, keep):
        rows, function, style = DRAWN[name]
        source = "cost" if rows == "shapes" else rows
        summary, samples = (request.getfixturevalue(f"{source}_{part}") for part in ("summary", "samples"))
        if rows == "cost":
            summary = summary.query("batch_size == 16 and hidden_size == 64")
        elif rows == "shapes":
            summary = summary.query("phase == 'forward'")
        return function(keep(summary), samples, style)

    return draw


@pytest.fixture
def drawn(figure_of):
    """`drawn(name, keep)`: the same as pixels, with settings of matplotlib for the words."""

    def draw(name, keep=as_it_is, **rc):
        return pixels(figure_of(name, keep), DRAWN[name][2].rc | rc)

    return draw


def as_it_is(summary):
    return summary


REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "cpu"

DRAWN_RUNS = [path.parent for path in sorted(REFERENCE.glob("*/figures"))]
"""The reference runs whose figures are committed, that of the README among them."""


@pytest.mark.skipif(
    not matplotlib.__version__.startswith(DRAWN_WITH),
    reason=f"the figures were drawn with matplotlib {DRAWN_WITH}, this is {matplotlib.__version__}",
)
@pytest.mark.parametrize("folder", DRAWN_RUNS, ids=lambda folder: folder.name)
def test_committed_figures_are_what_plot_draws_now(folder, tmp_path):
    """After a wanted change: linrec-bench plot results/reference/cpu/NAME --format png --format svg"""
    command = ["plot", str(folder), "--out", str(tmp_path), "--format", "svg"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    drawn = {path.name for path in tmp_path.iterdir()}
    # Those that need raw samples, which are not committed, may have been drawn when the run was made.
    committed = {path.name for path in (folder / "figures").iterdir()}
    assert committed >= drawn | {f"{name.removesuffix('svg')}png" for name in drawn}
    for name in sorted(drawn):
        (words, numbers), (others, expected) = (
            content(each / name) for each in (tmp_path, folder / "figures")
        )
        assert words == others, name
        np.testing.assert_allclose(numbers, expected, atol=POINT, err_msg=name)


NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

POINT = 1.0
"""As far as places of a drawing may differ: other builds of the fonts have words of another width."""


def content(path):
    """What an SVG draws: its words and names in order, and its numbers. Identifiers follow from these."""
    root = ET.parse(path).getroot()
    for metadata in root.findall("{*}metadata"):
        root.remove(metadata)
    told = []
    for element in root.iter():
        told += [element.tag, (element.text or "").strip()]
        kept = {name: value for name, value in element.attrib.items() if not name.endswith(("id", "href"))}
        told += [f"{name}={re.sub(r'url.*?[)]', 'url', value)}" for name, value in kept.items()]
    text = "\n".join(told)
    return NUMBER.sub("#", text), np.array([float(number) for number in NUMBER.findall(text)])


def pixels(figure, rc):
    buffer = io.BytesIO()
    with matplotlib.rc_context(rc):
        figure.savefig(buffer, format="png", dpi=DPI)
    return Image.open(buffer).convert("RGB")


def difference(one, other):
    """The largest difference between two blurred pictures of one size, over pixels and channels."""
    assert one.size == other.size
    a, b = (
        np.asarray(picture.filter(ImageFilter.GaussianBlur(BLUR)), dtype=float) for picture in (one, other)
    )
    return float(np.abs(a - b).max())


@pytest.mark.skipif(
    not matplotlib.__version__.startswith(DRAWN_WITH),
    reason=f"baselines were drawn with matplotlib {DRAWN_WITH}, this is {matplotlib.__version__}",
)
@pytest.mark.parametrize("name", DRAWN)
def test_the_figure_looks_like_its_baseline(name, drawn):
    path, found = BASELINE / f"{name}.png", drawn(name)
    if RENEW:
        path.parent.mkdir(exist_ok=True)
        found.quantize(48, dither=Image.Dither.NONE).save(path, optimize=True)
    with Image.open(path) as stored:
        assert difference(found, stored.convert("RGB")) < TOLERANCE
    assert path.stat().st_size < 30_000


@pytest.mark.parametrize("name", ["time", "memory", "quality", "speedup", "state"])
def test_a_mechanism_that_is_missing_is_seen(name, drawn):
    def worse(summary):
        chosen = summary["attention"] == "linrec"
        columns = ["time_s", "memory_bytes", "ndcg@10", "state_bytes", "time_ratio"]
        known = [column for column in columns if column in summary]
        return summary.assign(**{c: summary[c].astype("float64").where(~chosen) for c in known})

    before, after = drawn(name), drawn(name, worse)
    assert before.size != after.size or difference(before, after) > 1.25 * TOLERANCE


@pytest.mark.parametrize("name", ["time", "speedup", "quality"])
def test_another_rendering_of_the_words_is_not_a_difference(name, drawn):
    before, after = drawn(name), drawn(name, **{"text.hinting": "none"})
    assert 0 < difference(before, after) < TOLERANCE
