"""The documentation says what the code does: generated pages are current, examples run, links lead on."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import typer.main
import yaml

from docs import generator
from docs.generator import mechanisms
from linrec_bench import attention
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.cli import app
from linrec_bench.commands import run, verify
from linrec_bench.declarations import tasks as declared_tasks
from linrec_bench.results import store
from linrec_bench.results.rows import STATUSES, TRIAL, row_of
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand
from linrec_bench.suite.shipped import shipped_suites
from tests.report import chromium

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
BY_HAND = [path for path in PAGES if path.parent.name != "mechanisms" or path.name == "index.md"]


def name_of(path):
    return str(path.relative_to(ROOT))


def fenced(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def no_plugins_after():
    yield
    attention.unload_plugins()


# Generated pages


def test_generated_pages_are_current():
    stale = [
        path for path, text in generator.files(DOCS).items() if not path.is_file() or path.read_text() != text
    ]
    assert not stale + generator.leftovers(DOCS), "run: python -m docs.generator"


def test_every_block_stands_in_one_place():
    files = [*PAGES, ROOT / "mkdocs.yml", ROOT / "README.md"]
    found = [
        name
        for path in files
        for name in re.findall(r"(?:<!--|#) generated: ([a-z ]+?)(?: -->)?\n", path.read_text())
    ]
    assert sorted(found) == sorted(generator.BLOCKS)


def test_every_mechanism_of_the_package_has_a_page_and_a_row():
    table = (DOCS / "mechanisms/index.md").read_text()
    for spec in attention.registry().values():
        page = (DOCS / f"mechanisms/{spec.name}.md").read_text()
        assert f"]({spec.name}.md)" in table
        assert spec.formula in page
        assert all(f"`{name}`" in page for name in spec.parameters)
        assert page.count("\n- ") >= len(spec.deviations)


def test_a_plugin_gets_no_page(tmp_path, no_plugins_after):
    plugin = tmp_path / "mine.py"
    plugin.write_text(fenced("recipes/add-a-mechanism.md", "python")[0])
    attention.load_plugin(plugin)
    assert "relu-linear" in attention.registry()
    assert "relu-linear.md" not in mechanisms.pages()


def test_writing_fills_blocks_makes_pages_and_removes_those_of_mechanisms_that_are_gone(tmp_path):
    docs = tmp_path / "docs"
    (docs / "mechanisms").mkdir(parents=True)
    (tmp_path / "mkdocs.yml").write_text("nav:\n      # generated: navigation\n      # end\n")
    (docs / "page.md").write_text("before\n<!-- generated: models -->\nold\n<!-- end -->\nafter\n")
    (docs / "plain.md").write_text("plain\n")
    (docs / "mechanisms/gone.md").write_text("OUTDATED\n")
    changed = generator.update(docs)
    page = (docs / "page.md").read_text()
    assert page.startswith("before\n<!-- generated: models -->\n")
    assert page.endswith("<!-- end -->\nafter\n")
    assert "## sasrec" in page
    assert "OUTDATED" not in page
    assert "      - linrec: mechanisms/linrec.md\n" in (tmp_path / "mkdocs.yml").read_text()
    assert docs / "mechanisms/gone.md" in changed
    assert not (docs / "mechanisms/gone.md").exists()
    assert docs / "plain.md" not in changed
    assert generator.update(docs) == []


def test_an_unknown_block_is_refused():
    with pytest.raises(ValueError, match="unknown block 'modles'; expected one of: mechanisms"):
        generator.filled("<!-- generated: modles -->\n<!-- end -->\n")


# The command line


def commands(group, prefix=""):
    """Verb, as it is typed -> command."""
    for name, command in group.commands.items():
        yield prefix + name, command
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} ")


VERBS = dict(commands(typer.main.get_command(app)))


def flags(command):
    return {flag for p in command.params for flag in (*p.opts, *p.secondary_opts) if flag.startswith("-")}


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_of_commands_has_every_verb_and_option(verb):
    page = (DOCS / "commands.md").read_text()
    section = page.partition(f"\n## `linrec-bench {verb.split()[0]}`\n")[2].partition("\n## ")[0]
    assert section
    assert all(re.search(rf"[`/ ]{flag}[` ]", section) for flag in flags(VERBS[verb]))


SHELL_PAGES = [*BY_HAND, ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "results").rglob("README.md")]

ELSEWHERE = {
    "pip install": "`.ci/run` and `.ci/package` install",
    "pytest": "a step of `.ci/run`",
    "ruff": "a step of `.ci/run`",
    "mypy": "a step of `.ci/run`",
    "lint-imports": "a step of `.ci/run`",
    "mkdocs": "a step of `.ci/run`, without a server",
    "python -m docs.generator": "a step of `.ci/run`",
    "python benchmarks/": "minutes of measuring",
    "python -m benchmarks.": "minutes of measuring",
}
"""How other commands than linrec-bench begin, and who runs them."""

_BEGINNINGS = (
    re.escape(text) + (r"\b(?!:)" if text[-1].isalnum() else "") for text in ["linrec-bench", *ELSEWHERE]
)
_COMMAND = rf"(?:[A-Z_]+=\S+ )?(?:{'|'.join(_BEGINNINGS)})"


def shell_commands():
    """Every command of a block of shell, fenced or indented, and every `linrec-bench ...` within a line."""
    for page in SHELL_PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            yield from ((page, line) for line in block.splitlines() if line.strip())
        lines = re.findall(rf"^    ({_COMMAND}.*)$", text, re.MULTILINE)
        yield from ((page, line) for line in [*lines, *re.findall(r"`(linrec-bench [^`]+)`", text)])


def typed_commands():
    """Every `linrec-bench ...` of the pages, as its page and a list of words."""
    for page, text in shell_commands():
        for line in re.split(r" (?:&&|\\?\||\|\||>) ", text.partition(" # ")[0]):
            words = shlex.split(re.sub(r"^[A-Z_]+=\S+ ", "", line.strip()))
            if words[0] == "linrec-bench" and not {"VERB", "[OPTIONS]"} & set(words):
                yield page, words[1:]


def test_every_command_of_a_shell_block_is_tested_here_or_run_elsewhere():
    for page, line in shell_commands():
        assert re.match(_COMMAND, line.strip()), f"{name_of(page)}: {line}"


def test_commands_in_the_pages_are_parsed_and_their_cases_expand():
    """Verbs, options and values; and where one names a suite that ships, its --only and --set."""
    seen, expanded = 0, set()
    for page, words in typed_commands():
        name = next((n for n in (" ".join(words[:2]), words[0]) if n in VERBS), None)
        if name is None:
            assert words[0].startswith("--"), f"{name_of(page)}: {words}"
            continue
        seen += 1
        command, rest = VERBS[name], words[len(name.split()) :]
        if hasattr(command, "commands") or not rest or "--help" in rest:
            continue
        params = command.make_context(name, rest).params
        suite = (params.get("suite") or "").removeprefix("suites/").removesuffix(".yaml")
        if not re.fullmatch(r"[a-z_0-9/]+", suite) or suite.startswith("my_"):
            continue
        assert suite in shipped_suites(), f"{name_of(page)}: {words}"
        kind = "cuda" if str(params["device"]).startswith("cuda") else "cpu"
        key = (suite, kind, *(params.get("only") or ()), "--set", *(params.get("set_") or ()))
        if key not in expanded:
            run.prepare(suite, only=params["only"] or [], settings=params["set_"] or [], measured_on=kind)
            expanded.add(key)
    assert seen > 90
    assert len(expanded) > 15


PYTHON = {
    "gate.md": "tests/test_gate_guide.py",
    "recipes/add-a-mechanism.md": "test_the_mechanism_of_the_recipe_keeps_the_contract",
    "recipes/notebook.md": "test_the_notebook_runs_on_a_stored_run",
}
"""Page with blocks of Python -> the test that runs all of them."""


def test_every_block_of_python_is_run_by_a_test():
    blocks = {str(page.relative_to(DOCS)): len(fenced(page, "python")) for page in BY_HAND}
    assert {page for page, count in blocks.items() if count} == set(PYTHON)
    assert blocks["recipes/add-a-mechanism.md"] == 1
    for page in set(SHELL_PAGES) - set(BY_HAND):
        assert "```" not in page.read_text(encoding="utf-8"), page


# Examples


def suites_in_the_pages():
    for page in ("suites.md", "recipes/compare-as-in-a-paper.md"):
        for text in fenced(page, "yaml"):
            if "attention:" in text and not text.startswith(("expect:", "claims:")):
                yield page, text


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_suites_in_the_pages_are_valid(tmp_path, device):
    found = list(suites_in_the_pages())
    assert len(found) == 7
    for number, (_, text) in enumerate(found):
        path = tmp_path / f"suite_{number}.yaml"
        path.write_text(text)
        assert expand(load.load(path, device=device), device=device)


def test_claims_in_the_page_of_suites_are_valid(tmp_path):
    whole, *_ = (text for _, text in suites_in_the_pages())
    claims = [text for text in fenced("suites.md", "yaml") if text.startswith("expect:")]
    assert len(claims) == 1
    path = tmp_path / "suite.yaml"
    path.write_text(whole.partition("expect:")[0] + claims[0])
    assert len(load.load(path, device="cpu").expect) == 3
    (stated,) = (text for text in fenced("suites.md", "yaml") if text.startswith("claims:"))
    path.write_text(whole.partition("expect:")[0] + stated)
    assert [line.crossover for line in load.load(path, device="cpu").claims] == ["<= 200"]


def test_the_mechanism_of_the_recipe_keeps_the_contract(tmp_path, no_plugins_after):
    plugin = tmp_path / "my_attention.py"
    plugin.write_text(fenced("recipes/add-a-mechanism.md", "python")[0])
    cards = verify.cards([], plugins=[plugin])
    assert [card.causal for card in cards] == [False, True]
    assert [card.contradictions for card in cards] == [[], []]
    assert list(attention.registry()["relu-linear"].parameters) == ["scale"]


def test_the_notebook_runs_on_a_stored_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plant_a_run(tmp_path / "results")
    names = {}
    for block in fenced("recipes/notebook.md", "python"):
        exec(block, names)
    said = capsys.readouterr().out
    assert "linrec is" in said or "linrec overtakes" in said
    assert names["fit"].exponent == pytest.approx(1, abs=0.1)
    assert set(names["faster"]["outcome"]) == {"crosses"}
    assert len(names["found"].table()) > 0


def plant_a_run(root):
    """Times t = 1 us N of linrec and 1 ns N^2 of softmax, in three rounds with a little noise."""
    draw = np.random.default_rng(0)
    cases = [
        Case(task="layer", phase="forward", attention=name, seq_len=length)
        for length in (256, 512, 1024, 2048, 4096, 8192)
        for name in ("softmax", "linrec")
    ]
    run = store.create(
        root, suite="long_seq", suite_text="title: T\n", cases=cases, environment={}, now=datetime(2026, 1, 1)
    )
    with store.Writer(run) as writer:
        for turn in range(3):
            for length in (256, 512, 1024, 2048, 4096, 8192):
                for name, seconds in (("softmax", 1e-9 * length**2), ("linrec", 1e-6 * length)):
                    case = Case(task="layer", phase="forward", attention=name, seq_len=length)
                    common = {"run_id": run.id, "suite": "long_seq", "round": turn}
                    noisy = seconds * draw.lognormal(0, 0.01, size=5)
                    rows = [
                        row_of(case, **common, measure="time", unit="s", value=value, repeat=repeat)
                        for repeat, value in enumerate(noisy)
                    ]
                    memory = row_of(case, **common, measure="peak_live_bytes", unit="B", value=1e12 * seconds)
                    writer.append([*rows, memory, row_of(case, **common, measure=TRIAL, unit="s", value=1)])
    run.write_summary(summarise(run.samples(), reference="softmax"))


def test_tables_written_by_hand_are_complete():
    rows, suites = ((DOCS / page).read_text() for page in ("rows.md", "suites.md"))
    assert re.findall(
        r"^\| `(\w+)` \|", rows.partition("### Status")[2].partition("### ")[0], re.MULTILINE
    ) == list(STATUSES)
    tasks = suites.partition("## Tasks")[2].partition("## ")[0]
    for task in declared_tasks().values():
        phases = ", ".join(f"`{phase}`" for phase in task.phases)
        assert re.search(rf"\| `{task.name}` \|.*{phases} \|", tasks)


# The site


def anchors(path):
    """The identifiers of the headings of a page, as mkdocs makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in headings}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_to_pages_and_headings(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert (path.parent / file).exists(), target
        assert not anchor or anchor in anchors(found), target


def test_the_navigation_has_every_page_once():
    # mkdocs.yml has tags of its own only where plugins ask for them; this one has none.
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert sorted(pages_of(nav)) == sorted(str(path.relative_to(DOCS)) for path in PAGES)


def pages_of(entry):
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [page for each in inner for page in pages_of(each)]


def test_pages_speak_plainly():
    """No dashes that chain clauses, none of the words that sell."""
    for path in BY_HAND:
        text = path.read_text()
        assert "—" not in text, path
        found = re.search(
            r"\b(powerful|seamless|blazing|leverag\w+|cutting-edge|comprehensive)\b", text, re.I
        )
        assert not found, f"{path}: {found}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    return folder


def test_the_site_loads_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?([^\"\s>]+)", text)
        loaded += re.findall(r"<link[^>]+rel=\"?(?:stylesheet|icon|preconnect)[^>]+href=\"?([^\"\s>]+)", text)
        assert loaded
        assert not [address for address in loaded if "//" in address], page
    assert (site / "suite.schema.json").read_text() == (DOCS / "suite.schema.json").read_text()


@pytest.mark.skipif(chromium.program() is None, reason="needs a Chromium")
def test_the_search_works_from_a_folder_and_no_button_covers_code(site, tmp_path):
    page = chromium.Browser(tmp_path)
    try:
        page.send("Page.navigate", url=f"{(site / 'gate.html').as_uri()}?q=crossover")
        shown = "document.querySelector('{}') ? done(1) : setTimeout(look, 50)"
        wait = "new Promise(done => {{ const look = () => {}; look() }})"
        page(wait.format(shown.format(".md-search-result__item")))
        page(wait.format(shown.format("pre .md-code__nav")))
        room = """Array.from(document.querySelectorAll('pre:has(.md-code__nav)'))
            .filter(pre => pre.querySelector('.md-code__nav').offsetWidth)
            .map(pre => pre.querySelector('.md-code__nav').getBoundingClientRect().left
                - pre.querySelector('code').getBoundingClientRect().right)"""
        assert min(page(room)) >= 0
    finally:
        page.close()


def test_the_readme_of_reference_results_names_the_processors_of_their_runs():
    runs = [
        (path.parent.name, json.loads(path.read_text()))
        for path in sorted((ROOT / "results/reference").rglob("environment.json"))
    ]
    assert {found["torch"]["cpu_capability"] for _, found in runs} == {"AVX512"}
    by_processor = {name: found["machine"]["processor"].partition("(R)")[0] for name, found in runs}
    said = " ".join((ROOT / "results/reference/README.md").read_text(encoding="utf-8").split())
    assert "torch 2.13.0, with AVX512; nothing else ran" in said
    match = re.search(r"names the processor: (.*) and the answers ran on an Intel Xeon .* AMD EPYC\.", said)
    assert match is not None
    assert set(re.findall(r"`(\w+)`", match[1])) == {
        name for name, processor in by_processor.items() if processor == "Intel"
    }
    assert set(by_processor.values()) == {"Intel", "AMD EPYC"}
