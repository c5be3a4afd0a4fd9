"""A process that native code may break, broken by real native code."""

from __future__ import annotations

import ctypes
import math
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from verify.engines import execution
from verify.plumbing import ahead as early
from verify.plumbing import worker as inside
from verify.worker import Ahead, Died, TimedOut, Worker

Native = Callable[[str], str]


@pytest.fixture
def native(tmp_path: Path) -> Native:
    """The path of a library whose constructor runs the C statements given."""

    def build(statements: str) -> str:
        source = tmp_path / "native.c"
        source.write_text(
            "#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
            f"__attribute__((constructor)) static void start(void) {{ {statements} }}\n"
        )
        library = tmp_path / "native.so"
        command = ["gcc", "-shared", "-fPIC", "-w", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        return str(library)

    return build


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker({"VERIFY_TEST": "here"})
    yield made
    made.close()


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_calls_share_one_process_of_its_own(worker: Worker) -> None:
    first = worker.call(os.getpid)
    assert first != os.getpid()
    assert worker.call(os.getpid) == first
    assert worker.call(os.getenv, "VERIFY_TEST") == "here"
    assert os.getenv("VERIFY_TEST") is None
    assert worker.starts == 1
    worker.close()
    assert not alive(first)


def test_what_a_function_raises_is_raised_here(worker: Worker) -> None:
    with pytest.raises(ValueError, match="domain"):
        worker.call(math.sqrt, -1.0)
    with pytest.raises(RuntimeError, match="pickle"):
        worker.call(memoryview, b"no answer can hold this")
    assert worker.call(math.sqrt, 4.0) == 2.0
    assert worker.starts == 1


@pytest.mark.parametrize(
    ("statements", "end"),
    [
        ("raise(SIGSEGV);", "was ended by SIGSEGV"),
        ('fprintf(stderr, "free(): bad\\n"); abort();', "SIGABRT; it last printed: free"),
        ("_exit(7);", "ended itself with exit code 7"),
        ("exit(0);", "ended itself with exit code 0"),
    ],
)
def test_a_library_that_ends_the_process_is_told_by_how(
    native: Native, worker: Worker, statements: str, end: str
) -> None:
    with pytest.raises(Died, match=end):
        worker.call(ctypes.CDLL, native(statements))
    assert worker.call(math.sqrt, 9.0) == 3.0
    assert worker.starts == 2


def test_a_library_that_hangs_is_ended(native: Native, worker: Worker) -> None:
    pid = worker.call(os.getpid)
    start = time.monotonic()
    with pytest.raises(TimedOut, match=r"did not answer within 0\.5 s"):
        worker.call(ctypes.CDLL, native("for (;;) pause();"), seconds=0.5)
    assert time.monotonic() - start < 10
    assert not alive(pid)


def test_no_worker_outlives_a_killed_parent(native: Native, tmp_path: Path) -> None:
    library = native("for (;;) pause();")
    script = tmp_path / "parent.py"
    script.write_text(
        "import ctypes, os\n"
        "from verify.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    worker = Worker()\n"
        "    print(worker.call(os.getpid), flush=True)\n"
        f"    worker.call(ctypes.CDLL, {library!r})\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env=environment, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def test_ctrl_c_is_not_for_a_worker_that_still_starts(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal, time\n"
        "from verify.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, lambda *_: None)\n"
        "    for first in (0.0, 0.02, 0.05, 0.1, 0.2):\n"
        "        worker = Worker()\n"
        "        worker.begin(abs, -3)\n"
        "        time.sleep(first)\n"
        "        os.killpg(0, signal.SIGINT)\n"  # as a terminal does
        "        ignored = worker.call(signal.getsignal, signal.SIGINT) == signal.SIG_IGN\n"
        "        blocked = worker.call(signal.pthread_sigmask, signal.SIG_BLOCK, [])\n"
        "        print(ignored, blocked, worker.finish())\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert done.stderr == ""
    assert done.stdout == "True set() \n" * 5


def test_what_was_begun_is_waited_for_and_its_answer_is_lost(worker: Worker) -> None:
    worker.begin(time.sleep, 0.3)
    worker.begin(os.getenv, "PATH")  # the process is there: nothing to begin
    start = time.monotonic()
    assert worker.call(os.getenv, "VERIFY_TEST") == "here"
    assert time.monotonic() - start > 0.1
    assert worker.call(math.sqrt, 4.0) == 2.0
    assert worker.starts == 1


def test_what_was_begun_and_raised_is_no_matter(worker: Worker) -> None:
    worker.begin(math.sqrt, -1.0)
    assert worker.call(math.sqrt, 4.0) == 2.0


def test_what_was_begun_and_broke_down_is_told_by_the_next_call(worker: Worker) -> None:
    worker.begin(os._exit, 3)
    with pytest.raises(Died, match="ended itself with exit code 3"):
        worker.call(math.sqrt, 4.0)
    assert worker.call(math.sqrt, 4.0) == 2.0


def test_what_was_begun_and_hangs_takes_the_next_calls_time(worker: Worker) -> None:
    worker.begin(time.sleep, 60.0)
    with pytest.raises(TimedOut, match=r"did not answer within 0\.2 s"):
        worker.call(math.sqrt, 4.0, seconds=0.2)
    worker.begin(time.sleep, 60.0)
    worker.close()
    assert not worker.alive


def test_a_process_started_ahead_is_taken_once_by_what_was_begun_in_it() -> None:
    with Ahead(["posix:getpid", "time:time"]) as ahead:
        (taken, new) = ahead.take(os.getpid), ahead.take(os.getpid)
        assert (taken.alive, new.alive) == (True, False)
        assert ahead.take(math.sqrt).alive is False
        pid = taken.call(os.getpid)
        assert taken.starts == 1
    assert taken.call(os.getpid) == pid  # whoever took it ends it
    taken.close()


def test_what_is_begun_ahead_is_what_the_gate_takes() -> None:
    assert early.names(["limits"]) == [early.CASES]
    begun = [pkgutil.resolve_name(name) for name in early.names([])]
    assert begun.count(execution.start) == 1
    assert begun.count(inside.start) == early.groups()
    assert begun.count(inside.start_reading) == 2
    with Ahead([name for name in early.names([]) if name == early.CASES]) as begun_early:
        assert begun_early.take(execution.start).alive  # by the name that it has itself


def test_what_starts_ahead_waits_for_no_import_of_the_gate() -> None:
    line = "import verify.__main__, verify.plumbing.ahead, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    known = done.stdout.split()
    assert "verify.plumbing.ahead" in known
    assert not {"numpy", "polygraphy", "verify.engines", "verify.precision"} & set(known)


def test_a_process_started_ahead_that_nobody_took_ends() -> None:
    with Ahead(["posix:getpid", "posix:getpid"]) as ahead:
        kept = ahead.take(os.getpid)
        pid = kept.call(os.getppid)
        assert pid == os.getpid()
        before = children()
        assert len(before) >= 2
    assert len(children()) == len(before) - 1
    assert ahead.take(os.getpid).alive is False
    kept.close()


def children() -> list[int]:
    """The processes that this one has started and that still run."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [pid for pid in map(int, text.split()) if alive(pid)]
