"""Many comparisons in few words, and what several mechanisms share."""

from dataclasses import replace

import pytest

from linrec_bench.analysis.findings import Finding
from linrec_bench.presentation.sentences import MANY, sentences

WHERE = {"task": "layer", "phase": "forward", "batch_size": 1, "hidden_size": 64}


def order(subject, outcome, *, value=None, low=None, high=None, first=0, until=128, last=0, since=4096):
    evidence = {
        "outcome": outcome,
        "first": first,
        "until": until,
        "last": last,
        "since": since,
        "changes": 2 if outcome == "several" else 0,
        "first_change": 300.0 if outcome == "several" else None,
        "shortest": 128,
        "longest": 8192,
        "rounds": 5,
    }
    return Finding(
        kind="crossover",
        subject=subject,
        reference="softmax",
        value=value,
        low=low,
        high=high,
        unit="events",
        where=WHERE,
        evidence=evidence,
    )


def stop(subject, at, status="oom"):
    return Finding(
        kind="stops", subject=subject, value=at, unit="events", where=WHERE, evidence={"status": status}
    )


MIXED = [
    order("hstu", "never", first=1, last=1),
    order("rela", "none"),
    order("based", "partly", first=1, until=256),
    order("linrec", "crosses", value=512.0, low=300.0, high=900.0, first=1, last=-1),
    order("cosformer", "partly", last=-1, since=1024),
    order("performer", "partly", last=-1, since=1024),
    order("gla", "several", value=2000.0, first=1, last=1),
    order("fnet", "always", first=-1, last=-1),
    order("sdpa", "always", first=-1, last=-1),
]


def test_many_comparisons_are_one_sentence_the_best_first():
    assert sentences(MIXED) == [
        "Against softmax, forward, batch 1, hidden 64. "
        "Faster at every length from 128: fnet, sdpa. "
        "Faster from a length on: linrec at N = 510 [300, 900]. "
        "Faster from N = 1,024 on, no difference shown below: cosformer, performer. "
        "Faster and slower by turns: gla, 2 changes between N = 300 and 2,000. "
        "No difference shown at any length: rela. "
        "Slower up to N = 256, no difference shown beyond: based. "
        "Slower at every length up to 8,192: hstu"
    ]


@pytest.mark.parametrize(
    ("detectable", "words"),
    [
        (1.21, "(21% would have been)"),
        (3.0, "(3.0x would have been)"),
        (2e16, "(not even 10x would have been: "),
    ],
)
def test_a_difference_that_was_not_shown_tells_how_large_it_could_have_been(detectable, words):
    one = order("rela", "none")
    assert words in sentences([replace(one, evidence=one.evidence | {"detectable": detectable})])[0]


def test_mechanisms_of_which_as_much_could_have_been_shown_are_told_together():
    none = [order(name, "none") for name in ("rela", "gla", "fnet", "based", "sdpa")]
    seen = (3.0, 1.21, 3.0, 1.21, None)
    found = [
        replace(each, evidence=each.evidence | {"detectable": ratio})
        for each, ratio in zip(none, seen, strict=True)
    ]
    assert sentences(found)[0].partition("length: ")[2] == (
        "rela, fnet (3.0x would have been); gla, based (21% would have been); sdpa"
    )


@pytest.mark.parametrize("count", range(1, MANY))
def test_few_comparisons_have_a_sentence_each(count):
    found = sentences(MIXED[:count])
    assert len(found) == count
    assert found[0] == "hstu is slower than softmax at every length up to 8,192, forward, batch 1, hidden 64"


def test_what_stops_at_the_same_length_is_told_once():
    found = sentences([stop("softmax", 8192.0), stop("hstu", 4096.0), stop("sdpa", 8192.0)])
    assert found == [
        "softmax, sdpa: out of memory at N = 8,192, forward, batch 1, hidden 64",
        "hstu runs out of memory at N = 4,096, forward, batch 1, hidden 64",
    ]


def test_other_endings_are_told_apart():
    assert len(sentences([stop("softmax", 8192.0), stop("sdpa", 8192.0, "timeout")])) == 2
