"""Run checks in processes that the plugin may break, and go on with the next one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import cast

from verify.plumbing import sanitizer
from verify.plumbing import worker as inside
from verify.plumbing.check import Answer, Broken, Check, Result, Subject
from verify.worker import Ahead, Died, TimedOut, Worker

__all__ = ["Plumbing"]

_START = 180.0  # seconds for CUDA and TensorRT; the first start on a machine reads gigabytes
_LOAD = 60.0  # seconds to load a library
_END = 60.0  # seconds for a process to end by itself
# Who hangs once will again: then a check has this share of its time, and these seconds at least.
_AFTER_A_HANG, _LEAST = 0.2, 20.0


class Plumbing:
    """The checks' processes, each started once and again only after a check that killed it.

    ``jobs`` of them run at a time, each with its share of the checks; a check with a process of
    its own gets one beside. ``start`` runs in a new process before the library is loaded, None
    for nothing, and ``read`` in one that only reads plans; ``load`` loads it. ``lent``: another's
    process to share, which is waited for and ended here; then ``jobs`` is 1. ``ahead``: where
    processes are taken from in which ``start`` and ``read`` were begun.
    """

    def __init__(
        self,
        jobs: int = 1,
        *,
        start: Callable[[], None] | None = inside.start,
        read: Callable[[], None] | None = inside.start_reading,
        load: Callable[[Subject], str] | None = inside.load,
        lent: Future[Worker] | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        self._start, self._read, self._load = start, read, load
        self._jobs = jobs if lent is None else 1
        self._lent = lent
        self._ahead = Ahead() if ahead is None else ahead
        self._lock = threading.Lock()
        self._living: list[Worker] = []
        self._loaded: set[Worker] = set()
        self._stopped = False
        self._hung = False
        self.starts = 0  # processes, when all is done

    def run(
        self,
        checks: Sequence[Check],
        subject: Subject | Future[Subject],
        report: Callable[[Result], None],
    ) -> list[Result]:
        """Run checks; ``report`` gets each result as it comes, from any thread, one at a time.

        A subject that is not known yet is waited for when the processes have started. Returns the
        results in the order of the checks. What a plugin does is a verdict, never an exception.
        """
        if not checks:
            return []
        queue, results = deque(checks), dict[str, Result]()
        known = subject
        if isinstance(known, Subject):
            subject = Future()
            subject.set_result(known)
        future = cast("Future[Subject]", subject)

        def done(result: Result) -> None:
            with self._lock:
                results[result.check.name] = result
                if not self._stopped:
                    report(result)

        # A process ends with the thread that started it: these last as long as theirs.
        jobs = max(1, min(self._jobs, len(queue)))
        with ThreadPoolExecutor(jobs) as pool:
            served = [pool.submit(self._serve, queue, future, done) for _ in range(jobs)]
            try:
                for one in served:
                    one.result()
            except BaseException:
                self.stop()
                raise
        return [results[check.name] for check in checks if check.name in results]

    def stop(self) -> None:
        """End every process, from any thread; `run` returns what is finished."""
        with self._lock:
            self._stopped = True
            living = list(self._living)
        for worker in living:
            worker.kill()

    def _serve(
        self, queue: deque[Check], future: Future[Subject], done: Callable[[Result], None]
    ) -> None:
        try:
            shared = self._worker(self._start if self._lent is None else self._lent.result())
        except CancelledError:
            return
        try:
            if self._start is not None:
                try:
                    shared.call(self._start, seconds=_START)
                except Exception:  # the check that needs the process tries again, and tells
                    shared.close()
            try:
                subject = future.result()
            except CancelledError:
                return
            while not self._stopped:
                try:
                    check = queue.popleft()
                except IndexError:
                    return
                begin = time.monotonic()
                answer = self._answer(shared, check, subject)
                if not self._stopped:
                    done(_result(check, answer, time.monotonic() - begin))
        finally:
            self._close(shared)

    def _answer(self, shared: Worker, check: Check, subject: Subject) -> Answer:
        """Run one check, where it belongs."""
        why = "" if check.skips is None else check.skips(subject)
        if why:
            return Answer(skipped=why)
        if check.sanitized:
            return sanitizer.run(check, subject, check.seconds)  # slow by nature
        if not check.own_process:
            answer = self._in(shared, check, subject)
            if check.ends and not (answer.error or answer.faults or answer.skipped):
                end = shared.finish(_END)
                faults = (f"a process that used the plugin {end}",) if end else ()
                return Answer(answer.count, faults, answer.notes)
            return answer
        payload = None
        if check.prepare is not None:
            fault = self._ready(shared, subject, loads=True)
            if fault is not None:
                return fault
            try:
                payload = shared.call(inside.prepare, check, subject, seconds=self._seconds(check))
            except (Died, Broken) as error:
                self._hung |= isinstance(error, TimedOut)
                said = f"the process {error}" if isinstance(error, Died) else str(error)
                return Answer(1, (f"before the check: {said}",))
            except Exception as error:  # the gate's own fault
                return Answer(error=f"{type(error).__name__}: {error}")
        own = self._worker(self._start if check.prepare is None else self._read)
        try:
            if check.prepare is not None and self._read is not None:
                try:
                    own.call(self._read, seconds=_START)
                except Exception:  # it is started once more, which tells
                    own.close()
            return self._in(own, check, subject, payload)
        finally:
            self._close(own)

    def _in(self, worker: Worker, check: Check, subject: Subject, payload: object = None) -> Answer:
        """Run a check in a worker; a process that is of no more use is ended."""
        fault = self._ready(worker, subject, loads=check.loads)
        if fault is not None:
            return fault
        try:
            answer: Answer = worker.call(
                inside.perform, check, subject, payload, seconds=self._seconds(check)
            )
        except Died as error:
            self._hung |= isinstance(error, TimedOut)
            return Answer(1, (f"the process {error}",))
        except Exception as error:  # an answer that can't be sent, say
            return Answer(error=f"{type(error).__name__}: {error}")
        if answer.broken:
            worker.close()
        return answer

    def _seconds(self, check: Check) -> float:
        if not self._hung:
            return check.seconds
        return min(check.seconds, max(_AFTER_A_HANG * check.seconds, _LEAST))

    def _ready(self, worker: Worker, subject: Subject, *, loads: bool) -> Answer | None:
        """Start the worker's process where there is none; what went wrong with that."""
        if worker in self._loaded and worker.alive:
            return None
        try:
            if self._start is not None and not worker.alive:
                worker.call(self._start, seconds=_START)
        except Exception as error:  # without the plugin: nothing is its fault
            worker.close()
            said = f"the process {error}" if isinstance(error, Died) else str(error)
            return Answer(error=f"TensorRT does not start: {said}")
        self._loaded.add(worker)
        if not loads or self._load is None:
            return None
        try:
            said = worker.call(self._load, subject, seconds=_LOAD)
        except Died as error:
            return Answer(1, (f"while the library was loaded, the process {error}",))
        except Exception as error:
            worker.close()
            return Answer(error=f"{type(error).__name__}: {error}")
        if said:
            worker.close()
            return Answer(1, (said,))
        return None

    def _worker(self, source: Worker | Callable[[], object] | None) -> Worker:
        """``source`` itself, or a process in which it was begun, or one that is not started."""
        if isinstance(source, Worker):
            worker = source
        else:
            worker = Worker() if source is None else self._ahead.take(source)
        with self._lock:
            self._living.append(worker)
        return worker

    def _close(self, worker: Worker) -> None:
        with self._lock, suppress(ValueError):
            self._living.remove(worker)
        self.starts += worker.starts
        worker.close()


def _result(check: Check, answer: Answer, seconds: float) -> Result:
    notes = "; ".join(answer.notes)
    if answer.error and not answer.faults:
        reason = f"the check itself broke down: {answer.error}"
        return Result(check, "ERROR", reason, (), answer.count, seconds)
    if answer.faults:
        return Result(check, "FAIL", answer.faults[0], answer.faults, answer.count, seconds)
    if answer.missed:
        reason = f"not tested: {answer.missed[0]}"
        return Result(check, "ERROR", reason, (), answer.count, seconds)
    if answer.skipped:
        return Result(check, "SKIPPED", answer.skipped, (), 0, seconds)
    return Result(check, "PASS", notes, (), answer.count, seconds)
