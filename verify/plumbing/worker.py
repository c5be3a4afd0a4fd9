"""What runs in the process beside the plugin: module-level functions for `Worker`."""

from __future__ import annotations

from typing import Any

from verify.plumbing.bench import Bench
from verify.plumbing.check import Answer, Broken, Check, Skipped, Subject, Tally

__all__ = ["load", "perform", "prepare", "start", "start_reading"]

_bench: list[Bench] = []  # the process' own, once there is one


def start(*, builds: bool = True) -> None:
    """Start CUDA and TensorRT, without the plugin; ``builds`` False: to read plans only."""
    _own().start(builds=builds)


def start_reading() -> None:
    """The same for a process that only reads plans."""
    start(builds=False)


def load(subject: Subject) -> str:
    """Load the plugin's library; why it can't be loaded, empty if it can."""
    bench = _own()
    bench.take(subject)
    try:
        bench.load()
    except Broken as error:
        return str(error)
    return ""


def prepare(check: Check, subject: Subject) -> Any:
    """What a check takes with it into a process of its own; raises Broken."""
    assert check.prepare is not None
    bench = _own()
    bench.take(subject)
    return check.prepare(bench)


def perform(check: Check, subject: Subject, payload: Any = None) -> Answer:
    """Run a check in this process. Never raises: what the check raises is part of the answer."""
    bench, tally = _own(), Tally()
    bench.take(subject)
    bench.payload = payload
    skipped = error = ""
    try:
        if check.plans and not subject.precisions:
            raise Skipped("no precision of the plugin can be tested")
        check.run(bench, tally)
    except Skipped as words:
        skipped = str(words)
    except Broken as words:
        tally.expect("", str(words))
    except Exception as words:  # the check's own fault, or CUDA's: the next lines tell
        error = f"{type(words).__name__}: {' '.join(str(words).split())}"
    if check.plans:
        for remark in bench.remarks:
            tally.note(remark)
    broken = bench.fault()
    if broken:
        tally.expect("", f"CUDA is broken afterwards: {broken}")
        skipped = error = ""
    if tally.count and skipped:
        tally.note(skipped)
        skipped = ""
    if not (tally.count or skipped or error or tally.missed):
        error = "nothing was compared"
    missed = tuple(tally.missed)
    return Answer(tally.count, tally.told, tuple(tally.notes), skipped, error, broken, missed)


def _own() -> Bench:
    if not _bench:
        _bench.append(Bench())
    return _bench[0]
