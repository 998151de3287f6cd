"""Sentences of verdicts: every kind of basis has one, and no code needs them."""

from typing import get_args

import pytest

from linrec_bench.analysis.verdict import Basis, BasisKind
from linrec_bench.presentation.verdicts import SENTENCES, basis_text

WITHOUT_TEMPLATE = {"changed"}


def test_every_kind_of_basis_has_a_sentence():
    assert set(SENTENCES) == set(get_args(BasisKind)) - WITHOUT_TEMPLATE


@pytest.mark.parametrize(
    ("basis", "text"),
    [
        (Basis(), ""),
        (Basis("seeds", {"seeds": 1}), "one seed decides nothing"),
        (Basis("seeds", {"seeds": 3}), "3 seeds"),
        (Basis("rounds", {"rounds": 1}), "one round (process) decides nothing"),
        (Basis("paired_rounds", {"rounds": 3}), "3 rounds side by side"),
        (Basis("never_crosses", {"longest": 2048}), "more at 2,048, the longest length"),
        (
            Basis(
                "few_lengths",
                {"measure": "flops", "lengths": 0, "needed": 2, "status": "error", "detail": "a"},
            ),
            "flops is known at 0 lengths; 2 are needed: error a",
        ),
        (
            Basis("missing", {"measure": "time", "side": "sdpa", "status": "oom", "detail": ""}),
            "no time of sdpa there: oom",
        ),
        (Basis("missing", {"measure": "time"}), "no time"),
        (Basis("changed", {"accepted": 10, "count": 11}), "accepted 10, +10.00%"),
        (Basis("changed", {"accepted": 0, "count": 4}), "accepted 0, +4"),
        (Basis("cannot_run", {"side": "a", "ending": "oom: 9 GiB"}), "a: oom: 9 GiB"),
    ],
)
def test_a_basis_in_words(basis, text):
    assert basis_text(basis) == text
