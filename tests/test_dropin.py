"""Code written for ``sklearn.mixture.GaussianMixture`` runs with one import changed."""

from __future__ import annotations

import inspect
import pickle
import warnings

import numpy as np
import pytest
import sklearn.mixture
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mixtura

THEIRS = sklearn.mixture.GaussianMixture
OURS = mixtura.GaussianMixture
BOTH = pytest.mark.parametrize("Model", [THEIRS, OURS], ids=["sklearn", "mixtura"])
TYPES = ["full", "tied", "diag", "spherical"]
EACH_TYPE = pytest.mark.parametrize("covariance_type", TYPES)

K, D, N = 3, 2, 400


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    """Three overlapping groups of different spread."""
    rng = np.random.default_rng(0)
    return np.concatenate(
        [
            rng.normal([0, 0], [1.0, 0.5], (200, D)),
            rng.normal([3, 1], [0.7, 1.2], (120, D)),
            rng.normal([1, 4], [1.1, 1.1], (80, D)),
        ]
    )


def initial(covariance_type: str) -> dict[str, object]:
    """Starting parameters, the same for both."""
    precision = np.array([[1.5, 0.2], [0.2, 0.8]])
    return {
        "weights_init": [0.5, 0.3, 0.2],
        "means_init": [[0.5, 0.0], [2.0, 1.0], [1.0, 3.0]],
        "precisions_init": {
            "full": np.stack([precision, 1.2 * precision, np.eye(D)]),
            "tied": precision,
            "diag": np.array([[1.0, 2.0], [0.5, 0.7], [1.0, 1.0]]),
            "spherical": np.array([1.0, 0.6, 0.8]),
        }[covariance_type],
    }


def fitted(Model, X, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Model(**settings).fit(X)


# -- same interface -----------------------------------------------------------------------


def test_constructor_takes_the_same_arguments():
    theirs, ours = (inspect.signature(Model).parameters for Model in (THEIRS, OURS))
    assert set(theirs) <= set(ours)
    assert all(ours[name].kind == theirs[name].kind for name in theirs)
    assert ours["n_components"].default == theirs["n_components"].default
    assert ours["covariance_type"].default == theirs["covariance_type"].default


def test_public_methods_and_their_arguments_are_the_same():
    names = [
        name for name, value in inspect.getmembers(THEIRS, inspect.isfunction)
        if not name.startswith("_")
    ]  # fmt: skip
    assert {"fit", "predict", "sample", "bic"} <= set(names)
    for name in names:
        theirs = inspect.signature(getattr(THEIRS, name)).parameters
        ours = inspect.signature(getattr(OURS, name)).parameters
        assert list(ours)[: len(theirs)] == list(theirs), name


@EACH_TYPE
@pytest.mark.parametrize("n_components", [1, K])
def test_fitted_attributes_have_the_same_names_types_and_shapes(X, covariance_type, n_components):
    settings = {"n_components": n_components, "covariance_type": covariance_type}
    theirs, ours = (fitted(Model, X, **settings, random_state=0) for Model in (THEIRS, OURS))
    names = [name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")]
    assert {"weights_", "precisions_cholesky_", "lower_bound_", "n_features_in_"} <= set(names)
    for name in names:
        a, b = getattr(theirs, name), getattr(ours, name)
        assert np.shape(a) == np.shape(b) or name == "lower_bounds_", name
        assert isinstance(b, bool if name == "converged_" else (type(a), float, int)), name
    assert isinstance(ours.lower_bounds_, list)
    for name in ("predict", "predict_proba", "score_samples"):
        a, b = getattr(theirs, name)(X), getattr(ours, name)(X)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    for name in ("score", "bic", "aic"):
        assert isinstance(getattr(ours, name)(X), float)
    a, b = theirs.sample(7), ours.sample(7)
    assert [part.shape for part in a] == [part.shape for part in b]
    assert ours.fit_predict(X).shape == theirs.fit_predict(X).shape


# -- same numbers ----------------------------------------------------------------------------


@EACH_TYPE
@pytest.mark.parametrize("n_iter", [1, 2, 25])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 0.1])
def test_same_parameters_after_the_same_iterations(X, covariance_type, n_iter, reg_covar):
    settings = {
        "n_components": K, "covariance_type": covariance_type, "reg_covar": reg_covar,
        "tol": 0.0, "max_iter": n_iter, **initial(covariance_type),
    }  # fmt: skip
    theirs, ours = (fitted(Model, X, **settings) for Model in (THEIRS, OURS))
    assert ours.n_iter_ == theirs.n_iter_ == n_iter
    assert ours.converged_ is theirs.converged_ is False
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-8, err_msg=name
        )
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), atol=1e-8)
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=1e-8)
    assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=1e-9)
    assert ours.aic(X) == pytest.approx(theirs.aic(X), rel=1e-9)
    # one M step later: this lower bound belongs to the parameters beside it
    assert ours.lower_bound_ == pytest.approx(theirs.score(X), abs=1e-8)
    if hasattr(theirs, "lower_bounds_"):  # since scikit-learn 1.7
        np.testing.assert_allclose(ours.lower_bounds_[:-1], theirs.lower_bounds_[1:], atol=1e-8)


