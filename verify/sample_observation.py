"""Observe a case over a sample, where all inputs would take too long."""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Iterable

import numpy as np

from verify.cases import Case
from verify.engines import Executor
from verify.judge import Judgement, judge
from verify.observation import Observation, of
from verify.oracle import expected
from verify.record import environment
from verify.replay import feed
from verify.samples import Sample
from verify.sweep import tally as tallies
from verify.sweep.checksum import checksum, unit_digest
from verify.sweep.run import engine_records, plugin_of
from verify.sweep.span import inputs, unit_size, whole
from verify.sweep.worker import open_single
from verify.tolerances import OWED, Limits

__all__ = ["no_limits", "observe_sample"]


def observe_sample(
    runner: Executor, case: Case, model: bytes, limits: Limits, sample: Sample
) -> tuple[Observation, Judgement]:
    """Execute and judge a case on ``sample``, as a run does.

    A sample of all inputs is taken in the order of their bit patterns, so that its observation
    is a sweep's, checksum included. The checksum of any other is that of one unit, and of equal
    errors the lowest x counts.
    """
    precision = case.precision
    x = sample.values
    if sample.count == sample.total:
        span = whole(precision)
        x = np.concatenate([inputs(span, unit) for unit in range(span.units)])
    with open_single(runner, model, precision) as session:
        outputs = session.run(feed(x, case.context))
    views = expected(case.context, x, precision)
    judgement = judge(views, outputs, x, precision, limits, few=tallies.FEW)
    digests = [unit_digest(outputs, precision)]
    if sample.count == sample.total:
        digests = [
            unit_digest({name: y[start:end] for name, y in outputs.items()}, precision)
            for start, end in _units(sample)
        ]
    observation = of(
        case.id,
        tallies.of(judgement),
        environment(engine_records(runner)),
        date=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        model=hashlib.sha256(model).hexdigest(),
        checksum=checksum(digests) if sample.count == sample.total else digests[0],
        plugin=plugin_of(runner),
    )
    return observation, judgement


def _units(sample: Sample) -> Iterable[tuple[int, int]]:
    size = unit_size(sample.precision)
    return ((start, start + size) for start in range(0, sample.count, size))


def no_limits(context: str) -> Limits:
    """Limits that no number exceeds: to observe what has no contract yet."""
    owed = [(band, result) for band, results in OWED[context].items() for result in results]
    ulp = dict.fromkeys(owed, math.inf)
    return Limits("no limits", ulp, {}, {}, nan_at_minus_inf=False, deviations=())
