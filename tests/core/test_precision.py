"""Bits, widening and the one rounding, against rational arithmetic."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from verify.precision import BF16, FP16, FP32, PRECISIONS, Precision, by_name

Nearest = Callable[[Fraction, Precision], int]

ALL = pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
SIXTEEN = pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: p.name)


def decode(bits: int, precision: Precision) -> float:
    """What a bit pattern stands for, by the standard library."""
    if precision is FP16:
        return float(struct.unpack("<e", struct.pack("<H", bits))[0])
    bits = bits << 16 if precision is BF16 else bits
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def rounded_bits(values: list[float], precision: Precision) -> list[int]:
    return [int(b) for b in precision.to_bits(precision.round(np.array(values)))]


@ALL
def test_limits_are_those_of_the_format(precision: Precision) -> None:
    info: Any = ml_dtypes.finfo if precision is BF16 else np.finfo  # ml_dtypes' has no types
    info = info(precision.dtype)
    assert precision.max_finite == float(info.max)
    assert precision.smallest_normal == float(info.tiny)
    assert precision.smallest_subnormal == float(info.smallest_subnormal)
    assert float(info.eps) == 2.0 ** (1 - precision.significand_bits)
    assert precision.total_bits == precision.dtype.itemsize * 8
    assert by_name(precision.name) is precision


@ALL
def test_the_onnx_type_is_onnx_s(precision: Precision) -> None:
    onnx = pytest.importorskip("onnx")
    assert precision.dtype == onnx.helper.tensor_dtype_to_np_dtype(precision.onnx_type)


def test_an_unknown_precision_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="'fp8'; allowed: fp32, fp16, bf16"):
        by_name("fp8")


@SIXTEEN
def test_all_bit_patterns_survive_the_way_there_and_back(precision: Precision) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    values = precision.all_values()
    assert values.dtype == precision.dtype
    np.testing.assert_array_equal(precision.to_bits(values), bits)
    np.testing.assert_array_equal(precision.to_bits(precision.from_bits(bits[::-1])), bits[::-1])
    square = values.reshape(256, 256).T
    np.testing.assert_array_equal(precision.to_bits(square), bits.reshape(256, 256).T)


def test_the_numbers_of_fp32_are_not_listed() -> None:
    with pytest.raises(ValueError, match=r"2\*\*32"):
        FP32.all_values()


@ALL
def test_bits_are_taken_from_the_precision_s_own_type_only(precision: Precision) -> None:
    with pytest.raises(TypeError, match="expected"):
        precision.to_bits(np.zeros(3))


@ALL
def test_widening_is_exact(precision: Precision) -> None:
    bits = np.arange(1 << 16, dtype=np.uint32)
    if precision is FP32:
        bits = np.concatenate(
            [bits, bits << 16, np.random.default_rng(0).integers(0, 1 << 32, 50_000)]
        ).astype(np.uint32)
    wide = precision.widen(precision.from_bits(bits))
    assert wide.dtype == np.float64
    expected = np.array([decode(int(b), precision) for b in bits])
    np.testing.assert_array_equal(wide, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(wide[numbers]), np.signbit(expected[numbers]))


@ALL
def test_a_number_of_the_precision_rounds_to_itself(precision: Precision) -> None:
    bits = np.arange(1 << 16, dtype=np.uint32)
    if precision is FP32:
        bits = np.concatenate([bits, bits << 16, (bits << 16) + 0xFFFF])
    values = precision.from_bits(bits)
    wide = precision.widen(values)
    again = precision.round(wide)
    assert again.dtype == precision.dtype
    numbers = ~np.isnan(wide)
    np.testing.assert_array_equal(
        precision.to_bits(again)[numbers], precision.to_bits(values)[numbers]
    )
    assert np.isnan(precision.widen(again)[~numbers]).all()


@ALL
def test_rounding_is_to_nearest_in_every_binade(precision: Precision, nearest: Nearest) -> None:
    rng = np.random.default_rng(1)
    low = precision.min_exponent - precision.significand_bits - 3
    exponents = rng.integers(low, 3 - precision.min_exponent, 20_000)
    values = np.ldexp(rng.uniform(1, 2, 20_000), exponents) * rng.choice([-1.0, 1.0], 20_000)
    expected = [nearest(Fraction(v), precision) for v in values.tolist()]
    assert rounded_bits(values.tolist(), precision) == expected


@ALL
def test_ties_go_to_even_and_what_is_beside_them_does_not(
    precision: Precision, nearest: Nearest
) -> None:
    rng = np.random.default_rng(2)
    infinity = nearest(Fraction(2) ** 200, precision)
    magnitudes = {0, 1, 2, infinity - 1, infinity - 2, infinity - 3}  # and the subnormals' end
    magnitudes |= {(1 << (precision.significand_bits - 1)) + k for k in (-2, -1, 0, 1)}
    magnitudes |= set(rng.integers(0, infinity, 2000).tolist())
    top = 2 * Fraction(2) ** -precision.min_exponent
    values: list[float] = []
    for m in magnitudes:
        low = Fraction(decode(m, precision))
        high = top if m + 1 == infinity else Fraction(decode(m + 1, precision))
        tie = float((low + high) / 2)
        assert Fraction(tie) == (low + high) / 2
        for v in (tie, math.nextafter(tie, 0), math.nextafter(tie, math.inf)):
            values += [v, -v]
    expected = [nearest(Fraction(v), precision) for v in values]
    assert rounded_bits(values, precision) == expected


def test_bf16_is_not_rounded_through_fp32() -> None:
    value = 1 + 2.0**-8 + 2.0**-40
    assert float(np.float64(value).astype(np.float32).astype(ml_dtypes.bfloat16)) == 1.0
    assert rounded_bits([value, -value], BF16) == [0x3F81, 0xBF81]
    below = 1 + 3 * 2.0**-8 - 2.0**-40
    assert rounded_bits([below], BF16) == [0x3F81]
    subnormal = 2.0**-134 + 2.0**-160
    assert rounded_bits([subnormal, 2.0**-134], BF16) == [0x0001, 0x0000]


def test_fp16_is_not_rounded_through_fp32() -> None:
    value = 1 + 2.0**-11 + 2.0**-40
    assert float(np.float16(np.float32(value))) == 1.0
    assert rounded_bits([value, -value], FP16) == [0x3C01, 0xBC01]


@ALL
def test_overflow_begins_half_a_step_above_the_largest_number(precision: Precision) -> None:
    step = 2.0 ** (2 - precision.significand_bits - precision.min_exponent)
    threshold = precision.max_finite + step / 2
    largest, infinity = rounded_bits([precision.max_finite, math.inf], precision)
    assert infinity == largest + 1
    assert rounded_bits([math.nextafter(threshold, 0), threshold], precision) == [largest, infinity]
    sign = 1 << (precision.total_bits - 1)
    assert rounded_bits([-threshold, -1.7e308, 1.7976931348623157e308], precision) == [
        infinity | sign,
        infinity | sign,
        infinity,
    ]


@ALL
def test_zeros_infinities_and_nan_keep_what_they_are(precision: Precision) -> None:
    tiny = [0.0, 5e-324, precision.smallest_subnormal / 2]
    sign = 1 << (precision.total_bits - 1)
    assert rounded_bits(tiny, precision) == [0, 0, 0]
    assert rounded_bits([-t for t in tiny], precision) == [sign] * 3
    wide = precision.widen(precision.round(np.array([math.inf, -math.inf, math.nan])))
    assert wide[0] == math.inf
    assert wide[1] == -math.inf
    assert math.isnan(wide[2])


@ALL
def test_rounding_keeps_the_shape(precision: Precision) -> None:
    for shape in ((), (0,), (2, 3), (2, 0, 1)):
        assert precision.round(np.ones(shape)).shape == shape
