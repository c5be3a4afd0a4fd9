"""The property that right values come back in every shape."""

from __future__ import annotations

import numpy as np

from verify.findings import number
from verify.judge import judge
from verify.oracle import expected
from verify.precision import Array
from verify.properties.base import Fault, Trial
from verify.properties.strategies import RANKS, Draft, inner, row
from verify.properties.subject import OUTPUT, Subject, WrongOutput

__all__ = ["SHAPES", "shapes"]

# Always tried: every rank, without any elements too, and the lengths around powers of two.
SHAPES: tuple[Draft, ...] = (
    *(Draft("mixed", rank, 3 * row(rank), rank) for rank in RANKS),
    *(Draft("mixed", rank, 0, rank) for rank in RANKS if rank),
    *(
        Draft("mixed", 1, (1 << power) + off, power)
        for power in (2, 3, 5, 8, 10)  # vectors, warps and blocks
        for off in (-1, 0, 1)
    ),
)


def shapes(subject: Subject, x: Array, draft: Draft) -> Trial:
    """Right values, judged by the limits, in an array of the draft's rank.

    Behind its first axis a model's sizes are fixed: the first axis gets as many as x is good
    for, but at least one, and none if x is empty. A scalar takes one run for each element.
    """
    if draft.rank == 0:
        arrays = [x[i : i + 1].reshape(()) for i in range(len(x))]
    else:
        rest = inner(draft.rank)
        rows = max(1, len(x) // row(draft.rank)) if len(x) else 0
        arrays = [np.resize(x, (rows, *rest))]
    trials = [_judged(subject, array) for array in arrays]
    faults = [t.fault for t in trials if t.fault is not None]
    return Trial(sum(t.inputs for t in trials), faults[0] if faults else None)


def _judged(subject: Subject, x: Array) -> Trial:
    try:
        y = subject.run(x)
    except WrongOutput as error:
        return Trial(max(1, x.size), _fault(x, str(error)))
    except Exception as error:  # an engine may raise anything, on some shapes only
        words = " ".join(str(error).split())
        said = f"{type(error).__name__}: {words}" if words else type(error).__name__
        return Trial(max(1, x.size), _fault(x, f"no result for shape {x.shape}: {said}"))
    if not x.size:
        return Trial(0)
    flat, precision = x.reshape(-1), subject.precision
    judgement = judge(
        expected("alone", flat, precision),
        {OUTPUT: y},
        flat,
        precision,
        subject.limits,
        whole_sample=False,
    )
    if not judgement.breaches:
        return Trial(x.size)
    worst = max(judgement.breaches, key=lambda breach: breach.worst.error_ulp)
    at = worst.worst
    message = (
        f"mish({number(at.x)}) is {number(at.actual)} as element {at.index} of shape {x.shape}, "
        f"where {number(at.expected)} is due"
    )
    count = sum(breach.count for breach in judgement.breaches)
    return Trial(
        x.size, Fault(message, x, at, worst.limit, count, x.size, hint=np.array([at.index]))
    )


def _fault(x: Array, message: str) -> Fault:
    return Fault(message, x, None, None, x.size, x.size, hint=np.arange(x.size))
