"""The report of a run that compares systems."""

import pytest

from linrec_bench.analysis.systems import identities, named
from linrec_bench.figures import parts
from linrec_bench.figures.page_svg import StyleSheet
from linrec_bench.report import html
from linrec_bench.report.legend import Legend
from linrec_bench.report.markdown import markdown
from linrec_bench.report.page import drawings, figure_of, section

NAMES = ["recgrela", "sasrec, softmax", "sasrec, linrec", "lightsans", "popularity"]


def cells(table, name):
    at = [column.name for column in table.columns].index(name)
    return [row[at].text for row in table.rows]


def drawn(source):
    legend, planned = Legend({}), list(parts(source.rows, source.summary))
    found = drawings(planned, map(figure_of, planned), id="r1", sheet=StyleSheet(), legend=legend)
    return {each.id: each for each in found}, legend


def test_systems_stand_in_one_figure(of_systems):
    found, legend = drawn(of_systems)
    figure = found["r1-quality"].figure
    assert figure.title == "Ranking quality against its cost"
    names = [point.text.partition(": NDCG@10")[0] for point in figure.points]
    # Once for each cost: training time and peak memory.
    assert sorted(names) == sorted(2 * NAMES)
    assert {legend[name].id for name in NAMES} == {point.series for point in figure.points}


def test_tables_name_systems_and_keep_their_settings(of_systems):
    found = {table.id: table for table in section(of_systems, id="r1").tables}
    table = found["quality-seeds"]
    assert sorted(cells(table, "system")) == sorted(NAMES)
    layers = dict(zip(cells(table, "system"), cells(table, "layers"), strict=True))
    assert layers["recgrela"] == "4"
    assert "model" not in [column.name for column in table.columns]
    assert sorted(set(cells(found["quality"], "system"))) == sorted(NAMES)


@pytest.mark.slow
def test_decoding_is_a_decoding_step_and_reads_no_data_set(of_systems):
    told = section(of_systems, id="r1")
    captions = [table.caption for table in told.tables if table.caption.startswith("Decoding step")]
    assert captions
    found, _ = drawn(of_systems)
    assert found["r1-latency"].figure.small_print.startswith("Decoding step")
    assert not any("synthetic" in caption for caption in captions)
    assert "training step" not in html([of_systems])


def test_the_summary_for_a_pull_request_has_a_row_a_system(of_systems):
    text = markdown([of_systems])
    assert "| system | N |" in text
    assert all(f"| {name} | 50 |" in text for name in NAMES)
    assert "the best first" in text


def test_systems_of_one_figure_have_colours_of_their_own(of_systems):
    systems = identities(named(of_systems.summary.query("task == 'recommend'")))
    assert set(systems) == set(NAMES)
    found = Legend(identities(of_systems.summary), together=systems)
    assert len({found[name].line for name in NAMES}) == len(NAMES)
    # What other figures show keeps its look.
    assert found["softmax"].line == Legend({"softmax": ("softmax", "")})["softmax"].line
