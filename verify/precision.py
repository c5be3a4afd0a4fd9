"""The three precisions: their NumPy types, their bits, and one rounding to nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float64 = NDArray[np.float64]

__all__ = ["BF16", "FP16", "FP32", "PRECISIONS", "Array", "Float64", "Precision", "by_name"]


@dataclass(frozen=True)
class Precision:
    """A binary floating-point format, named by the ONNX element type of the tensors.

    ``significand_bits`` counts the implicit bit (IEEE 754's p); ``min_exponent`` is the
    exponent of the smallest normal number. Sources: IEEE 754-2019 table 3.5 for fp32 and
    fp16; bf16 is fp32 with the lower 16 bits left off.
    """

    name: str
    dtype: np.dtype[Any]
    bits_dtype: np.dtype[Any]
    significand_bits: int
    min_exponent: int
    onnx_type: int  # onnx.TensorProto.DataType; a number, so that importing this stays cheap

    @property
    def total_bits(self) -> int:
        """Bits of one number: 32 or 16."""
        return int(self.bits_dtype.itemsize) * 8

    @property
    def max_finite(self) -> float:
        """The largest finite number."""
        emax = 1 - self.min_exponent
        return float((2.0 - 2.0 ** (1 - self.significand_bits)) * 2.0**emax)

    @property
    def smallest_normal(self) -> float:
        """The smallest positive normal number, 2**min_exponent."""
        return 2.0**self.min_exponent

    @property
    def smallest_subnormal(self) -> float:
        """The smallest positive number."""
        return 2.0 ** (self.min_exponent - self.significand_bits + 1)

    def from_bits(self, bits: Array) -> Array:
        """View bit patterns (unsigned integers) as numbers of this precision."""
        return np.ascontiguousarray(bits, dtype=self.bits_dtype).view(self.dtype)

    def to_bits(self, values: Array) -> Array:
        """View numbers of this precision as bit patterns (uint32 or uint16)."""
        if values.dtype != self.dtype:
            raise TypeError(f"expected {self.dtype}, got {values.dtype}")
        return np.ascontiguousarray(values).view(self.bits_dtype).reshape(values.shape)

    def all_values(self) -> Array:
        """Every number of a 16-bit precision, all 65 536 bit patterns in order.

        Raises ValueError for fp32, whose 2**32 patterns are generated in blocks instead.
        """
        if self.total_bits != 16:
            raise ValueError(f"{self.name} has 2**{self.total_bits} bit patterns")
        return self.from_bits(np.arange(1 << 16, dtype=np.uint32).astype(self.bits_dtype))

    def widen(self, values: Array) -> Float64:
        """Convert to float64, which holds every number of every precision exactly."""
        if self.dtype == np.float32:
            with np.errstate(invalid="ignore"):
                return values.astype(np.float64)
        # ml_dtypes' and NumPy's half conversions are slow: 65 536 values fit a table.
        return np.asarray(_widen_table(self.name)[values.view(self.bits_dtype)], dtype=np.float64)

    def round(self, values: Float64) -> Array:
        """Round float64 to nearest, ties to even, once.

        ``float64.astype(bfloat16)`` of ml_dtypes goes through fp32 and rounds twice
        (1 + 2**-8 + 2**-40 becomes 1.0); so the value is first rounded to a multiple of
        its ULP in float64, which is exact, and the conversion afterwards is exact too.
        """
        values = np.asarray(values, dtype=np.float64)
        if self.dtype == np.float32 or self.dtype == np.float16:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                return np.asarray(values.astype(self.dtype))
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            _, exponent = np.frexp(values)
            exponent = np.maximum(exponent - 1, self.min_exponent) - (self.significand_bits - 1)
            rounded = np.ldexp(np.rint(np.ldexp(values, -exponent)), exponent)
            rounded = np.where(
                np.abs(rounded) > self.max_finite, np.copysign(np.inf, values), rounded
            )
            rounded = np.where(np.isfinite(values), rounded, values)
            return np.asarray(rounded.astype(np.float32).astype(self.dtype))


FP32 = Precision("fp32", np.dtype(np.float32), np.dtype(np.uint32), 24, -126, 1)
FP16 = Precision("fp16", np.dtype(np.float16), np.dtype(np.uint16), 11, -14, 10)
BF16 = Precision("bf16", np.dtype(ml_dtypes.bfloat16), np.dtype(np.uint16), 8, -126, 16)
PRECISIONS: tuple[Precision, ...] = (FP32, FP16, BF16)

_TABLES: dict[str, Float64] = {}


def by_name(name: str) -> Precision:
    """Return the precision called ``name``; raise ValueError with what is allowed."""
    for precision in PRECISIONS:
        if precision.name == name:
            return precision
    allowed = ", ".join(p.name for p in PRECISIONS)
    raise ValueError(f"unknown precision {name!r}; allowed: {allowed}")


def _widen_table(name: str) -> Float64:
    if name not in _TABLES:
        with np.errstate(invalid="ignore"):  # signalling NaNs become quiet ones
            _TABLES[name] = by_name(name).all_values().astype(np.float64)
    return _TABLES[name]
