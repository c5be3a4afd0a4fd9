from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from verify.cases import parse
from verify.record import load
from verify.report import print_table
from verify.run import CaseResult
from verify.tolerances import DEFAULT_FOLDER

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

ONE = ("--case", "op-alone-bf16-reference")


def test_a_good_case_exits_0_and_leaves_only_its_output_folder(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", *ONE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".verify"]
    assert sorted(path.name for path in (tmp_path / ".verify").iterdir()) == [
        ".lock",
        "record.json",
    ]
    assert "KNOWN" in done.stdout
    assert "65 536" in done.stdout
    assert "seed 0" in done.stdout


def test_what_a_killed_run_was_writing_is_in_nobodys_way(cli: Cli, tmp_path: Path) -> None:
    half = tmp_path / ".verify/findings/.plumbing_stream.new-17"
    half.mkdir(parents=True)
    done = cli("run", *ONE)
    assert done.returncode == 0, done.stderr
    assert not half.exists()


def test_the_record_holds_what_its_schema_promises(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", *ONE, "--seed", "7", "--json", "copy.json", "--junit", "junit.xml")
    assert done.returncode == 0, done.stderr
    raw = json.loads((tmp_path / ".verify/record.json").read_text())
    assert raw == json.loads((tmp_path / "copy.json").read_text())
    assert raw["schema_version"] == 1
    assert raw["seed"] == 7
    assert raw["complete"] is True
    assert raw["environment"]["engines"][0]["version"]
    (case,) = raw["cases"]
    assert case["id"] == "op-alone-bf16-reference"
    assert case["verdict"] == "KNOWN"
    assert case["samples"] == 65536
    assert sum(band["samples"] for band in case["bands"]) == 65536
    for band in case["bands"]:
        assert {"band", "samples", "limit", "worst"} <= band.keys()
        worst = band["worst"]
        assert {"x", "x_bits", "expected", "actual", "error_ulp"} <= worst.keys()
        if band["limit"] is not None:
            assert worst["error_ulp"] <= band["limit"]
    assert min(case["properties"].values()) > 0
    assert json.loads(load(tmp_path / "copy.json").to_json()) == raw
    test = ET.parse(tmp_path / "junit.xml").getroot().find(".//testcase")
    assert test is not None
    assert test.get("name") == "op-alone-bf16-reference"


def test_list_prints_ids_that_case_takes_back(cli: Cli) -> None:
    listed = cli("run", "--list", "--form", "plugin", "--precision", "fp16")
    assert listed.returncode == 0
    assert "plugin-alone-fp16-tensorrt" in listed.stdout.splitlines()
    again = cli("run", "--list", "--case", "plugin-alone-fp16-tensorrt")
    assert again.stdout.split() == ["plugin-alone-fp16-tensorrt"]


def test_nothing_executed_exits_3_and_says_why(cli: Cli) -> None:
    done = cli("run", "--engine", "tensorrt", "--form", "op", "--context", "alone")
    if "SKIPPED" not in done.stdout:
        pytest.skip("TensorRT executes on this machine")
    assert done.returncode == 3
    assert "SKIPPED 3 on tensorrt: " in done.stdout


def test_a_tightened_limit_fails_with_a_line_that_shows_it_again(
    cli: Cli, tolerances: Path, tmp_path: Path
) -> None:
    path = tolerances / "fp16.toml"
    text = path.read_text()
    assert '"well" = 2.0, "origin" = 2.0' in text
    path.write_text(text.replace('"well" = 2.0, "origin" = 2.0', '"well" = 1.5, "origin" = 2.0'))
    done = cli("run", "--case", "composed-alone-fp16-reference", "--tolerances", str(tolerances))
    assert done.returncode == 1
    assert "NOT REPRODUCED" not in done.stdout
    record = load(tmp_path / ".verify/record.json")
    assert record.cases[0].verdict == "FAIL"
    finding = record.findings[0]
    assert finding.check == "limits"
    assert finding.band == "well"
    assert finding.limit == 1.5
    assert finding.point is not None
    assert finding.point.error_ulp > 1.5
    assert finding.point.x_bits in done.stdout
    assert finding.replay is not None
    assert finding.replay.folder is not None
    assert finding.replay.reproduced
    line = subprocess.run(
        finding.replay.line, shell=True, capture_output=True, text=True, check=False
    )
    assert line.returncode == 1
    assert finding.point.x_bits in line.stdout
    assert cli("replay", ".verify").returncode == 1
    assert cli("replay", str(Path(".verify") / finding.replay.folder)).returncode == 1


def test_a_deviation_that_no_longer_happens_is_stale(cli: Cli, tolerances: Path) -> None:
    path = tolerances / "bf16.toml"
    path.write_text(
        path.read_text()
        + '\n[[deviation]]\ncases = ["op-alone-bf16-reference"]\nx = [1.0, 2.0]\nkind = "inf"\n'
        + 'largest_count = 1\nreason = "never happens, to be found out"\n'
    )
    done = cli("run", *ONE, "--tolerances", str(tolerances))
    assert done.returncode == 1
    assert "STALE" in done.stdout
    assert "no longer happens" in done.stdout
    other = cli("run", "--case", "op-chain-bf16-reference", "--tolerances", str(tolerances))
    assert other.returncode == 0, "a case that was not selected can't be stale"


def test_a_listed_refusal_that_is_now_accepted_is_stale(cli: Cli, tolerances: Path) -> None:
    path = tolerances / "bf16.toml"
    path.write_text(
        path.read_text()
        + '\n[[refusal]]\ncases = ["op-alone-bf16-reference"]\nwords = "no"\n'
        + 'reason = "never happens, to be found out"\n'
    )
    done = cli("run", *ONE, "--tolerances", str(tolerances))
    assert done.returncode == 1
    assert "STALE" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"*-bf16-onnxruntime"', '"op-chain-bf16-onnxruntime"', "refused, and not listed"),
        ('words = "NOT_IMPLEMENTED"', 'words = "other words"', "refused for another reason"),
    ],
)
def test_an_unlisted_refusal_is_an_error(
    cli: Cli, tolerances: Path, old: str, new: str, why: str
) -> None:
    path = tolerances / "bf16.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    words = ("run", "--case", "op-alone-bf16-onnxruntime", "--tolerances", str(tolerances))
    done = cli(*words)
    assert done.returncode == 1
    assert "ERROR" in done.stdout
    assert why in done.stdout
    assert "NOT_IMPLEMENTED" in done.stdout, "the engine's own words"


