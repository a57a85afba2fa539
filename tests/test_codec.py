"""Values as bytes and back: every bit returns, nothing but registered classes, no code."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mixtura import Gaussian, Mixture, Stats
from mixtura.codec import decode, encodable, encode, fingerprint, question
from mixtura.families import GaussianParams

numbers = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)
)
values = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=4), st.integers()), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(values)
def test_plain_values_come_back_with_their_types(value):
    again = decode(encode(value))
    assert again == value
    assert repr(again) == repr(value)


@given(
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.int32, np.uint64, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_arrays_come_back_bit_by_bit(array):
    again = decode(encode({"of": (array, array.T)}))["of"]
    for one, two in zip(again, (array, array.T), strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())


def test_numbers_of_numpy_stay_such_and_special_values_survive():
    again = decode(encode((np.float64(0.1), float("nan"), float("-inf"), -0.0, np.int32(7))))
    assert isinstance(again[0], np.float64)
    assert isinstance(again[4], np.int32)
    assert np.isnan(again[1])
    assert again[2] == -np.inf
    assert np.signbit(again[3])


def test_statistics_come_back():
    stats = Stats(np.ones(2), np.arange(6.0).reshape(2, 3), np.zeros(0), -1.5, 0.25, 2.0)
    again = decode(encode((stats, [stats])))[1][0]
    assert isinstance(again, Stats)
    np.testing.assert_array_equal(again.total, stats.total)
    assert (again.shared.shape, again.loglik, again.mass) == ((0,), -1.5, 2.0)


def test_a_class_that_nobody_registered_is_refused_both_ways():
    @dataclass
    class Unknown:
        x: int

    with pytest.raises(TypeError, match="Unknown cannot be encoded"):
        encode([Unknown(1)])
    with pytest.raises(TypeError, match="object cannot be encoded"):
        encode(object())
    content = encode({"object": "x"})  # a dict of text is no object
    assert decode(content) == {"object": "x"}

    @encodable
    @dataclass
    class Known:
        x: int

    named = encode(Known(1))
    with pytest.raises(ValueError, match="not an encoded value"):
        decode(named.replace(b"Known", b"Other"))


def test_damaged_bytes_are_refused():
    content = encode({"a": np.arange(3.0), "b": "text"})
    for end in range(len(content)):
        with pytest.raises(ValueError, match="not an encoded value"):
            decode(content[:end])


def mixture(shift: float = 0.0) -> Mixture:
    params = GaussianParams(
        np.array([[0.0 + shift], [3.0]]), np.ones((2, 1, 1)), np.ones((2, 1, 1))
    )
    return Mixture(Gaussian(1), np.array([0.5, 0.5]), params)


def test_a_fingerprint_sees_every_bit_of_a_task():
    assert fingerprint(mixture().expect) == fingerprint(mixture().expect)
    assert fingerprint(mixture().expect) != fingerprint(mixture(5e-324).expect)
    assert fingerprint(mixture().expect) != fingerprint(mixture().evaluate)
    f, g = partial(max, np.arange(3)), partial(max, np.arange(3).astype(np.int32))
    assert fingerprint(f) != fingerprint(g)
    assert fingerprint(partial(max, [1, 2])) != fingerprint(partial(max, [1], 2))
    assert question(partial(partial(mixture().expect), 1)) == "Mixture.expect"


def test_a_fingerprint_is_the_same_in_another_process():
    code = (
        "from tests.test_codec import mixture\nfrom mixtura.codec import fingerprint\n"
        "from mixtura.em import known_stats\nfrom functools import partial\n"
        "task = partial(known_stats, mixture().family, None, 2, None)\n"
        "print(fingerprint(mixture().expect), fingerprint((task, {'a', 'b', 'c'})))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(["", *sys.path])},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert found.pop().split()[0] == fingerprint(mixture().expect)
