"""Every error and warning of mixtura, with the text that tells what to do next.

Each class carries the exit code of the command line; each constructor method
builds one message: what was found, where, what is needed, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Self


def _listed(names: Iterable[object], limit: int = 6) -> str:
    """'a', 'b' and 3 more: names in quotes, cut after `limit`."""
    shown = [f"'{name}'" for name in names]
    if len(shown) > limit:
        return ", ".join(shown[:limit]) + f" and {len(shown) - limit} more"
    return ", ".join(shown)


def printable(text: str) -> str:
    """Text that cannot steer a terminal: what is not printable becomes a question mark.

    Examples
    --------
    >>> printable("a" + chr(27) + "[31mb")
    'a?[31mb'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class MixturaError(ValueError):
    """Base of all errors that mixtura raises on purpose.

    Attributes
    ----------
    code : str
        Stable name of the situation, such as ``"E210"``.
    exit_code : int
        Exit code of the command line for this kind of error.
    """

    exit_code = 1
    code = "E100"

    @classmethod
    def of(cls, code: str, message: str) -> Self:
        """Build an error with its stable code in front of the message."""
        error = cls(f"[{code}] {message}")
        error.code = code
        return error

    @classmethod
    def unexpected(cls, fault: BaseException) -> Self:
        """An exception that nobody foresaw, at the last door of the command line."""
        return cls.of(
            "E100",
            f"unexpected {type(fault).__name__}: {fault}. This is a fault of mixtura; "
            "--debug shows where it happened. Please report it.",
        )


class UsageError(MixturaError):
    """An argument has no meaning, or two arguments contradict each other."""

    exit_code = 2

    @classmethod
    def argument(cls, name: str, found: object, needed: str) -> Self:
        """One argument is outside of what it may be."""
        return cls.of("E101", f"{name}={found!r} is not usable: it must be {needed}.")

    @classmethod
    def needs_package(cls, purpose: str, package: str, extra: str) -> Self:
        """An optional package is not installed."""
        return cls.of(
            "E102",
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it: pip install 'mixtura[{extra}]'",
        )

    @classmethod
    def file_exists(cls, path: object) -> Self:
        """A result would replace an existing file."""
        return cls.of(
            "E103", f"'{path}' exists already and was not touched. Replace it with --force."
        )

    @classmethod
    def no_folder(cls, path: object) -> Self:
        """The folder of a result does not exist."""
        return cls.of("E104", f"the folder of '{path}' does not exist. Create it first.")

    @classmethod
    def option(cls, option: str, problem: str) -> Self:
        """An option of the command line that does not go with the others."""
        return cls.of("E106", f"{option}: {problem}.")

    @classmethod
    def command_line(cls, problem: str, command: str) -> Self:
        """A command was called with options that do not exist or fit."""
        return cls.of("E105", f"{problem} See: {command} --help")


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
            f"column(s) {_listed(columns)} hold no value at all (NaN in all {n_rows} rows). "
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
            f"column(s) {_listed(wanted)} not in the data, which has {_listed(found)}. "
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
    def duplicate_columns(cls, names: Sequence[str]) -> Self:
        """Two columns with one name."""
        return cls.of(
            "E243", f"column name(s) {_listed(names)} occur more than once. Rename the columns."
        )

    @classmethod
    def changed(cls, path: object, how: str) -> Self:
        """Data that are not what they were when they were read before."""
        return cls.of(
            "E502",
            f"'{path}' changed while it was in use ({how}). "
            "Fit again when nothing writes to the data any more.",
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
    def outside(cls, family: str, needed: str, column: str, value: float, row: int) -> Self:
        """A value outside of the support of a family."""
        return cls.of(
            "E250",
            f"family '{family}' needs {needed}; column '{column}' has {value:g} at row {row}. "
            "Recode it, drop the row, or use another family.",
        )


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
    def unknown_name(cls, path: object, kind: str, name: object, known: Iterable[str]) -> Self:
        """The file names a family or shape that is not registered."""
        return cls.of("E410", f"'{path}' names the {kind} {name!r}; known: {_listed(known)}.")


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


class MixturaWarning(UserWarning):
    """Base of all warnings: the result stands, but a person should know."""

    @classmethod
    def collinear(cls, rank: int, n_features: int, columns: Sequence[str]) -> Self:
        """Columns that are linear functions of others."""
        return cls(
            f"[W205] columns are collinear: rank {rank} of {n_features} "
            f"(a linear relation holds among {_listed(columns)}). Log-densities depend on the "
            "covariance floor; drop a column to avoid this."
        )

    @classmethod
    def looks_categorical(cls, column: str, n_levels: int) -> Self:
        """An integer column with few levels."""
        return cls(
            f"[W206] column '{column}' holds whole numbers with only {n_levels} levels: it looks "
            "categorical, and is used here as a measurement."
        )

    @classmethod
    def integers_rounded(cls, column: str) -> Self:
        """Integers beyond 2**53 lose digits as floating-point numbers."""
        return cls(
            f"[W207] column '{column}' has integers beyond 2**53: "
            "they are rounded to 53 binary digits."
        )

    @classmethod
    def rows_dropped(cls, n_dropped: int, n_rows: int) -> Self:
        """Rows left out because of missing or infinite values."""
        return cls(
            f"[W210] {n_dropped} of {n_rows} rows hold missing or infinite values "
            "and were left out."
        )
