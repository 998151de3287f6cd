"""Charts hold what was measured, where it was measured, and say what was not."""

import math

import pytest

from linrec_bench.figures.contrast import contrast
from linrec_bench.figures.style import LOOKS
from linrec_bench.report import charts, svg_markers
from linrec_bench.report.charts import Log
from linrec_bench.report.cost_charts import cost_shapes
from linrec_bench.report.frames import cost_parts
from linrec_bench.report.quality_charts import quality_charts
from linrec_bench.report.slope_guides import guides
from linrec_bench.report.ticks import byte_ticks, metric_ticks


@pytest.fixture(scope="module")
def shapes(source):
    (part,) = cost_parts(source.summary)
    return cost_shapes(part, "softmax")


def test_the_shape_with_the_most_measured_cases_comes_first(shapes):
    assert [shape.name for shape in shapes] == ["batch 1", "batch 4"]
    assert [chart.title for chart in shapes[0].charts] == [
        "Time of one call, forward",
        "Time of one call, forward + backward",
        "Peak memory, forward",
        "Peak memory, forward + backward",
    ]


def test_every_case_answers_with_its_number_and_interval(shapes):
    chart = shapes[0].charts[0]
    texts = [mark.text for mark in chart.marks if not mark.hollow]
    assert len(texts) == 9, "eight cases and one crossing"
    assert texts[7].startswith("linrec at N = 1,024: 2.57 ms [2.47, 2.71]")
    assert texts[7].endswith("0.391x softmax")


def test_the_planted_crossing_is_marked_where_it_is(shapes):
    chart = shapes[0].charts[0]
    crossing = chart.marks[-1]
    x = {tick.text: tick.at for tick in chart.x_ticks}
    share = math.log(400 / 128) / math.log(1024 / 128)
    assert crossing.x == pytest.approx(x["128"] + share * (x["1,024"] - x["128"]), abs=1)
    assert "linrec is faster than softmax from N = 400" in crossing.text
    assert chart.note.startswith("Faster than softmax: linrec at N = 400")
    assert len(chart.whiskers) == 1


def test_what_was_not_measured_is_a_hollow_mark_with_its_reason(shapes):
    chart = shapes[1].charts[0]
    hollow = [mark for mark in chart.marks if mark.hollow]
    assert [mark.key for mark in hollow] == ["softmax", "linrec"]
    assert "out of time: stopped after its limit" in hollow[0].text
    assert {word.text for word in chart.words} >= {"out of time", "out of memory"}
    assert all(mark.y < chart.shades[0].bottom for mark in hollow)
    assert [line.path.count("L") for line in chart.lines] == [2, 2], "three measured lengths each"


def test_a_chart_is_drawn_only_of_two_lengths_or_more(source):
    (part,) = cost_parts(source.summary)
    short = part.rows[part.rows["seq_len"] == 128]
    assert cost_shapes(type(part)(part.task, part.causal, short), "softmax") == []


def test_marks_lie_inside_the_plot(shapes, source):
    for chart in [*(chart for shape in shapes for chart in shape.charts), *quality_charts(source.summary)]:
        for mark in chart.marks:
            assert chart.box.left <= mark.x <= chart.box.right
            assert chart.box.top <= mark.y <= chart.box.bottom


def test_quality_stands_against_both_costs(source):
    time, memory = quality_charts(source.summary)
    assert [time.title, memory.title] == ["NDCG@10 against training time", "NDCG@10 against peak memory"]
    softmax, linrec = time.marks
    assert softmax.x < linrec.x
    assert softmax.y < linrec.y
    assert softmax.text.startswith("softmax: NDCG@10 0.1720 [0.159")
    assert len(time.whiskers) == 4


def test_a_line_breaks_where_nothing_was_measured():
    assert charts.runs([True, True, False, True]) == [range(2), range(3, 4)]
    assert charts.runs([]) == []
    assert charts.polyline([(1, 2)]) == ""


def test_guides_stand_where_no_line_passes():
    x, y = Log(128, 8192, 56, 312), Log(1, 1000, 190, 6)
    (slope, steeper), words = guides(x, y, [])
    assert [word.text for word in words] == ["N", "N²"]
    corner = (slope.path, steeper.path)
    # A line through that corner sends them elsewhere, one far below it does not.
    high = [(56.0, 80.0), (184.0, 40.0), (312.0, 20.0)]
    assert {line.path for line in guides(x, y, [[(56.0, 185.0), (312.0, 180.0)]])[0]} == set(corner)
    moved, _ = guides(x, y, [high])
    assert not {line.path for line in moved} & set(corner)
    for line in moved:
        for across, height in (point.split() for point in line.path[1:].split("L")):
            assert min(math.dist((float(across), float(height)), point) for point in high) > 9
    # Where lines are everywhere, the guides stand somewhere all the same.
    full = [[(56.0, float(at)), (312.0, float(at))] for at in range(6, 190, 8)]
    assert len(guides(x, y, full)[0]) == 2


def test_a_log_axis_spaces_factors_evenly():
    axis = Log(1, 100, 0, 10)
    assert (axis(1), axis(10), axis(100)) == pytest.approx((0, 5, 10))


@pytest.mark.parametrize("name", [*LOOKS, "gla", "linrec(padding=ignore)"])
def test_marks_contrast_with_both_grounds(name):
    key = svg_markers.keys([name])[name]
    assert contrast(key.edge, svg_markers.LIGHT) >= 3
    assert contrast(key.dark_edge, svg_markers.DARK) >= 3
    assert contrast(key.dark_line, svg_markers.DARK) >= 3


def test_lines_keep_the_colours_of_the_figures():
    assert svg_markers.keys(["linrec"])["linrec"].line == LOOKS["linrec"].colour


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


def test_every_marker_has_a_shape_of_its_own():
    shapes = [svg_markers.shape(marker) for marker in "xsDo^vPph<>*d"]
    assert len(set(shapes)) == len(shapes)


def test_ticks_of_a_short_range_share_a_unit():
    assert byte_ticks([1000 * 2**20, 1200 * 2**20]) == ["1,000 MiB", "1,200 MiB"]
    assert byte_ticks([2**20, 2**30]) == ["1 MiB", "1 GiB"]
    assert metric_ticks([0.152, 0.16, 0.168]) == ["0.152", "0.160", "0.168"]
