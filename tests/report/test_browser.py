"""The page in a real browser: quiet, offline, sortable, and wholly reachable from the keyboard."""

import pytest

pytestmark = pytest.mark.slow

TABLE = "document.querySelector('#r1-t-layer-bidirectional-forward')"
STOPS = "a[href], button, select, summary, pre[tabindex], .scroll, svg .mark[tabindex='0']"


@pytest.fixture(scope="module")
def written(page_of_run, tmp_path_factory):
    """The file of the page."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page_of_run, encoding="utf-8")
    return path


@pytest.fixture
def page(browser, written):
    """The page, opened anew."""
    browser.show()
    browser.forget()
    browser.open(written)
    yield browser
    assert browser.errors == []
    assert browser.requests == [written.as_uri()]


def header(name):
    return f"Array.from({TABLE}.querySelectorAll('th button')).find(b => b.textContent === '{name}')"


def column(page, name):
    at = f"{header(name)}.parentElement.cellIndex"
    return page(f"Array.from({TABLE}.tBodies[0].rows, row => row.cells[{at}].dataset.s)")


def test_a_table_sorts_by_click_and_by_keyboard(page):
    before = column(page, "time")
    page.click(header("time"))
    rising = column(page, "time")
    assert rising != before
    known = [float(value) for value in rising if value]
    assert known == sorted(known)
    assert rising[len(known) :] == [""] * 2, "what was not measured stands last"
    assert page(f"{header('time')}.parentElement.getAttribute('aria-sort')") == "ascending"

    page(f"{header('time')}.focus()")
    page.press("Enter")
    falling = column(page, "time")
    assert [float(value) for value in falling if value] == known[::-1]
    assert falling[len(known) :] == [""] * 2
    page.click(header("mechanism"))
    assert column(page, "mechanism") == sorted(column(page, "mechanism"))
    assert page(f"{TABLE}.querySelectorAll('[aria-sort]').length") == 1


def test_tab_reaches_everything_that_can_be_used(page):
    page("document.querySelector('details').open = true")
    visible = f'Array.from(document.querySelectorAll("{STOPS}")).filter(e => e.checkVisibility())'
    page(f"window.wanted = {visible}; window.met = new Set()")
    wanted = page("wanted.length")
    assert wanted > 30
    for _ in range(wanted + 5):
        page.press("Tab")
        page("met.add(document.activeElement)")
    assert page("wanted.filter(e => !met.has(e)).map(e => e.outerHTML.slice(0, 80))") == []


def test_arrows_reach_every_mark_of_a_figure_and_each_answers(page):
    marks = "document.querySelector('.chart svg').querySelectorAll('.mark')"
    page(f"{marks}[0].focus()")
    texts = [page("document.getElementById('tip').textContent")]
    assert page("document.getElementById('tip').checkVisibility()")
    for _ in range(page(f"{marks}.length") - 1):
        page.press("ArrowRight")
        texts.append(page("document.getElementById('tip').textContent"))
    assert len(set(texts)) == page(f"{marks}.length") == 36, "all cases and the crossings"
    assert texts[0].startswith("softmax at N = 128: ")
    page.press("Home")
    page.press("ArrowUp")
    assert page("document.getElementById('tip').textContent").startswith("linrec at N = 128: ")
    linrec = "Array.prototype.indexOf.call(MARKS, document.activeElement)".replace("MARKS", marks)
    assert page(linrec) == 4
    page.press("Escape")
    assert page("document.getElementById('tip').hidden")
    assert page(f"document.activeElement === {marks}[4]")
    page.press("Tab")
    assert page("document.activeElement.closest('.chart') !== document.querySelector('.chart')")
    page.press("Tab", shift=True)
    assert page(f"document.activeElement === {marks}[4]"), "a chart remembers where one was"


def test_a_mark_answers_under_the_pointer(page):
    page.hover("document.querySelectorAll('.chart svg .mark')[3]")
    assert page("document.getElementById('tip').textContent").startswith("softmax at N = 1,024: ")
    assert page("document.querySelectorAll('.chart svg .s.on').length") > 4, "line, band and name"
    assert page(
        "Array.from(document.querySelectorAll('.chart svg .s.on')).every(e => e.classList.contains('k0'))"
    )


def test_a_mechanism_is_hidden_by_its_button_and_shown_again(page):
    button = "document.querySelector('.series button')"
    assert page(f"{button}.textContent") == "softmax"
    chart = "document.querySelector('.chart svg')"
    drawn = "e => getComputedStyle(e).display !== 'none'"
    shown = f"Array.from({chart}.querySelectorAll('.k0')).filter({drawn}).length"
    before = page(shown)
    assert before > 10
    page.click(button)
    assert page(f"{button}.getAttribute('aria-pressed')") == "false"
    assert page(shown) == 0
    # A figure is still reached from the keyboard, at a mark that is seen.
    assert page(f"{chart}.querySelector('.mark:not([hidden])[tabindex=\"0\"]') !== null")
    page(f"{button}.focus()")
    page.press("Enter")
    assert page(shown) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrasts_with_its_ground(page, scheme):
    """WCAG 2.2, success criterion 1.4.3, for every element with text of its own."""
    page.show(scheme=scheme)
    script = """(() => {
      const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
        return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b); };
      const ground = e => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c)) return c; } };
      // Of words in a figure, the filled shape that they stand in, such as the cell of a map.
      const cell = e => { let found = null;
        const t = e.getBBox(), x = t.x + t.width / 2, y = t.y + t.height / 2;
        for (const p of e.closest('svg').querySelectorAll('path')) {
          if (!(p.compareDocumentPosition(e) & 4)) break;
          const b = p.getBBox(), fill = getComputedStyle(p).fill;
          if (fill !== 'none' && p.closest('defs') === null && b.x < x && x < b.x + b.width && b.y < y
              && y < b.y + b.height) found = fill; }
        return found; };
      const own = e => Array.from(e.childNodes).some(n => n.nodeType === 3 && n.textContent.trim());
      return Array.from(document.body.querySelectorAll('*')).filter(e => own(e) && e.checkVisibility()
          && e.tagName !== 'SCRIPT' && e.tagName !== 'title' && e.tagName !== 'desc').map(e => {
        const style = getComputedStyle(e);
        const colour = e instanceof SVGElement ? style.fill : style.color;
        const under = (e instanceof SVGElement && cell(e)) || ground(e);
        const [a, b] = [light(colour), light(under)].sort((x, y) => y - x);
        return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 80)]; }).filter(([c]) => c < 4.5);
    })()"""
    assert page(script) == []


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_the_page_never_scrolls_sideways(page, width):
    page.show(width=width)
    assert page("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_motion_is_left_out_where_it_is_not_wanted(page):
    still = "getComputedStyle(document.querySelector('.chart .s')).transitionDuration"
    assert page(still) != "0s"
    page.show(motion="reduce")
    assert page(still) == "0s"


def test_the_page_can_be_printed_whole(page, tmp_path):
    page.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
