"""Observe a case over a sample, where all inputs would take too long."""

from __future__ import annotations

import datetime
import hashlib

from verify.cases import Case
from verify.engines import Executor
from verify.judge import Judgement, judge
from verify.observation import Observation, of
from verify.oracle import expected
from verify.record import environment
from verify.replay import feed
from verify.samples import Sample
from verify.sweep import tally as tallies
from verify.sweep.checksum import unit_digest
from verify.sweep.run import engine_records
from verify.sweep.worker import open_single
from verify.tolerances import Limits

__all__ = ["observe_sample"]


def observe_sample(
    runner: Executor, case: Case, model: bytes, limits: Limits, sample: Sample
) -> tuple[Observation, Judgement]:
    """Execute and judge a case on ``sample``, as a run does; its checksum is that of one unit.

    Of equal errors the lowest x counts, as the sample is in its order.
    """
    with open_single(runner, model, case.precision) as session:
        outputs = session.run(feed(sample.values, case.context))
    views = expected(case.context, sample.values, case.precision)
    judgement = judge(views, outputs, sample.values, case.precision, limits, few=tallies.FEW)
    observation = of(
        case.id,
        tallies.of(judgement),
        environment(engine_records(runner)),
        date=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        model=hashlib.sha256(model).hexdigest(),
        checksum=unit_digest(outputs, case.precision),
    )
    return observation, judgement
