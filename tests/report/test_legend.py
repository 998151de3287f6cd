"""Marks of mechanisms on the page: those of the figures, legible on either ground."""

import pytest

from linrec_bench.figures.contrast import contrast
from linrec_bench.figures.style import LOOKS
from linrec_bench.report.legend import DARK, LIGHT, Legend, shape


@pytest.mark.parametrize("name", [*LOOKS, "gla"])
def test_marks_contrast_with_both_grounds(name):
    key = Legend({name: (name, "")})[name]
    assert contrast(key.edge, LIGHT.ground) >= 3
    assert contrast(key.dark_edge, DARK.ground) >= 3
    assert contrast(key.dark_line, DARK.ground) >= 3


def test_lines_keep_the_colours_of_the_figures():
    assert Legend({"linrec": ("linrec", "")})["linrec"].line == LOOKS["linrec"].colour


def test_every_marker_has_a_shape_of_its_own():
    shapes = [shape(marker) for marker in "xsDo^vPph<>*d"]
    assert len(set(shapes)) == len(shapes)
    assert all(found[0] == "M" for found in shapes)


def test_a_name_that_is_met_again_keeps_its_class():
    legend = Legend({"a": ("a", "")})
    assert [legend.add("b"), legend.add("a"), legend.add("b")] == ["k1", "k0", "k1"]
