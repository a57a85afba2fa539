"""torchgmm on the processor, in float32 as its documentation has it."""

from __future__ import annotations

import logging
import time
import warnings
from dataclasses import dataclass
from importlib import metadata, util
from typing import ClassVar

import numpy as np

from benchmarks.cases import Parameters
from benchmarks.peers.base import Peer, Run, as_matrices, diagonals


@dataclass(frozen=True)
class TorchGmm(Peer):
    """PyTorch Lightning around one matrix product per component.

    Its estimator takes initial means only and splits each iteration over two epochs, so
    its model, its Lightning module and a trainer are put together here: one epoch is one
    iteration on the whole data, from the same start as everybody's.
    """

    name: ClassVar[str] = "torchgmm"
    leaves_out: ClassVar[frozenset[str]] = frozenset({"growth-k", "growth-n"})
    precision: ClassVar[float] = 1e-5

    def version(self) -> str | None:
        """Installed version."""
        if util.find_spec("torchgmm") is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchgmm.bayes
        del torchgmm
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        return f"{metadata.version('torchgmm')}, torch {metadata.version('torch')}"

    def fit(
        self, X: np.ndarray, start: Parameters, covariance: str, n_iter: int, threads: int
    ) -> Run:
        """Train for `n_iter` epochs of one batch; conversion of the rows is not timed."""
        import pytorch_lightning as lightning
        import torch
        from torchgmm.base.data import DataLoader, collate_tensor, dataset_from_tensors
        from torchgmm.bayes.core import cholesky_precision
        from torchgmm.bayes.gmm.lightning_module import GaussianMixtureLightningModule
        from torchgmm.bayes.gmm.model import GaussianMixtureModel, GaussianMixtureModelConfig

        torch.set_num_threads(threads)
        K, d = start.means.shape
        model = GaussianMixtureModel(GaussianMixtureModelConfig(K, d, covariance))
        first = torch.from_numpy(_layout(start.covariances, covariance)).float()
        model.component_probs.copy_(torch.from_numpy(start.weights))
        model.means.copy_(torch.from_numpy(start.means))
        model.precisions_cholesky.copy_(cholesky_precision(first, covariance))
        rows = torch.from_numpy(np.asarray(X, dtype=np.float32))
        loader = DataLoader(
            dataset_from_tensors(rows), batch_size=len(X), collate_fn=collate_tensor
        )
        module = GaussianMixtureLightningModule(
            model, convergence_tolerance=0.0, covariance_regularization=0.0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = lightning.Trainer(
                max_epochs=n_iter, accelerator="cpu", logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False,
            )  # fmt: skip
            began = time.perf_counter()
            trainer.fit(module, loader)
            seconds = time.perf_counter() - began
        weights = model.component_probs.numpy().astype(float)
        covariances = as_matrices(model.covariances.numpy().astype(float), covariance, K, d)
        parameters = Parameters(
            weights / weights.sum(), model.means.numpy().astype(float), covariances
        )
        return Run(seconds, parameters)


def _layout(covariances: np.ndarray, covariance: str) -> np.ndarray:
    if covariance == "full":
        return covariances
    if covariance == "tied":
        return covariances.mean(axis=0)
    variances = diagonals(covariances)
    return variances if covariance == "diag" else variances.mean(axis=1)
