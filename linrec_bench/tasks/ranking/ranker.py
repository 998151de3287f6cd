"""Ranks of the queries of a split by the protocol of a case, which every task that ranks shares."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Int64

from linrec_bench.case import Case
from linrec_bench.data.sequences import Queries, Sequences, Split
from linrec_bench.models.spec import Baseline, Recommender
from linrec_bench.settings import EvaluationSettings
from linrec_bench.training import candidates
from linrec_bench.training.evaluate import evaluate

Ranks = Int64[np.ndarray, " Q"]


class Ranker:
    """Ranks the queries of a split by the protocol of a case; candidates are drawn once."""

    def __init__(self, case: Case, evaluation: EvaluationSettings, split: Split) -> None:
        self.case, self.evaluation, self.split = case, evaluation, split
        self.popularity = item_counts(split.train)
        self.validation_candidates = self._draw(split.validation)
        self.test_candidates = self._draw(split.test)

    def ranks(self, model: Recommender | Baseline, part: Literal["validation", "test"]) -> Ranks:
        if part == "validation":
            return self._ranks(model, self.split.validation, self.validation_candidates)
        return self._ranks(model, self.split.test, self.test_candidates)

    def ranks_beside(self, model: Recommender | Baseline) -> Ranks:
        """Ranks of the test among the candidates `beside` those of the protocol."""
        return self._ranks(model, self.split.test, self._draw(self.split.test, self.evaluation.beside))

    def _ranks(
        self, model: Recommender | Baseline, queries: Queries, drawn: Int64[np.ndarray, "Q C"] | None
    ) -> Ranks:
        return evaluate(
            model,
            queries,
            seq_len=self.case.seq_len,
            batch_size=self.case.batch_size,
            exclude_seen=self.evaluation.exclude_seen,
            candidates=drawn,
        )

    def _draw(
        self, queries: Queries, kind: Literal["full", "uni100", "pop100"] | None = None
    ) -> Int64[np.ndarray, "Q C"] | None:
        kind = kind or self.evaluation.candidates
        if kind == "full":
            return None
        return candidates.draw(queries, kind, popularity=self.popularity, seed=self.case.seed)


def item_counts(train: Sequences) -> Int64[np.ndarray, " V_plus_1"]:
    """How often each item occurs in training; entry 0 is padding."""
    return np.bincount(train.items, minlength=train.n_items + 1)
