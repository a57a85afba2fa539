"""The report: what it says is true, what came from outside is text, and rows can be kept out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("pyarrow")

from mixtura import GaussianMixture, MixtureModel, Report, as_source, report, select
from mixtura.errors import UsageError
from mixtura.executor import Local
from mixtura.reporting.profile import look_at, profile_of
from mixtura.webpage import escape, json_text, page

FAITHFUL = Path(__file__).parent / "data" / "reference" / "faithful.csv"
HOSTILE = '</style><script>alert("x")</script><img src=x onerror=alert(1)>'


class Reader(HTMLParser):
    """Tags, texts outside of style and script, and tables as lists of lists."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.tables, self.open = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    def table(self, head):
        (found,) = [one for one in self.tables if one[0][: len(head)] == head]
        return found


@pytest.fixture(scope="module")
def model():
    return GaussianMixture(2, random_state=0).fit(str(FAITHFUL))


@pytest.fixture(scope="module")
def html(model):
    return report(model, str(FAITHFUL)).html


def test_numbers_are_those_of_the_fit(model, html):
    reader = Reader(html)
    criteria = reader.table(["log-likelihood", "rows"])
    assert criteria[1][:4] == ["-1130.264", "272", "11", f"{model.fitted_.bic:.3f}"]
    components = reader.table(["component", "weight"])
    assert [row[1] for row in components[1:]] == [f"{w:.4f}" for w in model.weights_]
    text = " ".join(reader.texts)
    assert "272 rows of 2 columns" in text
    assert "Component 0 holds 64.4 % of the rows: eruptions about 4.29" in text
    R = model.predict_proba(str(FAITHFUL))
    share = 100 * (R.max(axis=1) < 0.8).mean()
    assert f"{share:.2g} % of the rows belong to no component" in text


def test_the_profile_is_that_of_the_columns(html):
    rows = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    found = Reader(html).table(["column", "missing"])
    for j, name in enumerate(("eruptions", "waiting")):
        values = rows[:, j].min(), rows[:, j].mean(), rows[:, j].max(), rows[:, j].std()
        assert found[1 + j] == [name, "0", *(f"{value:.6g}" for value in values)]


def test_profiles_of_blocks_add_up():
    rng = np.random.default_rng(0)
    X = rng.normal([1e9, -3.0, 0.0], [1.0, 2.0, 0.0], (5000, 3))
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:2000, 2] = np.nan  # a block without a value
    whole = profile_of(as_source(X), Local(1))
    cut = profile_of(as_source(X[:1]), Local(1))
    parts = [look_at(next(iter(as_source(part).blocks()))) for part in np.split(X, [1, 1500])]
    summed = parts[0] + (parts[1] + parts[2])
    assert cut.n_rows == 1
    for name in ("n_missing", "count", "mean", "low", "high"):
        np.testing.assert_allclose(getattr(summed, name), getattr(whole, name), rtol=1e-12)
    np.testing.assert_allclose(summed.sd, np.nanstd(X, axis=0), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(whole.mean, np.nanmean(X, axis=0), rtol=1e-12)


def test_the_least_likely_rows_are_shown(model, html):
    rows = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    order = np.argsort(model.score_samples(str(FAITHFUL)))[:8]
    shown = [one for one in Reader(html).tables if one[0][0] == "row"]
    assert [int(line[0]) for line in shown[0][1:]] == order.tolist()
    assert float(shown[0][1][1]) == rows[order[0], 0]
    doubt = model.uncertainty(str(FAITHFUL))
    assert int(shown[1][1][0]) == doubt.argmax()


def test_without_rows_no_row_is_in_the_page(model):
    rows = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    without = report(model, str(FAITHFUL), rows=False).html
    assert not [one for one in Reader(without).tables if one[0][0] == "row"]
    body = without[without.index("<body") :]
    assert "<image" not in body  # no points drawn as an image
    counts = [svg.count("<use") for svg in re.findall(r"<svg.*?</svg>", body, flags=re.S)]
    assert max(counts) < 60  # ticks, but no point per row
    inner = [value for value in rows[:, 0] if rows[:, 0].min() < value < rows[:, 0].max()]
    told_apart = {f"{value:.6g}" for value in inner if len(f"{value:.6g}") > 3}
    assert not [value for value in told_apart if f"<td>{value}</td>" in body]


def test_what_comes_from_outside_is_text(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2))
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[HOSTILE, "b & <i>"])
    fitted = GaussianMixture(2, random_state=0).fit(frame)
    html = report(fitted, frame, settings={HOSTILE: HOSTILE}).html
    reader = Reader(html)
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "i"}
    assert not [attrs for _, attrs in reader.tags if any(name.startswith("on") for name in attrs)]
    assert any(HOSTILE in text for text in reader.texts)


