"""Each property alone catches the mutant named beside it, and shrinks what it finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.mutants import MUTANTS, mutant
from verify.cases import Case
from verify.findings import Finding
from verify.precision import FP32, PRECISIONS, by_name
from verify.properties import PROPERTIES, Falsified, Property, check, finding
from verify.properties import by_name as property_by_name

SEEDS = range(5)
ROOT = Path(__file__).resolve().parents[2]

# ONNX Runtime's limit for the well is as wide as that mutant is deep.
BELOW_THE_LIMIT = {("minimum", "fp32", "onnxruntime")}

KILLS = [
    pytest.param(each, precision, engine, id=f"{each.name}-{precision}-{engine}")
    for each in PROPERTIES
    for precision in mutant(each.mutant).precisions
    for engine in mutant(each.mutant).engines_for(precision)
    if (each.name, precision, engine) not in BELOW_THE_LIMIT
]

# Further mutants that a property is there for.
ALSO = [
    ("finite", "exp-overflow-to-nan"),
    ("minimum", "hard-mish"),
    ("sign", "without-x"),
    ("identity", "exp-overflow-to-zero"),
    ("monotone", "gelu-erf"),
    ("nonfinite", "inf-to-nan"),
    ("position", "neighbours"),
    ("position", "batch-ignored"),
    ("shapes", "batch-ignored"),
    ("shapes", "unwritten-tail"),
    ("forms", "f1-as-published"),
    ("forms", "fast-exp"),
]


def falsify(subject: Any, each: Property, case: Case, name: str, seed: int) -> Falsified:
    (outcome,) = check(subject(case, mutant(name)), [each], seed)
    assert outcome.falsified is not None, f"{name} survived with seed {seed}"
    assert outcome.falsified.property is each
    return outcome.falsified


def case_of(name: str, precision: str, engine: str) -> Case:
    return Case(mutant(name).form, "alone", by_name(precision), engine)


def test_every_property_names_a_mutant_of_its_own() -> None:
    names = [each.mutant for each in PROPERTIES]
    assert len(set(names)) == len(names)
    assert set(names) <= {each.name for each in MUTANTS}


@pytest.mark.parametrize(("each", "precision", "engine"), KILLS)
def test_property_alone_kills_its_mutant(
    each: Property, precision: str, engine: str, subject: Any
) -> None:
    case = case_of(each.mutant, precision, engine)
    for seed in SEEDS:
        falsified = falsify(subject, each, case, each.mutant, seed)
        assert 0 < falsified.count <= falsified.samples
        assert falsified.x.size <= (6 if each.name == "shapes" else 2)


@pytest.mark.parametrize(("name", "wrong"), ALSO)
def test_property_kills_more_mutants(name: str, wrong: str, subject: Any) -> None:
    for seed in SEEDS:
        falsify(subject, property_by_name(name), case_of(wrong, "fp32", "reference"), wrong, seed)


def test_shrunk_inputs_still_show_it(subject: Any) -> None:
    for each in PROPERTIES:
        precision = mutant(each.mutant).precisions[0]
        case = case_of(each.mutant, precision, "reference")
        if each.name == "repeatable":
            continue
        x = falsify(subject, each, case, each.mutant, 0).x
        wrong = subject(case, mutant(each.mutant)).run(x)
        right = subject(case).run(x)
        bits = case.precision.bits_dtype
        assert (wrong.view(bits) != right.view(bits)).any(), each.name


def test_the_same_seed_finds_the_same_input(subject: Any) -> None:
    case = case_of("step-in-bulk", "fp32", "reference")
    first, second = (
        falsify(subject, property_by_name("monotone"), case, "step-in-bulk", 3) for _ in range(2)
    )
    assert first.message == second.message
    assert first.point == second.point
    np.testing.assert_array_equal(first.x, second.x)


def test_a_finding_says_what_was_expected_of_which_input(subject: Any) -> None:
    case = case_of("saturates-early", "fp32", "reference")
    falsified = falsify(subject, property_by_name("identity"), case, "saturates-early", 0)
    found = finding(case, falsified)
    assert isinstance(found, Finding)
    assert (found.check, found.band, found.kind) == ("identity", "identity", "ulp")
    assert found.limit == case_limit(subject, case)
    assert found.point is not None
    assert f"mish({found.point.x:.9g}) is" in found.message
    assert found.point.x_bits in "\n".join(found.lines())


def case_limit(subject: Any, case: Case) -> float:
    return float(subject(case).limits.ulp["identity", "regular"])


@pytest.mark.parametrize(
    ("name", "wrong", "kind"),
    [
        ("finite", "rational-unguarded", "nan"),
        ("sign", "tail-sign-lost", "sign"),
        ("zero-sign", "negative-zero-lost", "sign"),
        ("nonfinite", "nan-swallowed", "nan"),
        ("position", "position", "ulp"),
    ],
)
def test_findings_have_the_kind_of_their_worst_input(
    name: str, wrong: str, kind: str, subject: Any
) -> None:
    case = case_of(wrong, "fp32", "reference")
    found = finding(case, falsify(subject, property_by_name(name), case, wrong, 1))
    assert found.kind == kind


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import models
from models.mutants import mutant
from verify.cases import Case
from verify.engines import engine
from verify.precision import FP32
from verify.properties import Sessions, Subject, by_name, check
from verify.tolerances import load

wrong, reference = mutant("step-in-bulk"), engine("reference")
def opened(form, precision, rank):
    model = models.serialize(wrong.build(precision.name, rank=rank))
    return reference.open(model, precision)
with Sessions(opened) as sessions:
    subject = Subject(Case("composed", "alone", FP32, "reference"), load().limits, sessions)
    properties = [by_name("position"), by_name("monotone"), by_name("shapes")]
    outcomes = check(subject, properties, 3)
with open(sys.argv[2], "wb") as file:
    file.write(outcomes[1].falsified.x.tobytes())
"""


def test_nothing_is_written_or_printed_and_any_process_finds_the_same(
    subject: Any, tmp_path: Path
) -> None:
    here, result = tmp_path / "here", tmp_path / "x.bin"
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(ROOT), str(result)],
        cwd=here,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(here.iterdir()) == []
    case = Case("composed", "alone", FP32, "reference")
    again = falsify(subject, property_by_name("monotone"), case, "step-in-bulk", 3)
    assert again.x.tobytes() == result.read_bytes()


def test_mutants_of_all_precisions_are_there() -> None:
    assert {p.values[1] for p in KILLS} == {each.name for each in PRECISIONS}
