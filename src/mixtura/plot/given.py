"""What people give to a picture: a model of any kind, and rows of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mixtura.errors import DataError, UsageError
from mixtura.fitting import Fitted
from mixtura.mixture import Mixture
from mixtura.source import DataSource, as_source
from mixtura.source.arrays import finite_rows
from mixtura.source.frames import as_frame
from mixtura.stats import Array

#: Rows that a picture looks at; more would neither be seen nor change what is seen.
MOST_ROWS = 100_000

#: Points that are drawn one by one.
MOST_POINTS = 2_000

ColumnNames = Sequence[str | int] | str | int | None


class Model(NamedTuple):
    """A mixture with the names of its columns, and how it was fitted, where that is known."""

    mixture: Mixture
    columns: tuple[str, ...]
    fitted: Fitted | None


@dataclass(frozen=True, eq=False)
class Rows:
    """Complete rows of the data: all of them, or a random sample.

    Attributes
    ----------
    X : ndarray of shape (n, d)
    w : ndarray of shape (n,)
        Weights.
    index : ndarray of shape (n,)
        Where the rows stand in the data.
    """

    X: Array
    w: Array
    index: np.ndarray[Any, np.dtype[np.int64]]

    def some(self, most: int) -> Rows:
        """At most so many of the rows, chosen at random but always the same ones."""
        if len(self.X) <= most:
            return self
        chosen = _chosen(len(self.X), most)
        return Rows(self.X[chosen], self.w[chosen], self.index[chosen])


def model_of(model: Any) -> Model:
    """Look through estimators and fits at the mixture.

    Raises
    ------
    UsageError
        It is no mixture, fit or fitted estimator.
    """
    fitted = getattr(model, "fitted_", model)
    if isinstance(fitted, Fitted):
        return Model(fitted.mixture, fitted.columns, fitted)
    if isinstance(model, Mixture):
        return Model(model, tuple(f"x{j}" for j in range(model.n_features)), None)
    raise UsageError.argument(
        "model", type(model).__name__, "a fitted estimator, a fit, or a Mixture"
    )


def look(model: Any, data: Any = None, most: int = MOST_ROWS) -> tuple[Model, Rows | None]:
    """Model and rows together; a mixture without names takes those of the data."""
    known = model_of(model)
    if data is None or isinstance(data, Rows):
        return known, data
    source = source_of(known, data)
    if known.fitted is None:
        known = known._replace(columns=source.columns)
    return known, rows_of(source, most)


def chosen_columns(model: Model, columns: ColumnNames, most: int) -> list[int]:
    """Positions of the columns asked for; by default the first ones.

    Raises
    ------
    UsageError
        There is no such column, or there are too many.
    """
    if columns is None:
        return list(range(min(most, model.mixture.n_features)))
    wanted = [columns] if isinstance(columns, str | int) else list(columns)
    found = [_position(model, name) for name in wanted]
    if not 1 <= len(found) <= most or len(set(found)) < len(found):
        raise UsageError.argument("columns", columns, f"1 to {most} different columns")
    return found


def _position(model: Model, name: str | int) -> int:
    if isinstance(name, str) and name in model.columns:
        return model.columns.index(name)
    if isinstance(name, int | np.integer) and 0 <= name < model.mixture.n_features:
        return int(name)
    raise UsageError.argument("columns", name, f"among {', '.join(model.columns)}")


def source_of(model: Model, data: Any) -> DataSource:
    """Rows as a source with the model's columns: by name where both have names.

    Raises
    ------
    DataError
        Columns are missing, or another number of them.
    """
    named = model.columns != tuple(f"x{j}" for j in range(model.mixture.n_features))
    first = data[0] if isinstance(data, list | tuple) and len(data) else data
    is_table = not isinstance(data, np.ndarray | DataSource) and (
        isinstance(first, str | Path) or as_frame(data) is not None
    )
    source = as_source(data, columns=list(model.columns) if named and is_table else None)
    if source.n_features != model.mixture.n_features:
        raise DataError.width(source.n_features, model.mixture.n_features)
    return source


def rows_of(source: DataSource, most: int = MOST_ROWS) -> Rows:
    """Read complete rows, at most `most` of them: a random sample, always the same one.

    Raises
    ------
    DataError
        There is no complete row.
    """
    chosen = _chosen(source.count_rows(), most)
    X, w, seen = [], [], 0
    for block in source.blocks():
        own = chosen[np.searchsorted(chosen, seen) : np.searchsorted(chosen, seen + block.n_rows)]
        X.append(np.asarray(block.X[own - seen], dtype=float))
        w.append(np.ones(len(own)) if block.w is None else block.w[own - seen])
        seen += block.n_rows
    rows = np.concatenate(X)
    complete = finite_rows(rows)
    if not complete.any():
        raise DataError.empty("complete rows of the data")
    return Rows(rows[complete], np.concatenate(w)[complete], chosen[complete])


def _chosen(n_rows: int, most: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    if n_rows <= most:
        return np.arange(n_rows)
    rng = np.random.Generator(np.random.Philox(0))
    return np.sort(rng.choice(n_rows, size=most, replace=False, shuffle=False))
