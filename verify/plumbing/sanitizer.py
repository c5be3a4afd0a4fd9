"""compute-sanitizer around one process that runs the plugin."""

from __future__ import annotations

import ctypes
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from verify.plumbing.check import Answer, Check, Subject

__all__ = ["NAME", "program", "run"]

NAME = "compute-sanitizer"

_FOUND = 86  # exit code for what the sanitizer reports
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
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
    libc = ctypes.CDLL(None)

    def with_us() -> None:  # it ends with the gate, however that ends; what it runs ends with it
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

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
                preexec_fn=with_us,
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
        return answer
    last = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), "")
    return Answer(error=f"{NAME} ended with exit code {done.returncode}: {last[:300]}")
