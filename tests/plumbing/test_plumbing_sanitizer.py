"""What is made of compute-sanitizer's report, by a program in its place that reports as it does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from verify.plumbing import sanitizer, table
from verify.plumbing.check import Answer, Subject

Reporting = Callable[[str, int], None]

READ = "========= Invalid __global__ read of size 1 bytes"
CALL = (
    "========= Program hit CUDA_ERROR_INVALID_CONTEXT (error 201) due to "
    '"invalid device context" on CUDA API call to cuCtxGetDevice.'
)
# As the real one: failing calls are reported, and count as errors, unless that is turned off.
PROGRAM = """#!{python}
import sys
words = sys.argv[1:]
told = "--report-api-errors no" not in " ".join(words)
lines = [line for line in {lines!r}.splitlines() if told or "Program hit" not in line]
print("\\n".join(["========= COMPUTE-SANITIZER", *lines]))
sys.exit(int(words[words.index("--error-exitcode") + 1]) if lines else {code})
"""


@pytest.fixture
def reporting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reporting:
    """reporting(lines, code): what it reports, and how the program under it ends."""

    def put(lines: str, code: int = 0) -> None:
        path = tmp_path / sanitizer.NAME
        path.write_text(PROGRAM.format(python=sys.executable, lines=lines, code=code))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


ANSWERING = """#!{python}
import pickle, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from verify.plumbing.check import Answer
Path(sys.argv[-1]).write_bytes(pickle.dumps(Answer(13)))
print({said!r})
"""


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("========= ERROR SUMMARY: 0 errors", ""),
        ("========= Error: Device not supported", "watched nothing: ========= Error: Device not"),
        ("", "watched nothing: it says no summary"),
    ],
)
def test_an_answer_counts_where_the_sanitizer_says_what_it_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: Subject, said: str, error: str
) -> None:
    path, root = tmp_path / sanitizer.NAME, str(Path(__file__).resolve().parents[2])
    path.write_text(ANSWERING.format(python=sys.executable, root=root, said=said))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    answer = run(subject)
    assert (answer.count, bool(answer.error)) == ((0, True) if error else (13, False))
    assert error in answer.error


def run(subject: Subject) -> Answer:
    return sanitizer.run(table.SANITIZER, subject, 20.0)


def test_an_access_out_of_bounds_is_told(reporting: Reporting, subject: Subject) -> None:
    reporting(f"{CALL}\n{READ}\n{READ}", 0)
    assert run(subject).faults == (
        "compute-sanitizer reports: Invalid __global__ read of size 1 bytes",
    )


def test_a_call_that_fails_is_no_access_out_of_bounds(
    reporting: Reporting, subject: Subject
) -> None:
    reporting(CALL, 3)
    answer = run(subject)
    assert answer.faults == ()
    assert answer.error == ("compute-sanitizer ended with exit code 3: ========= COMPUTE-SANITIZER")
