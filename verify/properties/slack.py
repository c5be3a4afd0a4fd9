"""How much a result may be off: the tolerance file's numbers, element by element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.bands import BANDS, classify
from verify.errors import InputError
from verify.judge import results_of
from verify.oracle import mish
from verify.precision import Array, Float64, Precision
from verify.tolerances import RESULTS, Limits
from verify.ulp import ulp

__all__ = ["Slack", "slack"]


@dataclass(frozen=True)
class Slack:
    """What the oracle expects of inputs, and how far from it a result may lie; flat float64.

    ``x`` is widened, ``expected`` unrounded. ``unit`` is one ULP at ``expected``. ``allowed``
    is absolute: the limit or the floor, whichever is larger, or the largest error that an
    accepted deviation states for x; 0 where the result must be exact.
    """

    limits: Limits
    x: Float64
    expected: Float64
    unit: Float64
    allowed: Float64

    def excused(self, *kinds: str) -> Array:
        """Where an accepted deviation has one of the kinds: True, of x's shape."""
        mask = np.zeros(self.x.shape, dtype=bool)
        for deviation in self.limits.deviations:
            if deviation.kind in kinds:
                mask |= _within(deviation.x, self.x)
        return mask


def slack(x: Array, precision: Precision, limits: Limits) -> Slack:
    """The slack of the flat inputs ``x``, finite or not, in the context ``alone``.

    Raises InputError where the limits lack a band that x reaches.
    """
    wide = precision.widen(x)
    expected = mish(wide)
    unit = ulp(expected, precision)
    result = results_of(expected, precision)
    exact = result == RESULTS.index("special")
    band = classify(wide, precision)
    allowed = np.zeros(x.shape)
    allowed[~exact] = _table(limits)[band, result][~exact] * unit[~exact]
    if np.isnan(allowed).any():
        at = int(np.argmax(np.isnan(allowed)))
        raise InputError(f"{limits.source}: no limit for {BANDS[band[at]]!r} (x = {wide[at]})")
    if limits.floor:
        floors = np.array([limits.floor.get(name, 0.0) for name in BANDS])[band]
        np.maximum(allowed, floors, out=allowed, where=~exact)
    for deviation in limits.deviations:
        if deviation.kind == "ulp":
            accepted = _within(deviation.x, wide) & ~exact
            allowed[accepted] = np.maximum(allowed, deviation.largest_error * unit)[accepted]
    return Slack(limits, wide, expected, unit, allowed)


def _table(limits: Limits) -> Float64:
    """ULP by (band, result); NaN where there is no limit."""
    return np.array(
        [[limits.ulp.get((band, result), np.nan) for result in RESULTS] for band in BANDS]
    )


def _within(ends: tuple[float, float], x: Float64) -> Array:
    return np.asarray((x >= ends[0]) & (x <= ends[1]))
