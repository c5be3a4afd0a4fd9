"""The inputs that a case is judged on: every number of 16 bits, and a dense choice of fp32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.bands import NONFINITE, bands, order, unorder
from verify.breakpoints import breakpoints
from verify.count import coverage
from verify.precision import BF16, FP16, FP32, Array, Precision

__all__ = ["NEIGHBOURS", "Sample", "neighbours", "sample"]

NEIGHBOURS = 64  # on either side of a breakpoint

# fp32 counts, chosen so that the distinct inputs are over 2 million whatever the seed.
_RANDOM_PER_EXPONENT = 1024
_RANDOM_PER_BINADE = 24_000  # for 2**-8 <= |x| < 2**8, where all of Mish happens
_RANDOM_PER_BAND = 120_000  # uniform in x


@dataclass(frozen=True)
class Sample:
    """Inputs in ascending order (-0 before +0, NaNs outermost), each bit pattern once.

    ``total`` is the number of bit patterns that the precision has.
    """

    precision: Precision
    values: Array
    seed: int

    @property
    def count(self) -> int:
        """Number of inputs."""
        return len(self.values)

    @property
    def total(self) -> int:
        """Number of bit patterns of the precision."""
        return 1 << self.precision.total_bits

    @property
    def coverage(self) -> str:
        """For example ``65 536 of 65 536``."""
        return coverage(self.count, self.total)


def sample(precision: Precision, seed: int) -> Sample:
    """All 65 536 inputs of fp16 or bf16; over 2 million of fp32, some drawn with ``seed``."""
    bits = np.arange(1 << 16) if precision.total_bits == 16 else _fp32_bits(seed)
    keys = np.sort(order(bits, precision))
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    return Sample(precision, precision.from_bits(unorder(keys, precision)), seed)


def neighbours(x: float, precision: Precision, count: int = NEIGHBOURS) -> Array:
    """Bit patterns of ``x`` and the ``count`` numbers on either side of it, NaNs left out."""
    rounded = precision.round(np.array([x]))
    key = order(precision.to_bits(rounded), precision)[0]
    bits = unorder(np.arange(key - count, key + count + 1), precision)
    values = precision.from_bits(bits)
    return np.asarray(bits[~np.isnan(precision.widen(values))])


def _fp32_bits(seed: int) -> Array:
    rng = np.random.default_rng(seed)
    parts = [neighbours(b.x, FP32) for b in breakpoints(FP32)]
    parts += [neighbours(x, FP32) for x in (0.0, np.inf, -np.inf, FP32.smallest_normal)]
    for narrow in (FP16, BF16):
        with np.errstate(invalid="ignore"):
            parts.append(FP32.to_bits(narrow.widen(narrow.all_values()).astype(np.float32)))
    exponents = np.arange(512, dtype=np.int64) << 23  # sign and exponent field together
    parts.append((exponents[:, None] | _structured_mantissas()).reshape(-1))
    random = rng.integers(0, 1 << 23, (512, _RANDOM_PER_EXPONENT), dtype=np.int64)
    parts.append((exponents[:, None] | random).reshape(-1))
    busy = np.concatenate([np.arange(127 - 8, 127 + 8) + sign for sign in (0, 256)]) << 23
    random = rng.integers(0, 1 << 23, (len(busy), _RANDOM_PER_BINADE), dtype=np.int64)
    parts.append((busy[:, None] | random).reshape(-1))
    for band in bands(FP32)[:NONFINITE]:
        low, high = max(band.low, -120.0), min(band.high, 100.0)
        drawn = rng.uniform(low, high, _RANDOM_PER_BAND).astype(np.float32)
        parts.append(FP32.to_bits(drawn))
    return np.concatenate([p.astype(np.int64) for p in parts])


def _structured_mantissas() -> Array:
    """Mantissas (23 bits) that rounding and table look-ups trip over: single bits and runs."""
    ones = (1 << 23) - 1
    single = [1 << k for k in range(23)]
    low_runs = [(1 << k) - 1 for k in range(24)]
    high_runs = [ones ^ run for run in low_runs]
    holes = [ones ^ bit for bit in single]
    patterns = [0x2AAAAA, 0x555555, 0x333333, 0x4CCCCC]
    return np.unique(np.array(single + low_runs + high_runs + holes + patterns, dtype=np.int64))
