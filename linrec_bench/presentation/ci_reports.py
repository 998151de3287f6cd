"""Verdicts in the forms that CI services read: JUnit XML, GitHub annotations, a Markdown summary. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

from linrec_bench.analysis.verdict import Answer, Verdict
from linrec_bench.presentation.verdicts import claim_text, found_text, place_text, verdict_name

MOST_ANNOTATIONS = 10
"""GitHub shows this many annotations of a kind for a step and drops the rest without a word."""

MOST_ROWS = 1000
"""Rows of one Markdown table: GitHub refuses a summary of more than 1 MiB whole."""

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped (section 2.2); ElementTree would write them."""

_MARKDOWN = re.compile(r"([\\`*_|<>\[\]~])")


def junit(verdicts: Sequence[Verdict], name: str) -> str:
    """A JUnit XML document with one test case a verdict: broken fails, undecided is skipped.

    Without any it has one that errs: a document without tests would pass.
    """
    answers = Counter(verdict.answer for verdict in verdicts)
    counts = {
        "name": _xml(name),
        "tests": str(max(len(verdicts), 1)),
        "failures": str(answers["broken"]),
        "errors": str(int(not verdicts)),
        "skipped": str(answers["undecided"]),
    }
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", counts)
    elements: dict[Answer, str] = {"broken": "failure", "undecided": "skipped"}
    if not verdicts:
        nothing = ElementTree.SubElement(
            suite, "testcase", {"classname": _xml(name), "name": "anything", "time": "0"}
        )
        ElementTree.SubElement(nothing, "error", {"message": "nothing to check"})
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": _xml(name), "name": _xml(verdict_name(verdict)), "time": "0"}
        )
        message = _xml(f"found {found_text(verdict)}")
        if verdict.answer in elements:
            ElementTree.SubElement(case, elements[verdict.answer], {"message": message})
        else:
            ElementTree.SubElement(case, "system-out").text = message
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def github_annotations(verdicts: Sequence[Verdict]) -> list[str]:
    """GitHub's workflow commands: an error for each broken claim, a warning for each undecided one.

    Where there are more than GitHub shows, the last one says how many follow.
    """
    commands: dict[Answer, str] = {"broken": "error", "undecided": "warning"}
    lines = []
    for answer, command in commands.items():
        chosen = [verdict for verdict in verdicts if verdict.answer == answer]
        room = len(chosen) if len(chosen) <= MOST_ANNOTATIONS else MOST_ANNOTATIONS - 1
        lines += [
            _command(
                command, f"{answer}: {claim_text(v.claim)}", f"{place_text(v.where)}: found {found_text(v)}"
            )
            for v in chosen[:room]
        ]
        if chosen[room:]:
            lines.append(_command(command, f"{len(chosen) - room} more {answer}", "see the job's summary"))
    return lines


def markdown(verdicts: Sequence[Verdict]) -> str:
    """A job summary: a line of counts, what is broken, what is undecided, and folded what holds."""
    by_answer: dict[Answer, list[Verdict]] = {"broken": [], "undecided": [], "holds": []}
    for verdict in verdicts:
        by_answer[verdict.answer].append(verdict)
    if not verdicts:
        return "### Complexity gate: nothing to check\n"
    counts = ", ".join(f"{len(chosen)} {answer}" for answer, chosen in by_answer.items() if chosen)
    parts = [f"### Complexity gate: {counts}"]
    for answer in ("broken", "undecided"):
        if by_answer[answer]:
            parts.append(f"**{answer.capitalize()}**\n\n{_table(by_answer[answer])}")
    if by_answer["holds"]:
        title = f"{len(by_answer['holds'])} claims hold"
        parts.append(f"<details><summary>{title}</summary>\n\n{_table(by_answer['holds'])}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _table(verdicts: Sequence[Verdict]) -> str:
    rows = ["| claim | where | found |", "|---|---|---|"]
    rows += [
        f"| {_cell(claim_text(v.claim))} | {_cell(place_text(v.where))} | {_cell(found_text(v))} |"
        for v in verdicts[:MOST_ROWS]
    ]
    if len(verdicts) > MOST_ROWS:
        rows.append(f"| and {len(verdicts) - MOST_ROWS} more | | |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _command(command: str, title: str, message: str) -> str:
    """GitHub reads % escapes; in a property also the signs that end one must be escaped."""
    title = _data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{command} title={title}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
