"""NIST Statistical Reference Datasets, univariate, with certified mean and sd.

`load("NumAcc4")` gives the rows as doubles and as exact decimal fractions, the
certified values (the sd divides by n - 1) and the pass marks, in correct significant
digits, of a well-made algorithm in double precision. `digits` measures them.
See tests/data/nist/README.md for the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import mpmath
import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parent / "data" / "nist"


class Certified(NamedTuple):
    """Certified values as printed by NIST, and the digits to be reached."""

    n: int
    mean: str
    sd: str  # divides by n - 1
    autocorrelation: str  # lag 1; it depends on the order of the rows
    mean_digits: float
    sd_digits: float  # inf: the sd must be exact


# Pass marks for the sd stay just below what rounding the rows to doubles allows
# (`ceiling`): 15.6, 9.46 and 8.25 digits for NumAcc2-4, 13.1 for Mavro.
CERTIFIED = {
    "Lew": Certified(200, "-177.435000000000", "277.332168044316", "-0.307304800605679", 14, 13),
    "Lottery": Certified(218, "518.958715596330", "291.699727470969", "-0.120948622967393", 14, 13),
    "Mavro": Certified(50, "2.00185600000000", "0.000429123454003053", "0.937989183438248", 14, 13),
    "Michelso": Certified(
        100, "299.852400000000", "0.0790105478190518", "0.535199668621283", 14, 13
    ),
    "NumAcc1": Certified(3, "10000002", "1", "-0.5", 14, np.inf),
    "NumAcc2": Certified(1001, "1.2", "0.1", "-0.999", 14, 14),
    "NumAcc3": Certified(1001, "1000000.2", "0.1", "-0.999", 14, 9.4),
    "NumAcc4": Certified(1001, "10000000.2", "0.1", "-0.999", 14, 8.2),
    "PiDigits": Certified(
        5000, "4.53480000000000", "2.86733906028871", "-0.00355099287237972", 14, 13
    ),
}
NAMES = tuple(CERTIFIED)


class NistSet(NamedTuple):
    """One data set."""

    name: str
    x: npt.NDArray[np.float64]  # (n,), each row rounded to the nearest double; read-only
    exact: tuple[Fraction, ...]  # the same rows as the decimals that NIST prints
    certified: Certified

    @property
    def mean(self) -> float:
        """Certified mean."""
        return float(self.certified.mean)

    @property
    def sd(self) -> float:
        """Certified standard deviation, dividing by n - 1."""
        return float(self.certified.sd)

    @property
    def variance_ml(self) -> float:
        """Maximum likelihood variance, dividing by n, from the certified sd."""
        n = self.certified.n
        return float(Fraction(self.certified.sd) ** 2 * Fraction(n - 1, n))


@cache
def load(name: str) -> NistSet:
    """Read or generate one data set of `NAMES`."""
    exact = tuple(Fraction(row) for row in _rows(name))
    x = np.array([float(value) for value in exact])
    x.setflags(write=False)
    return NistSet(name, x, exact, CERTIFIED[name])


def digits(found: float, certified: str) -> float:
    """Log relative error: correct significant digits; inf when equal, -inf when not finite."""
    if not np.isfinite(found):
        return -np.inf
    truth = Fraction(certified)
    error = abs((Fraction(found) - truth) / truth)
    if error == 0 or found == float(truth):
        return np.inf
    return float(-mpmath.log10(mpmath.mpf(error.numerator) / error.denominator))


def exact_moments(values: Sequence[Fraction]) -> tuple[Fraction, Decimal, Fraction]:
    """Mean, sd (n - 1) and lag-1 autocorrelation without rounding (the sd to 40 digits)."""
    mean = sum(values, Fraction(0)) / len(values)
    deviations = [value - mean for value in values]
    squares = sum((v * v for v in deviations), Fraction(0))
    products = sum((a * b for a, b in pairwise(deviations)), Fraction(0))
    variance = squares / (len(values) - 1)
    with localcontext(prec=40):
        sd = (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()
    return mean, sd, products / squares


def ceiling(data: NistSet) -> float:
    """Digits of the sd that are left when the rows are rounded to doubles, and nothing else."""
    _, sd, _ = exact_moments([Fraction(value) for value in data.x.tolist()])
    truth = Decimal(data.certified.sd)
    error = abs(sd - truth) / truth
    return float(-error.log10()) if error else np.inf


def _rows(name: str) -> list[str]:
    match name:
        case "NumAcc1":
            return ["10000001", "10000003", "10000002"]
        case "NumAcc2":
            return ["1.2"] + ["1.1", "1.3"] * 500
        case "NumAcc3":
            return ["1000000.2"] + ["1000000.1", "1000000.3"] * 500
        case "NumAcc4":
            return ["10000000.2"] + ["10000000.1", "10000000.3"] * 500
        case "PiDigits":
            # Row 957 of the NIST file is 3 where pi has 8, and the certified values are
            # those of the file: all three of them fit only so.
            digits_of_pi = _pi_digits(5000)
            return [*digits_of_pi[:956], "3", *digits_of_pi[957:]]
    return (FOLDER / f"{name.lower()}.csv").read_text(encoding="utf-8").split()[1:]


def _pi_digits(count: int) -> str:
    # Ten guard digits, so that the last one kept is cut and not rounded.
    with mpmath.workdps(count + 20):
        return str(mpmath.nstr(mpmath.pi, count + 10)).replace(".", "")[:count]
