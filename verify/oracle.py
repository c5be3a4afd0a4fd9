"""Mish in float64, and what each context is expected to return.

mish(x) = x * tanh(ln(1 + e**x)) = x * n / (n + 2) with n = e**x * (e**x + 2). The right-hand
form follows from tanh(ln u) = (u*u - 1) / (u*u + 1) with u = 1 + e**x and has no cancellation
anywhere. Nothing here is shared with an engine; a test holds it to mpmath at 50 digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.blocks import in_blocks
from verify.precision import Array, Float64, Precision

__all__ = [
    "CHAIN_LENGTH",
    "CONV_WEIGHTS",
    "MINIMUM",
    "MINIMUM_AT",
    "SERIES_BELOW",
    "View",
    "expected",
    "mish",
]

# d/dx mish(x) = 0, solved with mpmath at 50 digits; a test solves it again.
MINIMUM_AT = -1.1924312145154952
MINIMUM = -0.30884341301725043

# As in `models`, which this package must not depend on for its expectations; a test compares.
CHAIN_LENGTH = 8
CONV_WEIGHTS = (1.0, -0.5)

# For |x| below it, mish(x) = x * (3/5 + 8/25 x) but for 2 / 75 x**2 < 2**-57, relative (Taylor).
# Made of products and a sum, it is the same to the last bit wherever it is computed.
SERIES_BELOW = 2.0**-26

_HIGH = 40.0  # above it n / (n + 2) is 1 in float64, and e**(2x) stays finite
_LOW = -700.0  # below it e**x nears float64's subnormals
_ZERO = -760.0  # below it |x * e**x| < 2**-1075


def mish(x: Float64, out: Float64 | None = None) -> Float64:
    """Mish of float64 ``x``, any shape: within 8 * 2**-53 of the true value, relative.

    Defined everywhere: NaN for NaN, inf for inf, -0 for -inf (the limit from the right), and
    the sign of zero kept. Where |mish(x)| < 2**-1022, the error is at most 2**-1074 absolute.
    """
    x = np.asarray(x, dtype=np.float64)
    result = np.empty_like(x) if out is None else out
    if x.ndim == 0:
        result[...] = mish(x.reshape(1))[0]
        return result
    in_blocks(_block, x.reshape(-1), result.reshape(-1))
    return result


def _block(_start: int, x: Float64, out: Float64) -> None:
    low, high = x.min(), x.max()  # NaN if there is one, and no comparison holds
    if low > _HIGH:
        out[:] = x
        return
    if high < _ZERO:
        out[:] = -0.0
        return
    if low > -SERIES_BELOW and high < SERIES_BELOW:
        out[:] = _series(x)
        return
    with np.errstate(under="ignore", invalid="ignore"):
        np.clip(x, _LOW, _HIGH, out=out)
        np.exp(out, out=out)
        n = out + 2.0
        n *= out
        np.add(n, 2.0, out=out)
        np.divide(n, out, out=out)
        out *= x
        if not low >= _LOW:
            # Here mish(x) = x * e**x to the last bit. The wider type has the exponent range
            # for e**x and rounds once, into float64's subnormals.
            np.copyto(out, -0.0, where=x < _ZERO)
            below = (x < _LOW) & (x >= _ZERO)
            tail = x[below].astype(np.longdouble)
            out[below] = tail * np.exp(tail)
    if not (low >= SERIES_BELOW or high <= -SERIES_BELOW):
        near = np.abs(x) < SERIES_BELOW
        out[near] = _series(x[near])


def _series(x: Float64) -> Float64:
    return x * (3.0 / 5.0 + 8.0 / 25.0 * x)


@dataclass(frozen=True)
class View:
    """One output of a model (or one channel of it) and what the oracle says of it.

    ``argument`` is what Mish is given there: the input x itself, or weight * x after Conv,
    rounded once to the precision; bands and the x-ranges of deviations are told by it.
    ``expected`` is float64, unrounded. Both have one element for each element of the input, in
    its order. ``zero_sign``: whether the sign of a zero is owed.
    """

    output: str
    channel: int | None
    argument: Float64
    expected: Float64
    zero_sign: bool = True

    @property
    def label(self) -> str:
        """The output's name, with its channel where it has several: ``y`` or ``y[:,1]``."""
        return self.output if self.channel is None else f"{self.output}[:,{self.channel}]"

    def select(self, outputs: dict[str, Array]) -> Array:
        """Take this view's elements, flat, from a model's outputs."""
        array = outputs[self.output]
        if self.channel is not None:
            array = array[:, self.channel]
        return np.ascontiguousarray(array).reshape(-1)


def expected(context: str, x: Array, precision: Precision) -> tuple[View, ...]:
    """What the model of ``context`` should return for flat ``x`` of the precision's dtype.

    Between nodes the value is rounded once, to nearest, to the precision, as a typed network
    stores it; the last node's value is left unrounded:

    - ``alone``: mish(x)
    - ``chain``: mish applied 8 times, rounded after each but the last
    - ``residual``: x + round(mish(x))
    - ``branch``: mish(x), -mish(x) and |mish(x)| (both operators are exact)
    - ``conv``: mish(round(w * x)) for each weight w, a power of two; the sign of a zero is not
      owed, because a convolution may sum its products onto +0

    Raises ValueError for an unknown context.
    """
    wide = precision.widen(x)
    if context == "alone":
        return (View("y", None, wide, mish(wide)),)
    if context == "chain":
        value = wide
        for _ in range(CHAIN_LENGTH - 1):
            value = precision.widen(precision.round(mish(value)))
        return (View("y", None, wide, mish(value)),)
    if context == "residual":
        inner = precision.widen(precision.round(mish(wide)))
        with np.errstate(invalid="ignore"):
            return (View("y", None, wide, wide + inner),)
    if context == "branch":
        y = mish(wide)
        return (
            View("y", None, wide, y),
            View("neg", None, wide, -y),
            View("abs", None, wide, np.abs(y)),
        )
    if context == "conv":
        views = []
        for channel, weight in enumerate(CONV_WEIGHTS):
            with np.errstate(invalid="ignore"):  # signalling NaNs
                argument = precision.widen(precision.round(weight * wide))
            views.append(View("y", channel, argument, mish(argument), zero_sign=False))
        return tuple(views)
    raise ValueError(f"unknown context {context!r}")
