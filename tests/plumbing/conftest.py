"""Checks that end their process on purpose, by real native code."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from verify.plumbing.check import Subject

Native = Callable[[str], Subject]

_SOURCE = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void at_end(void) {{ abort(); }}

__attribute__((noinline)) void smash(volatile char *end) {{
  volatile char small[8];
  for (volatile char *at = small; at < small + 256; ++at) *at = 'x';
  if (end) *end = small[0];
}}

int act(void) {{ {statements} return 0; }}
"""

# What the tests' own checks do, in a module that a new process can import.
_CHECKS = '''
import ctypes, os, time
from pathlib import Path

from verify.plumbing.check import Broken, Check, Skipped


def act(bench, tally):
    """The library's function `act`, which may never return."""
    ctypes.CDLL(bench.subject.library).act()
    tally.expect("", "")


def right(bench, tally):
    tally.expect("", "")
    tally.note(str(os.getpid()))


def wrong(bench, tally):
    for number in range(20):
        tally.expect(f"place {number}", "" if number < 5 else "too small")


def nothing(bench, tally):
    pass


def missing(bench, tally):
    tally.expect("", "")
    tally.miss("fp32 CHW32 is claimed")
    tally.miss("fp16 CHW2 is claimed")


def wrong_and_missing(bench, tally):
    tally.expect("place 5", "too small")
    tally.miss("fp32 CHW32 is claimed")


def refused(bench, tally):
    raise Broken("TensorRT says no")


def skipped(bench, tally):
    raise Skipped("it has no fields")


def mistaken(bench, tally):
    raise KeyError("of the check itself")


def stuck(bench, tally):
    tally.expect("", "")
    bench.fault = lambda: "cudaErrorIllegalAddress"


def asleep(bench, tally):
    Path(bench.subject.library).write_text(str(os.getpid()))
    time.sleep(600)


def made(bench):
    return os.getpid()


def act_first(bench):
    ctypes.CDLL(bench.subject.library).act()


def taken(bench, tally):
    tally.expect("", "" if bench.payload != os.getpid() else "the same process")


def fails_to_start():
    raise RuntimeError("no GPU at all")


def nothing_to_start():
    pass


def not_loaded(subject):
    return "the library can't be loaded: undefined symbol"


def check(name, run, **options):
    return Check(name, "all is well", run, **{"seconds": 20.0, **options})
'''


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """The tests' own checks: a module that this process and new ones import."""
    import importlib
    import sys

    folder = tmp_path / "importable"
    folder.mkdir()
    (folder / "faulty_checks.py").write_text(_CHECKS)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "faulty_checks", raising=False)
    return importlib.import_module("faulty_checks")


@pytest.fixture
def native(tmp_path: Path, subject: Subject) -> Native:
    """native(statements): a subject whose library runs C statements when it is told to act."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")

    def build(statements: str) -> Subject:
        source, library = tmp_path / "native.c", tmp_path / "native.so"
        source.write_text(_SOURCE.format(statements=statements))
        options = ["-shared", "-fPIC", "-w", "-O0", "-fstack-protector-all"]
        subprocess.run([compiler, *options, "-o", str(library), str(source)], check=True)
        return replace(subject, library=str(library))

    return build
