"""Classes in files larger than memory: the same classifiers as in memory, pass by pass."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from mixtura import Checkpointed, Dask, GenerativeClassifier, Local, as_source
from mixtura.classify import ClassSpec, cross_classify
from mixtura.executor import Journal, session
from mixtura.families import Gaussian
from mixtura.labelled import with_component_labels
from mixtura.source import PickedSource
from mixtura.start.sample import uniform_at
from tests.processes import started, with_path

N = 3 * 4096
CENTRES = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 7.0], [7.0, 6.0]])
CLASS_OF = np.array([0, 0, 1, 1])  # two groups each


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 4, N)
    X = CENTRES[group] + rng.normal(size=(N, 2)) * [1.0, 1.4]
    return X, CLASS_OF[group]


@pytest.fixture(scope="module")
def files(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    for i, part in enumerate(np.split(np.arange(N), 3)):
        X, codes = rows[0][part], rows[1][part]
        table = pa.table({"a": X[:, 0], "b": X[:, 1], "kind": np.array(["u", "v"])[codes]})
        pq.write_table(table, folder / f"{i}.parquet", row_group_size=2000)
    return folder


@pytest.fixture
def nothing_held(monkeypatch):
    for room in ("spec", "assess"):
        monkeypatch.setattr(f"mixtura.classify.{room}.HELD_BYTES", 0)


def streamed(files, codes):
    return as_source(files, columns=["a", "b"], labels=codes, block_rows=1024)


def spec(**changes):
    plain = ClassSpec(((Gaussian(2),),) * 2, ((2,),) * 2, seed=0, executor=Local(2))
    return replace(plain, **changes)


SPECS = {
    "one each": spec(sizes=((1,),) * 2),
    "tied": spec(
        families=((Gaussian(2, covariance="tied"),),) * 2, sizes=((1,),) * 2, coupled=True
    ),
    "two each": spec(),
    "two each, coupled": spec(coupled=True),
    "chosen by bic": spec(sizes=((1, 2, 3),) * 2),
    "chosen by cv": spec(sizes=((1, 2),) * 2, criterion="cv", n_folds=3),
    "chosen together": spec(sizes=((1, 2),) * 2, coupled=True),
    "chosen together by cv": spec(sizes=((1, 2),) * 2, coupled=True, criterion="cv", n_folds=3),
    "outliers": spec(sizes=((1,),) * 2, outliers=0.01),
}


@pytest.mark.parametrize("known", [1.0, 0.2], ids=["all known", "few known"])
@pytest.mark.parametrize("name", SPECS)
def test_files_give_the_classifier_of_arrays(rows, files, nothing_held, name, known):
    X, codes = rows
    codes = np.where(np.random.default_rng(1).random(N) < known, codes, -1)
    here = SPECS[name].fit(as_source(X, labels=codes), ["u", "v"])
    there = SPECS[name].fit(streamed(files, codes), ["u", "v"])
    assert there.sizes == here.sizes
    assert there.fitted.outcome == here.fitted.outcome
    assert there.log_joint_likelihood == pytest.approx(here.log_joint_likelihood, rel=1e-7)
    assert there.fitted.log_likelihood == pytest.approx(here.fitted.log_likelihood, rel=1e-7)
    if here.outlier_density is not None:
        assert there.outlier_density == pytest.approx(here.outlier_density, rel=1e-6)
    if here.scores:
        np.testing.assert_allclose(there.scores, here.scores, rtol=1e-3)
    a, b = (one.decide(one.log_joint(X)) for one in (here, there))
    assert (a == b).mean() > 0.999
    if name.startswith("two"):
        order = [np.lexsort(one.mixture.means.T.round(1)) for one in (here, there)]
        means = [one.mixture.means[own] for one, own in zip((here, there), order, strict=True)]
        np.testing.assert_allclose(*means, atol=0.01)


@pytest.mark.parametrize("n_repeats", [1, 2])
def test_files_give_the_assessment_of_arrays(rows, files, nothing_held, n_repeats):
    X, codes = rows
    codes = np.where(np.arange(N) % 7 == 0, -1, codes)
    plain, options = spec(sizes=((1,),) * 2, reject=0.1), {"n_folds": 4, "n_repeats": n_repeats}
    here = cross_classify(plain, as_source(X, labels=codes), ["u", "v"], **options)
    there = cross_classify(plain, streamed(files, codes), ["u", "v"], **options)
    assert here.n_rows == there.n_rows == (codes >= 0).sum()
    np.testing.assert_array_equal(there.confusion, here.confusion)
    for name in ("error", "declined", "error_of_decided", "log_loss", "brier"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), rtol=1e-9)


def test_estimators_take_files_with_a_column_of_classes(rows, files, nothing_held):
    X, codes = rows
    model = GenerativeClassifier(n_components=2, random_state=0, n_threads=2)
    there = model.fit(files, "kind")
    here = GenerativeClassifier(n_components=2, random_state=0).fit(X, np.array(["u", "v"])[codes])
    assert there.log_likelihood_ == pytest.approx(here.log_likelihood_, rel=1e-7)
    frame = pd.DataFrame(X, columns=["a", "b"])
    assert (there.predict(frame) == here.predict(X)).mean() > 0.999


def test_a_class_with_too_few_rows_is_refused_before_any_fit(files):
    from mixtura.errors import DataError

    codes = np.zeros(N, dtype=int)
    codes[5] = 1
    with pytest.raises(DataError, match=r"class 'v' has 1 row\(s\)"):
        spec().fit(streamed(files, codes), ["u", "v"])
    with pytest.raises(DataError, match="needs the classes"):
        spec().fit(as_source(files, columns=["a", "b"]), ["u", "v"])


# -- nothing lost ------------------------------------------------------------------------


class Stopping(Local):
    """Is interrupted in one of its passes."""

    def __init__(self, n_passes=None):
        super().__init__(2)
        object.__setattr__(self, "n_left", n_passes)
        object.__setattr__(self, "n_done", 0)

    def reduce(self, task, source):
        if self.n_left is not None and self.n_done == self.n_left:
            raise KeyboardInterrupt
        object.__setattr__(self, "n_done", self.n_done + 1)
        return super().reduce(task, source)


def bits(found, assessed):
    arrays = [found.mixture.weights, *found.mixture.params, assessed.confusion, assessed.log_loss]
    numbers = found.log_joint_likelihood, found.fitted.log_likelihood, found.fitted.sizes
    return [np.asarray(a).tobytes() for a in arrays], numbers


@pytest.mark.parametrize("name", ["two each", "chosen by bic", "chosen together by cv"])
def test_a_job_that_was_interrupted_goes_on_to_the_same_bits(
    rows, files, nothing_held, tmp_path, name
):
    codes = np.where(np.arange(N) % 5 == 0, -1, rows[1])

    def job(executor, path):
        source, plain = streamed(files, codes), spec()
        kept = Checkpointed(executor, path)
        with session(kept, source, plain.job()) as inner:
            plain = replace(SPECS[name], executor=inner, max_iter=6)
            found = plain.fit(source, ["u", "v"])
            result = bits(found, cross_classify(plain, source, ["u", "v"], n_folds=2))
            return result, inner.n_replayed

    whole = Stopping()
    expected, n_replayed = job(whole, tmp_path / "whole")
    assert n_replayed == 0
    with Journal(tmp_path / "whole") as journal:
        n_kept = len(journal)
    assert n_kept > 0.5 * whole.n_done  # what is in memory is made again
    for n in np.linspace(1, whole.n_done - 1, 4).astype(int):
        path = tmp_path / f"run {n}"
        with pytest.raises(KeyboardInterrupt):
            job(Stopping(n), path)
        with Journal(path) as journal:
            n_before = len(journal)
        found, n_replayed = job(Stopping(), path)
        assert n_replayed == n_before
        assert found == expected


def test_passes_over_picked_rows_are_kept_whatever_the_job_is_over(files, tmp_path):
    """The source of a job may be one of picked rows itself, such as that of labelled components."""
    source = with_component_labels(streamed(files, np.arange(N) % 2), (2, 1))
    assert isinstance(source, PickedSource)
    for n_kept in (0, 3):
        executor = Stopping()
        kept = Checkpointed(executor, tmp_path / "run")
        with session(kept, source, {"job": "sums"}) as inner:
            sums = [
                inner.reduce(sum_of, one) for one in (source, PickedSource(source, odd), source)
            ]
            assert inner.n_replayed == n_kept
        assert executor.n_done == 3 - n_kept
        assert sums[0] == sums[2]
        with Journal(tmp_path / "run") as journal:
            assert len(journal) == 3


def test_the_command_line_goes_on_with_a_checkpoint(files, tmp_path):
    """Killed on the way, and resumed: the documents of a run that nothing disturbed."""
    program = (
        "import mixtura.fitting; mixtura.fitting.HELD_BYTES = 0; "
        "from mixtura.cli.main import main; main()"
    )

    def words(*more):
        return [sys.executable, "-c", program, *map(str, more)]

    fit = [
        "classify", files, "--target", "kind", "-k", 2, "--folds", 2, "--threads", 1,
        "--memory", "300MB", "--json", "--checkpoint",
    ]  # fmt: skip

    def document(*more):
        done = subprocess.run(
            words(*more), capture_output=True, text=True, check=False, timeout=120, env=with_path()
        )
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        facts["model"]["seconds"] = None
        return facts, done.stderr

    expected, said = document(*fit, tmp_path / "whole")
    assert "plan     3 files, 12288 rows" in said
    path = tmp_path / "run"
    with started(words(*fit, path), stdout=subprocess.DEVNULL, env=with_path()) as process:
        for _ in range(20_000):
            if process.poll() is not None or (path.exists() and path.stat().st_size > 20_000):
                break
            time.sleep(0.001)
    found, said = document("resume", path, "--json")
    assert "passes are kept" in said
    assert found == expected
    assert document(*fit, path)[0] == expected
    assert document(*fit[:-1], "--dask", "local:2")[0] == expected


# -- clusters ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two():
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0
        )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", ["files", "files with gaps", "frame", "frame with gaps"])
def test_a_cluster_gives_the_classifier_of_arrays(rows, two, nothing_held, tmp_path, kind):
    X, codes = rows[0].copy(), rows[1]
    if "gaps" in kind:
        X[5::50, 1] = np.nan
    whole = np.isfinite(X).all(axis=1)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(kind=codes)
    if kind.startswith("files"):
        for i, part in enumerate(np.split(np.arange(N), 3)):
            table.iloc[part].to_csv(tmp_path / f"{i}.csv", index=False)
        data = tmp_path
    else:
        frames = pytest.importorskip("dask.dataframe")
        # a function that only travels with what belongs to the collection
        data = frames.from_pandas(table, npartitions=3).map_partitions(lambda part: part.copy())
    source = as_source(
        data, columns=["a", "b"], labels="kind", missing="drop" if "gaps" in kind else "error",
        block_rows=1024,
    )  # fmt: skip
    plain = spec(executor=Dask(two))
    there = plain.fit(source, ["u", "v"])
    assessed = cross_classify(plain, source, ["u", "v"], n_folds=2)
    array = as_source(X[whole], labels=codes[whole])
    here = spec().fit(array, ["u", "v"])
    assert there.fitted.n_rows == whole.sum()
    assert (source.n_dropped or 0) == N - whole.sum()
    assert there.log_joint_likelihood == pytest.approx(here.log_joint_likelihood, rel=1e-7)
    known = cross_classify(spec(), array, ["u", "v"], n_folds=2)
    np.testing.assert_allclose(assessed.error, known.error, rtol=1e-9)


# -- picked rows -----------------------------------------------------------------------


def odd(block):
    return (block.first_row + np.arange(block.n_rows)) % 2 == 1


def test_picked_rows_are_numbered_as_if_there_were_no_others(rows, files):
    X, codes = rows
    source = streamed(files, codes)
    picked = PickedSource(source, odd, relabel=negated)
    for _ in range(2):
        blocks = list(picked.blocks())
        np.testing.assert_array_equal(np.concatenate([b.X for b in blocks]), X[1::2])
        np.testing.assert_array_equal(np.concatenate([b.labels for b in blocks]), -codes[1::2])
        starts = np.cumsum([0, *(b.n_rows for b in blocks)])
        assert [b.first_row for b in blocks] == starts[:-1].tolist()
    assert picked.n_rows == N // 2
    assert "0.parquet" in picked.where(3)
    total = Local(2).reduce(sum_of, picked)
    np.testing.assert_allclose(total, X[1::2].sum())


def negated(labels):
    return -labels


def sum_of(block, n_threads=1):
    return float(block.X.sum())


def test_random_numbers_of_rows_depend_on_their_places_alone():
    whole = uniform_at(3, 0, 20_000)
    for first, n in [(0, 1), (4095, 2), (5000, 9000), (19_999, 1), (12_288, 0)]:
        np.testing.assert_array_equal(uniform_at(3, first, n), whole[first : first + n])
    assert not np.array_equal(whole, uniform_at(4, 0, 20_000))
    assert abs(whole.mean() - 0.5) < 0.02


LARGE = """
import json, resource, sys
import numpy as np
import mixtura.fitting
mixtura.fitting.HELD_BYTES = 1 << 20
from mixtura import Local, as_source
from mixtura.classify import ClassSpec, cross_classify
from mixtura.families import Gaussian
source = as_source(
    sys.argv[1], columns=list("abcdefghijklmnop"), labels=np.load(sys.argv[2]), block_rows=1 << 14
)
spec = ClassSpec(((Gaussian(16),),) * 2, ((2,),) * 2, seed=0, max_iter=3, executor=Local(2))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = spec.fit(source, ["u", "v"])
assessed = cross_classify(spec, source, ["u", "v"], n_folds=2)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"n": found.fitted.n_rows, "error": assessed.error.value,
                  "grown": (after - before) / 1024}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="resource")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """96 MB of rows; of each row its class and its fold are kept, 3 + 3 MB, and blocks of 2 MB."""
    rng, n = np.random.default_rng(0), 125_000
    codes = np.empty(6 * n, dtype=np.int32)
    (tmp_path / "rows").mkdir()
    for i in range(6):
        group = rng.integers(0, 4, n)
        X = rng.normal(size=(n, 16))
        X[:, :2] += 3 * CENTRES[group]
        codes[i * n : (i + 1) * n] = CLASS_OF[group]
        table = pa.table({name: X[:, j] for j, name in enumerate("abcdefghijklmnop")})
        pq.write_table(table, tmp_path / "rows" / f"{i}.parquet", compression="none")
    np.save(tmp_path / "codes.npy", codes)
    words = [sys.executable, "-c", LARGE, tmp_path / "rows", tmp_path / "codes.npy"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=300, env=with_path()
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"grown by {found['grown']:.0f} MB")
    assert found["n"] == 6 * n
    assert found["error"] < 0.05
    assert found["grown"] < 50
