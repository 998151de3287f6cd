"""A training step of every model is counted, checked and shown as a polynomial, as a mechanism is."""

import pytest

from linrec_bench import attention, models, tasks
from linrec_bench.analysis.measurements import of_samples
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case
from linrec_bench.gate import baseline, exact_counts
from linrec_bench.gate.baseline_verdicts import compare
from linrec_bench.gate.questions import contracts, questions, verdicts
from linrec_bench.measures.instruments.exact import exact, tally
from linrec_bench.presentation.verdicts import place_text
from linrec_bench.settings import TrainingSettings
from linrec_bench.suite.expand import expand
from linrec_bench.suite.load import find, load
from linrec_bench.suite.select import select

TRAINED = [name for name, spec in models.registry().items() if spec.trained_by_gradient]


def build(case):
    return tasks.registry()[case.task].build(case)


REFUSALS = ("no bidirectional form", "no causal form", "has its own way of mixing tokens")


def step(model, mechanism, *, causal, loss="cross_entropy"):
    return Case(
        task="train_step",
        phase="step",
        model=model,
        attention=mechanism,
        causal=causal,
        seq_len=8,
        batch_size=3,
        hidden_size=16,
        layers=2,
        training=TrainingSettings(catalogue_size=50, loss=loss),
    )


def counts_of(case):
    """Fake and real counts, or None for a mechanism or a direction that the model does not take."""
    try:
        fake = exact(case, build)
    except (Unsupported, ValueError) as reason:
        if not any(words in str(reason) for words in REFUSALS):
            raise
        return None
    return fake, tally(build(case))


@pytest.mark.slow
@pytest.mark.parametrize("model", TRAINED)
def test_real_and_fake_steps_of_a_model_count_the_same(model):
    counted = 0
    mechanisms = models.registry()[model].mechanisms or ("softmax", "linrec")
    for causal, mechanism in zip((False, True), (mechanisms * 2)[:2], strict=True):
        if (found := counts_of(step(model, mechanism, causal=causal))) is not None:
            fake, real = found
            assert fake == real
            assert fake.flops > 0
            assert fake.saved_bytes > 0
            counted += 1
    assert counted >= 1


@pytest.mark.parametrize("loss", ["sampled_softmax", "bce"])
def test_so_do_the_other_losses(loss):
    fake, real = counts_of(step("sasrec", "linrec", causal=True, loss=loss))
    assert fake == real


@pytest.fixture(scope="module")
def checked():
    """Jobs and counts of some of the training steps in the suite `complexity`."""
    suite, jobs = steps()
    jobs = [job for job in jobs if job.case.model in ("sasrec", "lrurec")]
    return suite, jobs, exact_counts.count(jobs)


def steps():
    suite = load(find("complexity"), device="cpu")
    return suite, select(expand(suite, device="cpu"), ["task=train_step"])


def test_the_suite_checks_a_step_of_every_model():
    assert {job.case.model for job in steps()[1]} == set(TRAINED)


@pytest.mark.slow
def test_contracts_and_expectations_hold_for_steps_and_show_polynomials(checked):
    suite, jobs, counted = checked
    assert set(counted["status"]) == {"ok"}
    asked = contracts(jobs)
    found = verdicts(asked, of_samples(counted))
    assert {verdict.answer for verdict in found} == {"holds"}
    assert {verdict.where["model"] for verdict in found} == {job.case.model for job in jobs}
    assert all(verdict.where["model"] in place_text(verdict.where) for verdict in found)
    (shown,) = (
        v
        for v in found
        if (v.claim.attention, v.claim.measure, v.where["model"]) == ("softmax", "operations", "sasrec")
    )
    # Two layers, forward and backward: 4 d products and the weights themselves of N^2 scores.
    assert shown.found == 2
    assert "N^2" in shown.basis.facts["polynomial"]
    assert verdicts(questions(suite, jobs)[len(asked) :], of_samples(counted))


def test_a_baseline_holds_steps_to_the_byte(checked):
    _, jobs, counted = checked
    accepted = baseline.Baseline("", exact_counts.counts_of(jobs, counted))
    one = next(iter(accepted.counts))
    changed = {**accepted.counts, one: {**accepted.counts[one], "peak_live_bytes": 1}}
    assert any(v.answer == "broken" for v in compare(changed, accepted, whole=True))


@pytest.mark.parametrize("name", ["hstu", "gla", "mamba2", "deltanet", "aft-simple", "linformer", "sdpa"])
def test_a_step_with_other_kinds_of_mechanisms_counts_the_same(name):
    spec = attention.registry()[name]
    fake, real = counts_of(step("sasrec", name, causal=spec.causal))
    assert fake == real