def test_a_case_without_limits_is_an_error_and_the_others_go_on(cli: Cli, tolerances: Path) -> None:
    path = tolerances / "bf16.toml"
    text = path.read_text()
    start = text.index('[[limit]]\nforms = ["exp_log"]\nengines = ["reference"]')
    path.write_text(text[:start] + text[text.index("[[limit]]", start + 1) :])
    words = ("--precision", "bf16", "--context", "alone", "--engine", "reference")
    done = cli("run", *words, "--check", "limits", "--tolerances", str(tolerances))
    assert done.returncode == 1
    assert "1 ERROR, 4 KNOWN" in done.stdout
    assert "bf16.toml: no [[limit]] for form 'exp_log', engine 'reference'" in done.stdout


def test_a_listed_refusal_is_skipped_in_the_engines_words(cli: Cli) -> None:
    done = cli("run", "--case", "op-alone-bf16-onnxruntime")
    assert done.returncode == 3, "nothing was executed"
    assert "refused: [ONNXRuntimeError] : 9 : NOT_IMPLEMENTED" in done.stdout


def test_plans_are_built_and_not_called_verified(cli: Cli) -> None:
    pytest.importorskip("tensorrt_rtx")
    done = cli("run", "--engine", "tensorrt_rtx", "--context", "alone")
    assert done.returncode == 3, done.stdout
    assert "14 BUILT, 1 SKIPPED" in done.stdout
    assert "Only FLOAT32 or FLOAT16 input is supported" in done.stdout


