"""What plumbing checks come to: the last word, the record, JUnit, and what is printed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from verify import report
from verify.cases import Case
from verify.gate import outcome
from verify.gate_command import _with_checks
from verify.plumbing import replay, table
from verify.plumbing.check import Result, Subject
from verify.precision import FP32
from verify.record import Record, environment
from verify.run import CaseResult
from verify.worker import HANGS

ROOT = Path(__file__).resolve().parents[2]

PASS = Result(table.by_name("stream"), "PASS", count=6, seconds=0.5)
LOOKED = Result(table.by_name("registry"), "PASS", count=5)  # never runs the plugin
FAIL = Result(
    table.by_name("capture"),
    "FAIL",
    "fp32, blocking stream: the capture fails",
    ("fp32, blocking stream: the capture fails", "fp16: [stale]"),
    8,
)
SKIPPED = Result(table.by_name("unload"), "SKIPPED", "it can't be unloaded")
ERROR = Result(table.by_name("huge"), "ERROR", "the check itself broke down: KeyError: 'x'")


@pytest.mark.parametrize(
    ("checks", "why", "word", "code"),
    [
        ((PASS, SKIPPED), "", "SHIP: libfoo.so: 1 checks of its plumbing passed", 0),
        ((PASS, FAIL), "", "DO NOT SHIP: capture: fp32, blocking stream: the capture fails", 1),
        ((ERROR, FAIL), "", "DO NOT SHIP: capture: ", 1),
        ((PASS, ERROR), "", "COULD NOT VERIFY: huge: the check itself broke down", 3),
        ((SKIPPED,), "", "COULD NOT VERIFY: unload: it can't be unloaded", 3),
        ((LOOKED,), "", "COULD NOT VERIFY: libfoo.so: 1 checks of its plumbing passed, no oth", 3),
        ((LOOKED, PASS), "", "SHIP: libfoo.so: 2 checks of its plumbing passed", 0),
        ((PASS,), "no precision", "DO NOT SHIP: no precision", 1),
        ((), "", "DO NOT SHIP: libfoo.so: no case of the plugin was executed", 1),
    ],
)
def test_the_last_word(checks: tuple[Result, ...], why: str, word: str, code: int) -> None:
    last = outcome([], "libfoo.so", checks, why)
    assert last.sentence.startswith(word)
    assert last.exit_code == code


@pytest.mark.parametrize(("context", "word"), [("alone", "DO NOT SHIP"), ("conv", "SHIP")])
def test_only_a_deviation_of_its_own_may_not_be_stale(context: str, word: str) -> None:
    """TensorRT's own layers around the plugin may do better than where they were observed."""
    good = CaseResult(Case("plugin", "alone", FP32, "tensorrt"), "PASS", samples=10)
    stale = CaseResult(Case("plugin", context, FP32, "tensorrt"), "STALE", "not seen", samples=10)
    assert outcome([good, stale], "libfoo.so", [PASS]).word == word
    failed = replace(stale, verdict="FAIL")
    assert outcome([good, failed], "libfoo.so", [PASS]).word == "DO NOT SHIP"


def test_the_record_holds_rows_and_findings(tmp_path: Path) -> None:
    empty = Record(
        schema_version=1,
        command="gate",
        complete=True,
        seed=0,
        tolerances="",
        environment=environment([]),
        cases=(),
        findings=(),
    )
    told = replace(FAIL, folder=str(tmp_path / "findings" / "x"), line="cd x", reproduced=True)
    record = Record.model_validate_json(_with_checks(empty, [PASS, told], tmp_path).to_json())
    assert [(row.check, row.verdict) for row in record.checks] == [
        ("stream", "PASS"),
        ("capture", "FAIL"),
    ]
    (finding,) = record.findings
    assert (finding.case, finding.check, finding.count) == ("plumbing", "capture", 2)
    assert finding.replay is not None
    assert finding.replay.folder == "findings/x"


