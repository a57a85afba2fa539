"""Classes as scikit-learn's users give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from mixtura.classify import coded
from mixtura.errors import DataError
from mixtura.stats import IntArray


def class_codes(
    y: Any, unlabelled: Any = "auto", weights: Any = None
) -> tuple[np.ndarray[Any, Any], IntArray]:
    """Classes, sorted, and the place of each row's class among them; see `coded`.

    Raises
    ------
    DataError
        No row has a class.
    ValueError
        From scikit-learn, where `y` is no column of classes.

    Examples
    --------
    >>> class_codes(["b", None, "a", "b"])
    (array(['a', 'b'], dtype=object), array([ 1, -1,  0,  1]))
    """
    if y is None:
        raise DataError.labels("it requires y to be passed, but the target y is None")
    values = y if isinstance(y, np.ndarray) else np.asarray(y)
    if values.dtype.kind in "US" and not isinstance(y, np.ndarray):
        values = np.asarray(y, dtype=object)  # text and missing values stay apart
    values = np.asarray(column_or_1d(values, warn=True))
    classes, codes = coded(values, unlabelled, weights)
    check_classification_targets(classes[codes[codes >= 0]])
    return classes, codes