@EACH_TYPE
def test_one_component_is_the_same_closed_form(X, covariance_type):
    settings = {"covariance_type": covariance_type, "reg_covar": 1e-3}
    theirs, ours = (fitted(Model, X, **settings) for Model in (THEIRS, OURS))
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-10)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-10)


@EACH_TYPE
def test_precisions_are_inverse_covariances(X, covariance_type):
    model = fitted(OURS, X, n_components=K, covariance_type=covariance_type, random_state=0)
    roots, precisions = model.precisions_cholesky_, model.precisions_
    if covariance_type in ("full", "tied"):
        identity = precisions @ model.covariances_
        np.testing.assert_allclose(identity, np.broadcast_to(np.eye(D), identity.shape), atol=1e-12)
        np.testing.assert_allclose(roots @ np.swapaxes(roots, -1, -2), precisions, rtol=1e-14)
        np.testing.assert_array_equal(np.tril(roots, -1), 0.0)
    else:
        np.testing.assert_allclose(precisions * model.covariances_, 1.0, rtol=1e-13)
        np.testing.assert_allclose(roots**2, precisions, rtol=1e-14)


@pytest.mark.parametrize("given", ["weights_init", "means_init", "precisions_init"])
@EACH_TYPE
def test_parts_of_the_start_may_be_given(X, covariance_type, given):
    settings = {"n_components": K, "covariance_type": covariance_type, "random_state": 0}
    part = {given: initial(covariance_type)[given]}
    best = fitted(OURS, X, **settings)
    with_part = fitted(OURS, X, **settings, **part)
    assert with_part.score(X) == pytest.approx(best.score(X), abs=0.05)
    start = fitted(OURS, X, **settings, **part, max_iter=0, tol=0.0)
    name = {"weights_init": "weights_", "means_init": "means_", "precisions_init": "precisions_"}
    np.testing.assert_allclose(getattr(start, name[given]), part[given], rtol=1e-12)


def test_given_means_keep_their_order(X):
    means = np.array([[1.0, 4.0], [3.0, 1.0], [0.0, 0.0]])  # the lightest first
    model = fitted(OURS, X, n_components=K, means_init=means, random_state=0)
    np.testing.assert_allclose(model.means_, means, atol=0.6)


@BOTH
def test_no_iterations_leave_the_start_and_do_not_warn(X, Model):
    model = Model(K, max_iter=0, means_init=initial("full")["means_init"], random_state=0).fit(X)
    assert model.n_iter_ == 0
    np.testing.assert_allclose(model.means_, initial("full")["means_init"])


