"""Errors about model files, fits and resources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from mixtura.errors.base import MixturaError, listed


class ModelFileError(MixturaError):
    """A model file is damaged, of another kind, or of an unknown version."""

    exit_code = 4

    @classmethod
    def not_found(cls, path: object) -> Self:
        """There is no such file."""
        return cls.of("E400", f"no model file at '{path}'. Check the path.")

    @classmethod
    def damaged(cls, path: object, problem: str) -> Self:
        """The file is not a readable model file."""
        return cls.of("E401", f"'{path}' is not a usable mixtura model: {problem}.")

    @classmethod
    def version(cls, path: object, found: object, known: int) -> Self:
        """The schema is newer than this program."""
        return cls.of(
            "E402",
            f"'{path}' has schema {found}; this version of mixtura reads up to {known}. "
            "Install a newer mixtura.",
        )

    @classmethod
    def is_classifier(cls, path: object) -> Self:
        """The file holds a classifier, where a mixture is needed."""
        return cls.of(
            "E411",
            f"'{path}' holds a classifier, not a mixture. Its commands are "
            "predict and show; in Python, mixtura.load.",
        )

    @classmethod
    def unknown_name(cls, path: object, kind: str, name: object, known: Iterable[str]) -> Self:
        """The file names a family or shape that is not registered."""
        own = " Files hold no code: give a family of your own again, load(path, family=...)."
        hint = own if kind == "family" else ""
        return cls.of("E410", f"'{path}' names the {kind} {name!r}; known: {listed(known)}.{hint}")


class CheckpointError(MixturaError):
    """A checkpoint cannot be used, or belongs to another job."""

    exit_code = 4

    @classmethod
    def unusable(cls, path: object, problem: str) -> Self:
        """No such file, or not a checkpoint."""
        return cls.of("E420", f"the checkpoint '{path}' cannot be used: {problem}.")

    @classmethod
    def other_job(cls, path: object, what: str, there: object, here: object) -> Self:
        """The settings of the job in the file are not those of this one."""
        return cls.of(
            "E421",
            f"the checkpoint '{path}' belongs to another fit: {what} is {there!r} there and "
            f"{here!r} here. Use the same settings, another file, or start anew (--force).",
        )

    @classmethod
    def in_use(cls, path: object) -> Self:
        """Another process writes the file."""
        return cls.of("E422", f"the checkpoint '{path}' is in use by another process.")

    @classmethod
    def not_repeatable(cls, path: object) -> Self:
        """The file was not made by the command line, so it cannot be continued by it."""
        return cls.of(
            "E423",
            f"the checkpoint '{path}' was not made by 'mixtura fit --checkpoint'. Run the program "
            "that made it again: it continues by itself.",
        )


class LedgerError(MixturaError):
    """A pass did not see every block exactly once: its sums are no statistics of the data."""

    exit_code = 7

    @classmethod
    def blocks(cls, expected: int, found: int) -> Self:
        """Blocks are missing, or counted twice."""
        how = "lost" if found > expected else "counted twice"
        return cls.of(
            "E501",
            f"a block of the pass was {how} or out of place (block {expected} was next, {found} "
            "came): no model is made of this. Run again; report it if it comes back.",
        )

    @classmethod
    def rows(cls, expected: int, found: int) -> Self:
        """Another number of rows than the data have."""
        return cls.of(
            "E501",
            f"a pass saw {found} rows of {expected}: no model is made of this. "
            "Run again; report it if it comes back.",
        )


class NotConvergedError(MixturaError):
    """A fit stopped before it converged, and the caller asked for convergence."""

    exit_code = 5

    @classmethod
    def stopped(cls, n_iter: int, advice: str) -> Self:
        """Iterations ran out under --strict."""
        return cls.of("E350", f"not converged after {n_iter} iterations: {advice}")


class DegenerateComponentError(MixturaError):
    """A component has no finite estimate or no data of its own."""

    exit_code = 6

    @classmethod
    def collapsed(cls, component: int, n_effective: float, rows: Sequence[int]) -> Self:
        """A covariance shrinks onto a few rows."""
        where = f", around row(s) {', '.join(map(str, rows))}" if len(rows) else ""
        return cls.of(
            "E301",
            f"component {component} collapses onto {n_effective:.1f} effective rows{where}: "
            "its covariance is singular. Lower n_components, choose a covariance shape with "
            "fewer parameters, or keep the floor: on_degenerate='repair'.",
        )

    @classmethod
    def unidentified(cls, shape: str, n_rows: float, n_features: int) -> Self:
        """Too few rows for the shape."""
        return cls.of(
            "E302",
            f"covariance '{shape}' is singular with {n_rows:g} rows in {n_features} dimensions. "
            "Choose 'diag' or 'spherical', fewer components, or on_degenerate='repair'.",
        )

    @classmethod
    def empty(cls, component: int, weight: float) -> Self:
        """A component explains less than one row."""
        return cls.of(
            "E303",
            f"component {component} is empty (weight {weight:.3g}). Lower n_components, "
            "or use on_degenerate='repair' (a new start for it) or 'drop'.",
        )

    @classmethod
    def not_positive_definite(cls, component: int, problem: str) -> Self:
        """A given covariance or precision is not positive definite."""
        return cls.of("E304", f"component {component}: {problem} is not positive definite.")


class ResourceError(MixturaError):
    """Memory, disk or a worker is exhausted."""

    exit_code = 7

    @classmethod
    def saving(cls, path: object, problem: str) -> Self:
        """A file could not be written; what was there before is untouched."""
        return cls.of(
            "E701",
            f"could not write '{path}': {problem}. Nothing was changed; free space and retry.",
        )

    @classmethod
    def output(cls, problem: str) -> Self:
        """The standard output takes no more bytes."""
        return cls.of("E702", f"the output could not be written: {problem}. It is incomplete.")

    @classmethod
    def memory(cls) -> Self:
        """An array does not fit into memory."""
        return cls.of(
            "E703",
            "memory ran out. Use fewer components or columns, or give the data as a file: "
            "files are read in blocks.",
        )

    @classmethod
    def no_worker(cls, seconds: float) -> Self:
        """All workers of a cluster are gone."""
        return cls.of(
            "E704",
            f"the cluster had no worker for {seconds:g} s. What a checkpoint holds is kept: start "
            "workers, and run again.",
        )

    @classmethod
    def cluster(cls, problem: str) -> Self:
        """The cluster gave up, or cannot be reached."""
        return cls.of(
            "E705",
            f"the cluster could not finish a pass: {problem}. What a checkpoint holds is kept: "
            "look at the workers (memory?), and run again.",
        )
