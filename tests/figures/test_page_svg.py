"""A figure inside a page: its text stays text, its identifiers are its own, and its points answer."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from linrec_bench.figures import FIGURES, NothingToDraw, draw_all, parts, style_of
from linrec_bench.figures.page_svg import StyleSheet, themed
from linrec_bench.figures.style import counterparts

pytestmark = pytest.mark.slow

THEMES = (style_of(), style_of(theme="dark"))


@pytest.fixture(scope="module")
def embedded():
    """`embedded(part or draw, prefix)`: a figure as a page shows it, and the classes of its series."""

    def make(draw, prefix="r1", sheet=None):
        classes = {}
        found = themed(draw, THEMES).on_page(
            prefix=prefix,
            sheet=sheet or StyleSheet(),
            series_class=lambda name: classes.setdefault(name, f"k{len(classes)}"),
        )
        return found, classes

    return make


@pytest.fixture(scope="module")
def of_time(embedded, cost_summary, cost_samples):
    rows = cost_summary.query("batch_size == 1 and hidden_size == 64")
    return embedded(lambda style: FIGURES["time"].draw(rows, cost_samples, style))


def root(found):
    return ET.fromstring(f"<svg>{found.svg}</svg>")


def test_words_stay_words_and_the_heading_is_left_to_the_page(of_time):
    found, _ = of_time
    texts = {text.text for text in root(found).iter("text")}
    assert texts >= {"linear-transformer", "out of memory, skipped", "sequence length N", "1 ms"}
    assert found.title == "Time against sequence length"
    assert found.small_print.startswith("Layer: bidirectional, batch 1, hidden 64")
    assert not texts & {found.title, found.small_print}
    assert "style=" not in found.svg


def test_every_reference_has_its_target_and_two_figures_share_no_identifier(embedded, of_time, cost_summary):
    found, _ = of_time
    rows = cost_summary.query("batch_size == 1 and hidden_size == 64")
    other, _ = embedded(lambda style: FIGURES["memory"].draw(rows, rows[:0], style), "r2")
    identifiers = [
        [element.get("id") for element in root(each).iter() if element.get("id")] for each in (found, other)
    ]
    for own, each in zip(identifiers, (found, other), strict=True):
        assert len(own) == len(set(own))
        asked = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', each.svg))
        assert {one or two for one, two in asked} <= set(own)
    assert not set(identifiers[0]) & set(identifiers[1])


def test_every_case_answers_where_it_is_drawn(of_time, cost_summary):
    found, classes = of_time
    rows = cost_summary.query("batch_size == 1 and hidden_size == 64")
    texts = [point.text for point in found.points]
    assert len(set(texts)) == len(texts)
    done = rows.query("status == 'ok'")
    for row in done.to_dict("records"):
        (said,) = [
            text
            for text in texts
            if text.startswith(f"{row['attention']} at N = {row['seq_len']:,}: ")
            and text.endswith(f"({row['phase'].replace('_', ' + ')})")
        ]
        assert re.search(r": [\d.,]+ [mµn]?s \[[\d.,]+, [\d.,]+\]", said)
        assert row["attention"] == row["reference"] or f"x {row['reference']}" in said
    failed = [text for text in texts if "not measured" in text]
    assert len(failed) == len(rows) - len(done)
    assert "softmax at N = 8,192: not measured, out of memory: memory (forward)" in failed
    assert any(text.startswith("linrec is faster than sdpa from N = ") for text in texts)
    assert {point.series for point in found.points} == set(classes.values())
    # Longer histories stand further to the right, slower calls higher up.
    at = {point.text.partition(": ")[0]: point for point in found.points if point.text.endswith("(forward)")}
    short, long = at["softmax at N = 128"], at["softmax at N = 4,096"]
    assert short.x < long.x
    assert short.y > long.y
    _, top, width, height = map(float, found.view_box.split())
    assert all(0 < point.x < width and top < point.y < top + height for point in found.points)


def test_points_lie_on_the_marks_of_their_series(of_time):
    """What answers and what is seen come from one drawing."""
    found, classes = of_time
    group = next(
        each for each in root(found).iter("g")
        if each.get("class", "").split()[:2] == ["s", classes["sdpa"]] and len(list(each.iter("use"))) > 1
    )  # fmt: skip
    drawn = [(float(use.get("x")), float(use.get("y"))) for use in group.iter("use")]
    said = [(point.x, point.y) for point in found.points if point.series == classes["sdpa"]]
    assert drawn == [pytest.approx(place, abs=0.06) for place in said[: len(drawn)]]


def test_both_themes_are_in_the_style_sheet(embedded, cost_summary, cost_samples):
    sheet = StyleSheet()
    rows = cost_summary.query("batch_size == 1 and hidden_size == 64 and phase == 'forward'")
    embedded(lambda style: FIGURES["time"].draw(rows, cost_samples, style), sheet=sheet)
    light, dark = (sheet.css(dark=choice).lower() for choice in (False, True))
    assert THEMES[0].look("softmax").colour.lower() in light
    assert THEMES[1].look("linrec").colour.lower() in dark
    assert THEMES[0].look("linrec").colour.lower() not in dark
    names = re.findall(r"^\.(f\d+)\{", dark, re.MULTILINE)
    assert names
    assert set(names) < set(re.findall(r"^\.(f\d+)\{", light, re.MULTILINE))


@pytest.mark.parametrize("source", ["cost", "step", "decode", "quality"])
def test_every_figure_that_is_plotted_can_be_in_a_page(source, request, embedded, tmp_path):
    summary, samples = (request.getfixturevalue(f"{source}_{part}") for part in ("summary", "samples"))
    if source == "cost":
        summary, samples = (
            rows.query("hidden_size == 64 and phase == 'forward_backward'") for rows in (summary, samples)
        )
    plotted = draw_all(samples, summary, tmp_path, formats=("svg",))
    shown = {}
    for part in parts(samples, summary):
        try:
            shown[part.stem], _ = embedded(part.draw, part.stem)
        except NothingToDraw:
            continue
    assert set(shown) == {name for name, files in plotted.items() if not isinstance(files, str)}
    for name, found in shown.items():
        assert found.points, name
        assert len(found.svg) < (tmp_path / f"{name}.svg").stat().st_size, name


def test_a_figure_is_found_by_its_spec():
    assert list(FIGURES)[:2] == ["time", "memory"]
    assert len({spec.place for spec in FIGURES.values()}) == len(FIGURES)
    assert all(spec.caption.endswith(".") and spec.alt.endswith(".") for spec in FIGURES.values())


def test_another_size_of_words_is_not_another_set_of_points(embedded, cost_summary, cost_samples):
    """Points are in units of the drawing, whatever its resolution."""
    rows = cost_summary.query("batch_size == 1 and hidden_size == 64 and phase == 'forward'")

    def coarse(style):
        figure = FIGURES["time"].draw(rows, cost_samples, style)
        figure.set_dpi(50)
        return figure

    one, _ = embedded(lambda style: FIGURES["time"].draw(rows, cost_samples, style))
    other, _ = embedded(coarse)
    for here, there in zip(one.points, other.points, strict=True):
        assert there == replace(here, x=pytest.approx(here.x), y=pytest.approx(here.y))


@pytest.mark.parametrize(("name", "themes"), [("time", ["light"]), ("speedup", ["light", "dark"])])
def test_the_other_theme_has_its_own_colours_and_is_drawn_where_these_are_not_known(
    embedded, cost_summary, cost_samples, name, themes
):
    sheet, drawn = StyleSheet(), []

    def draw(style):
        drawn.append(style.theme)
        return FIGURES[name].draw(cost_summary, cost_samples, style)

    embedded(draw, sheet=sheet)
    assert drawn == themes
    colours = set(re.findall("#[0-9a-f]{6}", sheet.css(dark=True)))
    assert (colours <= set(counterparts(*THEMES).values())) == (themes == ["light"])
    assert colours.isdisjoint({THEMES[0].ink, THEMES[0].faint, "#0072b2"})