@BOTH
@pytest.mark.parametrize("word", ["kmeans", "k-means++", "random_from_data", "random"])
def test_every_kind_of_start(X, Model, word):
    model = Model(K, init_params=word, n_init=3, random_state=0, max_iter=500).fit(X)
    assert model.converged_
    assert model.score(X) > -3.8


# -- same mistakes, same errors ---------------------------------------------------------------


def rows(n=20, d=D) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d))


def with_value(value: float) -> np.ndarray:
    broken = rows()
    broken[3, 1] = value
    return broken


def fit(data=None, **settings):
    return lambda Model: fitted(Model, rows() if data is None else data, **settings)


MISTAKES = {
    "no components": fit(n_components=0),
    "components are a fraction": fit(n_components=1.5),
    "components are text": fit(n_components="two"),
    "unknown covariance": fit(covariance_type="foo"),
    "covariance is a number": fit(covariance_type=1),
    "negative tol": fit(tol=-1.0),
    "negative reg_covar": fit(reg_covar=-1.0),
    "negative max_iter": fit(max_iter=-1),
    "no n_init": fit(n_init=0),
    "unknown start": fit(init_params="bar"),
    "random_state is text": fit(random_state="seed"),
    "negative seed": fit(random_state=-1),
    "warm_start is text": fit(warm_start="yes"),
    "verbose is text": fit(verbose="loud"),
    "no verbose_interval": fit(verbose_interval=0),
    "too many weights_init": fit(n_components=2, weights_init=[0.2, 0.3, 0.5]),
    "weights_init do not sum to one": fit(n_components=2, weights_init=[0.2, 0.3]),
    "negative weights_init": fit(n_components=2, weights_init=[-0.2, 1.2]),
    "weights_init is a number": fit(n_components=2, weights_init=0.5),
    "weights_init with NaN": fit(n_components=2, weights_init=[np.nan, 1.0]),
    "means_init of another width": fit(n_components=2, means_init=np.zeros((2, 3))),
    "means_init of another length": fit(n_components=2, means_init=np.zeros((3, 2))),
    "means_init with text": fit(n_components=2, means_init=[["a", "b"], ["c", "d"]]),
    "means_init with NaN": fit(n_components=2, means_init=np.full((2, 2), np.nan)),
    "precisions_init of another shape": fit(n_components=2, precisions_init=np.eye(2)),
    "precisions_init not symmetric": fit(precisions_init=[[[1.0, 0.5], [0.0, 1.0]]]),
    "precisions_init not positive": fit(precisions_init=[[[1.0, 2.0], [2.0, 1.0]]]),
    "precisions_init singular": fit(precisions_init=[[[1.0, 1.0], [1.0, 1.0]]]),
    "tied precisions_init per component": fit(
        n_components=2, covariance_type="tied", precisions_init=np.stack([np.eye(2)] * 2)
    ),
    "diag precisions_init zero": fit(covariance_type="diag", precisions_init=[[0.0, 1.0]]),
    "spherical precisions_init negative": fit(covariance_type="spherical", precisions_init=[-1.0]),
    "more components than rows": fit(rows(3), n_components=5),
    "one row": fit(rows(1)),
    "no rows": fit(rows(0)),
    "no columns": fit(np.empty((5, 0))),
    "one-dimensional": fit(np.zeros(5)),
    "three-dimensional": fit(np.zeros((5, 2, 2))),
    "a number": fit(3.0),
    "None": lambda Model: Model().fit(None),
    "NaN": fit(with_value(np.nan)),
    "infinity": fit(with_value(np.inf)),
    "text": fit([["a", "b"], ["c", "d"]]),
    "complex": fit(rows() + 1j),
    "sparse": fit(sparse.csr_matrix(rows())),
    "ragged": fit([[1.0, 2.0], [3.0]]),
    "an object": fit(np.array([[{}, 1.0], [2.0, 3.0]], dtype=object)),
    "predict before fit": lambda Model: Model().predict(rows()),
    "predict_proba before fit": lambda Model: Model().predict_proba(rows()),
    "score before fit": lambda Model: Model().score(rows()),
    "score_samples before fit": lambda Model: Model().score_samples(rows()),
    "bic before fit": lambda Model: Model().bic(rows()),
    "aic before fit": lambda Model: Model().aic(rows()),
    "sample before fit": lambda Model: Model().sample(),
    "means_ before fit": lambda Model: Model().means_,
    "no samples": lambda Model: fitted(Model, rows()).sample(0),
    "negative samples": lambda Model: fitted(Model, rows()).sample(-2),
    "samples are text": lambda Model: fitted(Model, rows()).sample("3"),
    "predict of another width": lambda Model: fitted(Model, rows()).predict(rows(d=3)),
    "score of another width": lambda Model: fitted(Model, rows()).score(rows(d=1)),
    "predict one-dimensional": lambda Model: fitted(Model, rows()).predict(rows()[0]),
    "predict NaN": lambda Model: fitted(Model, rows()).predict(with_value(np.nan)),
    "score_samples infinity": lambda Model: fitted(Model, rows()).score_samples(
        with_value(-np.inf)
    ),
    "predict no rows": lambda Model: fitted(Model, rows()).predict(rows(0)),
    "predict sparse": lambda Model: fitted(Model, rows()).predict(sparse.csr_matrix(rows())),
    "unknown argument": lambda Model: Model(colour="red"),
    "covariance by position": lambda Model: Model(2, "full"),
    "unknown set_params": lambda Model: Model().set_params(colour="red"),
}


