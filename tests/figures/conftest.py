"""Planted runs as fixtures, and the checks that every figure goes through."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from linrec_bench.analysis.summary import summarise


@pytest.fixture(scope="session")
def planted():
    """The module `planted.py` beside this file."""
    spec = importlib.util.spec_from_file_location("planted", Path(__file__).with_name("planted.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def cost_samples(planted):
    """Six mechanisms, eight lengths, four shapes, two phases; softmax fails at the two largest lengths."""
    return planted.costs()


@pytest.fixture(scope="session")
def cost_summary(cost_samples):
    return summarise(cost_samples, reference="sdpa")


@pytest.fixture(scope="session")
def zoo_samples(planted):
    """25 mechanisms, one shape, one phase."""
    return planted.costs(planted.ZOO, batches=(1,), widths=(64,), phases=("forward",))


@pytest.fixture(scope="session")
def zoo_summary(zoo_samples):
    return summarise(zoo_samples, reference="softmax")


@pytest.fixture(scope="session")
def step_samples(planted):
    return planted.steps()


@pytest.fixture(scope="session")
def step_summary(step_samples):
    return summarise(step_samples, reference="softmax")


@pytest.fixture(scope="session")
def decode_samples(planted):
    return planted.decoding()


@pytest.fixture(scope="session")
def decode_summary(decode_samples):
    return summarise(decode_samples, reference="softmax")


@pytest.fixture(scope="session")
def quality_samples(planted):
    """Three mechanisms with three seeds each, ten validated epochs; one seed of softmax ran out of time."""
    return planted.trainings(groups=True, energy=True)


@pytest.fixture(scope="session")
def quality_summary(quality_samples):
    return summarise(quality_samples, reference="softmax")


@pytest.fixture(scope="session")
def zoo_training_samples(planted):
    return planted.zoo_trainings(groups=True)


@pytest.fixture(scope="session")
def artists():
    """`artists(figure, gid)`: lines, patches and words whose gid begins so."""

    def find(figure, gid):
        return [
            artist
            for ax in figure.axes
            for artist in (*ax.lines, *ax.texts, *ax.patches)
            if (artist.get_gid() or "").startswith(gid)
        ]

    return find


@pytest.fixture(scope="session")
def assert_readable():
    return _assert_readable


def _boxes(figure):
    """Name and extent in pixels of every visible text."""
    figure.canvas.draw()
    texts = [*figure.texts]
    for ax in figure.axes:
        if ax.axison:
            texts += [*ax.texts, ax.xaxis.label, ax.yaxis.label, ax._left_title]
            for axis in (ax.xaxis, ax.yaxis):
                low, high = sorted(axis.get_view_interval())
                texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [(t.get_text(), t.get_window_extent()) for t in texts if t.get_visible() and t.get_text()]


def _assert_readable(figure):
    """All words lie inside the figure and none on another."""
    found = _boxes(figure)
    whole = figure.bbox
    for text, box in found:
        assert whole.x0 <= box.x0, text
        assert box.x1 <= whole.x1, text
        assert whole.y0 <= box.y0, text
        assert box.y1 <= whole.y1, text
    for index, (text, box) in enumerate(found):
        for other, beside in found[index + 1 :]:
            apart = box.x1 <= beside.x0 or beside.x1 <= box.x0 or box.y1 <= beside.y0 or beside.y1 <= box.y0
            assert apart or _shallow(box, beside), f"{text!r} overlaps {other!r}"


def _shallow(one, other):
    """Extents include the room for letters below the line: two pixels of overlap are none to the eye."""
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) < 2 or min(one.y1, other.y1) - max(one.y0, other.y0) < 2
    )
