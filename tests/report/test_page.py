"""The page: whole, inert, in order, and telling everything that the run holds."""

import base64
import hashlib
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from linrec_bench.report import html
from linrec_bench.report.frames import cost_parts
from linrec_bench.report.legend import Legend
from linrec_bench.report.page import section, table_html
from linrec_bench.report.sources import read
from linrec_bench.report.tables import cost_tables
from linrec_bench.results.store import Run

GOLDEN = Path(__file__).with_name("golden")
REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "cpu"


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text of headings."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def page(page_of_run):
    return page_of_run


@pytest.fixture(scope="module")
def undrawn(source):
    """The run at one length: everything but figures, which take seconds."""
    return replace(source, summary=source.summary.query("seq_len == 128"))


@pytest.fixture(scope="module")
def elements(page):
    return Elements(page)


def test_the_table_matches_its_golden_file(source):
    part = cost_parts(source.summary)[0]
    found = table_html(cost_tables(part)[0], Legend({name: (name, "") for name in ("softmax", "linrec")}))
    assert found == (GOLDEN / "table.html").read_text(encoding="utf-8")


def test_a_detail_that_looks_like_html_is_inert(page):
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "nan &lt;b&gt;at&lt;/b&gt; 3" in page


def test_only_the_script_of_the_page_may_run(page, elements):
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    hashed = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = next(meta["content"] for meta in elements.all("meta") if "http-equiv" in meta)
    assert f"script-src 'sha256-{hashed}'" in policy
    assert "default-src 'none'" in policy


def test_nothing_outside_the_file_is_named(page, elements):
    assert not re.search(r"(https?:|//[a-z]|url\((?!#)|@import|src=)", page.replace("img-src data:", ""))
    addresses = [attributes["href"] for attributes in elements.all("a", "link", "use")]
    assert all(address[0] == "#" or address == "data:," for address in addresses)


def test_every_reference_inside_the_page_has_its_target(elements):
    identifiers = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in elements.tags:
        for name in ("href", "aria-labelledby", "aria-describedby"):
            target = (attributes.get(name) or "").removeprefix("#")
            assert not target or target in identifiers or target == "data:,", (name, target)
        clip = (attributes.get("clip-path") or "")[5:-1]
        assert not clip or clip in identifiers


@pytest.mark.parametrize("runs", [1, 2])
def test_headings_are_in_order_and_landmarks_are_there(elements, undrawn, runs):
    if runs > 1:
        elements = Elements(html([undrawn] * runs))
    levels = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(elements.all(landmark)) == 1


def test_tables_have_captions_and_scopes(elements):
    assert len(elements.all("caption")) == len(elements.all("table")) > 3
    assert all(attributes.get("scope") in ("col", "row") for attributes in elements.all("th"))


def test_every_case_stands_in_a_table(source):
    found = section(source, id="r1")
    summed_up = ("quality-seeds", "frontier")
    rows = sum(len(table.rows) for table in found.tables if not table.id.endswith(summed_up))
    assert rows == len(source.summary)


def test_the_finding_comes_first(page):
    at = [page.index(part) for part in ('class="findings"', 'class="charts"', "<table")]
    assert at == sorted(at)
    assert "linrec overtakes softmax at N = 400" in page


def _ledger(found, id):
    (table,) = [table for table in found.ledger if table.id == id]
    return table


def test_expectations_are_judged_and_cards_shown(source):
    found = section(source, id="r1")
    judged = _ledger(found, "expectations")
    assert judged.caption == "Expectations of the suite: 4 holds, 4 broken, 2 undecided"
    assert found.contradictions == ("linrec, causal: finite: nan <b>at</b> 3",)
    bare = section(replace(source, cards=None, samples=None), id="r1")
    assert _ledger(bare, "expectations").caption == judged.caption
    assert bare.cards is None


def test_a_section_that_has_nothing_to_say_is_left_out(page, undrawn):
    bare = html([replace(undrawn, cards=None, suite=None)])
    for place in ("r1-ledger", "r1-cards"):
        assert f'id="{place}"' in page
        assert f'href="#{place}"' in page
        assert place not in bare


def test_the_claims_of_papers_are_ruled_on(source):
    found = section(source, id="r1")
    claims = _ledger(found, "claims")
    assert claims.caption == "Claims of papers: 1 reproduced, 1 undecided, 1 not testable on this device"
    assert [cell.text for cell in claims.rows[0]] == [
        "faster from N = 500 on",
        "reproduced",
        "400 [395, 405]",
        "N = 500",
        "linrec: crossover with softmax of time <= 500",
        "layer forward, bidirectional, batch 1, hidden 64 (it decides, of 2 places)",
        "LinRec (2023), abstract",
    ]
    by_summary = section(replace(source, samples=None), id="r1")
    assert _ledger(by_summary, "claims").caption == claims.caption


def test_the_memory_frontier_is_measured_and_predicted(source):
    counted = replace(source, summary=source.summary.assign(minimum_bytes=0))
    (table,) = [table for table in section(counted, id="r1").tables if table.id.endswith("frontier")]
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    softmax = next(
        row for row in rows
        if row["mechanism"].text == "softmax" and row["batch"].text == "1" and row["phase"].text == "forward"
    )  # fmt: skip
    # 64 N^2 bytes fill the 8 GiB of the planted machine at N = 11,585.
    assert (softmax["longest N"].text, softmax["predicted longest N"].text) == ("1,024", "11,600")
    assert softmax["predicted longest N"].small == "extrapolated"
    linrec = next(row for row in rows if row["mechanism"].text == "linrec" and row["batch"].text == "4")
    assert (linrec["longest N"].text, linrec["too long"].text) == ("512", "1,024")
    assert linrec["too long"].small == "measured"
    assert "8.00 GiB" in table.note


def test_notes_on_what_was_left_out_stand_on_the_page(undrawn):
    assert "runs/x: left out: empty &lt;run&gt;" in html([undrawn], ["runs/x: left out: empty <run>"])


def test_the_page_is_small(page):
    assert len(page) < 200_000


@pytest.mark.slow
def test_the_page_of_the_quick_suite_stays_below_600_kb():
    quick = Path(__file__).parents[2] / "results" / "reference" / "cpu" / "quick"
    page = html([read(Run(quick))])
    assert page.count('<figure class="chart"') > 4
    assert len(page.encode()) < 600_000


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted(REFERENCE.glob("*/summary.csv")), ids=lambda path: path.parent.name)
def test_every_reference_run_is_told(folder):
    found = section(read(Run(folder.parent)), id="r1")
    assert found.findings
    assert found.tables
