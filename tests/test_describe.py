"""The document and the page: what they say agrees with the fit, in the promised layout."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from mixtura.describe import WIDTH, document, mclust_name, text
from mixtura.families import FAMILIES, Gaussian, Poisson, find_family
from mixtura.families.gaussian.shapes import SHAPES, find_shape
from mixtura.fitting import fit_mixture
from mixtura.source import as_source
from mixtura.stopping import Outcome
from tests import reference

PROMISED = {
    "schema", "n_rows", "n_features", "columns", "family", "covariance", "n_components", "weights",
    "means", "covariances", "log_likelihood", "n_free", "bic", "aic", "icl", "outcome",
    "converged", "n_iter", "seconds", "warnings",
}  # fmt: skip


def rows(d=2, n=90):
    rng = np.random.default_rng(5)
    groups = [rng.normal(0, 1, (n, d)), rng.normal(9, 2, (n // 2, d)), rng.normal(-9, 1, (n, d))]
    return np.concatenate(groups)


def gaussian(covariance="full", k=2, d=2, **options):
    return fit_mixture(Gaussian(d, covariance=covariance), as_source(rows(d), **options), k)


def poisson(k=2, d=2):
    return fit_mixture(Poisson(d), as_source(drawn("poisson", d)), k)


def drawn(family, d=2, n=120):
    """Rows in the support of a family, in two groups."""
    rng = np.random.default_rng(5)
    second = rng.random((n, 1)) < 0.4
    if family == "beta":
        return np.where(second, rng.beta(2, 9, (n, d)), rng.beta(8, 3, (n, d)))
    if family == "bernoulli":
        return (rng.random((n, d)) < np.where(second, 0.2, 0.9)).astype(float)
    if family == "vonmises-fisher":
        X = rng.normal(size=(n, d)) + np.where(second, 5.0, -5.0)
        return X / np.linalg.norm(X, axis=1, keepdims=True)
    if family in ("categorical", "multinomial"):
        return np.where(second, rng.integers(0, 2, (n, d)), rng.integers(1, 4, (n, d))).astype(
            float
        )
    counts = np.where(second, rng.poisson(40, (n, d)), rng.poisson(2, (n, d)))
    whole = find_family(family, d).support.is_whole
    return counts.astype(float) + (0.0 if whole else 0.5)


def of_family(name, k=2, d=2):
    return fit_mixture(find_family(name, d), as_source(drawn(name, d)), k)


FITS = {name: partial(of_family, name) for name in FAMILIES} | {"gaussian": gaussian}


@pytest.mark.parametrize("family", FITS)
@pytest.mark.parametrize("k", [1, 2])
def test_document_has_the_promised_fields_and_is_plain_json(family, k):
    facts = document(FITS[family](k=k))
    assert set(facts) >= PROMISED
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["family"] == family
    assert len(facts["weights"]) == len(facts["means"]) == len(facts["sizes"]) == k
    assert sum(facts["weights"]) == pytest.approx(1)
    assert sum(facts["effective_rows"]) == pytest.approx(facts["n_rows"])
    assert sum(facts["sizes"]) == facts["n_rows"]
    assert facts["n_iter"] == len(facts["trace"]["log_likelihood"]) - 1
    log_n = np.log(facts["n_rows"])
    assert facts["bic"] == pytest.approx(-2 * facts["log_likelihood"] + facts["n_free"] * log_n)
    assert facts["aic"] == pytest.approx(-2 * facts["log_likelihood"] + 2 * facts["n_free"])
    assert facts["icl"] >= facts["bic"]


@pytest.mark.parametrize(
    ("covariance", "shape"),
    [
        ("full", (3, 4, 4)), ("tied", (4, 4)), ("diag", (3, 4)), ("spherical", (3,)),
        ("EII", ()), ("EEI", (4,)), ("VVE", (3, 4, 4)),
    ],
)  # fmt: skip
def test_covariances_have_the_layout_of_their_shape(covariance, shape):
    fitted = gaussian(covariance, 3, d=4)
    facts = document(fitted)
    assert np.shape(facts["covariances"]) == shape
    assert facts["covariance"] == covariance
    assert facts["covariance_name"] == find_shape(covariance).name
    # law of total covariance: the model's covariance, trace for trace, is that of the data
    X, w, means = rows(4), np.array(facts["weights"]), np.array(facts["means"])
    full = fitted.mixture.family.full_covariances(fitted.mixture.params)
    within = np.trace(np.einsum("k,kij->ij", w, full))
    between = w @ ((means - w @ means) ** 2).sum(axis=1)
    assert within + between == pytest.approx(X.var(axis=0).sum(), rel=1e-6)


def test_numbers_are_in_units_of_the_data():
    scale = 2.0**200
    X = rows()
    one, other = (document(fit_mixture(Gaussian(2), as_source(s * X), 1)) for s in (1.0, scale))
    np.testing.assert_array_equal(np.array(other["means"]), scale * np.array(one["means"]))
    assert other["covariances"] is not None
    np.testing.assert_allclose(
        np.array(other["standard_errors"]["means"]) / scale, one["standard_errors"]["means"]
    )


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical", "EEI", "EII"])
@pytest.mark.parametrize("k", [1, 2])
def test_variances_beyond_float64_are_null_and_deviations_are_not(covariance, k):
    scale = 2.0**700
    one, other = (
        document(fit_mixture(Gaussian(2, covariance=covariance), as_source(s * rows()), k))
        for s in (1.0, scale)
    )
    assert None in np.ravel(other["covariances"])
    sds = np.array(other["standard_deviations"])
    np.testing.assert_allclose(sds / scale, one["standard_deviations"], rtol=1e-4)
    assert other["outcome_text"][:9] in text(other)


def test_one_gaussian_has_standard_errors_and_a_mixture_has_none():
    facts = document(gaussian(k=1))
    X = rows()
    np.testing.assert_allclose(
        facts["standard_errors"]["means"][0], X.std(axis=0) / np.sqrt(len(X)), rtol=1e-10
    )
    variances = np.diagonal(facts["standard_errors"]["covariances"][0])
    np.testing.assert_allclose(variances, X.var(axis=0) * np.sqrt(2 / len(X)), rtol=1e-10)
    assert document(gaussian(k=2))["standard_errors"] is None


def test_poisson_document_has_rates():
    facts = document(poisson(k=1))
    assert facts["covariances"] is None
    assert facts["covariance"] is None
    assert facts["params"]["rate"] == facts["means"]
    expected = np.sqrt(np.array(facts["means"]) / facts["n_rows"])
    np.testing.assert_allclose(facts["standard_errors"]["rate"], expected)


def test_what_is_not_finite_becomes_null():
    facts = document(replace(gaussian(), seconds=float("nan"), log_certainty=float("-inf")))
    assert facts["seconds"] is None
    assert facts["icl"] is None


# -- the page ---------------------------------------------------------------------


def test_page_of_old_faithful_shows_the_published_values():
    faithful = reference.load("faithful")
    source = as_source(faithful.X)
    page = text(document(fit_mixture(Gaussian(2), source, 2)))
    lines = page.splitlines()
    assert lines[0] == "Gaussian mixture, 2 components, full covariances (mclust name: VVV)"
    assert lines[1].split() == ["log-likelihood", "rows", "df", "BIC*", "AIC*", "ICL*"]
    cells = lines[2].split()
    assert cells[:5] == ["-1130.264", "272", "11", "2322.192", "2282.528"]
    assert lines[2].endswith("* smaller is better")
    first = next(line for line in lines if line.lstrip().startswith("0 "))
    assert first.split() == ["0", "0.6441", "175.2", "4.290", "79.97", "0.412", "6.00", "0.380"]
    assert page.endswith("no warnings")


def test_page_of_one_gaussian_shows_standard_errors():
    page = text(document(gaussian(k=1)))
    assert page.startswith("one Gaussian, full covariance (mclust name: XXX)")
    assert "closed form" in page
    head = next(line for line in page.splitlines() if line.startswith("column"))
    assert head.split() == ["column", "mean", "s.e.", "sd", "s.e."]
    facts = document(gaussian(k=1))
    sd = np.sqrt(facts["covariances"][0][0][0])
    row = next(line for line in page.splitlines() if line.startswith("x0 ")).split()
    n = facts["n_rows"]
    shown = [float(cell) for cell in row[1:]]
    expected = [facts["means"][0][0], sd / np.sqrt(n), sd, sd / np.sqrt(2 * n)]
    np.testing.assert_allclose(shown, expected, atol=0.006)


@pytest.mark.parametrize("family", FITS)
@pytest.mark.parametrize(("k", "d"), [(1, 2), (2, 2), (1, 30), (2, 30)])
def test_page_of_every_family_shows_its_parameters(family, k, d):
    facts = document(FITS[family](k=k, d=d))
    page = text(facts)
    lines = page.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines == [line.rstrip() for line in lines]
    for block in facts["tables"] or []:
        assert np.shape(block["values"]) == (k, len(block["columns"]))
        assert block["short"] or block["title"] in page
        value = block["values"][0][0]
        assert any(word == pytest.approx(value, rel=0.1, abs=1e-4) for word in numbers(page))
    if k == 1:
        assert "s.e." in page
    if d > 20:
        assert "more columns" in page


def numbers(page):
    for word in page.split():
        try:
            yield float(word)
        except ValueError:
            continue


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 1), (2, 2), (9, 3), (3, 14), (1, 30), (2, 30)])
def test_page_is_never_too_wide_and_aligned(family, k, d):
    rng = np.random.default_rng(1)
    X = np.round(30 + 10 * rng.random((200, d)) + 50 * rng.integers(0, 9, (200, 1)))
    source = as_source(X)
    make = Gaussian(d, covariance="diag") if family == "gaussian" else Poisson(d)
    facts = document(fit_mixture(make, source, k, n_starts=2))
    for names in (facts["columns"], ["a rather long name of a column " + c for c in "x" * d]):
        lines = text({**facts, "columns": names}).splitlines()
        assert max(map(len, lines)) <= WIDTH
        assert lines == [line.rstrip() for line in lines]
    if d > 20:
        assert any(f"{d - 20} more columns" in line for line in lines)


def test_very_many_components_are_cut_and_said():
    facts = document(gaussian(k=2))
    k = 60
    many = {
        **facts,
        "n_components": k,
        "weights": [1 / k] * k,
        "effective_rows": [10.0] * k,
        "means": [[float(i), 0.5] for i in range(k)],
        "covariances": [facts["covariances"][0]] * k,
        "standard_deviations": [facts["standard_deviations"][0]] * k,
    }
    page = text(many)
    assert "10 more components" in page
    assert len(page.splitlines()) < 70


def test_hostile_names_do_not_reach_the_terminal():
    facts = document(gaussian())
    page = text({**facts, "columns": ["\x1b[31mred", "new\nline"], "warnings": ["bell\x07"]})
    assert all(letter.isprintable() or letter == "\n" for letter in page)
    assert "?[31mred" in page
    assert "new?line" in page


def test_warnings_and_notes_are_shown():
    facts = document(gaussian())
    page = text({**facts, "warnings": ["[W205] columns are collinear: " + "so it is " * 20]})
    assert "warning: [W205]" in page
    assert "no warnings" not in page
    assert max(map(len, page.splitlines())) <= WIDTH
    few = text({**facts, "effective_rows": [221.0, 4.0]})
    assert "component 1 rests on fewer than 5 rows" in few
    assert "log-density may exceed 0" not in page
    assert "log-density may exceed 0" in text({**facts, "log_likelihood": 3.0})


def test_outcome_says_what_to_do():
    fitted = fit_mixture(Gaussian(2), as_source(rows()), 3, max_iter=1)
    stopped = replace(fitted, outcome=Outcome.MAX_ITER)
    assert "--max-iter" in text(document(stopped))
    assert document(stopped)["converged"] is False


def test_sum_of_weights_is_shown_where_it_differs():
    w = np.full(len(rows()), 2.5)
    page = text(document(gaussian(weights=w)))
    assert "sum of weights" in page
    assert f"{2.5 * len(w):g}" in page


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1.0, 1e6, 1e30])
def test_scales_of_all_sizes_keep_three_digits(scale):
    facts = document(fit_mixture(Gaussian(2), as_source(scale * rows()), 2))
    sds = np.sqrt([[c[0][0], c[1][1]] for c in facts["covariances"]])
    lines = text(facts).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("component"))
    for k in range(2):
        cells = [float(cell) for cell in lines[at + 1 + k].split()]
        np.testing.assert_allclose(cells[5:7], sds[k], rtol=6e-3)
        np.testing.assert_allclose(cells[3:5], facts["means"][k], atol=6e-3 * sds.min())


def test_mclust_names():
    names = {
        (s, d, k): mclust_name(SHAPES[s], d, k) for s in SHAPES for d in (1, 2) for k in (1, 2)
    }
    assert names["VVV", 2, 2] == "VVV"
    assert names["VII", 1, 2] == "V"
    assert names["EEE", 1, 2] == "E"
    assert names["VVI", 2, 1] == "XXI"
    assert names["EII", 2, 1] == "XII"
    assert names["EEE", 2, 1] == "XXX"
    assert names["VVV", 1, 1] == "X"
