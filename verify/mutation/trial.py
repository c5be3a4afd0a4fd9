"""One wrong plugin, or a right one, through the gate in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from verify import interrupt
from verify import record as records
from verify.errors import InputError
from verify.findings import LIMITS_CHECK
from verify.mutation.table import MutantTable

__all__ = ["Order", "Trial", "run", "trial_of"]

_SECONDS = 900.0  # for one gate; its own checks have time limits of their own


@dataclass(frozen=True)
class Order:
    """What is asked for: which libraries, where they and the results lie, and how.

    ``own`` tries only the checks that the table expects to catch a mutant, and values in the
    context ``alone``. ``resume`` keeps the trials that ``out`` holds of the same libraries with
    the same options, with ``own`` also those with all checks. ``jobs`` gates run at once.
    """

    table: MutantTable
    names: tuple[str, ...]
    libraries: Path
    out: Path
    seed: int = 0
    jobs: int = 1
    own: bool = False
    resume: bool = False


@dataclass(frozen=True)
class Trial:
    """What the gate said of one library.

    ``caught``: the checks that gave a finding of their own, ``ran``: all that were run. ``error``
    is not empty where the gate did not end with a verdict of its own; then nothing was caught.
    ``own``: only the checks that the table expects to catch it were tried.
    """

    name: str
    exit_code: int
    seconds: float
    sentence: str
    caught: tuple[str, ...]
    ran: tuple[str, ...]
    error: str = ""
    own: bool = False

    @property
    def killed(self) -> bool:
        """Whether a check's own finding keeps it from being shipped."""
        return self.exit_code == 1 and bool(self.caught) and not self.error


def run(order: Order) -> Generator[Trial, None, None]:
    """Every trial as it ends. Closing the iterator ends the gates that are running.

    Raises InputError for a library that is missing, before anything is run, and where ``out``
    can't be written.
    """
    missing = [name for name in order.names if not _library(order, name).is_file()]
    if missing:
        raise InputError(
            f"--libraries {order.libraries}: has no {', '.join(f'{name}.so' for name in missing)}"
        )
    try:
        order.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {order.out}: can't be written: {error.strerror}") from None
    running = _Running(order.jobs)
    with ThreadPoolExecutor(max_workers=order.jobs) as pool:
        # What takes a tool of its own takes longest.
        names = sorted(order.names, key=lambda name: not _options(order, name))
        waiting = [pool.submit(_trial, order, name, running) for name in names]
        try:
            for each in as_completed(waiting):
                yield each.result()
                interrupt.check()
        finally:
            for each in waiting:
                each.cancel()
            running.end()


def trial_of(
    name: str, exit_code: int, seconds: float, sentence: str, record: records.Record | None
) -> Trial:
    """What a gate's exit code and record come to.

    Only an exit code of 1 with a record is a verdict against the library; 0 is SHIP.
    """
    if exit_code not in (0, 1) or record is None or not record.complete:
        error = f"the gate ended with exit code {exit_code}"
        if exit_code in (0, 1):
            error += " and left no whole record"
        return Trial(name, exit_code, seconds, sentence, (), (), error)
    ran = [check for case in record.cases for check in case.properties]
    ran += [LIMITS_CHECK for case in record.cases if case.bands]
    ran += [row.check for row in record.checks if row.verdict in ("PASS", "FAIL")]
    caught = dict.fromkeys(finding.check for finding in record.findings)
    return Trial(
        name, exit_code, seconds, sentence, tuple(caught), tuple(dict.fromkeys([*ran, *caught]))
    )


class _Running:
    """The gates that are running, so that they can be ended."""

    def __init__(self, jobs: int) -> None:
        self._lock = threading.Lock()
        cores = sorted(os.sched_getaffinity(0))
        # Each gate has cores of its own; where there are too few, several share one.
        self._cores = [cores[i % len(cores) :: jobs] for i in range(jobs)]
        self._processes: dict[subprocess.Popen[str], list[int]] = {}
        self.ended = False

    def start(self, words: Sequence[str], log: Path) -> subprocess.Popen[str] | None:
        """``python -m verify`` with ``words``, or None where all were ended meanwhile."""
        # A finding's lines are not tried: that costs more than to find it.
        environment = {**os.environ, "VERIFY_NESTED": "1", "COLUMNS": "200"}
        root = str(Path(__file__).resolve().parents[2])
        path = [root, environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        with self._lock, log.open("w", encoding="utf-8") as stream:
            if self.ended:
                return None
            cores = self._cores.pop()
            child = ["-m", "verify.attached", str(os.getpid()), ",".join(map(str, cores))]
            process = subprocess.Popen(
                [sys.executable, *child, *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
            self._processes[process] = cores
            return process

    def forget(self, process: subprocess.Popen[str]) -> None:
        """It has ended."""
        with self._lock:
            self._cores.append(self._processes.pop(process))

    def end(self) -> None:
        """Kill what runs and start no more; the workers of a gate end with it."""
        with self._lock:
            self.ended = True
            for process in self._processes:
                process.kill()


def _library(order: Order, name: str) -> Path:
    return order.libraries / f"{name}.so"


def _options(order: Order, name: str) -> tuple[str, ...]:
    mutant = order.table.mutant(name)
    return mutant.options if mutant is not None else ()


def _trial(order: Order, name: str, running: _Running) -> Trial:
    library, out = _library(order, name), order.out / name
    mutant = order.table.mutant(name)
    words = ["--seed", str(order.seed), *_options(order, name)]
    keys = {_key(words, library): False}
    own = order.own and mutant is not None
    if own and mutant is not None:
        words += ["--context", "alone"]
        for check in mutant.checks:
            words += ["--check", check]
        keys[_key(words, library)] = True
    kept = order.out / f"{name}.json"
    if order.resume:
        found = _kept(kept, keys)
        if found is not None:
            return found
    kept.unlink(missing_ok=True)
    gate = ["gate", "--plugin", str(library.resolve()), "--quick"]
    log = order.out / f"{name}.log"
    start = time.monotonic()
    process = running.start([*gate, "--out", str(out), *words], log)
    if process is None:
        return Trial(name, -1, 0.0, "", (), (), "not run")
    try:
        code = process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    finally:
        running.forget(process)
    seconds = round(time.monotonic() - start, 1)
    said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line]
    record = None
    if code in (0, 1):
        try:
            record = records.load(out / "record.json")
        except InputError as error:
            said.append(str(error))
    trial = trial_of(name, code, seconds, said[-1] if said else "", record)
    trial = replace(trial, own=own)
    if not running.ended:
        text = json.dumps({"key": _key(words, library), "trial": asdict(trial)}, indent=1)
        records.write_text(kept, text + "\n")
    return trial


def _key(words: Sequence[str], library: Path) -> str:
    """What a trial depends on: the gate's options and the library's bytes."""
    return hashlib.sha256("\0".join(words).encode() + library.read_bytes()).hexdigest()


def _kept(path: Path, keys: Mapping[str, bool]) -> Trial | None:
    """A trial that was written down under one of ``keys``, which say whether it is ``own``."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        fields = {**data["trial"], "own": keys[data["key"]]}
        fields["caught"], fields["ran"] = tuple(fields["caught"]), tuple(fields["ran"])
        return Trial(**fields)
    except (OSError, ValueError, KeyError, TypeError):
        return None
