from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from linrec_bench.figures.contrast import contrast, legible, mixed
from linrec_bench.figures.point_labels import Name, name_points
from linrec_bench.figures.style import LOOKS, look, style_of
from linrec_bench.figures.ticks import few, log_ticks


def test_a_mechanism_looks_the_same_everywhere_and_unlike_the_others():
    looks = {look(name) for name in LOOKS}
    assert len({found.colour for found in looks}) == len({found.marker for found in looks}) == len(LOOKS)
    assert look("my-attention") == look("my-attention")
    assert look("my-attention").colour not in {found.colour for found in looks}


def test_parameters_change_the_dashes_only():
    plain, ignore = look("linrec"), look("linrec", '{"padding":"ignore"}')
    assert (plain.colour, plain.marker) == (ignore.colour, ignore.marker)
    assert plain.dashes != ignore.dashes


def test_colours_stay_apart_for_the_colour_blind():
    # Machado, Oliveira and Fernandes (2009), severity 1: what protan and deutan eyes see, in linear RGB.
    eyes = [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ]
    colours = np.array(
        [[int(found.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for found in LOOKS.values()]
    )
    for eye in eyes:
        seen = np.clip((colours**2.2) @ np.array(eye).T, 0, 1) ** (1 / 2.2)
        distance = np.linalg.norm(seen[:, None] - seen[None], axis=2)
        assert distance[~np.eye(len(seen), dtype=bool)].min() > 0.12


@given(st.floats(1e-7, 1e4), st.floats(1.02, 1e9), st.sampled_from([2, 10]))
def test_log_ticks_lie_in_range_and_suffice(low, factor, base):
    ticks = log_ticks(low, low * factor, base=base)
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in ticks)
    assert sorted(ticks) == ticks
    assert 2 <= len(ticks) <= 9


def test_ticks_that_are_too_many_are_thinned_evenly():
    assert few([1, 2, 3]) == [1, 2, 3]
    assert few(list(range(9)), 5) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_stand_out_from_a_dark_ground_and_words_from_both(theme):
    style = style_of("paper", theme)
    assert contrast(style.ink, style.ground) > 12
    assert contrast(style.faint, style.ground) > 4.5
    if theme == "dark":
        names = [*LOOKS, *(f"mechanism-{k}" for k in range(30))]
        assert min(contrast(style.look(name).colour, style.ground) for name in names) >= 4
    assert style.look("linrec").marker == look("linrec").marker


def test_within_a_panel_no_two_mechanisms_share_a_colour():
    style = style_of()
    names = ["linrec", "softmax", *(f"mechanism-{k}" for k in range(5))]
    found = style.looks({name: (name, "") for name in names})
    assert set(found) == set(names)
    assert len({each.colour for each in found.values()}) == len(names)
    # Those whose look is fixed keep it, also when others come first.
    assert style.looks({name: (name, "") for name in names[::-1]})["linrec"] == look("linrec")


def test_slides_have_larger_words_and_files_say_their_style():
    assert style_of("slides").rc["font.size"] > 1.3 * style_of("paper").rc["font.size"]
    assert [
        style_of(*how).suffix for how in (("paper", "light"), ("slides", "light"), ("paper", "dark"))
    ] == [
        "",
        "_slides",
        "_dark",
    ]


def test_mixed_colours_and_contrast():
    assert mixed("#000000", "#FFFFFF", 0.5) == "#808080"
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert legible("#000000", "#111111", toward="#FFFFFF", least=3) != "#000000"
    assert legible("#FFFFFF", "#111111", toward="#FFFFFF") == "#FFFFFF"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8, unique=True))
@settings(max_examples=25)
def test_names_of_points_do_not_overlap_where_there_is_room(points):
    figure = Figure(figsize=(8, 8))
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    ax.set_xlim(-0.3, 1.3)
    ax.set_ylim(-0.3, 1.3)
    names = [Name(f"name {k}", x, y, "#000000") for k, (x, y) in enumerate(points)]
    name_points(ax, names, style=style_of())
    boxes = [text.get_window_extent() for text in ax.texts if text.get_gid() == "label"]
    assert len(boxes) == len(points)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