def test_the_page_asks_for_nothing(html):
    reader = Reader(html)
    for tag, attrs in reader.tags:
        for name in ("src", "href", "xlink:href"):
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, attrs)
    assert "url(http" not in html
    assert "default-src 'none'; script-src 'none'" in html
    assert len(html) < 1_000_000


def test_names_inside_pictures_are_unique_and_found(html):
    found = re.findall(r' id="([^"]+)"', html)
    assert len(found) == len(set(found))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(found)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(found)


def test_the_same_fit_gives_the_same_page(model, html):
    assert report(model, str(FAITHFUL)).html == html


def test_warnings_settings_and_versions_are_said():
    X = np.concatenate([np.random.default_rng(0).normal(size=(40, 1)), [[50.0], [50.1]]])
    fitted = GaussianMixture(2, random_state=0).fit(X)
    html = report(fitted, X, settings={"seed": 0, "data": "rows.csv"}).html
    text = " ".join(Reader(html).texts)
    assert "rests on fewer than 5 rows" in text
    assert "rows.csv" in text
    assert "covariance" in text
    versions = dict(Reader(html).table(["software", "version"])[1:])
    assert versions["numpy"] == np.__version__


def test_a_search_is_reported_with_its_table():
    source = as_source(str(FAITHFUL))
    found = select(source, range(1, 4), ["full"], criterion="cv", n_folds=5, seed=0)
    html = report(found.best_, source, selection=found).html
    lines = Reader(html).table(["components"])
    assert [line[0] for line in lines[1:]] == ["1", "2", "3"]
    assert [line[-1] for line in lines[1:]].index("chosen") == found.best_row_
    at = lines[0].index("held-out log-density")
    np.testing.assert_allclose(
        [float(line[at]) for line in lines[1:]], found.candidates.columns["cv_log_density"], 1e-5
    )


@pytest.mark.parametrize("name", ["poisson", "bernoulli", "gamma"])
def test_other_families_have_reports_too(name):
    rng = np.random.default_rng(1)
    X = {"poisson": rng.poisson(4, (60, 2)), "bernoulli": rng.integers(0, 2, (60, 2)),
         "gamma": rng.gamma(3.0, 2.0, (60, 1))}[name]  # fmt: skip
    fitted = MixtureModel(name, 1).fit(X)
    text = " ".join(Reader(report(fitted, X).html).texts)
    assert name in text.lower()


def test_without_data_the_model_is_described(model):
    reader = Reader(report(model).html)
    assert reader.table(["component", "weight"])
    assert not [one for one in reader.tables if one[0][0] == "column"]


def test_it_saves_and_shows_itself(model, html, tmp_path):
    made = report(model, str(FAITHFUL), tmp_path / "a.html")
    assert isinstance(made, Report)
    assert (tmp_path / "a.html").read_text("utf-8") == html
    with pytest.raises(UsageError, match="exists"):
        report(model, path=tmp_path / "a.html")
    report(model, path=tmp_path / "a.html", force=True)
    assert made._repr_html_().startswith("<iframe")
    with pytest.raises(UsageError, match="a fit, with its log-likelihood"):
        report(model.mixture_)


def test_pages_escape():
    made = page("</title><b>", f"<p>{escape(HOSTILE)}</p>", ["let x = 1;"])
    reader = Reader(made)
    assert ("b", {}) not in reader.tags
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert "</script" not in json_text({"a": HOSTILE, "b": "\u2028"}).lower()
    with pytest.raises(ValueError, match="JSON"):
        json_text(float("nan"))
