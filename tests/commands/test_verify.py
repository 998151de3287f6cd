"""Semantics cards: which are made for a run, and that a contradiction is on them."""

import json
from dataclasses import replace
from datetime import datetime

import pytest
import torch

from linrec_bench import attention
from linrec_bench.case import Case, freeze
from linrec_bench.commands import verify
from linrec_bench.commands.verify import PROPERTIES, cards, cards_of
from linrec_bench.execution import devices
from linrec_bench.registry import Registry
from linrec_bench.results import store

OF_LAYERS = {name for name in PROPERTIES if name.startswith("layer ")}


def case_of(name, *, causal=False, seq_len=16, **params):
    return Case(
        task="core",
        phase="forward",
        attention=name,
        attention_params=freeze(params),
        causal=causal,
        seq_len=seq_len,
    )


def test_one_card_for_each_mechanism_and_direction_of_a_run():
    asked = [case_of("copy"), case_of("copy", seq_len=32), case_of("copy", causal=True)]
    assert [(card["name"], card["direction"]) for card in cards_of(asked)] == [
        ("copy", "bidirectional"),
        ("copy", "causal"),
    ]


def test_probes_run_on_the_device_that_was_asked_for(monkeypatch):
    def where(spec, *, causal, params):
        return torch.get_default_device().type

    monkeypatch.setattr(verify, "applicable", lambda spec, params: {"values": where})
    monkeypatch.setattr(verify, "applies", lambda name, spec, causal: True)
    monkeypatch.setattr(verify, "unprobed", lambda spec, params: None)
    monkeypatch.setattr(devices, "locate", lambda asked, plugins: devices.Located(asked, (asked,)))
    assert {card.found["values"] for card in cards(["copy"], device="meta")} == {"meta"}
    assert torch.get_default_device().type == "cpu"
    assert {card.found["values"] for card in cards(["copy"])} == {"cpu"}
    with pytest.raises(ValueError, match="expected one device"):
        cards(["copy"], device="meta,cpu")


def test_the_parameters_of_the_run_are_probed():
    (card,) = cards_of([case_of("linrec", padding="ignore")])
    assert card["name"] == "linrec(padding=ignore)"
    assert card["contradicts"]["pad content"]
    assert card["contradicts"]["pad length"]
    # What means nothing without causality is not on the card.
    assert set(PROPERTIES) - set(card["contradicts"]) == {"causal", "prefix", "decode"} | OF_LAYERS
    assert card["unprobed"] == ""


def test_cards_are_stored_whole_and_read_as_json(tmp_path):
    run = store.Run(tmp_path)
    assert not run.has_cards()
    path = run.write_cards(cards_of([case_of("copy")]))
    assert run.has_cards()
    (record,) = json.loads(path.read_text())
    assert record["name"] == "copy"
    assert record["direction"] == "bidirectional"
    assert set(record["contradicts"].values()) == {None}
    assert [file.name for file in tmp_path.iterdir()] == ["cards.json"]


def known(name="copy", **changes):
    """A card of an earlier run, told by a property that no probe has."""
    card = {"name": name, "direction": "bidirectional", "contradicts": {"earlier": None}, "unprobed": ""}
    return card | changes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "earlier", "taken"),
    [
        (case_of("copy"), known(), True),
        (case_of("linrec", padding="ignore"), known("linrec(padding=ignore)"), True),
        (case_of("linrec", padding="ignore"), known("linrec"), False),
        (case_of("copy", causal=True), known(), False),
        (case_of("copy"), known(unprobed="no float64 here"), False),
        (case_of("copy"), {"name": "copy", "direction": "bidirectional"}, False),
        (case_of("linrec", backend="eager"), known("linrec(backend=eager)"), False),
    ],
)
def test_a_known_card_is_taken_where_it_is_whole_and_of_the_same(case, earlier, taken):
    (card,) = cards_of([case], [earlier])
    assert ("earlier" in card["contradicts"]) == taken


def test_a_mechanism_of_another_package_is_always_probed(monkeypatch):
    other = replace(attention.registry()["copy"], title="of a package that the fingerprint does not know")
    monkeypatch.setattr(attention, "registry", lambda: Registry("attention", [("copy", other)]))
    (card,) = cards_of([case_of("copy")], [known()])
    assert "earlier" not in card["contradicts"]


def test_cards_are_found_by_their_fingerprint(tmp_path):
    for suite, fingerprint in (("a", "same"), ("b", "other"), ("c", "same"), ("damaged", "same")):
        environment = {"fingerprint": fingerprint}
        run = store.create(
            tmp_path, suite=suite, suite_text="", cases=[], environment=environment, now=datetime(2026, 1, 1)
        )
        path = run.write_cards([known(suite)])
        if suite == "damaged":
            path.write_text("[{")
    assert [card["name"] for card in store.cards(tmp_path, fingerprint="same")] == ["a", "c"]
    assert store.cards(tmp_path / "absent", fingerprint="same") == []


@pytest.mark.slow
def test_a_name_with_parameters_is_understood():
    (card,) = [card for card in cards(["linrec(padding=ignore)"]) if card.causal]
    assert card.contradictions


def test_what_could_not_be_probed_is_said():
    for card in cards(["flex-attention"]):
        assert "torch.float64" in card.unprobed
        assert set(card.found) == {"fake tensors", "declared exponents"}


@pytest.mark.parametrize(
    ("name", "changes", "found"),
    [
        ("softmax", {"time_exponent": 1.0}, "softmax: exponent of operations 1 as declared, found 2 ("),
        (
            "softmax",
            {"memory_exponent": 1.0},
            "softmax: exponent of peak_live_bytes 1 as declared, found 1.99974 (",
        ),
        ("copy", {"time_exponent": 2.0}, "copy: exponent of operations 2 as declared, found 1 ("),
    ],
)
def test_a_wrong_exponent_is_caught(monkeypatch, name, changes, found):
    """The counts say how a mechanism grows, and not the declaration."""
    sound = attention.registry()[name]
    assert verify.check_exponents(sound, {}, False) is None
    planted = replace(sound, **changes)
    registry = Registry("attention", [(name, planted)])
    monkeypatch.setattr(attention, "registry", lambda: registry)
    assert verify.check_exponents(planted, {}, False).startswith(found)


def raising(error):
    def code(*_, **__):
        raise error

    return code


class Odd(torch.nn.Module):
    def __init__(self, hidden_size, heads):
        raise KeyError(hidden_size)


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        (
            {"core": lambda q, k, v, padding_mask, causal: None},
            "agreement",
            "raises TypeError: core gives None",
        ),
        (
            {"core": lambda q, k, v, padding_mask, causal: 1 / 0},
            "causal",
            "raises ZeroDivisionError: division",
        ),
        ({"refusal": raising(SystemExit(0))}, "refusal", "raises SystemExit: 0 (test_verify.py:"),
        ({"layer": Odd}, "layer shape", "raises KeyError: 24 (test_verify.py:"),
    ],
)
def test_what_a_mechanism_raises_stands_on_its_card(changes, name, reason):
    sound = attention.registry()["copy"]
    card = verify.probe_card(replace(sound, **changes), {}, True)
    assert card.found[name].startswith(reason)
    assert card.found[verify.EXPONENTS] == "not counted, because it raises"
