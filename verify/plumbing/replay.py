"""A finding's folder: a script that runs the check again without the rest of this package."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from verify.attached import with_us
from verify.errors import InputError
from verify.plumbing.check import Check, Result, Subject
from verify.replay.line import TIME_LIMIT, nested
from verify.worker import HANGS

__all__ = ["store"]

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE.parents[1]
_EMPTY = 'json.loads(r"""{}""")'
_OUTSIDE = (
    "again.py",
    "beside.py",
    "process.py",
    "replay.py",
    "sanitizer.py",
)  # not what runs beside the plugin
_MORE = ("verify/engines/inspection.py",)
_SCRIPT = """#!/bin/sh
# Shows the finding again: exit code 1 and `replay: FAIL:` while it is there, 0 when it is gone.
cd -- "$(dirname -- "$0")" || exit 2
exec python again.py "$@"
"""


def store(results: list[Result], subject: Subject, folder: Path, *, jobs: int = 3) -> list[Result]:
    """Write a folder for each FAIL, and run its line; the results with ``folder`` and ``line``.

    A result is ``reproduced`` if the line ended with 1 and `replay: FAIL:`. Raises InputError
    where a folder can't be written.
    """

    def one(result: Result) -> Result:
        if result.verdict != "FAIL":
            return result
        place = folder / f"plumbing_{result.check.name}"
        _write(place, result.check, subject)
        line = f"cd {shlex.quote(str(place.resolve()))} && {shlex.quote(sys.executable)} again.py"
        shown = nested() or _fails(place, hangs=HANGS in result.reason)
        return replace(result, folder=str(place), line=line, reproduced=shown)

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        return list(pool.map(one, results))


def _write(folder: Path, check: Check, subject: Subject) -> None:
    record = {"check": check.name, "subject": dataclasses.asdict(subject)}
    template = (_PACKAGE / "again.py").read_text(encoding="utf-8")
    if template.count(_EMPTY) != 1:
        raise AssertionError(f"again.py: expected {_EMPTY} once")
    text = template.replace(_EMPTY, f'json.loads(r"""{json.dumps(record, indent=1)}""")')
    new = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    try:
        (new / "verify" / "plumbing").mkdir(parents=True)
        (new / "verify" / "engines").mkdir()
        for package in ("verify", "verify/engines"):
            (new / package / "__init__.py").write_text('"""Copied for one finding."""\n')
        for path in sorted(_PACKAGE.glob("*.py")):
            if path.name not in _OUTSIDE:
                shutil.copyfile(path, new / "verify" / "plumbing" / path.name)
        for name in _MORE:
            shutil.copyfile(_ROOT / name, new / name)
        (new / "again.py").write_text(text, encoding="utf-8")
        (new / "replay.sh").write_text(_SCRIPT)
        (new / "replay.sh").chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: can't be written: {error.strerror}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fails(folder: Path, *, hangs: bool) -> bool:
    """Whether the line shows the finding; one that is a hang is shown by another."""
    try:
        ran = subprocess.run(
            [sys.executable, "again.py"],
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT,
            check=False,
            preexec_fn=with_us,
        )
    except subprocess.TimeoutExpired:
        return hangs
    return ran.returncode == 1 and "replay: FAIL: " in ran.stdout
