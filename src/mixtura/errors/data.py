"""Errors about data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from mixtura.errors.base import MixturaError, listed


class DataError(MixturaError):
    """The data cannot be used as they are."""

    exit_code = 3

    @classmethod
    def not_found(cls, path: object) -> Self:
        """No file matches a path, folder or glob."""
        return cls.of("E200", f"no data file found at '{path}'. Check the path or the pattern.")

    @classmethod
    def not_numeric(cls, columns: Mapping[str, str]) -> Self:
        """Columns hold text, categories, dates or booleans: name -> type found."""
        found = ", ".join(f"'{name}' ({kind})" for name, kind in list(columns.items())[:6])
        more = f" and {len(columns) - 6} more" if len(columns) > 6 else ""
        return cls.of(
            "E201",
            f"{len(columns)} column(s) are not numeric: {found}{more}. "
            "Choose the numeric ones with columns=[...] (--columns a,b) "
            "or leave these out (--drop NAME).",
        )

    @classmethod
    def too_few_rows(cls, n_rows: int, n_components: int) -> Self:
        """Fewer rows than components."""
        return cls.of(
            "E202",
            f"{n_rows} row(s) for {n_components} components (n_samples={n_rows}): "
            "at least one row per component is needed. Lower n_components or give more rows.",
        )

    @classmethod
    def one_row(cls) -> Self:
        """A single row, which has no spread."""
        return cls.of(
            "E202",
            "1 row (n_samples=1) has no spread to estimate: at least 2 rows are needed.",
        )

    @classmethod
    def constant_column(cls, name: str, value: float, n_rows: int) -> Self:
        """A column has one value only."""
        return cls.of(
            "E203",
            f"column '{name}' is constant (value {value:g} in all {n_rows} rows): "
            f"a Gaussian has no density there. Drop it: --drop '{name}', "
            "columns=[...], or give reg_covar > 0.",
        )

    @classmethod
    def too_few_distinct(cls, n_distinct: int, n_components: int) -> Self:
        """Fewer distinct rows than components."""
        return cls.of(
            "E204",
            f"{n_distinct} distinct rows for {n_components} components: "
            f"at most {n_distinct} components can be told apart. Lower n_components.",
        )

    @classmethod
    def held_out(cls, fold: int, reason: str) -> Self:
        """The rows outside of a fold cannot be fitted."""
        return cls.of("E214", f"the rows outside of fold {fold} cannot be fitted: {reason}")

    @classmethod
    def no_candidate(cls, n_candidates: int, reason: str) -> Self:
        """None of the candidates of a selection has a fit or a value of the criterion."""
        return cls.of(
            "E215", f"none of {n_candidates} candidates can be chosen; the first fails: {reason}"
        )

    @classmethod
    def missing(
        cls, counts: Mapping[str, int], n_rows: int, row: int, column: str, where: str = ""
    ) -> Self:
        """Missing values: count per column, first place."""
        per_column = ", ".join(f"'{name}' {count}" for name, count in list(counts.items())[:6])
        more = f" and {len(counts) - 6} more columns" if len(counts) > 6 else ""
        return cls.of(
            "E210",
            f"missing values (NaN) in {len(counts)} column(s) of {n_rows} rows: "
            f"{per_column}{more}; the first is in column '{column}' at row {row}{where}. "
            "Fill them, or use missing='drop' (--missing drop) to leave these rows out.",
        )

    @classmethod
    def all_missing(cls, columns: Sequence[str], n_rows: int) -> Self:
        """Columns without a single value."""
        return cls.of(
            "E211",
            f"column(s) {listed(columns)} hold no value at all (NaN in all {n_rows} rows). "
            "Leave them out: columns=[...] or --drop NAME.",
        )

    @classmethod
    def infinite(
        cls, counts: Mapping[str, int], value: float, row: int, column: str, where: str = ""
    ) -> Self:
        """Infinite values: count per column, first place."""
        per_column = ", ".join(f"'{name}' {count}" for name, count in list(counts.items())[:6])
        return cls.of(
            "E212",
            f"infinite values (inf) in {len(counts)} column(s): {per_column}; the first is "
            f"{value} in column '{column}' at row {row}{where}. "
            "Correct them, or use missing='drop' (--missing drop) to leave these rows out.",
        )

    @classmethod
    def weights(cls, problem: str) -> Self:
        """Row weights of the wrong length or value."""
        return cls.of(
            "E220",
            f"row weights: {problem}. Give one finite number >= 0 per row, not all of them zero.",
        )

    @classmethod
    def labels(cls, problem: str) -> Self:
        """Known labels of the wrong length or value."""
        return cls.of("E221", f"labels: {problem}.")

    @classmethod
    def bad_token(cls, path: object, line: int, column: str, token: str) -> Self:
        """A text file holds something that is not a number."""
        return cls.of(
            "E230",
            f"{path}:{line}: column '{column}' has {token!r}, which is not a number. "
            "Correct the file or leave the column out (--drop).",
        )

    @classmethod
    def missing_columns(cls, wanted: Sequence[str], found: Sequence[str]) -> Self:
        """Columns that the model or the person asked for are not in the data."""
        return cls.of(
            "E240",
            f"column(s) {listed(wanted)} not in the data, which has {listed(found)}. "
            "Rename or add them.",
        )

    @classmethod
    def width(cls, found: int, needed: int, who: str = "the model") -> Self:
        """Another number of columns than the model was fitted on."""
        return cls.of(
            "E241",
            f"X has {found} features, but {who} is expecting {needed} features as input. "
            "Give the same columns, in the same order, as in fit.",
        )

    @classmethod
    def empty(cls, what: str = "the data") -> Self:
        """No rows."""
        return cls.of("E205", f"{what} hold 0 rows (n_samples=0) while a minimum of 1 is required.")

    @classmethod
    def unreadable(cls, path: object, problem: str) -> Self:
        """A data file cannot be read in its format."""
        return cls.of("E231", f"cannot read '{path}': {problem}")

    @classmethod
    def schema_drift(cls, path: object, found: str, first: object, expected: str) -> Self:
        """A file of a folder has other columns than the first one."""
        return cls.of(
            "E503", f"'{path}' has {found}, but '{first}' has {expected}. All files must agree."
        )

    @classmethod
    def one_dimensional(cls, n_dimensions: int) -> Self:
        """An array that is not a table of rows and columns."""
        return cls.of(
            "E206",
            f"Expected 2D array, got {n_dimensions}D array instead. Reshape your data: "
            "X.reshape(-1, 1) if it is one column, X.reshape(1, -1) if it is one row.",
        )

    @classmethod
    def empty_array(cls, what: str, shape: tuple[int | None, ...]) -> Self:
        """No row ('sample') or no column ('feature'), in scikit-learn's words."""
        found = f"Found array with 0 {what}(s) (shape={shape})"
        return cls.of("E207", f"{found} while a minimum of 1 is required.")

    @classmethod
    def complex_numbers(cls) -> Self:
        """Complex numbers have no density here."""
        return cls.of(
            "E208", "Complex data not supported. Give real and imaginary parts as two columns."
        )

    @classmethod
    def ragged(cls, problem: str) -> Self:
        """Nested lists that do not form a table."""
        return cls.of(
            "E209", f"the rows do not form a table of numbers: {problem}. Give rows of one length."
        )

    @classmethod
    def bad_row(cls, path: object, line: int, found: int, needed: int) -> Self:
        """A line of a text file with too few or too many fields."""
        return cls.of(
            "E232",
            f"{path}:{line}: {found} field(s), where the header has {needed}. "
            "Correct the line, or quote fields that hold the delimiter.",
        )

    @classmethod
    def unknown_format(cls, path: object, endings: Sequence[str]) -> Self:
        """A file whose ending says nothing."""
        return cls.of(
            "E233", f"'{path}' has no ending that mixtura reads: {', '.join(endings)}. Rename it."
        )

    @classmethod
    def mixed_formats(cls, path: object, endings: Sequence[str]) -> Self:
        """A folder or pattern with files of several formats, perhaps copies of one another."""
        return cls.of(
            "E234",
            f"'{path}' has files of several formats ({', '.join(endings)}), perhaps the same "
            f"rows twice. Choose one with a pattern such as '*{endings[0]}'.",
        )

    @classmethod
    def unseen_level(
        cls, column: str, label: str, row: int, levels: Sequence[str], where: str = ""
    ) -> Self:
        """A category that the model does not know."""
        return cls.of(
            "E251",
            f"column '{column}' has the category '{label}' at row {row}{where}, which is none of "
            f"{listed(levels)}. Recode it, drop the row, or fit again with rows that have it.",
        )

    @classmethod
    def too_many_levels(cls, column: str, n_levels: int, most: int) -> Self:
        """A column of categories with very many of them."""
        return cls.of(
            "E252",
            f"column '{column}' has {n_levels} different values, more than the {most} that "
            "categories may have. Leave it out, or group its values.",
        )

    @classmethod
    def duplicate_columns(cls, names: Sequence[str]) -> Self:
        """Two columns with one name."""
        return cls.of(
            "E243", f"column name(s) {listed(names)} occur more than once. Rename the columns."
        )

    @classmethod
    def changed(cls, path: object, how: str) -> Self:
        """Data that are not what they were when they were read before."""
        return cls.of(
            "E502",
            f"'{path}' changed while it was in use ({how}). "
            "Fit again when nothing writes to the data any more.",
        )

    @classmethod
    def changed_since(cls, checkpoint: object, changes: Sequence[str]) -> Self:
        """Data that are not those a checkpoint was made for."""
        more = f" and {len(changes) - 6} more" if len(changes) > 6 else ""
        return cls.of(
            "E502",
            f"the data changed since the checkpoint '{checkpoint}' was made: "
            f"{'; '.join(changes[:6])}{more}. Restore them, or start anew (--force).",
        )