def test_every_verdict_is_printed_and_in_junit(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    results = [PASS, FAIL, SKIPPED, ERROR]
    report.print_checks(console, results)
    report.print_faults(console, results, "python -m verify gate --check")
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "plumbing: capture: not so: captured in a CUDA graph it is replayed right" in printed
    assert "  found     fp16: [stale]" in printed
    assert "  again     python -m verify gate --check capture" in printed
    assert printed.count("not so") == 1
    report.junit(tmp_path / "junit.xml", [], results)
    xml = (tmp_path / "junit.xml").read_text()
    assert xml.count("<testcase") == 4
    assert xml.count("<failure") == xml.count("<error") == xml.count("<skipped") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sanitize",), "error: --sanitize: compute-sanitizer is neither on PATH"),
        (("--check", "sanitizer"), "error: --sanitize: compute-sanitizer is neither on PATH"),
        (("--check", "streams"), "error: --check 'streams': unknown; allowed: limits, "),
    ],
)
def test_bad_checks_are_refused_in_one_line(
    build: Callable[..., Path],
    gate: Callable[..., subprocess.CompletedProcess[str]],
    options: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = build("plain", "int f(void) { return 1; }")
    monkeypatch.setenv("PATH", "/none")
    monkeypatch.setenv("CUDA_HOME", "/none")
    done = gate("--plugin", library, *options)
    assert done.returncode == 2
    assert done.stderr.startswith(words)
    assert done.stderr.count("\n") == 1


def test_a_findings_folder_stands_on_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: Subject
) -> None:
    monkeypatch.setenv("VERIFY_NESTED", "1")  # the line is not tried
    library = tmp_path / "libfoo.so"
    library.write_bytes(b"")
    fields = (("scale", "FLOAT32", 1.5),)
    subject = replace(subject, library=str(library), fields=fields)
    results = replay.store([PASS, FAIL], subject, tmp_path / "findings")
    assert (results[0].folder, results[0].line) == ("", "")
    folder = Path(results[1].folder)
    assert results[1].line.startswith(f"cd {folder}")
    assert (folder / "replay.sh").stat().st_mode & 0o111

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables
        command = [sys.executable, "again.py", *words]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    # No GPU here: it says so, and is no finding.
    done = run(CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "TensorRT does not start" in done.stderr
    assert "capture: captured in a CUDA graph" in done.stdout
    assert run("/none/such.so").returncode == 2
    # Nothing of this package but what was copied is imported.
    code = "import sys; sys.argv = ['']; import again; from verify.plumbing import table\n"
    code += "print([m for m in sys.modules if m.startswith('verify')], again._subject('l').fields)"
    listed = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert "'verify.plumbing.bench'" in listed
    assert "verify.precision" not in listed
    assert "(('scale', 'FLOAT32', 1.5),)" in listed
    assert not list(folder.parent.glob(".*"))


def test_again_tells_how_the_process_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: Subject
) -> None:
    monkeypatch.setenv("VERIFY_NESTED", "1")
    library = tmp_path / "libfoo.so"
    library.write_bytes(b"")
    (result,) = replay.store([FAIL], replace(subject, library=str(library)), tmp_path)
    worker = Path(result.folder) / "verify" / "plumbing" / "worker.py"
    original = worker.read_text()
    for statement, code, words in [
        ("os.abort()", 1, "replay: FAIL: the process was ended by SIGABRT"),
        ("os._exit(3)", 1, "replay: FAIL: the process ended with exit code 3"),
        ("return Answer(3, ('stale',))", 1, "replay: FAIL: stale"),
        ("return Answer(3)", 0, "replay: PASS: 3 comparisons"),
        ("return Answer(error='KeyError')", 2, "nothing was tested: KeyError"),
    ]:
        text = original.replace("    _own().start(builds=builds)\n", "").replace(
            "    bench, tally = _own(), Tally()\n", f"    import os\n    {statement}\n"
        )
        text = text.replace("        bench.load()\n", "        pass\n")
        worker.write_text(text)
        done = subprocess.run(
            [sys.executable, "again.py"],
            cwd=result.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (statement, done)
        assert words in done.stdout + done.stderr


@pytest.mark.parametrize(("reason", "shown"), [("it is wrong", False), ("", True)])
def test_a_hang_is_shown_by_another_and_ends_with_it(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, shown: bool
) -> None:
    monkeypatch.setattr(replay, "TIME_LIMIT", 3.0)
    (tmp_path / "cuda.py").write_text(  # the first that such a process imports
        "import os, time\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    library = tmp_path / "libfoo.so"
    library.touch()
    subject = replace(subject, library=str(library))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("VERIFY_NESTED", raising=False)
    said = reason or f"the process {HANGS} 60 s"
    result = replace(FAIL, check=table.by_name("registry"), reason=said, faults=(said,))
    (stored,) = replay.store([result], subject, tmp_path / "findings")
    assert stored.reproduced is shown
    inside = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{inside}/stat").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{inside}/stat").exists()
