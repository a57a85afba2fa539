"""Nothing is lost: a run that was interrupted anywhere goes on to the bits of an unbroken one."""

from __future__ import annotations

import json
import resource
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mixtura import Checkpointed, GaussianMixture, Local, MixtureModel, as_source, fit_mixture
from mixtura.errors import CheckpointError, DataError, MixturaWarning, ResourceError, UsageError
from mixtura.executor import Journal
from mixtura.families import Gaussian, Poisson

BLOCK = 1024
HEADER = {"settings": {}, "data": {}, "versions": {}, "note": {}}


class Stopped(Exception):
    pass


class Counting(Local):
    """Counts its passes, and stops in the middle of one of them."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__(1)
        object.__setattr__(self, "passes", [])
        object.__setattr__(self, "stop_at", stop_at)

    def reduce(self, task, source):
        if source.n_rows > 15_000:  # not the sample
            if len(self.passes) == self.stop_at:
                for n, _ in enumerate(source.blocks()):
                    if n == 3:
                        raise Stopped
            self.passes.append(task)
        return super().reduce(task, source)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(16 * BLOCK, 2))
    X[: 5 * BLOCK] += 2.5
    return X


def fit(X, executor, **options):
    source = as_source(X, block_rows=BLOCK)
    settings = {"n_starts": 3, "max_iter": 14, "seed": 1, **options}
    return fit_mixture(Gaussian(2), source, 3, executor=executor, **settings)


def bits(fitted):
    arrays = (fitted.mixture.weights, *fitted.mixture.params, fitted.trace.objective)
    numbers = (fitted.log_likelihood, fitted.log_certainty, fitted.sizes, fitted.outcome)
    return [np.asarray(a).tobytes() for a in arrays], numbers


def test_a_run_stopped_in_any_pass_goes_on_to_the_same_bits(rows, tmp_path):
    whole = Counting()
    expected = bits(fit(rows, whole))
    n_passes = len(whole.passes)
    assert n_passes > 10
    for stop_at in range(n_passes):
        path = tmp_path / f"{stop_at}.checkpoint"
        with pytest.raises(Stopped):
            fit(rows, Checkpointed(Counting(stop_at), path))
        with Journal(path) as journal:
            assert len(journal) == stop_at
        rest = Counting()
        assert bits(fit(rows, Checkpointed(rest, path))) == expected
        assert len(rest.passes) == n_passes - stop_at
    again = Counting()
    assert bits(fit(rows, Checkpointed(again, path))) == expected
    assert again.passes == []


def test_an_interrupted_fit_goes_on_with_repairs_and_other_families(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.poisson([3.0, 9.0], size=(16 * BLOCK, 2)).astype(float)
    start = np.zeros((len(X), 3))
    start[:, 0], start[0, :] = 1.0, [0.999, 0.0, 0.001]
    start[1, :] = [0.5, 0.5, 0.0]

    def run(executor):
        source = as_source(X, block_rows=BLOCK)
        return fit_mixture(Poisson(2), source, 3, start=start, max_iter=15, executor=executor)

    whole = Counting()
    expected = bits(run(whole))
    for stop_at in range(2, len(whole.passes), 3):
        path = tmp_path / f"{stop_at}"
        with pytest.raises(Stopped):
            run(Checkpointed(Counting(stop_at), path))
        assert bits(run(Checkpointed(Local(2), path))) == expected


def test_files_whose_rows_are_not_known_before(tmp_path):
    """Row counts that passes have learned belong to what a checkpoint recalls."""
    rng = np.random.default_rng(1)
    for name in "ab":
        table = rng.normal(size=(9_000, 2)) + (name == "b")
        table[::500, 0] = np.nan
        text = "\n".join(f"{a:.6f},{b:.6f}" for a, b in table).replace("nan", "")
        (tmp_path / f"{name}.csv").write_text("x,y\n" + text + "\n")

    def run(executor):
        source = as_source(tmp_path / "*.csv", missing="drop", block_rows=BLOCK)
        # not held in memory: as a source that is too large would be
        source_of = pytest.MonkeyPatch()
        with source_of.context() as patch:
            patch.setattr("mixtura.fitting.HELD_BYTES", 1000)
            return fit_mixture(
                Gaussian(2), source, 2, n_starts=2, max_iter=8, seed=0, executor=executor
            )

    with pytest.warns(MixturaWarning, match="36 of 18000"):
        expected = bits(run(Local(1)))
    path = tmp_path / "run"

    class Short(Local):
        def reduce(self, task, source):
            if getattr(task, "__name__", "") == "expect":
                raise Stopped
            return super().reduce(task, source)

    with pytest.raises(Stopped):
        run(Checkpointed(Short(1), path))
    with pytest.warns(MixturaWarning, match="36 of 18000"):
        assert bits(run(Checkpointed(Local(1), path))) == expected


@pytest.fixture(scope="module")
def recorded(rows, tmp_path_factory):
    """A complete checkpoint, where its records end, and the fit."""
    path = tmp_path_factory.mktemp("recorded") / "run"
    fitted = fit(rows, Checkpointed(Local(1), path), max_iter=5)
    with Journal(path) as journal:
        ends = list(journal._ends)
    return path.read_bytes(), ends, bits(fitted)


def test_a_file_cut_anywhere_holds_its_complete_records(recorded, tmp_path):
    content, ends, _ = recorded
    rng = np.random.default_rng(2)
    cuts = {*rng.integers(ends[0], len(content), 200).tolist(), *ends, *(e - 1 for e in ends[1:])}
    for cut in sorted(cuts):
        path = tmp_path / "cut"
        path.write_bytes(content[:cut])
        with Journal(path) as journal:
            assert len(journal) == sum(end <= cut for end in ends) - 1
            journal.append("next")
        with Journal(path) as journal:
            assert list(journal)[-1] == "next"


def test_a_cut_file_is_continued_to_the_same_bits(rows, recorded, tmp_path):
    content, ends, expected = recorded
    for cut in np.random.default_rng(5).integers(ends[0], len(content), 8):
        path = tmp_path / "cut"
        path.write_bytes(content[:cut])
        assert bits(fit(rows, Checkpointed(Local(2), path), max_iter=5)) == expected
        assert path.read_bytes() == content


def test_a_flipped_byte_never_becomes_a_number(recorded, tmp_path):
    content, ends, _ = recorded
    with_all = tmp_path / "all"
    with_all.write_bytes(content)
    with Journal(with_all) as journal:
        whole = list(journal)
    for at in np.random.default_rng(4).integers(0, len(content), 200):
        path = tmp_path / "flipped"
        path.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
        if at < ends[0]:
            with pytest.raises(CheckpointError, match=r"E420"):
                Journal(path)
            continue
        with Journal(path) as journal:
            kept = sum(end <= at for end in ends) - 1
            assert [r["of"] for r in journal] == [r["of"] for r in whole[:kept]]


def test_a_checkpoint_of_other_settings_or_data_is_refused_by_name(rows, tmp_path):
    path = tmp_path / "run"
    fit(rows, Checkpointed(Local(1), path), max_iter=2)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"E421.*max_iter is 2 there and 3 here"):
        fit(rows, Checkpointed(Local(1), path), max_iter=3)
    with pytest.raises(CheckpointError, match=r"E421.*seed is 1 there and 2 here"):
        fit(rows, Checkpointed(Local(1), path), max_iter=2, seed=2)
    with pytest.raises(CheckpointError, match=r"E421.*rows is"):
        fit(rows + 1, Checkpointed(Local(1), path), max_iter=2)
    assert path.read_bytes() == before
    fit(rows, Checkpointed(Local(1), path, force=True), max_iter=3)
    assert path.read_bytes() != before
    (tmp_path / "text").write_text("no checkpoint")
    with pytest.raises(CheckpointError, match=r"E420.*not a mixtura checkpoint"):
        fit(rows, Checkpointed(Local(1), tmp_path / "text"))
    with pytest.raises(UsageError, match="E104"):
        fit(rows, Checkpointed(Local(1), tmp_path / "nowhere" / "run"))


def test_files_that_changed_since_are_named(rows, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a", "b", "c"):
        np.savetxt(data / f"{name}.csv", rows[:3000], delimiter=",", header="x,y", comments="")

    def run():
        source = as_source(data)
        fit_mixture(
            Gaussian(2), source, 1, executor=Checkpointed(Local(1), tmp_path / "run"), max_iter=2
        )

    run()
    (data / "a.csv").unlink()
    (data / "d.csv").write_text("x,y\n1,2\n")
    (data / "b.csv").write_text("x,y\n1,2\n3,4\n")
    with pytest.raises(DataError, match=r"E502.*a\.csv is gone; .*d\.csv is new; .*b\.csv changed"):
        run()


def test_a_journal_in_use_is_refused(tmp_path):
    Journal.create(tmp_path / "run", HEADER)
    with Journal(tmp_path / "run"), pytest.raises(CheckpointError, match="E422"):
        Journal(tmp_path / "run")


@pytest.fixture
def file_limit():
    """Set the greatest size of a file, and lift it again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(n_bytes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_stops_the_file_and_not_the_fit(rows, recorded, tmp_path, file_limit):
    content, ends, expected = recorded
    path = tmp_path / "run"
    file_limit(ends[4] + 100)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = fit(rows, Checkpointed(Local(1), path), max_iter=5)
    file_limit(resource.RLIM_INFINITY)
    assert bits(fitted) == expected
    assert [w.category for w in caught] == [MixturaWarning]
    assert "still holds its first 4 passes" in str(caught[0].message)
    assert path.read_bytes() == content[: ends[4]]
    assert bits(fit(rows, Checkpointed(Local(1), path), max_iter=5)) == expected
    assert path.read_bytes() == content


def test_records_that_were_late_are_written_when_there_is_room_again(tmp_path, file_limit):
    path = tmp_path / "run"
    Journal.create(path, HEADER)
    with Journal(path) as journal:
        journal.append(0)
        file_limit(path.stat().st_size + 10)
        with pytest.warns(MixturaWarning, match="W510"):
            journal.append(1)
        journal.append(2)  # warned once
        file_limit(resource.RLIM_INFINITY)
        journal.append(3)
    with Journal(path) as journal:
        assert list(journal) == [0, 1, 2, 3]


def test_a_disk_full_from_the_start_is_an_error_and_leaves_nothing(rows, tmp_path, file_limit):
    file_limit(10)
    with pytest.raises(ResourceError, match="E701"):
        fit(rows, Checkpointed(Local(1), tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def scaled_sum(factor, block, n_threads=1):
    return factor * float(block.X.sum())


def test_another_question_than_the_recorded_one_is_answered_anew(tmp_path):
    """As after a move to a processor whose last digits differ: never a mixture of two runs."""
    path, source = tmp_path / "run", as_source(np.array([[1.0], [2.0]]))

    def run(*factors):
        with Checkpointed(Local(1), path).session(source) as executor:
            sums = [executor.reduce(partial(scaled_sum, f), source) for f in factors]
            return sums, executor.n_replayed

    assert run(1.0, 2.0, 3.0) == ([3.0, 6.0, 9.0], 0)
    assert run(1.0, 2.0, 3.0) == ([3.0, 6.0, 9.0], 3)
    with pytest.warns(MixturaWarning, match="W511.*beyond pass 1"):
        assert run(1.0, 2.0 + 2**-40, 3.0) == ([3.0, 6.0 + 3 * 2**-40, 9.0], 1)
    assert run(1.0, 2.0 + 2**-40, 3.0) == ([3.0, 6.0 + 3 * 2**-40, 9.0], 3)


def test_estimators_take_the_executor(rows, tmp_path):
    safe = Checkpointed(Local(1), tmp_path / "run")
    options = {"n_components": 2, "random_state": 0, "n_init": 2, "max_iter": 300}
    one = GaussianMixture(**options, executor=safe).fit(rows)
    size = (tmp_path / "run").stat().st_size
    assert one.score(rows) == pytest.approx(one.log_likelihood_ / len(rows))
    assert (tmp_path / "run").stat().st_size == size  # scoring is not part of the fit
    two = GaussianMixture(**options).fit(rows)
    assert one.means_.tobytes() == two.means_.tobytes()
    with pytest.raises(CheckpointError, match="E421"):
        MixtureModel("gaussian", 3, executor=safe, random_state=0).fit(rows)


def test_a_checkpoint_holds_no_pickle(recorded):
    content, _, _ = recorded
    assert b"\x80\x04" not in content[:2000]
    start = content.index(b'{"__metadata__"')
    header = json.JSONDecoder().raw_decode(content[start:].decode("latin-1"))[0]
    assert set(header["__metadata__"]) == {"tree"}


def test_the_file_is_small_and_holds_no_rows_of_the_data_but_the_sample(recorded):
    content, ends, _ = recorded
    assert len(content) < 400_000  # the sample of 10,000 rows, and a kilobyte a pass
    assert max(np.diff(ends)[5:]) < 4000


def test_paths_may_be_given_as_paths(rows, tmp_path):
    path = Path(tmp_path, "run")
    fit(rows[:3000], Checkpointed(Local(), path), max_iter=1)
    assert path.exists()
