"""Fewer inputs that still show a finding: one alone, or those around it that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from verify.engines import Session
from verify.findings import Finding
from verify.judge import KINDS, judge
from verify.oracle import View
from verify.precision import Array
from verify.tolerances import Deviation, Limits

__all__ = ["feed", "shrink", "subset"]

_RUNS = 100  # at most, to take elements out of a neighbourhood


def feed(x: Array, context: str) -> Array:
    """``x`` as the model of a context takes it: flat arrays become (n, 1, 1, 1) for conv."""
    return x.reshape(-1, 1, 1, 1) if context == "conv" and x.ndim == 1 else x


def subset(views: Sequence[View], chosen: Array) -> tuple[View, ...]:
    """The views of the inputs at flat indices ``chosen``."""
    return tuple(
        replace(view, argument=view.argument[chosen], expected=view.expected[chosen])
        for view in views
    )


def shrink(
    finding: Finding,
    at: int,
    x: Array,
    views: Sequence[View],
    limits: Limits,
    session: Session,
    *,
    over: Deviation | None = None,
) -> Array:
    """Flat indices, ascending, of inputs that still show the finding; all where fewer don't.

    ``x`` is flat; ``at`` is the index of the finding's input, always among the chosen. ``over``
    is the deviation whose largest count is exceeded, if that is the finding.
    """
    precision = finding.case.precision
    label = finding.output

    def fails(chosen: Array) -> bool:
        some = x[chosen]
        try:
            outputs = session.run(feed(some, finding.case.context))
            if over is not None:
                judgement = judge(subset(views, chosen), outputs, some, precision, limits)
                return any(b.over_count.startswith(f"{over.key} ") for b in judgement.breaches)
            own = np.flatnonzero(chosen == at)
            return any(
                breach.kind == finding.kind or finding.kind not in KINDS
                for view in views
                if label in ("", view.label)
                for breach in judge(
                    (replace(subset([view], np.array([at]))[0], output="y", channel=None),),
                    {"y": view.select(outputs)[own]},
                    x[[at]],
                    precision,
                    limits,
                    whole_sample=False,
                ).breaches
            )
        except Exception:  # an engine that breaks on fewer inputs does not show the finding
            return False

    everything = np.arange(len(x))
    if over is None:
        candidates = _neighbourhoods(at, len(x))
    else:
        low, high = over.x
        within = [(view.argument >= low) & (view.argument <= high) for view in views]
        candidates = iter([np.flatnonzero(np.any(within, axis=0))])
    chosen = next((c for c in candidates if len(c) < len(x) and fails(c)), everything)
    if len(chosen) < len(x) or fails(everything):
        return _thin(chosen, at, fails)
    return everything


def _neighbourhoods(at: int, length: int) -> Iterator[Array]:
    """The element alone, then ever larger ranges around it.

    An engine's vectors, threads and blocks begin at multiples of powers of two, so ranges that
    keep the element's place in them come first; then those where it is the last or the first.
    """
    size = 1
    while size < length:
        starts = [at // size * size, at - size + 1, at]
        for start in dict.fromkeys(min(max(s, 0), length - size) for s in starts):
            yield np.arange(start, start + size)
        size *= 2
    yield np.arange(at + 1)


def _thin(chosen: Array, at: int, fails: Callable[[Array], bool]) -> Array:
    """Leave out ever smaller parts, as long as the rest fails."""
    size, runs = len(chosen) // 2, 0
    while size and runs < _RUNS:
        start = 0
        while start < len(chosen) and runs < _RUNS:
            part = chosen[start : start + size]
            rest = np.concatenate([chosen[:start], chosen[start + size :]])
            if len(rest) and at not in part:
                runs += 1
                if fails(rest):
                    chosen = rest
                    continue
            start += size
        size //= 2
    return chosen
