"""Task decode: the step gives the last row of the whole, and the state's bytes are those of the mechanism."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from linrec_bench import attention, models
from linrec_bench.attention import contract
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case
from linrec_bench.execution.worker import predict
from linrec_bench.measures.instruments.memory import LiveBytes
from linrec_bench.measures.instruments.operations import Watch, collector_paused
from linrec_bench.models.spec import Recommender
from linrec_bench.settings import TrainingSettings
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import find, load
from linrec_bench.tasks.workloads import decoding as decode

CAUSAL = [
    name for name, spec in attention.registry().items() if spec.causal and contract.unprobed(spec) is None
]


def case_of(name: str, *, seq_len: int = 50, causal: bool = True) -> Case:
    return Case(
        task="decode",
        phase="step",
        attention=name,
        seq_len=seq_len,
        batch_size=2,
        hidden_size=32,
        heads=2,
        causal=causal,
        dtype="float64",
    )


def test_the_suite_holds_every_mechanism_that_decodes() -> None:
    suite = load(find("decode"), device="cpu", settings=[])
    asked = {job.case.attention for job in expand(suite, device="cpu")}
    assert asked == {name for name, spec in attention.registry().items() if spec.causal}
    assert all(attention.registry()[name].step for name in asked)


@pytest.mark.parametrize("name", CAUSAL)
def test_the_step_gives_the_last_row_of_the_whole_sequence(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "TOKENS_AT_ONCE", 20)
    case, spec = case_of(name), attention.registry()[name]
    work = decode.build(case)
    event, *past = decode.history(case, spec)
    assert [piece.tokens["q"].shape[2] for piece in past] == [20, 20, 9]
    tokens = {key: torch.cat([piece.tokens[key] for piece in (*past, event)], dim=2) for key in event.tokens}
    whole = attention.core(name, *(tokens.pop(key) for key in "qkv"), causal=True, **tokens, **event.weights)
    for _ in range(2):
        torch.testing.assert_close(work.call(), whole[:, :, -1:].detach())


def test_pieces_of_a_history_differ() -> None:
    case = case_of("gla", seq_len=2 * decode.TOKENS_AT_ONCE + 1)
    _, first, second = decode.history(case, attention.registry()["gla"])
    for name in ("q", "log_decay"):
        assert not torch.equal(first.tokens[name], second.tokens[name])


def setup_bytes(case: Case, *, fake: bool) -> int:
    """The exact peak of live bytes while the workload is built."""
    if fake:
        found = predict(case)
        assert found is not None
        return found.setup_bytes
    live = LiveBytes()
    with collector_paused(), Watch(live):
        decode.build(case)
    return live.peak


@pytest.mark.parametrize("name", ["linrec", "linrec-column", "gla", "softmax"])
def test_a_history_is_taken_in_with_the_memory_of_the_state_and_a_piece(name: str) -> None:
    case = case_of(name, seq_len=3 * decode.TOKENS_AT_ONCE + 100)
    measured = setup_bytes(case, fake=False)
    assert measured == setup_bytes(case, fake=True)
    # One tensor of tokens of a piece, in eight bytes; three that are drawn, the rest inside of the step.
    piece = 2 * decode.TOKENS_AT_ONCE * 32 * 8
    state = decode.build(case).state_bytes
    assert 3 * piece <= measured - (state if name == "softmax" else 0) <= 16 * piece


def test_the_memory_of_taking_a_history_in_does_not_depend_on_its_length() -> None:
    """q, k, v of N = 1,048,576 events of 256 users would take 192 GiB."""
    million, shorter = (
        dataclasses.replace(case_of("linrec", seq_len=n), batch_size=256, hidden_size=64, dtype="float32")
        for n in (1 << 20, 1 << 14)
    )
    needed = setup_bytes(million, fake=True)
    assert needed == setup_bytes(shorter, fake=True) < 12 * 4 * decode.NUMBERS_AT_ONCE
    found = predict(million)
    assert found is not None
    assert found.needed_bytes == needed > found.peak_live_bytes + found.minimum_bytes


def test_the_state_of_softmax_grows_with_the_history_and_that_of_linrec_does_not() -> None:
    found = {
        (name, length): decode.build(case_of(name, seq_len=length)).state_bytes
        for name in ("softmax", "linrec")
        for length in (10, 100)
    }
    # B 2, H 2, d 16, eight bytes: keys and values of the history, or d x d numbers a head.
    assert found == {
        ("softmax", 10): 2 * 9 * 2 * 2 * 16 * 8,
        ("softmax", 100): 2 * 99 * 2 * 2 * 16 * 8,
        ("linrec", 10): 2 * 2 * 16 * 16 * 8,
        ("linrec", 100): 2 * 2 * 16 * 16 * 8,
    }


def test_exact_counts_know_the_state_at_any_length() -> None:
    found = predict(case_of("softmax", seq_len=1 << 20))
    assert found is not None
    assert found.state_bytes == 2 * ((1 << 20) - 1) * 2 * 2 * 16 * 8
    # Two products with every key and value.
    assert found.flops == 2 * 2 * (1 << 20) * 2 * 2 * 16


def test_decoding_needs_causality() -> None:
    with pytest.raises(Unsupported, match="expected causal: true"):
        decode.build(case_of("linrec", causal=False))


def test_a_mechanism_without_a_step_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from linrec_bench.registry import Registry

    bare = replace(attention.registry()["linrec"], step=None)
    monkeypatch.setattr(attention, "registry", lambda: Registry("attention", [("linrec", bare)]))
    with pytest.raises(Unsupported, match="no init_state and step"):
        decode.build(case_of("linrec"))


STREAMING = {name: spec for name, spec in models.registry().items() if spec.streams}


def case_of_model(name: str, *, seq_len: int = 20, **changes: object) -> Case:
    own = models.registry()[name].mechanisms
    return dataclasses.replace(
        case_of(own[0] if own else "softmax", seq_len=seq_len),
        model=name,
        layers=2,
        training=TrainingSettings.from_mapping({"catalogue_size": 30}),
        **changes,
    )


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Recommender]:
    """The models that a task has made, in order."""
    made: list[Recommender] = []
    of_case = models.of_case

    def remember(case: Case, *, n_items: int) -> Recommender:
        made.append(of_case(case, n_items=n_items))
        return made[-1]

    monkeypatch.setattr(models, "of_case", remember)
    return made


@pytest.mark.parametrize("name", [name for name, spec in STREAMING.items() if not spec.needs_features])
def test_a_model_ranks_after_one_more_event_as_after_the_whole_history(
    name: str, built: list[Recommender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "EVENTS_AT_ONCE", 7)
    taken: list[tuple[torch.Tensor, torch.Tensor | None]] = []
    memory_after = decode.memory_after

    def watched(model: Recommender, items: torch.Tensor, times: torch.Tensor | None) -> object:
        taken.append((items._base, None if times is None else times._base))
        return memory_after(model, items, times)

    monkeypatch.setattr(decode, "memory_after", watched)
    work = decode.build(case_of_model(name))
    ((items, times),) = taken
    assert items.shape == (2, 20)
    with torch.inference_mode():
        expected = built[0].scores(items, None, times)
    for _ in range(2):
        torch.testing.assert_close(work.call(), expected)


def test_the_state_of_a_model_is_that_of_its_layers() -> None:
    found = {
        (name, length): decode.build(case_of_model(name, seq_len=length)).state_bytes
        for name in ("sasrec", "gru4rec")
        for length in (10, 40)
    }
    # Two layers of keys and values of D = 32 numbers a user; or two layers of D units.
    assert found == {
        ("sasrec", 10): 2 * 2 * 2 * 9 * 32 * 8,
        ("sasrec", 40): 2 * 2 * 2 * 39 * 32 * 8,
        ("gru4rec", 10): 2 * 2 * 32 * 8,
        ("gru4rec", 40): 2 * 2 * 32 * 8,
    }


@pytest.mark.parametrize("name", [name for name, spec in STREAMING.items() if not spec.needs_features])
def test_a_model_is_counted_before_it_runs(name: str) -> None:
    prediction = predict(case_of_model(name))
    assert prediction is not None
    assert not prediction.unsupported
    assert prediction.state_bytes == decode.build(case_of_model(name)).state_bytes
    assert prediction.flops > 0


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("bert4rec", {}, "model bert4rec has no form that takes one event after another"),
        ("sasrec", {"causal": False}, "expected causal: true"),
        ("sasrec", {"attention": "linformer"}, "linformer has no causal form"),
        ("sasrecf", {}, "model sasrecf needs features"),
    ],
)
def test_a_model_that_cannot_decode_is_unsupported(
    name: str, changes: dict[str, object], reason: str
) -> None:
    case = dataclasses.replace(case_of_model(name), **changes)
    with pytest.raises(Unsupported, match=reason):
        decode.build(case)
    assert reason in predict(case).unsupported
