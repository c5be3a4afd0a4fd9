"""What a sweep does when something goes wrong: engines that fail, records that were damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import models
from models.mutants import mutant
from verify import observation, report, sweep_command
from verify.cases import parse
from verify.engines import EngineFailure, Executor, Lacking
from verify.engines.reference import Reference
from verify.errors import InputError
from verify.run import model_of
from verify.sweep import findings as found
from verify.sweep.record import SweepRecord, load
from verify.sweep.run import Host, Part, sweep
from verify.sweep.span import Span, whole
from verify.tolerances import Limits
from verify.tolerances import load as load_tolerances

Cli = Callable[..., Any]
Swept = Callable[..., SweepRecord]

CASE = "composed-alone-fp16-reference"
WIDE = "rational-alone-fp16-reference"  # a deviation accepts many inputs


def _changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    data = json.loads(path.read_text())
    change(data)
    copy = path.with_name("changed.json")
    copy.write_text(json.dumps(data))
    return copy


def test_a_shard_that_deviations_cover_wholly_has_no_worst_error(cli: Cli) -> None:
    done = cli("sweep", "--case", WIDE, "--shard", "20/64")
    assert done.code == 0, done.err
    assert "1 024 of 65 536" in done.out


def _more_breaches(data: dict[str, Any]) -> None:
    data["tally"]["breaches"][0]["count"] += 1


def _no_deviations(data: dict[str, Any]) -> None:
    data["tally"]["deviations"] = []
    data["verdict"] = "PASS"


def _wide(part: str, *keys: str | int, bits: str = "x_bits") -> Callable[[dict[str, Any]], None]:
    """Give a point of the last ``part`` that has one bits that are too wide."""

    def change(data: dict[str, Any]) -> None:
        point = [item for item in data["tally"][part] if item[keys[0]]][-1]
        for key in keys:
            point = point[key]
        point[bits] = "0x1ffff"

    return change


@pytest.mark.parametrize(
    ("wrong", "change", "told"),
    [
        ("", lambda data: data["tally"].update(bands=[]), "don't add up"),
        ("", lambda data: data["tally"]["bands"][0].update(output="z"), "the outputs are y"),
        ("", lambda data: data["tally"]["bands"][0].update(band="z"), "unknown band"),
        ("", lambda data: data["tally"]["bands"][0].update(histogram=[0]), "histogram"),
        ("", _no_deviations, "0 are accepted"),
        ("", lambda data: data["tally"]["deviations"][0].update(count=9), "9 inputs are accepted"),
        ("", lambda data: data.update(verdict="PASS"), "verdict PASS"),
        ("", lambda data: data.update(verdict="ERROR"), "verdict ERROR"),
        ("", lambda data: data.update(coverage="1 of 1"), "coverage"),
        ("one-input-wrong", _more_breaches, "2 breaches in bulk"),
        ("one-input-wrong", lambda data: data["tally"].update(breaches=[]), "accepted"),
        ("one-input-wrong", lambda data: data["tally"]["bands"][0].update(breaches=-1), "negative"),
        ("one-input-wrong", lambda data: data.update(verdict="KNOWN"), "verdict KNOWN"),
        ("one-input-wrong", _wide("breaches", "first", 0), "0x1ffff in fp16"),
        ("one-input-wrong", _wide("breaches", "worst", 0, bits="actual_bits"), "0x1ffff in fp16"),
        ("", _wide("bands", "worst"), "0x1ffff in fp16"),
        ("", _wide("bands", "outside"), "0x1ffff in fp16"),
        ("", _wide("deviations", "worst"), "0x1ffff in fp16"),
    ],
)
def test_what_a_record_says_twice_must_agree(
    cli: Cli,
    swept: Swept,
    wrong: str,
    change: Callable[[dict[str, Any]], object],
    told: str,
) -> None:
    Path("right.json").write_text(swept(CASE, wrong=wrong).to_json())
    load(Path("right.json"))
    changed = _changed(Path("right.json"), change)
    with pytest.raises(InputError, match=f"damaged: .*{told}"):
        load(changed)
    assert cli("merge", changed).code == 2


@pytest.mark.parametrize("context", ["branch", "conv", "chain", "residual"])
def test_records_of_every_context_are_read(tmp_path: Path, swept: Swept, context: str) -> None:
    path = tmp_path / "record.json"
    record = swept(f"rational-{context}-fp16-reference")
    path.write_text(record.to_json())
    assert load(path).to_json() == record.to_json()


class _Failing:
    """An engine that fails after so many units, at the one that is next."""

    jobs = 1
    plan = ""

    def __init__(self, backend: Host, after: int) -> None:
        self._backend, self._after = backend, after

    def parts(self, span: Span) -> Iterator[Part]:
        """What works."""
        if self._after:
            yield from self._backend.parts(Span(span.precision, span.first, self._after))
        raise EngineFailure("out of order")


def _fails(
    executor: Callable[[str], Executor], after: int, model: bytes
) -> tuple[SweepRecord, object]:
    case = parse(CASE)
    limits, runner = load_tolerances().limits(case), executor(CASE)
    backend = _Failing(Host(runner, case, model, limits), after)
    return sweep(backend, runner, case, model, limits, whole(case.precision))


def test_an_engine_that_fails_midway_loses_nothing(executor: Callable[[str], Executor]) -> None:
    right = model_of(parse(CASE))
    wrong = models.serialize(mutant("one-input-wrong").build("fp16"))
    for model, after, verdict in ((right, 20, "ERROR"), (wrong, 20, "FAIL"), (right, 64, "ERROR")):
        record, ended = _fails(executor, after, model)
        assert isinstance(ended, EngineFailure)
        assert (record.end, record.complete, record.verdict) == (after, False, verdict)
    with pytest.raises(EngineFailure):
        _fails(executor, 0, right)


@pytest.mark.parametrize("wrong", [False, True])
def test_an_engine_that_fails_midway_is_told_with_what_was_found(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, wrong: bool
) -> None:
    model = models.serialize(mutant("one-input-wrong").build("fp16"))
    if wrong:
        monkeypatch.setattr(sweep_command, "model_of", lambda case, node: model)
    monkeypatch.setattr(sweep_command, "Host", lambda *given: _Failing(Host(*given), 20))
    done = cli("sweep", "--case", CASE, "--out", "r.json", "--observe", "o.json")
    assert done.code == 1
    assert "out of order, after 20 480 of 65 536 inputs" in done.out
    assert ("FAIL" if wrong else "ERROR") in done.out
    assert ("0x399a" in done.out) == wrong
    assert Path("findings").exists() == wrong
    assert not load(Path("r.json")).complete
    assert not Path("o.json").exists()
    assert cli("merge", "r.json").code == 2


def _tight(tolerances: Path) -> None:
    """Let each deviation accept one input."""
    path = tolerances / "fp16.toml"
    path.write_text(re.sub(r"(largest_count\w*) = \S+", r"\1 = 1", path.read_text()))


def test_a_count_exceeded_is_executed_with_the_same_options(
    swept: Swept,
    executor: Callable[[str], Executor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("VERIFY_NESTED", raising=False)
    limits = load_tolerances().limits(parse(CASE))
    deviation = replace(limits.deviations[0], largest_count_of_all=0)
    limits = replace(limits, deviations=(deviation,))
    tried: list[list[str]] = []

    def ran(words: list[str], **options: Any) -> Any:
        tried.append(words)
        return type("Ran", (), {"returncode": 1, "stdout": found_.message})

    monkeypatch.setattr("verify.replay.line.subprocess.run", ran)
    record = swept(CASE, limits=limits)
    (found_,) = found.findings(parse(CASE), record, limits)
    own = tmp_path / "own"
    (one,) = _store(record, limits, executor(CASE), tmp_path, own)
    assert one.replay.line.endswith(f"sweep --case {CASE} --tolerances {own}")
    assert one.replay.reproduced
    assert tried[0][1:] == one.replay.line.split()[1:]
    monkeypatch.setenv("VERIFY_ORT_PROVIDER", "cuda")
    (one,) = _store(record, limits, executor(CASE), tmp_path, None)
    assert "--ort-provider" not in one.replay.line
    ort = record.model_copy(update={"case": "composed-alone-fp16-onnxruntime"})
    (one,) = _store(ort, limits, executor(CASE), tmp_path, None)
    assert one.replay.line.endswith("--ort-provider cuda")
    count = len(tried)
    long = record.model_copy(update={"case": "composed-alone-fp32-reference"})
    (one,) = _store(long, limits, executor(CASE), tmp_path, None)
    assert not one.replay.reproduced
    assert len(tried) == count
    report.print_findings(Console(), [one])
    told = capsys.readouterr().out
    assert "not executed: it takes minutes" in told
    assert "NOT REPRODUCED" not in told


def _store(
    record: SweepRecord, limits: Limits, runner: Executor, folder: Path, own: Path | None
) -> list[Any]:
    findings = found.findings(parse(record.case), record, limits)
    return [*found.store(findings, record, limits, b"", runner, folder, tolerances=own)]


def test_a_count_exceeded_is_reproduced_or_not(
    cli: Cli, tolerances: Path, swept: Swept, executor: Callable[[str], Executor], tmp_path: Path
) -> None:
    _tight(tolerances)
    done = cli("sweep", "--case", WIDE, "--tolerances", tolerances)
    assert done.code == 1, done.err
    assert "accepts 1" in done.out
    assert f"--tolerances {tolerances}" in done.out
    assert "NOT REPRODUCED" not in done.out
    limits = load_tolerances(tolerances).limits(parse(WIDE))
    # Without the folder the line holds the case to the project's own files, and passes.
    (one,) = _store(swept(WIDE, limits=limits), limits, executor(WIDE), tmp_path, None)
    assert not one.replay.reproduced


def test_what_an_engine_lacks_is_skipped(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*given: object) -> object:
        raise Lacking("not in this version")

    monkeypatch.setattr(Reference, "open", lacks)
    done = cli("sweep", "--case", CASE)
    assert done.code == 3, done.out
    assert "SKIPPED" in done.out
    assert "not in this version" in done.out


@pytest.mark.parametrize("change", ["none", "count", "stale"])
def test_a_sample_has_the_verdict_of_a_run(cli: Cli, tolerances: Path, change: str) -> None:
    path = tolerances / "fp16.toml"
    if change == "count":
        _tight(tolerances)
    if change == "stale":
        path.write_text(
            path.read_text()
            + f'\n[[deviation]]\ncases = ["{WIDE}"]\nkind = "inf"\nx = [1.0, 2.0]\n'
            + 'largest_count = 1\nreason = "this never happens at all"\n'
        )
    words = ("--case", WIDE, "--tolerances", tolerances)
    ran = cli("run", *words, "--check", "limits")
    done = cli("sweep", *words, "--sample", "--observe", "o.json")
    verdict = {"none": "KNOWN", "count": "FAIL", "stale": "STALE"}[change]
    assert verdict in ran.out
    assert verdict in done.out
    assert done.code == ran.code, done.err
    assert Path("o.json").exists()


def test_diff_tells_a_changed_verdict_by_its_exit_code(cli: Cli) -> None:
    assert cli("run", "--case", CASE, "--check", "limits", "--out", "a").code == 0
    right = Path("a/record.json")
    stale = _changed(right, lambda data: data["cases"][0].update(verdict="STALE"))
    done = cli("diff", right, stale)
    assert "verdict: KNOWN -> STALE" in done.out
    assert done.code == 1
    gate = _changed(right, lambda data: data.update(command="gate"))
    assert cli("diff", right, gate).code == 0


def test_diff_of_nothing_measured_is_no_agreement(cli: Cli) -> None:
    assert cli("run", "--case", CASE, "--check", "limits", "--out", "a").code == 0
    right = Path("a/record.json")
    empty = _changed(right, lambda data: data["cases"][0].update(bands=[], verdict="SKIPPED"))
    Path("empty.json").write_text(empty.read_text())
    done = cli("diff", "empty.json", "empty.json")
    assert done.code == 2
    assert done.err == (
        "error: empty.json and empty.json have nothing to compare: no case of both was measured\n"
    )
    assert cli("diff", right, "empty.json").code == 1


def test_another_machine_is_refused_before_the_work(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("sweep", "--case", CASE, "--observe", "o.json").code == 0
    monkeypatch.setattr(sweep_command, "sweep", lambda *given: pytest.fail("the work began"))
    for what in ("version", "device", "cpu"):
        data = json.loads(Path("o.json").read_text())
        Path("other.json").write_text(json.dumps({**data, what: "another"}))
        done = cli("sweep", "--case", CASE, "--observe", "other.json")
        assert done.code == 2, done.out
        assert f"observed with {what} 'another'" in done.err


def test_an_observation_that_fails_loses_no_findings(
    cli: Cli, tolerances: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tolerances / "fp16.toml"
    path.write_text(path.read_text().replace('"well" = 2.0', '"well" = 1.25'))

    def full(*given: object) -> None:
        raise InputError("o.json: can't be written: no space")

    monkeypatch.setattr(observation, "observe", full)
    done = cli("sweep", "--case", CASE, "--tolerances", tolerances, "--observe", "o.json")
    assert done.code == 2
    assert done.err == "error: o.json: can't be written: no space\n"
    assert "limit 1.25 ULP" in done.out
    assert len(list(Path(".verify/sweep/findings").iterdir())) == 1
