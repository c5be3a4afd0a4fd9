"""Where the known formulas of Mish, right and wrong, change behaviour in a precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from verify.bands import NONFINITE, bands, bisect
from verify.oracle import MINIMUM_AT
from verify.precision import Array, Precision

__all__ = ["Breakpoint", "breakpoints"]


@dataclass(frozen=True)
class Breakpoint:
    """The first x, from below, at which something named changes."""

    name: str
    x: float


def _softplus(x: Array) -> Array:
    return np.log1p(np.exp(x))


def _n(x: Array) -> Array:
    e = np.exp(x)
    return np.asarray(e * (e + 2))


def _exp_quotient(x: Array) -> Array:
    s = _softplus(x)
    return np.asarray((np.exp(s) - np.exp(-s)) / (np.exp(s) + np.exp(-s)))


# name, what holds from the breakpoint up, and an interval that has it. The interval is wide on
# purpose: bisection finds the exact number in the precision's own arithmetic.
_FOUND: tuple[tuple[str, Callable[[Array], Array], float, float], ...] = (
    ("e^x is above 0", lambda x: np.exp(x) > 0, -150.0, 0.0),
    ("e^x is normal", lambda x: np.exp(x) >= np.finfo(x.dtype).tiny, -150.0, 0.0),
    ("1+e^x is above 1", lambda x: 1 + np.exp(x) > 1, -40.0, 0.0),
    ("log(1+e^x) is right to 1e-3", lambda x: _log_error(x) < 1e-3, -40.0, -0.5),
    ("e^x(e^x+2) is above 0", lambda x: _n(x) > 0, -150.0, 0.0),
    ("e^x(e^x+2) is normal", lambda x: _n(x) >= np.finfo(x.dtype).tiny, -150.0, 0.0),
    ("2+n is above 2", lambda x: 2 + _n(x) > 2, -40.0, 0.0),
    ("tanh(softplus(x)) is 1", lambda x: np.tanh(_softplus(x)) == 1, 0.0, 40.0),
    ("softplus(x) is x", lambda x: np.logaddexp(x.dtype.type(0), x) == x, 0.0, 40.0),
    ("1-e^(-2s) is 1", lambda x: 1 - np.exp(-2 * np.maximum(x, 0)) == 1, 0.0, 40.0),
    ("n/(n+2) is not a number", lambda x: ~np.isfinite(_n(x) / (_n(x) + 2)), 0.0, 60.0),
    ("x*n/(n+2) is not a number", lambda x: ~np.isfinite(x * _n(x) / (_n(x) + 2)), 0.0, 60.0),
    ("e^(2x) overflows", lambda x: np.isinf(np.exp(2 * x)), 0.0, 60.0),
    ("e^x overflows", lambda x: np.isinf(np.exp(x)), 0.0, 120.0),
    ("sinh/cosh is not a number", lambda x: np.isnan(np.sinh(x) / np.cosh(x)), 0.5, 120.0),
    ("(e^s-e^-s)/(e^s+e^-s) is not a number", lambda x: np.isnan(_exp_quotient(x)), 0.5, 120.0),
    ("e^(-2x) is 0", lambda x: np.exp(-2 * x) == 0, 0.0, 120.0),
    ("x*x overflows", lambda x: np.isinf(x * x), 1.0, float("inf")),
    ("x*x*x overflows", lambda x: np.isinf(x * x * x), 1.0, float("inf")),
)

# Thresholds written as decimals in published kernels, edges of functions mistaken for Mish,
# and the fp16 and bf16 limits that an fp32 tensor is narrowed to.
_WRITTEN: tuple[float, ...] = (
    *(s * t for t in (1.0, 2.0, 3.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0) for s in (-1, 1)),
    *(80.0, 87.0, 88.0, 89.0, -80.0, -87.0, -88.0, -89.0, -100.0, -104.0),
    *(7.625, -7.625, 10.4, 11.09, 65504.0, 65520.0, -65504.0, -65520.0, 3.3895314e38),
    MINIMUM_AT,
)


def _log_error(x: Array) -> Array:
    right = np.log1p(np.exp(x.astype(np.float64)))
    return np.asarray(np.abs(np.log(1 + np.exp(x)).astype(np.float64) / right - 1))


@cache
def breakpoints(precision: Precision) -> tuple[Breakpoint, ...]:
    """All breakpoints of fp32 or fp16, those of the bands included, in ascending order of x.

    Raises ValueError for bf16, whose arithmetic NumPy lacks and whose inputs are all tested.
    """
    if precision.dtype not in (np.float32, np.float16):
        raise ValueError(f"no breakpoints are computed in {precision.name}")
    found = [Breakpoint(f"{b.name} begins", b.low) for b in bands(precision)[1:NONFINITE]]
    with np.errstate(all="ignore"):
        found += [
            Breakpoint(name, bisect(holds, low, high, precision))
            for name, holds, low, high in _FOUND
        ]
        written = precision.widen(precision.round(np.array(_WRITTEN)))
    found += [Breakpoint(f"{x:g} as written", float(x)) for x in written if np.isfinite(x)]
    return tuple(sorted(found, key=lambda b: b.x))
