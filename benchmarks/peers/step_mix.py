"""StepMix: latent class analysis in NumPy, with real columns too."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any, ClassVar

import numpy as np

from benchmarks.cases import Case, Question
from benchmarks.columns import N_LEVELS, ColumnParameters
from benchmarks.peers.base import ColumnRun, Peer

#: What it calls columns.
MODELS = {"real": "continuous", "category": "categorical"}


@dataclass(frozen=True)
class StepMix(Peer):
    """``stepmix.StepMix`` in one step; it has no counts."""

    name: ClassVar[str] = "StepMix"
    answers: ClassVar[frozenset[Question]] = frozenset({Question.COLUMNS})
    precision: ClassVar[float] = 1e-6  # it adds 1e-6 to variances

    def version(self) -> str | None:
        """Installed version."""
        if util.find_spec("stepmix") is None:
            return None
        import stepmix

        del stepmix
        return metadata.version("stepmix")

    def supports(self, case: Case) -> bool:
        """Real numbers and categories."""
        return super().supports(case) and set(getattr(case, "kinds", ())) <= set(MODELS)

    def fit_columns(
        self,
        X: np.ndarray,
        kinds: tuple[str, ...],
        start: ColumnParameters,
        n_iter: int,
        threads: int,
    ) -> ColumnRun:
        """Begin with given parameters in place of random ones; BLAS has the threads it finds."""
        del threads
        from stepmix.stepmix import StepMix as Estimator

        class Begun(Estimator):  # type: ignore[misc]
            def _initialize_parameters(self, X: Any, random_state: Any) -> None:
                super()._initialize_parameters(X, random_state)
                given = {"weights": start.weights, "measurement": _given(kinds, start)}
                self.set_parameters({**self.get_parameters(), **given})

        groups = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
        measurement: Any = {
            kind: {"model": MODELS[kind], "n_columns": n} for kind, n in groups.items()
        }
        model = Begun(
            len(start.weights), n_steps=1, measurement=measurement, max_iter=n_iter, abs_tol=0.0,
            rel_tol=0.0, progress_bar=0, random_state=0,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            began = time.perf_counter()
            model.fit(X)
            seconds = time.perf_counter() - began
        found = model.get_parameters()
        return ColumnRun(seconds, ColumnParameters(found["weights"], _read(kinds, found)))


def _given(kinds: tuple[str, ...], start: ColumnParameters) -> dict[str, Any]:
    """Parameters as it has them, by kind of column."""
    given: dict[str, Any] = {}
    pairs = list(zip(kinds, start.columns, strict=True))
    real = np.stack([p for kind, p in pairs if kind == "real"] or [np.empty((0, 2))], axis=1)
    if "real" in kinds:
        given["real"] = {
            "means": real[:, :, 0],
            "covariances": real[:, :, 1] ** 2,
            "precisions_cholesky": 1 / real[:, :, 1],
        }
    if "category" in kinds:
        codes = [p for kind, p in pairs if kind == "category"]
        sizes = {"max_n_outcomes": N_LEVELS, "total_outcomes": N_LEVELS * len(codes)}
        given["category"] = {**sizes, "pis": np.hstack(codes)}
    return given


def _read(kinds: tuple[str, ...], found: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """The way back; columns of a kind lie side by side."""
    columns, seen = [], dict.fromkeys(MODELS, 0)
    for kind in kinds:
        j, own = seen[kind], found["measurement"][kind]
        if kind == "real":
            pair = [own["means"][:, j], np.sqrt(own["covariances"][:, j])]
            columns.append(np.stack(pair, axis=1))
        else:
            p = own["pis"][:, N_LEVELS * j : N_LEVELS * (j + 1)]
            columns.append(p / p.sum(axis=1, keepdims=True))
        seen[kind] += 1
    return tuple(columns)
