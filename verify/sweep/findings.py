"""The findings of a sweep, each with a replay of the few inputs that its record keeps."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from verify.cases import Case
from verify.engines import Executor
from verify.engines.onnxruntime import PROVIDER_VARIABLE
from verify.engines.tensorrt import Tensorrt
from verify.findings import Finding, Replay, from_judgement
from verify.judge import Breach, Judgement, Point, too_many
from verify.oracle import expected
from verify.precision import Array, Precision
from verify.record import WorstRecord
from verify.replay import Request, nested, store_all, tensorrt_run, try_line
from verify.sweep.record import SweepRecord
from verify.sweep.tally import BreachTally
from verify.tolerances import Limits

__all__ = ["findings", "store", "told"]


def findings(case: Case, record: SweepRecord, limits: Limits) -> list[Finding]:
    """One finding for each band, output and kind of breach, and one for each count exceeded."""
    samples = {(b.output, b.band, b.result): b.samples for b in record.tally.bands}
    breaches = [
        _breach(tally, samples[tally.output, tally.band, tally.result])
        for tally in record.tally.breaches
    ]
    deviations = {deviation.key: deviation for deviation in limits.deviations}
    worst = {tally.deviation: tally.worst for tally in record.tally.deviations}
    breaches += [
        too_many(
            deviations[over.deviation],
            over.count,
            over.allowed,
            _point(worst[over.deviation]),
            record.tally.inputs,
        )
        for over in record.over
    ]
    return list(from_judgement(case, Judgement(record.tally.inputs, (), tuple(breaches), (), ())))


def store(
    found: list[Finding],
    record: SweepRecord,
    limits: Limits,
    model: bytes,
    runner: Executor,
    folder: Path,
    *,
    tolerances: Path | None = None,
    options: Sequence[str] = (),
) -> list[Finding]:
    """Store the findings in ``folder`` with their replays; see `verify.replay.store_all`.

    A count exceeded takes all inputs to show: its replay is the sweep itself, executed for 16
    bits; fp32's would take as long as what found it, and is only printed.
    ``tolerances`` is a user's own folder, ``options`` more that the sweep was called with.
    """
    requests, others = [], []
    breaches = {(b.output, b.band, b.result, b.kind): b for b in record.tally.breaches}
    for finding in found:
        kept = [
            tally
            for (output, band, _, kind), tally in breaches.items()
            if (output, band, kind) == (finding.output, finding.band, finding.kind)
            and finding.point is not None
            and tally.worst[0].x_bits == finding.point.x_bits
        ]
        if kept:
            requests.append(_request(finding, kept[0], limits, model, runner))
        else:
            words = _words(finding, tolerances, options)
            line, slow = shlex.join(["python", *words]), finding.case.precision.total_bits > 16
            untried = "it takes minutes" if slow else ""
            shown = not slow and _shown(words, finding)
            others.append(replace(finding, replay=Replay(None, line, shown, untried)))
    return [*store_all(requests, folder), *others]


def told(
    found: Sequence[Finding],
    why: str,
    *,
    tolerances: Path | None = None,
    options: Sequence[str] = (),
) -> list[Finding]:
    """The findings, each with the sweep that shows it again, which ``why`` is not executed."""
    return [
        replace(
            finding,
            replay=Replay(
                None, shlex.join(["python", *_words(finding, tolerances, options)]), False, why
            ),
        )
        for finding in found
    ]


def _words(finding: Finding, tolerances: Path | None, options: Sequence[str]) -> list[str]:
    words = ["-m", "verify", "sweep", "--case", finding.case.id, *options]
    if tolerances is not None:
        words += ["--tolerances", str(tolerances.resolve())]
    provider = os.environ.get(PROVIDER_VARIABLE, "cpu")
    if finding.case.engine == "onnxruntime" and provider != "cpu":
        words += ["--ort-provider", provider]
    return words


def _shown(words: Sequence[str], finding: Finding) -> bool:
    """Whether a sweep, executed in a folder that is thrown away, shows the finding again."""
    if nested():
        return False
    printed = try_line(words)
    return printed is not None and finding.message in printed


def _request(
    finding: Finding, kept: BreachTally, limits: Limits, model: bytes, runner: Executor
) -> Request:
    case = finding.case
    x = _inputs([*kept.worst, *kept.first], case.precision)
    assert finding.point is not None
    at = int(np.flatnonzero(case.precision.to_bits(x) == int(finding.point.x_bits, 16))[0])
    finding = replace(finding, point=replace(finding.point, index=at))
    again: Callable[[], object] = partial(runner.open, model, case.precision)
    views = expected(case.context, x, case.precision)
    command = None
    if isinstance(runner, Tensorrt):
        wanted = runner.replay(model, case.precision)
        model, command = wanted.model, tensorrt_run(wanted)
    return Request(finding, model, x, views, limits, again, command)  # type: ignore[arg-type]


def _inputs(points: list[WorstRecord], precision: Precision) -> Array:
    """The points' inputs, each once, in the order of their bit patterns."""
    bits = sorted({int(point.x_bits, 16) for point in points})
    return precision.from_bits(np.array(bits, dtype=precision.bits_dtype))


def _point(worst: WorstRecord) -> Point:
    return Point(
        index=0,
        x=worst.x,
        x_bits=worst.x_bits,
        expected=worst.expected,
        actual=worst.actual,
        actual_bits=worst.actual_bits,
        error_ulp=worst.error_ulp,
    )


def _breach(tally: BreachTally, samples: int) -> Breach:
    return Breach(
        output=tally.output,
        band=tally.band,
        result=tally.result,
        kind=tally.kind,
        limit=tally.limit,
        floor=tally.floor,
        count=tally.count,
        samples=samples,
        worst=_point(tally.worst[0]),
        lowest=tally.lowest,
        highest=tally.highest,
    )