def raised(mistake, Model) -> Exception:
    with pytest.raises(Exception) as caught:
        mistake(Model)
    return caught.value


@pytest.mark.parametrize("name", MISTAKES)
def test_the_same_mistake_raises_the_same_classes(name):
    theirs, ours = (raised(MISTAKES[name], Model) for Model in (THEIRS, OURS))
    for kind in type(theirs).__mro__:
        assert isinstance(ours, kind), f"{theirs!r} is a {kind.__name__}, {ours!r} is not"


# -- same life in scikit-learn --------------------------------------------------------------------


@BOTH
def test_too_few_iterations_warn(X, Model):
    with pytest.warns(ConvergenceWarning, match="not converge"):
        model = Model(K, max_iter=1, tol=1e-9, random_state=0).fit(X)
    assert not model.converged_


@BOTH
def test_warm_start_goes_on(X, Model):
    settings = {"n_components": K, "tol": 0.0, "reg_covar": 1e-6, **initial("full")}
    whole = fitted(Model, X, **settings, max_iter=6)
    parts = Model(**settings, max_iter=3, warm_start=True)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning):
            parts.fit(X)
    np.testing.assert_allclose(parts.means_, whole.means_, rtol=1e-9)


@BOTH
def test_grid_search_and_cross_validation(X, Model):
    search = GridSearchCV(
        Model(random_state=0, reg_covar=1e-6),
        {"n_components": [1, 3], "covariance_type": ["full", "spherical"]},
        cv=2,
    ).fit(X[np.random.default_rng(0).permutation(N)])
    assert search.best_params_["n_components"] == 3
    scores = cross_val_score(Model(2, random_state=0), X, cv=2)
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


@BOTH
def test_pipeline_clone_and_pickle(X, Model):
    pipe = make_pipeline(StandardScaler(), Model(K, random_state=0)).fit(X)
    again = clone(pipe).fit(X)
    np.testing.assert_array_equal(again.predict(X), pipe.predict(X))
    copy = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_array_equal(copy.score_samples(X), pipe.score_samples(X))
    model = Model(K, tol=1e-4, means_init=np.zeros((K, D)), random_state=3)
    assert clone(model).get_params()["tol"] == 1e-4
    assert repr(clone(model)) == repr(model)


