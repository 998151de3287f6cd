"""Help texts read alone: a short summary, an example that parses, plain words."""

import re
import shlex

import pytest
import typer.main
from typer.testing import CliRunner

from linrec_bench.cli import app

# As bare words they name nothing to who has not read the code.
RIDDLES = re.compile(r"\b(told|tells?|found|asked|beside|own|said|says|anew|cry wolf|of now|what holds)\b")

SHORTENED_AT = 45
"""Characters of a summary that `typer ... utils docs` prints in a list of commands."""


def commands(group, *before):
    for name, command in group.commands.items():
        yield (*before, name), command
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)


ROOT = typer.main.get_command(app)
COMMANDS = dict(commands(ROOT))
VERBS = {words: command for words, command in COMMANDS.items() if not hasattr(command, "commands")}


def texts(command):
    yield command.help
    yield from (parameter.help for parameter in command.params if parameter.name != "help")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_summary_stays_whole_in_a_list_of_commands(words):
    summary = COMMANDS[words].get_short_help_str(SHORTENED_AT)
    assert not summary.endswith("...")
    assert re.fullmatch(r"[A-Z].*\.", summary)


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_the_help_of_a_verb_has_an_example_that_parses(words):
    command = VERBS[words]
    examples = re.findall(r"^Example: `linrec-bench (.*)`$", command.help, re.MULTILINE)
    assert examples
    for example in examples:
        typed = shlex.split(example)
        assert tuple(typed[: len(words)]) == words
        # Raises a usage error on an unknown flag, a missing argument or a value of the wrong kind.
        command.make_context(" ".join(words), typed[len(words) :])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_texts_are_sentences_in_plain_words(words):
    for text in texts(COMMANDS[words]):
        assert text, f"{words}: an argument or option without help"
        assert not RIDDLES.search(text), text
        assert text[0].isupper() or text[0] == "`", text
        assert re.search(r"[.`)]$", text.strip()), text


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_help_shows_no_types_of_python(words):
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "120"}).output
    assert "Show this message and exit." in shown
    assert not re.search(r"<(bool|str|int|float|path|list)\b|\bPath\b", shown)
