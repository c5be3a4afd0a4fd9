"""Isolation, time limits, crashes, grouping and resuming, with real native code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from verify.plumbing import process
from verify.plumbing.check import Check, Result, Subject
from verify.plumbing.process import Plumbing
from verify.worker import Ahead, Worker

Native = Callable[[str], Subject]

ROOT = Path(__file__).resolve().parents[2]


def run(
    checks: list[Check], subject: Subject, jobs: int = 1, **options: Any
) -> tuple[list[Result], int]:
    """Results in order, and how many processes it took."""
    plumbing = Plumbing(jobs, **{"start": None, "read": None, "load": None, **options})
    seen: list[str] = []
    results = plumbing.run(checks, subject, lambda result: seen.append(result.check.name))
    assert sorted(seen) == sorted(result.check.name for result in results)
    return results, plumbing.starts


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("statements", "end"),
    [
        ("raise(SIGSEGV);", "was ended by SIGSEGV"),
        ("*(volatile int *)16 = 1;", "was ended by SIGSEGV"),
        ('fprintf(stderr, "double free\\n"); abort();', "SIGABRT; it last printed: double free"),
        ("smash(0);", "was ended by SIGABRT; it last printed: *** stack smashing detected ***"),
        ("exit(0);", "ended itself with exit code 0"),
        ("exit(3);", "ended itself with exit code 3"),
        ("_exit(0);", "ended itself with exit code 0"),
    ],
)
def test_a_check_that_kills_its_process_is_told_by_how_and_the_others_run(
    faulty: Any, native: Native, statements: str, end: str
) -> None:
    checks = [
        faulty.check("first", faulty.right),
        faulty.check("killer", faulty.act),
        faulty.check("last", faulty.right),
    ]
    (first, killer, last), starts = run(checks, native(statements))
    assert (first.verdict, killer.verdict, last.verdict) == ("PASS", "FAIL", "PASS")
    assert end in killer.reason
    assert starts == 2
    assert first.reason != last.reason  # they ran in different processes


def test_a_hang_ends_at_its_time_limit(faulty: Any, native: Native) -> None:
    checks = [faulty.check("hangs", faulty.act, seconds=0.5), faulty.check("last", faulty.right)]
    start = time.monotonic()
    (hangs, last), _ = run(checks, native("for (;;) pause();"))
    assert time.monotonic() - start < 15
    assert hangs.verdict == "FAIL"
    assert hangs.reason == "the process did not answer within 0.5 s"
    assert last.verdict == "PASS"


def test_who_hung_once_is_waited_for_no_longer_than_a_check_needs(
    faulty: Any, native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LEAST", 0.6)
    limits = (0.5, 2.0, 0.3, 4.0)
    checks = [faulty.check(f"n{i}", faulty.act, seconds=s) for i, s in enumerate(limits)]
    results, _ = run(checks, native("for (;;) pause();"))
    said = [result.reason for result in results]
    assert said == [f"the process did not answer within {s:g} s" for s in (0.5, 0.6, 0.3, 0.8)]


def test_checks_share_one_process(faulty: Any, subject: Subject) -> None:
    results, starts = run([faulty.check(f"n{i}", faulty.right) for i in range(6)], subject)
    assert len({result.reason for result in results}) == 1
    assert starts == 1


def test_a_lent_process_is_waited_for_and_shared(
    faulty: Any, native: Native, subject: Subject
) -> None:
    worker = Worker()
    pid = worker.call(os.getpid)
    lent: Future[Worker] = Future()
    threading.Timer(0.3, lent.set_result, [worker]).start()
    checks = [faulty.check("first", faulty.right), faulty.check("second", faulty.right)]
    results, starts = run(checks, subject, jobs=3, lent=lent)
    assert [result.reason for result in results] == [str(pid)] * 2
    assert (starts, worker.alive) == (1, False)

    lent = Future()
    lent.set_result(Worker())
    checks = [faulty.check("killer", faulty.act), faulty.check("last", faulty.right)]
    (killer, last), _ = run(checks, native("abort();"), lent=lent)
    assert (killer.verdict, last.verdict) == ("FAIL", "PASS")

    lent = Future()
    lent.cancel()
    assert run(checks, subject, lent=lent) == ([], 0)


def test_several_processes_share_the_checks_and_results_keep_their_order(
    faulty: Any, subject: Subject
) -> None:
    checks = [faulty.check(f"n{i}", faulty.right) for i in range(8)]
    results, starts = run(checks, subject, jobs=2)
    assert [result.check.name for result in results] == [check.name for check in checks]
    assert starts == 2


def test_every_check_kills_and_every_check_is_told(faulty: Any, native: Native) -> None:
    checks = [faulty.check(f"n{i}", faulty.act) for i in range(3)]
    results, _ = run(checks, native("abort();"))
    assert [result.verdict for result in results] == ["FAIL"] * 3


@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [
        ("wrong", "FAIL", "place 5: too small"),
        ("refused", "FAIL", "TensorRT says no"),
        ("stuck", "FAIL", "CUDA is broken afterwards: cudaErrorIllegalAddress"),
        ("skipped", "SKIPPED", "it has no fields"),
        ("nothing", "ERROR", "the check itself broke down: nothing was compared"),
        ("missing", "ERROR", "not tested: fp32 CHW32 is claimed"),
        ("wrong_and_missing", "FAIL", "place 5: too small"),
        ("mistaken", "ERROR", "the check itself broke down: KeyError: 'of the check itself'"),
    ],
)
def test_what_a_check_does_is_its_verdict(
    faulty: Any, subject: Subject, name: str, verdict: str, reason: str
) -> None:
    checks = [faulty.check(name, getattr(faulty, name)), faulty.check("last", faulty.right)]
    (result, last), starts = run(checks, subject)
    assert (result.verdict, result.reason, last.verdict) == (verdict, reason, "PASS")
    # Only a process that CUDA is stuck in is given up.
    assert starts == (2 if name == "stuck" else 1)


def test_a_check_that_does_not_apply_costs_no_process(faulty: Any, subject: Subject) -> None:
    check = faulty.check("own", faulty.right, own_process=True, skips=lambda subject: "no fields")
    (result,), starts = run([check], subject)
    assert (result.verdict, result.reason, starts) == ("SKIPPED", "no fields", 0)


def test_many_faults_are_told_in_few_lines(faulty: Any, subject: Subject) -> None:
    (result,), _ = run([faulty.check("wrong", faulty.wrong)], subject)
    assert result.count == 20
    assert len(result.faults) == 9
    assert result.faults[-1] == "and 7 more"


def test_a_check_that_needs_a_precision_is_skipped_without_one(
    faulty: Any, subject: Subject
) -> None:
    none = replace(subject, precisions=())
    checks = [faulty.check("with", faulty.right), faulty.check("no", faulty.right, plans=False)]
    (needs, other), _ = run(checks, none)
    assert (needs.verdict, other.verdict) == ("SKIPPED", "PASS")


def test_a_process_of_its_own_gets_what_another_one_made(faulty: Any, subject: Subject) -> None:
    own = faulty.check("own", faulty.taken, own_process=True, prepare=faulty.made)
    results, starts = run([own, faulty.check("last", faulty.right)], subject)
    assert [result.verdict for result in results] == ["PASS", "PASS"]
    assert starts == 2


def test_processes_that_were_started_ahead_are_used(faulty: Any, subject: Subject) -> None:
    own = faulty.check("own", faulty.right, own_process=True, prepare=faulty.made)
    functions: dict[str, Any] = {"start": os.getpid, "read": os.getppid}
    with Ahead(["posix:getpid", "posix:getppid"]) as ahead:
        expected = {name: begun(ahead, function) for name, function in functions.items()}
        checks = [own, faulty.check("last", faulty.right)]
        results, starts = run(checks, subject, ahead=ahead, **functions)
        assert [result.reason for result in results] == [expected["read"], expected["start"]]
        assert starts == 2
        # A second time there is nothing left to take.
        results, _ = run(checks, subject, ahead=ahead, **functions)
        assert not {result.reason for result in results} & set(expected.values())


def begun(ahead: Ahead, function: Callable[[], object]) -> str:
    """The number of the process in which it was begun, as a check's note has it."""
    name = f"posix:{function.__name__}"
    (pid,) = (worker._process.pid for known, worker in ahead._begun if known == name)
    return str(pid)