def test_a_scorer_by_bic_as_in_scikit_learns_example(X):
    search = GridSearchCV(
        OURS(random_state=0), {"n_components": range(1, 5)},
        scoring=lambda estimator, data: -estimator.bic(data), cv=[(np.arange(N), np.arange(N))],
    ).fit(X)  # fmt: skip
    assert search.best_params_["n_components"] == 3


def test_weights_travel_through_pipelines(X):
    w = np.random.default_rng(0).integers(0, 3, N)
    pipe = make_pipeline(StandardScaler(), OURS(K, random_state=0))
    pipe.fit(X, gaussianmixture__sample_weight=w)
    Z = pipe[:-1].transform(X)
    alone = OURS(K, random_state=0).fit(Z, sample_weight=w)
    np.testing.assert_array_equal(pipe[-1].means_, alone.means_)


def test_metadata_routing_knows_weights_and_labels():
    with sklearn.config_context(enable_metadata_routing=True):
        model = OURS(2).set_fit_request(sample_weight=True, labels=True)
        model.set_score_request(sample_weight=True)
        request = model.get_metadata_routing()
    asked = {name for name, wanted in request.fit.requests.items() if wanted}
    assert asked == {"sample_weight", "labels"}
    assert request.score.requests == {"sample_weight": True}


@BOTH
@EACH_TYPE
def test_sample_has_the_moments_of_the_mixture(X, Model, covariance_type):
    model = fitted(
        Model, X, n_components=K, covariance_type=covariance_type, random_state=0, reg_covar=1e-6
    )
    n = 100_000
    drawn, labels = model.sample(n)
    assert drawn.shape == (n, D)
    assert labels.shape == (n,)
    assert set(labels) == set(range(K))
    share = np.bincount(labels) / n
    error = np.sqrt(model.weights_ * (1 - model.weights_) / n)
    assert (np.abs(share - model.weights_) < 5 * error).all()
    for k in range(K):
        own = drawn[labels == k]
        spread = full(model)[k]
        sd = np.sqrt(np.diagonal(spread))
        assert (np.abs(own.mean(axis=0) - model.means_[k]) < 5 * sd / np.sqrt(len(own))).all()
        error = np.sqrt((np.outer(sd, sd) ** 2 + spread**2) / len(own))
        assert (np.abs(np.cov(own.T, bias=True) - spread) < 5 * error).all()
        for j in range(D):
            law = stats.norm(model.means_[k, j], sd[j]).cdf
            assert stats.kstest(own[:, j], law).pvalue > 1e-6


def full(model) -> np.ndarray:
    covariances = model.covariances_
    return {
        "full": lambda: covariances,
        "tied": lambda: np.stack([covariances] * K),
        "diag": lambda: covariances[:, :, None] * np.eye(D),
        "spherical": lambda: covariances[:, None, None] * np.eye(D),
    }[model.covariance_type]()


@BOTH
def test_frames_are_taken_with_their_names(X, Model):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["length", "width"])
    model = Model(K, random_state=0).fit(frame)
    assert model.feature_names_in_.tolist() == ["length", "width"]
    assert model.n_features_in_ == 2
    np.testing.assert_array_equal(model.predict(frame), model.predict(frame.copy()))
    model.fit(X)
    assert not hasattr(model, "feature_names_in_")


@BOTH
def test_float32_rows_are_taken(X, Model):
    model = Model(K, random_state=0, reg_covar=1e-6).fit(X.astype(np.float32))
    assert adjusted_rand_score(model.predict(X.astype(np.float32)), model.predict(X)) == 1.0


@EACH_TYPE
def test_the_default_fit_is_at_least_as_good(X, covariance_type):
    settings = {"n_components": K, "covariance_type": covariance_type, "random_state": 0}
    theirs = fitted(THEIRS, X, **settings, n_init=3, tol=1e-8, max_iter=1000)
    ours = fitted(OURS, X, **settings)
    assert ours.score(X) >= theirs.score(X) - 1e-6
