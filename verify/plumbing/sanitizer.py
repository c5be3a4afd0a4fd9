"""compute-sanitizer around one process that runs the plugin."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from verify.attached import with_us
from verify.plumbing.check import Answer, Check, Subject

__all__ = ["NAME", "program", "run"]

NAME = "compute-sanitizer"

_FOUND = 86  # exit code for what the sanitizer reports
_WATCHED = r"^=+ ERROR SUMMARY: 0 errors"  # the last that memcheck says of a program
_SCRIPT = """
import pickle, sys
from pathlib import Path
from verify.plumbing import worker
check, subject = pickle.loads(Path(sys.argv[1]).read_bytes())
worker.start()
fault = worker.load(subject)
assert not fault, fault
Path(sys.argv[2]).write_bytes(pickle.dumps(worker.perform(check, subject)))
"""


def program() -> str:
    """The path of compute-sanitizer; empty if there is none."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return shutil.which(NAME) or shutil.which(NAME, path=f"{home}/bin") or ""


def run(check: Check, subject: Subject, seconds: float) -> Answer:
    """Run a check under memcheck. What it reports is a fault; the first report is told."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given", Path(folder) / "made"
        given.write_bytes(pickle.dumps((check, subject)))
        # Calls that fail are no access out of bounds: CUDA's own bindings try some.
        words = [program(), "--tool", "memcheck", "--report-api-errors", "no"]
        words += ["--error-exitcode", str(_FOUND)]
        words += [sys.executable, "-c", _SCRIPT, str(given), str(made)]
        path = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
        try:
            done = subprocess.run(
                words,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
                preexec_fn=with_us,  # what it runs ends with it
            )
        except subprocess.TimeoutExpired:
            return Answer(1, (f"the process did not answer within {seconds:g} s",))
        except OSError as error:
            return Answer(error=f"{NAME}: {error.strerror}")
        answer = pickle.loads(made.read_bytes()) if made.exists() else None
    reported = re.findall(r"^=+ (Invalid .*|Address .*)$", done.stdout, re.MULTILINE)
    if done.returncode == _FOUND:
        said = "; ".join(dict.fromkeys(line.strip() for line in reported[:3]))
        count = 1 if answer is None else answer.count
        return Answer(count, (f"{NAME} reports: {said or 'an error'}",))
    if isinstance(answer, Answer):
        if answer.faults or re.search(_WATCHED, done.stdout, re.MULTILINE):
            return answer
        said = next((line for line in done.stdout.splitlines() if "Error" in line), "")
        return Answer(error=f"{NAME} watched nothing: {said[:300] or 'it says no summary'}")
    last = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), "")
    return Answer(error=f"{NAME} ended with exit code {done.returncode}: {last[:300]}")
