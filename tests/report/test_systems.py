"""The report of a run that compares systems."""

from linrec_bench.report import html
from linrec_bench.report.markdown import markdown
from linrec_bench.report.page import section
from linrec_bench.report.quality_charts import compared_names, quality_charts
from linrec_bench.report.svg_markers import keys

NAMES = ["recgrela", "sasrec, softmax", "sasrec, linrec", "lightsans", "popularity"]


def cells(table, name):
    at = [column.name for column in table.columns].index(name)
    return [row[at].text for row in table.rows]


def test_systems_stand_in_one_chart_a_cost(of_systems):
    time, memory = quality_charts(of_systems.summary)
    for chart in (time, memory):
        assert sorted(mark.key for mark in chart.marks) == sorted(NAMES)
        assert {label.text for label in chart.labels} == set(NAMES)
    assert time.title == "NDCG@10 against training time"


def test_tables_name_systems_and_keep_their_settings(of_systems):
    found = {table.id: table for table in section(of_systems, id="r1").tables}
    table = found["quality-seeds"]
    assert sorted(cells(table, "system")) == sorted(NAMES)
    layers = dict(zip(cells(table, "system"), cells(table, "layers"), strict=True))
    assert layers["recgrela"] == "4"
    assert "model" not in [column.name for column in table.columns]
    assert sorted(set(cells(found["quality"], "system"))) == sorted(NAMES)


def test_decoding_is_a_decoding_step_and_reads_no_data_set(of_systems):
    told = section(of_systems, id="r1")
    captions = [table.caption for table in told.tables if table.caption.startswith("Decoding step")]
    assert captions
    titles = [chart.title for _, shapes in told.figures for shape in shapes for chart in shape.charts]
    assert "Time of one call, decoding step" in titles
    assert not any("synthetic" in caption for caption in captions)
    assert "training step" not in html([of_systems])


def test_the_summary_for_a_pull_request_has_a_row_a_system(of_systems):
    text = markdown([of_systems])
    assert "| system | N |" in text
    assert all(f"| {name} | 50 |" in text for name in NAMES)
    assert "the best first" in text


def test_systems_of_one_chart_have_colours_of_their_own(of_systems):
    names = [str(name) for name in of_systems.summary["attention"].unique()]
    found = keys(names, together=compared_names(of_systems.summary))
    assert len({found[name].line for name in NAMES}) == len(NAMES)
    # What other charts show keeps its look.
    assert found["softmax"] == keys(["softmax"])["softmax"].__class__(
        **{**vars(keys(["softmax"])["softmax"]), "id": found["softmax"].id}
    )
