"""Where the device's source is, and what it has to be compiled with."""

from __future__ import annotations

from pathlib import Path

from verify.engines.poison import words
from verify.precision import Precision

__all__ = ["SOURCE", "macros", "poison"]

SOURCE = Path(__file__).with_name("comparison.cu")


def macros(precision: Precision) -> dict[str, str]:
    """The macros that a precision's build takes, with their values."""
    return {
        "MISH_BITS": str(precision.total_bits),
        "MISH_DIGITS": str(precision.significand_bits),
        "MISH_MIN_EXPONENT": str(precision.min_exponent),
        "MISH_POISON": f"{poison(precision):#x}",
    }


def poison(precision: Precision) -> int:
    """The bits that an output holds before a plan writes it."""
    return int(words(4, precision).view(precision.bits_dtype)[0])