class DataTypeError(DataError, TypeError):
    """The data are of a kind that cannot be a table of numbers."""

    @classmethod
    def sparse(cls, kind: str) -> Self:
        """A sparse matrix, which is not turned into a dense one silently."""
        return cls.of(
            "E209",
            f"a sparse matrix ({kind}) was passed, but dense data are required. "
            "Use X.toarray() if it fits into memory.",
        )

    @classmethod
    def unusable(cls, kind: str) -> Self:
        """An object that is no array, table or path."""
        return cls.of(
            "E209",
            f"data of type '{kind}' cannot be read. Give a 2-D array, a data frame, "
            "or the path of a file or folder.",
        )

    @classmethod
    def not_a_number(cls, problem: str) -> Self:
        """An object array holds something else than numbers."""
        return cls.of("E209", f"the data hold an object that is not a number: {problem}.")


class SupportError(DataError):
    """A value lies where the chosen density is zero."""

    @classmethod
    def outside(
        cls,
        family: str,
        needed: str,
        column: str,
        value: float,
        row: int,
        where: str = "",
        hint: str = "Recode it, drop the row, or use another family.",
    ) -> Self:
        """A value outside of the support of a family."""
        return cls.of(
            "E250",
            f"family '{family}' needs {needed}; column '{column}' has {value:g} "
            f"at row {row}{where}. {hint}",
        )
