"""The plumbing checks in the background, while the plugin's cases are verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType

from verify import interrupt
from verify.plumbing.ahead import groups
from verify.plumbing.check import Check, Result, Subject
from verify.plumbing.process import Plumbing
from verify.worker import Ahead, Worker

__all__ = ["Beside"]


class Beside:
    """Starts the checks' processes at once, and the checks when it is told the subject.

    A context manager; leaving it ends whatever still runs. ``results`` is filled as they come.
    ``shares``: nothing but the checks is run, so on a machine with few cores they take the process
    in which the subject was looked at, and spare a start of CUDA. ``ahead``: processes that were
    started beforehand.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        results: list[Result],
        *,
        shares: bool = False,
        ahead: Ahead | None = None,
    ) -> None:
        self.checks = tuple(checks)
        self.results = results
        self._tell: Callable[[str], object] = lambda name: None
        self._subject: Future[Subject] = Future()
        self._lent: Future[Worker] = Future()
        self._shares = shares and groups() == 1
        self._plumbing = Plumbing(groups(), lent=self._lent if self._shares else None, ahead=ahead)
        self._pool = ThreadPoolExecutor(1)
        self._running: Future[list[Result]] | None = None

    def __enter__(self) -> Beside:
        self._running = self._pool.submit(
            self._plumbing.run, self.checks, self._subject, self._done
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lent.cancel()
        self._subject.cancel()
        self._plumbing.stop()
        self._pool.shutdown()

    def go(self, subject: Subject, worker: Worker) -> None:
        """Say what is tested, and in which process it was looked at: nobody else uses it now."""
        if self._shares:
            self._lent.set_result(worker)
        self._subject.set_result(subject)

    def report(self, tell: Callable[[str], object]) -> None:
        """``tell`` is called with the name of each check that is done."""
        self._tell = tell
        for result in tuple(self.results):
            tell(result.check.name)

    def wait(self) -> None:
        """Wait for the last check; then the results are in the order of the checks."""
        assert self._running is not None
        while not wait([self._running], timeout=0.2).done:
            interrupt.check()
        self.results[:] = self._running.result()

    def _done(self, result: Result) -> None:
        self.results.append(result)
        self._tell(result.check.name)
