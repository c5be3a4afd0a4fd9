"""Sweep a case: every input of a span through the engine, the oracle and the judge."""

from __future__ import annotations

import datetime
import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Protocol

from verify.blocks import cores
from verify.cases import Case, parse
from verify.engines import EngineFailure, Executor, engine
from verify.engines.onnxruntime import OnnxRuntime
from verify.engines.tensorrt import Tensorrt
from verify.record import EngineRecord, environment
from verify.sweep import tally as tallies
from verify.sweep.record import PluginRecord, SweepRecord, build, timing
from verify.sweep.span import Span
from verify.sweep.worker import Part, Worker
from verify.tolerances import Limits

__all__ = ["JOBS", "Backend", "Host", "Part", "engine_records", "plugin_of", "sweep"]

JOBS = 8  # worker processes at most: at about 110 MB each they stay below 1 GiB
# Fewer inputs than this are not worth starting processes for.
_WORTH_PROCESSES = 1 << 25


class Backend(Protocol):
    """What executes and judges a span; all make the same parts of the same outputs."""

    jobs: int  # how many cores or devices share the work
    plan: str  # SHA-256 of what was built from the model and executed, empty if nothing was built

    def parts(self, span: Span) -> Iterator[Part]:
        """The parts of a span in order, each as soon as it is done."""


class Host:
    """Executes and judges on the CPU, a unit at a time on each core, in bounded memory.

    Processes, because threads that take turns at NumPy's short loops wait for the interpreter
    lock longer than they compute. An engine on a GPU has one session, in this process.
    """

    plan = ""

    def __init__(self, runner: Executor, case: Case, model: bytes, limits: Limits) -> None:
        self._runner, self._case, self._model, self._limits = runner, case, model, limits
        cpu = runner.name == "reference"
        cpu = cpu or (isinstance(runner, OnnxRuntime) and runner.provider == "cpu")
        self.jobs = min(cores(), JOBS) if cpu else 1

    def parts(self, span: Span) -> Iterator[Part]:
        """A part for each unit.

        Raises what the engine does, the judge's VacuousError, and EngineFailure where the
        engine takes its process with it.
        """
        if self.jobs == 1 or span.inputs < _WORTH_PROCESSES:
            self.jobs = 1
            with Worker(self._runner, self._case, self._model, self._limits) as worker:
                for unit in range(span.first, span.end):
                    yield worker.part(unit)
            return
        context = multiprocessing.get_context("spawn")
        arguments = (self._case.id, self._model, self._limits)
        pool = ProcessPoolExecutor(self.jobs, context, _prepare, arguments)
        try:
            units = iter(range(span.first, span.end))
            with _ctrl_c_ignored():  # the processes start with the first units, and inherit that
                pending = deque(pool.submit(_part, unit) for unit in islice(units, 2 * self.jobs))
            for unit in units:
                yield pending.popleft().result()
                pending.append(pool.submit(_part, unit))
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise EngineFailure(f"{self._case.engine} took its process with it") from None
        except BaseException:
            # Nobody wants what is under way any more, and it may take long.
            for process in multiprocessing.active_children():
                process.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal, and is for the one that keeps what is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


_WORKER: list[Worker] = []  # of this process, if it is one of a pool


def _prepare(case_id: str, model: bytes, limits: Limits) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    case = parse(case_id)
    runner = engine(case.engine)
    assert isinstance(runner, Executor)
    _WORKER.append(Worker(runner, case, model, limits).__enter__())


def _end_with_parent() -> None:
    """A pool's process waits for work for ever, also once the one that has it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _part(unit: int) -> Part:
    return _WORKER[0].part(unit)


def sweep(
    backend: Backend,
    runner: Executor,
    case: Case,
    model: bytes,
    limits: Limits,
    span: Span,
    progress: Callable[[Part], None] = lambda part: None,
) -> tuple[SweepRecord, BaseException | None]:
    """Sweep ``span``; return its record and what ended it early: Ctrl-C or an error, or None.

    The record is then of the units done, never complete after an error, and its verdict ERROR
    unless there are breaches. Raises the error where no unit was done.
    """
    start = time.perf_counter()
    # One list is the whole state, so that an interrupt finds it before or after a part.
    done = [Part(span.first, span.first, tallies.empty(), (), 0.0)]
    ended: BaseException | None = None
    try:
        for part in backend.parts(span):
            done.append(part)
            progress(part)
            if len(done) > 64:
                done = [_joined(done)]
    except KeyboardInterrupt as pressed:
        ended = pressed
    except Exception as error:  # an engine may raise anything
        if done[-1].end == span.first:
            raise
        ended = error
    found = _joined(done)
    inputs, seconds = found.tally.inputs, time.perf_counter() - start
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    record = build(
        case=case,
        limits=limits,
        model=model,
        plan=backend.plan,
        environment=environment(engine_records(runner)),
        planned=span,
        end=found.end,
        tally=found.tally,
        digests=found.digests,
        timing=timing(date, seconds, found.engine_seconds / backend.jobs, inputs),
        plugin=plugin_of(runner),
    )
    if isinstance(ended, Exception):
        verdict = "FAIL" if record.verdict == "FAIL" else "ERROR"
        record = record.model_copy(update={"complete": False, "verdict": verdict})
    return record, ended


def _joined(parts: Sequence[Part]) -> Part:
    """Consecutive parts as one."""
    return Part(
        parts[0].first,
        parts[-1].end,
        tallies.merge(part.tally for part in parts),
        tuple(digest for part in parts for digest in part.digests),
        sum(part.engine_seconds for part in parts),
    )


def engine_records(runner: Executor) -> Sequence[EngineRecord]:
    """What a record says of the one engine that it is about."""
    return [EngineRecord.of(runner.status())]


def plugin_of(runner: Executor) -> PluginRecord | None:
    """The plugin library that an engine runs, None where it runs none."""
    if not isinstance(runner, Tensorrt) or runner.plugin is None:
        return None
    path = runner.plugin.library.path
    return PluginRecord(
        name=str(runner.plugin.name),
        library=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
