"""A process that native code may break: calls go in, results or the reason of death come out."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from verify.attached import with_us

__all__ = ["HANGS", "Ahead", "Died", "TimedOut", "Worker"]

HANGS = "did not answer within"  # what is said of a process that was ended for it


class Died(Exception):
    """The process ended by itself; the message says how, and what it printed last."""


class TimedOut(Died):
    """The process was ended because a call took too long."""


class Worker:
    """A process of its own that executes module-level functions, one call at a time.

    What the functions keep in their modules stays for the next call. Starts with the first call;
    after it died, the next call starts a new one. Not for several threads at once.
    ``environment`` is set in the process before anything but this package is imported.
    """

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._environment = dict(environment or {})
        self._process: Any = None
        self._pipe: Any = None
        self._begun = False  # a call is under way that nobody waits for yet
        self._log = -1  # a file without a name: nothing is left of it, whatever ends us
        self.starts = 0  # processes so far; what a dead one kept is gone

    def begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Start the process and a function in it; the next call waits for that first.

        What it returns or raises is lost: it only makes the next call faster.
        """
        if self._process is None:
            self._start()
            self._pipe.send((function, arguments))
            self._begun = True

    def call(
        self, function: Callable[..., Any], *arguments: Any, seconds: float | None = None
    ) -> Any:
        """The function's result in the process; raises what it raises.

        Raises Died where the process ends meanwhile, TimedOut after ``seconds``.
        """
        if self._process is None:
            self._start()
        value: Any
        try:
            answered = not self._begun or self._pipe.poll(seconds)
            if answered:
                if self._begun:
                    self._pipe.recv()
                    self._begun = False
                self._pipe.send((function, arguments))
                answered = self._pipe.poll(seconds)
            failed, value = self._pipe.recv() if answered else (False, None)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise Died(self._end()) from None
        except BaseException:
            self._end(kill=True)  # a half-read answer is of no use to the next call
            raise
        if not answered:
            self._end(kill=True)
            raise TimedOut(f"{HANGS} {seconds:g} s")
        if failed:
            raise value
        return value

    def finish(self, seconds: float = 60.0) -> str:
        """Let the process end as any program does; how it ended otherwise, empty if well.

        What native code registered to run at the end runs now.
        """
        if self._process is None:
            return ""
        process = self._process
        self._pipe.close()
        process.join(seconds)
        if process.exitcode is None:
            self._end(kill=True)
            return f"did not end within {seconds:g} s"
        well = process.exitcode == 0
        end = self._end()
        return "" if well else end

    @property
    def alive(self) -> bool:
        """Whether there is a process; one that broke down meanwhile is found out by a call."""
        return self._process is not None

    def kill(self) -> None:
        """End the process from any thread: a call that is under way raises Died."""
        process = self._process
        with contextlib.suppress(ValueError, AttributeError):  # it has just ended
            process.kill()

    def close(self) -> None:
        """End the process at once; harmless where there is none."""
        if self._process is not None:
            self._end(kill=True)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._log = os.memfd_create("mish-verify")
        log = f"/proc/{os.getpid()}/fd/{self._log}"
        self._process = context.Process(
            target=_serve, args=(theirs, self._environment, log, os.getpid()), daemon=True
        )
        resource_tracker.ensure_running()  # its own start would unblock the signal
        # Ctrl-C reaches each process of a terminal; one that still imports would print a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.starts += 1
        atexit.register(self.close)

    def _end(self, *, kill: bool = False) -> str:
        """Wait for the process, or kill it; how it ended."""
        process, self._process = self._process, None
        self._begun = False
        atexit.unregister(self.close)
        self._pipe.close()
        if kill:
            process.kill()
        process.join()
        with os.fdopen(self._log, encoding="utf-8", errors="replace") as log:
            log.seek(0)
            lines = log.read().splitlines()
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        code = process.exitcode
        process.close()
        if code < 0:
            end = f"was ended by {signal.Signals(-code).name}"
        else:
            end = f"ended itself with exit code {code}"
        return f"{end}; it last printed: {said[:300]}" if said else end


class Ahead:
    """Processes that were started before anyone needs them, by the function begun in each.

    ``functions`` are named ``module:function``, so that only those processes import their
    modules. A context manager; leaving it ends those that nobody took.
    """

    def __init__(self, functions: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._begun: list[tuple[str, Worker]] = []
        for name in functions:
            worker = Worker()
            worker.begin(_named, name)
            self._begun.append((name, worker))

    def take(self, function: Callable[..., object]) -> Worker:
        """A process in which ``function`` was begun; if there is none left, one not started."""
        name = f"{function.__module__}:{function.__qualname__}"
        with self._lock:
            for index, (begun, worker) in enumerate(self._begun):
                if begun == name:
                    del self._begun[index]
                    return worker
        return Worker()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            left, self._begun = self._begun, []
        for _, worker in left:
            worker.close()


def _named(name: str) -> object:
    function: Callable[[], object] = pkgutil.resolve_name(name)
    return function()


def _serve(pipe: Connection, environment: dict[str, str], log: str, parent: int) -> None:
    """The process' own loop; ends when the other side of the pipe is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # what native code starts is free
    if sys.platform == "linux":
        # Also a parent that is killed leaves nothing behind, whatever native code does here.
        with_us()
        if os.getppid() != parent:
            return
    # Nothing here multiplies matrices: the threads for that would only get in each other's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.update(environment)
    # What native code prints is kept for the message about its death.
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = (False, function(*arguments))
        except Exception as error:
            answer = (True, error)
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:  # an answer that can't be pickled
            pipe.send((True, RuntimeError(f"{type(error).__name__}: {error}")))
