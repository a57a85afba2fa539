"""The compiled data passes of Gaussian mixtures and of exponential families."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64] | NDArray[np.float32]
Array = NDArray[np.float64]

CHUNK_ROWS: int
NEGLIGIBLE_GAIN: float

def em_pass(
    X: Rows,
    weights: Array | None,
    labels: NDArray[np.int32] | None,
    log_weights: Array,
    means: Array,
    factors: Array,
    geometry: int,
    n_threads: int,
) -> tuple[Array, Array, Array, float, float, float]: ...
def score(
    X: Rows,
    log_weights: Array,
    means: Array,
    factors: Array,
    geometry: int,
    n_threads: int,
    log_density: Array | None = None,
    responsibilities: Array | None = None,
    labels: NDArray[np.int64] | None = None,
) -> None: ...
def component_log_density(
    X: Rows, means: Array, factors: Array, geometry: int, n_threads: int, out: Array
) -> None: ...
def accumulate(
    X: Rows,
    weights: Array | None,
    responsibilities: Rows,
    means: Array,
    geometry: int,
    n_threads: int,
) -> tuple[Array, Array, Array]: ...
def linear_pass(
    plain: Rows,
    codes: Rows,
    levels: NDArray[np.int32],
    base: Array | None,
    weights: Array | None,
    labels: NDArray[np.int32] | None,
    constants: Array,
    eta: Array,
    n_threads: int,
    offsets: Array | None = None,
    responsibilities: Array | None = None,
) -> tuple[Array, Array, float, float, float]: ...
def linear_score(
    plain: Rows,
    codes: Rows,
    levels: NDArray[np.int32],
    base: Array | None,
    constants: Array,
    eta: Array,
    n_threads: int,
    log_density: Array,
    responsibilities: Array | None = None,
    offsets: Array | None = None,
) -> None: ...
def variant() -> str: ...
def variants() -> list[str]: ...
def use_variant(name: str) -> None: ...
def allow_skipping(allowed: bool) -> None: ...
def fma_peak(n_threads: int) -> float: ...
def gaussian_m_step(
    shape: str,
    weight: Array,
    total: Array,
    shared: Array,
    centres: Array,
    previous_covariances: Array | None = None,
    floor: Array | float | None = None,
    max_inner: int = 200,
    inner_tol: float = 1e-12,
    n_threads: int = 1,
) -> tuple[Array, Array, Array]: ...
def cholesky_factors(
    covariances: Array, geometry: int, n_features: int = 1
) -> tuple[Array, Array]: ...
def partitions(
    Z: Array,
    weights: Array | None,
    jobs_k: NDArray[np.int32],
    jobs_method: NDArray[np.int32],
    jobs_key: NDArray[np.int64],
    n_threads: int,
) -> NDArray[np.int32]: ...
def hierarchy(
    Z: Array, weights: Array | None, softness: float, n_threads: int
) -> NDArray[np.int32]: ...
def split_partitions(
    R: Array, weights: Array | None, Z: Array, n_free: int, n_splits: int, seed: int
) -> NDArray[np.int32]: ...
def exchanged_partitions(
    R: Array,
    weights: Array | None,
    Z: Array,
    n_free: int,
    n_moves: int,
    n_pairs: int,
    n_splits: int,
    seed: int,
) -> NDArray[np.int32]: ...
def told_apart(
    labels: NDArray[np.int32],
    n_groups: NDArray[np.int32],
    chosen: NDArray[np.int32],
    ends: NDArray[np.int32],
    share: float,
) -> NDArray[np.bool_]: ...
def partitions_of_runs(
    X: list[Rows],
    origins: Array,
    weights: Array | None,
    Z: Array,
    families: list[tuple[str, int, Array | None]],
    jobs_family: NDArray[np.int32],
    jobs_k: NDArray[np.int32],
    records: Array,
    splits: NDArray[np.int32],
    merges: NDArray[np.int32],
    seed: int,
    n_threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]: ...
def certainty_of_runs(
    X: list[Rows],
    origins: Array,
    weights: Array | None,
    families: list[tuple[str, int, Array | None]],
    jobs_family: NDArray[np.int32],
    jobs_k: NDArray[np.int32],
    records: Array,
    n_threads: int,
) -> Array: ...
def em_runs(
    X: list[Rows],
    origins: Array,
    weights: Array | None,
    folds: NDArray[np.int32] | None,
    families: list[tuple[str, int, Array | None]],
    jobs_family: NDArray[np.int32],
    jobs_k: NDArray[np.int32],
    jobs_unit: NDArray[np.int32],
    jobs_fold: NDArray[np.int32] | None,
    goals: Array | None,
    labels: NDArray[np.int32] | None,
    jobs_partition: NDArray[np.int32] | None,
    start: Array | None,
    max_iter: int,
    tol: float,
    max_inner: int,
    trust: float,
    near: float,
    accelerate: bool,
    n_threads: int,
) -> tuple[Array, Array, Array, NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]: ...
def soften(weight: Array, total: Array, geometry: int, n_features: int) -> tuple[Array, Array]: ...
def at_floor(
    covariances: Array,
    factors: Array,
    floor: Array | None,
    geometry: int,
    n_features: int,
) -> NDArray[np.bool_]: ...