def test_a_plugin_that_dies_before_the_check_fails_it(faulty: Any, native: Native) -> None:
    own = faulty.check("own", faulty.taken, own_process=True, prepare=faulty.act_first)
    (result, last), _ = run([own, faulty.check("last", faulty.right)], native("abort();"))
    assert result.verdict == "FAIL"
    assert result.reason.startswith("before the check: the process was ended by SIGABRT")
    assert last.verdict == "PASS"


@pytest.mark.parametrize(
    ("statements", "end"),
    [
        ("atexit(at_end);", "a process that used the plugin was ended by SIGABRT"),
        ("atexit((void (*)(void))pause);", "a process that used the plugin did not end within"),
        ("", ""),
    ],
)
def test_how_a_process_ends_is_the_last_checks_finding(
    faulty: Any, native: Native, statements: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verify.plumbing.process._END", 1.0)
    checks = [faulty.check("end", faulty.act, ends=True), faulty.check("after", faulty.right)]
    (result, after), _ = run(checks, native(statements))
    assert result.verdict == ("FAIL" if end else "PASS")
    assert end in result.reason
    assert after.verdict == "PASS"


def test_a_start_that_fails_says_nothing_about_the_plugin(faulty: Any, subject: Subject) -> None:
    (result,), _ = run([faulty.check("any", faulty.right)], subject, start=faulty.fails_to_start)
    assert result.verdict == "ERROR"
    assert "TensorRT does not start: no GPU at all" in result.reason


def test_a_library_that_can_not_be_loaded_fails_every_check(faulty: Any, subject: Subject) -> None:
    checks = [faulty.check("one", faulty.right), faulty.check("two", faulty.right)]
    results, _ = run(checks, subject, load=faulty.not_loaded)
    assert {result.reason for result in results} == {
        "the library can't be loaded: undefined symbol"
    }
    assert {result.verdict for result in results} == {"FAIL"}


def test_stopping_ends_every_process_and_keeps_what_is_finished(
    faulty: Any, subject: Subject, tmp_path: Path
) -> None:
    place = tmp_path / "pid"
    plumbing, done = Plumbing(1, start=None, load=None), list[str]()
    checks = [
        faulty.check("first", faulty.right),
        faulty.check("asleep", faulty.asleep, seconds=600),
        faulty.check("never", faulty.right),
    ]
    results: list[Result] = []
    thread = threading.Thread(
        target=lambda: results.extend(
            plumbing.run(
                checks,
                replace(subject, library=str(place)),
                lambda result: done.append(result.check.name),
            )
        )
    )
    thread.start()
    deadline = time.monotonic() + 30
    while not (place.exists() and place.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    plumbing.stop()
    thread.join(15)
    assert not thread.is_alive()
    assert done == ["first"]
    assert [result.check.name for result in results] == ["first"]
    assert not alive(int(place.read_text()))


def test_processes_start_before_the_subject_is_known(faulty: Any, subject: Subject) -> None:
    plumbing, future = Plumbing(1, start=faulty.nothing_to_start, load=None), Future[Subject]()
    results: list[Result] = []
    check = faulty.check("any", faulty.right)
    thread = threading.Thread(
        target=lambda: results.extend(plumbing.run([check], future, lambda result: None))
    )
    thread.start()
    deadline = time.monotonic() + 20
    while not any(w.starts for w in plumbing._living) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not results
    future.set_result(subject)
    thread.join(20)
    assert [result.verdict for result in results] == ["PASS"]
    assert plumbing.starts == 1


def test_a_subject_that_never_comes_ends_the_run(faulty: Any) -> None:
    plumbing, future = Plumbing(1, start=faulty.nothing_to_start, load=None), Future[Subject]()
    future.cancel()
    check = faulty.check("any", faulty.right)
    assert plumbing.run([check], future, lambda result: None) == []


def test_no_process_outlives_a_killed_gate(faulty: Any, native: Native, tmp_path: Path) -> None:
    script, place = tmp_path / "parent.py", tmp_path / "pid"
    subject = replace(native(""), library=str(place))
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(faulty.__file__).parent)!r})\n"
        "import faulty_checks as faulty\n"
        "from verify.plumbing.check import Subject\n"
        "from verify.plumbing.process import Plumbing\n"
        "if __name__ == '__main__':\n"
        "    check = faulty.check('asleep', faulty.asleep, seconds=600)\n"
        "    plumbing = Plumbing(2, start=None, load=None)\n"
        f"    plumbing.run([check], {subject!r}, lambda result: None)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(script)], env=environment) as parent:
        deadline = time.monotonic() + 30
        while not place.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
    pid = int(place.read_text())
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)