def test_one_check_alone(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "--case", "op-alone-fp16-reference", "--check", "monotone")
    assert done.returncode == 0
    (case,) = load(tmp_path / ".verify/record.json").cases
    assert case.bands == ()
    assert list(case.properties) == ["monotone"]
    assert case.verdict == "PASS"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--engine", "cuda"], "--engine"),
        (["run", "--form", "gelu"], "--form"),
        (["run", "--precision", "fp8"], "--precision"),
        (["run", "--context", "loop"], "--context"),
        (["run", "--case", "op-alone"], "FORM-CONTEXT-PRECISION-ENGINE"),
        (["run", "--case", "op-alone-fp64-reference"], "fp32, fp16, bf16"),
        (["run", "--case", "op-alone-fp32-reference", "--form", "plugin"], "no case"),
        (["run", "--check", "nothing"], "limits"),
        (["run", "--seed", "x"], "--seed"),
        (["run", "--seed", "-1"], "--seed"),
        (["run", "--check", "sign", "--context", "chain"], "alone"),
        (["run", *ONE, "--tolerances", "absent"], "absent"),
        (["run", *ONE, "--out", "file/out"], "file/out"),
        (["run", *ONE, "--out", "file"], "--out"),
        (["run", *ONE, "--json", "file/x.json"], "file/x.json"),
        (["run", *ONE, "--json", "."], "--json"),
        (["run", *ONE, "--json", "x", "--junit", "x"], "same file"),
        (["run", "--frobnicate"], "--frobnicate"),
        (["replay", "absent"], "absent"),
        (["mutants", "--mutant", "x-man"], "x-man"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(
    cli: Cli, tmp_path: Path, words: list[str], told: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    done = cli(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_corrupt_record_is_refused(cli: Cli, tmp_path: Path) -> None:
    for text in ("", "{", '{"schema_version": 99}', "[]"):
        (tmp_path / "record.json").write_text(text)
        done = cli("replay", str(tmp_path))
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "record.json" in done.stderr


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(cli: Cli, tmp_path: Path) -> None:
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = cli("run", *ONE, preexec_fn=small)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "record.json: can't be written" in done.stderr
    assert [path.name for path in (tmp_path / ".verify").iterdir()] == [".lock"]


def _start(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(DEFAULT_FOLDER.parent)}
    return subprocess.Popen(
        [sys.executable, "-m", "verify", "run", *words],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _await(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never appeared")


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    started = _start(tmp_path, "--engine", "reference", "--engine", "onnxruntime")
    _await(tmp_path / ".verify/.lock")
    time.sleep(2.5)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert started.returncode == 130, errors
    record = load(tmp_path / ".verify/record.json")
    assert not record.complete
    assert len(record.cases) < 150
    where = "kept in .verify/record.json"
    assert errors == f"interrupted after {len(record.cases)} of 150 cases; {where}\n"


def test_a_second_ctrl_c_spoils_nothing(tmp_path: Path) -> None:
    started = _start(tmp_path, "--engine", "reference", "--engine", "tensorrt_rtx")
    _await(tmp_path / ".verify/.lock")
    time.sleep(1.5)
    for _ in range(3):
        started.send_signal(signal.SIGINT)
        time.sleep(0.03)
    _, errors = started.communicate(timeout=30)
    assert started.returncode == 130, errors
    assert not load(tmp_path / ".verify/record.json").complete


def test_nothing_of_the_users_is_taken_away(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "own"
    (out / "findings").mkdir(parents=True)
    (out / "findings/thesis.txt").write_text("precious")
    done = cli("run", *ONE, "--check", "sign", "--out", "own")
    assert done.returncode == 2
    assert "--out own: " in done.stderr
    assert (out / "findings/thesis.txt").read_text() == "precious"
    other = tmp_path / "other"
    other.mkdir()
    (other / "record.json").write_text("[1, 2]")
    assert cli("run", *ONE, "--check", "sign", "--out", "other").returncode == 2
    assert (other / "record.json").read_text() == "[1, 2]"


def test_a_folder_without_findings_replays_nothing(cli: Cli) -> None:
    assert cli("run", *ONE, "--check", "sign").returncode == 0
    done = cli("replay", ".verify")
    assert done.returncode == 3
    assert "no findings to replay" in done.stdout


def test_a_narrow_terminal_keeps_verdict_and_numbers() -> None:
    result = CaseResult(parse("composed-residual-fp16-reference"), "SKIPPED", "because " * 20)
    file = io.StringIO()
    print_table(Console(width=40, force_terminal=True, file=file), [result])
    assert "composed-residual-fp16-reference" in file.getvalue()
    assert "SKIPPED" in file.getvalue()


def test_two_runs_into_one_folder_are_refused(cli: Cli, tmp_path: Path) -> None:
    started = _start(tmp_path, "--engine", "reference")
    try:
        _await(tmp_path / ".verify/.lock")
        done = cli("run", *ONE)
        assert done.returncode == 2
        assert "another run is writing there" in done.stderr
    finally:
        started.kill()
        started.communicate()
    assert cli("run", *ONE).returncode == 0, "a lock that a killed run left is no lock"


def test_help_answers_without_importing_numpy() -> None:
    code = (
        "import sys\nsys.argv = ['verify', '--help']\n"
        "import verify.__main__ as m\n"
        "try: m.main()\nexcept SystemExit: pass\n"
        "print([n for n in ('numpy', 'onnx', 'rich', 'hypothesis') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=DEFAULT_FOLDER.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("run", "replay", "mutants", "doctor"):
        assert f"\n  {command} " in done.stdout


def test_doctor_names_every_engine(cli: Cli) -> None:
    done = cli("doctor")
    assert done.returncode == 0
    for name in ("reference", "onnxruntime", "tensorrt_rtx", "tensorrt"):
        assert name in done.stdout
