"""Every mutant is killed by a check's own finding wherever it is wrong; no right form is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from models.mutants import MUTANTS, Mutant
from verify import command
from verify.cases import Case, parse, select
from verify.findings import LIMITS_CHECK
from verify.mutants import CHECKS, Killing, kill, score, spare
from verify.precision import FP32, by_name
from verify.run import FAILING, CaseResult, Job, verify
from verify.tolerances import load

TOLERANCES = load()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_is_killed_wherever_it_is_wrong(mutant: Mutant) -> None:
    tried = 0
    for precision in map(by_name, mutant.precisions):
        for engine in mutant.engines_for(precision.name):
            tried += 1
            killing = kill(mutant, engine, precision, TOLERANCES, 0, ())
            if not killing.checks:  # the properties take longer: only where they are needed
                killing = kill(mutant, engine, precision, TOLERANCES, 0)
            assert killing.error == ""
            assert killing.checks, f"{mutant.name} survives on {engine} in {precision.name}"
    assert tried


def test_a_mutant_that_breaks_down_is_not_killed() -> None:
    class Broken:
        name, form = "broken", "composed"

        def build(self, precision: str, *, rank: int) -> object:
            raise RuntimeError("can't be built")

    killing = kill(Broken(), "reference", FP32, TOLERANCES, 0)  # type: ignore[arg-type]
    assert killing.checks == ()
    assert "can't be built" in killing.error
    assert score([killing]).survived == ("broken",)


def test_an_interrupted_run_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killings(chosen: Sequence[Mutant], *_: object) -> Iterator[tuple[Mutant, list[Killing]]]:
        yield chosen[0], [Killing(chosen[0].name, "reference", "fp32", ("limits",))]
        raise KeyboardInterrupt

    monkeypatch.setattr("verify.mutants.killings", killings)
    path = tmp_path / "table.json"
    with pytest.raises(KeyboardInterrupt):
        command.mutants(0, ("silu", "hard-mish"), path)
    data = json.loads(path.read_text())
    assert data["complete"] is False
    assert [row["mutant"] for row in data["killings"]] == ["silu"]


def test_the_score_adds_up() -> None:
    table = [
        Killing("a", "reference", "fp32", ("limits",)),
        Killing("a", "reference", "fp16", ("limits", "sign")),
        Killing("b", "reference", "fp32", ("sign",)),
        Killing("c", "reference", "fp32", ("limits",)),
        Killing("c", "reference", "fp16", ()),
    ]
    total = score(table)
    assert total.killed == ("a", "b")
    assert total.survived == ("c",)
    assert total.alone == {"limits": ("c",), "sign": ("b",)}
    assert set(total.idle) == set(CHECKS) - {"limits", "sign"}


@pytest.mark.parametrize(
    "case_id", ["composed-alone-fp16-reference", "rational-alone-fp32-onnxruntime"]
)
def test_a_right_form_is_spared_by_every_check(case_id: str) -> None:
    assert spare(parse(case_id), TOLERANCES, 0) == ()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_no_false_alarm_in_any_context(seed: int, tmp_path: Path) -> None:
    """Seed 0 is what the command line tests run; 16-bit samples don't depend on the seed."""
    cases = select(precisions=["fp32"], engines=["reference", "onnxruntime"])
    results: list[CaseResult] = []
    verify(Job(cases, TOLERANCES, seed, tmp_path, (LIMITS_CHECK,)), results.append)
    failed = {r.case.id: r.reason for r in results if r.verdict in FAILING}
    assert failed == {}
    assert len(results) == 50


def test_sixteen_bit_cases_hold_on_every_input(tmp_path: Path) -> None:
    cases = select(precisions=["fp16", "bf16"], engines=["reference", "onnxruntime"])
    results = verify(Job(cases, TOLERANCES, 0, tmp_path, (LIMITS_CHECK,)), lambda _: None)
    assert {r.case.id: r.reason for r in results if r.verdict in FAILING} == {}
    executed = [r for r in results if r.verdict != "SKIPPED"]
    assert len(executed) == 75
    assert {r.samples for r in executed} == {65536}
    skipped: list[Case] = [r.case for r in results if r.verdict == "SKIPPED"]
    assert {(c.engine, c.precision.name) for c in skipped} == {("onnxruntime", "bf16")}
