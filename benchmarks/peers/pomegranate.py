"""pomegranate on the processor, in float32 as its documentation has it."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any, ClassVar

import numpy as np

from benchmarks.cases import Case, Question
from benchmarks.columns import ColumnParameters
from benchmarks.peers.base import ColumnRun, Peer


@dataclass(frozen=True)
class Pomegranate(Peer):
    """``pomegranate.gmm.GeneralMixtureModel``; its conversion of the rows is not timed."""

    name: ClassVar[str] = "pomegranate"
    answers: ClassVar[frozenset[Question]] = frozenset({Question.COLUMNS})
    precision: ClassVar[float] = 1e-5

    def version(self) -> str | None:
        """Installed version."""
        if util.find_spec("pomegranate") is None:
            return None
        import pomegranate.gmm
        import torch

        del pomegranate
        return f"{metadata.version('pomegranate')}, torch {torch.__version__}"

    def supports(self, case: Case) -> bool:
        """Codes are integer tensors and the others are not, so one model cannot have both."""
        kinds = set(getattr(case, "kinds", ()))
        return super().supports(case) and (kinds == {"category"} or "category" not in kinds)

    def fit_columns(
        self,
        X: np.ndarray,
        kinds: tuple[str, ...],
        start: ColumnParameters,
        n_iter: int,
        threads: int,
    ) -> ColumnRun:
        """One distribution over all columns where they are alike, else one for each of them."""
        import torch
        from pomegranate.gmm import GeneralMixtureModel

        torch.set_num_threads(threads)
        rows = torch.from_numpy(X.astype(np.int64 if kinds[0] == "category" else np.float32))
        parts = [_component(kinds, start, k) for k in range(len(start.weights))]
        weights = start.weights.astype(np.float32)
        model = GeneralMixtureModel(parts, priors=weights, max_iter=n_iter, tol=-np.inf)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            began = time.perf_counter()
            model.fit(rows)
            seconds = time.perf_counter() - began
        columns = zip(*(_arrays(kinds, d) for d in model.distributions), strict=True)
        found = tuple(np.array(column, dtype=float) for column in columns)
        weights = np.asarray(model.priors, dtype=float)
        return ColumnRun(seconds, ColumnParameters(weights / weights.sum(), found))


def _component(kinds: tuple[str, ...], start: ColumnParameters, k: int) -> Any:
    import torch
    from pomegranate import distributions as known

    own = [torch.tensor(column[k], dtype=torch.float32) for column in start.columns]
    if set(kinds) == {"count"}:
        return known.Poisson(torch.cat(own))
    if set(kinds) == {"category"}:
        return known.Categorical(torch.stack(own))
    single = {
        "count": known.Poisson,
        "real": lambda p: known.Normal(p[:1], p[1:] ** 2, covariance_type="diag"),
    }
    return known.IndependentComponents(
        [single[kind](p) for kind, p in zip(kinds, own, strict=True)]
    )


def _arrays(kinds: tuple[str, ...], distribution: Any) -> list[np.ndarray]:
    """Parameters of each column."""
    if set(kinds) == {"count"}:
        return [np.array([rate]) for rate in distribution.lambdas.numpy()]
    if set(kinds) == {"category"}:
        return [p / p.sum() for p in distribution.probs.numpy().astype(float)]
    read = {
        "count": lambda d: d.lambdas.numpy(),
        "real": lambda d: np.array([d.means.numpy()[0], np.sqrt(d.covs.numpy().ravel()[0])]),
    }
    return [read[kind](d) for kind, d in zip(kinds, distribution.distributions, strict=True)]
