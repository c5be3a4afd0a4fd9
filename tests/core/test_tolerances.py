"""Tolerance files: the shipped ones are complete, and bad ones are refused in one line."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from verify.bands import BANDS, classify
from verify.cases import CONTEXTS, ENGINES, FORMS, Case, parse, select
from verify.errors import InputError
from verify.oracle import expected
from verify.precision import BF16, FP16, FP32, PRECISIONS, Precision
from verify.samples import Sample
from verify.tolerances import DEFAULT_FOLDER, OWED, Tolerances, load

ALL = pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)


@pytest.fixture(scope="module")
def shipped() -> Tolerances:
    return load()


def executed() -> list[Case]:
    """Every case that some machine executes, with the form whose limits bind it."""
    return [
        case
        for case in select()
        if (case.form == "plugin") == case.engine.startswith("tensorrt")
        and not (case.engine == "onnxruntime" and case.precision is BF16)
    ]


@pytest.mark.parametrize("case", executed(), ids=lambda case: case.id)
def test_every_executed_case_has_limits_for_all_that_occurs(
    case: Case, shipped: Tolerances
) -> None:
    limits = shipped.limits(case)
    owed = {(band, result) for band, results in OWED[case.context].items() for result in results}
    assert limits.ulp.keys() == limits.reasons.keys() == owed
    for limit in limits.ulp.values():
        assert 0 < limit < 100
    assert all(reason.startswith(("derived: ", "measured: ")) for reason in limits.reasons.values())
    assert limits.source == f"{case.precision.name}.toml"
    assert limits.nan_at_minus_inf == (case.form == "plugin")


@ALL
@pytest.mark.parametrize("context", CONTEXTS)
def test_limits_are_owed_for_exactly_what_occurs(
    context: str, precision: Precision, full_sample: Callable[[Precision], Sample]
) -> None:
    occurring = set()
    for view in expected(context, full_sample(precision).values, precision):
        size = np.abs(view.expected)
        known = np.isfinite(view.argument) & np.isfinite(size) & (size > 0)
        band = classify(view.argument[known], precision)
        subnormal = size[known] < precision.smallest_normal
        pairs = np.bincount(band * 2 + subnormal, minlength=2 * len(BANDS))
        occurring |= {
            (BANDS[k // 2], ("regular", "subnormal")[k % 2]) for k in np.flatnonzero(pairs)
        }
    owed = {(band, result) for band, results in OWED[context].items() for result in results}
    assert occurring == owed


def test_what_is_accepted_is_for_the_cases_it_names(shipped: Tolerances) -> None:
    def kinds(case_id: str) -> list[tuple[str, float]]:
        return [(d.kind, d.x[0]) for d in shipped.limits(parse(case_id)).deviations]

    assert kinds("rational-alone-fp32-reference") == [
        ("nan", -math.inf),
        ("nan", 44.361419677734375),
    ]
    assert kinds("plugin-alone-fp32-tensorrt") == []
    assert ("ulp", -104.0) in kinds("op-alone-fp32-onnxruntime")
    exhaustive = shipped.limits(parse("rational-alone-fp32-reference")).deviations[1]
    assert exhaustive.largest_count < exhaustive.largest_count_of_all
    assert exhaustive.largest_error == math.inf
    sixteen = shipped.limits(parse("rational-alone-fp16-reference")).deviations[1]
    assert sixteen.largest_count == sixteen.largest_count_of_all


def test_listed_refusals_are_found(shipped: Tolerances) -> None:
    refusal = shipped.refusal(parse("op-conv-bf16-onnxruntime"))
    assert refusal is not None
    assert refusal.words == "NOT_IMPLEMENTED"
    assert shipped.refusal(parse("op-conv-fp32-onnxruntime")) is None
    assert shipped.refusal(parse("plugin-alone-bf16-tensorrt_rtx")) is None


# The smallest file that is right; the table below breaks it in one place each.
GOOD = """
version = 1
precision = "fp32"

[[limit]]
forms = ["op"]
engines = ["reference"]
contexts = ["alone"]
basis = "derived"
reason = "because it has to be so"
regular = { "negative tail" = 1.0, "well" = 1.0, "origin" = 1.0, "bulk" = 1.0, "identity" = 1 }
subnormal = { "flush tail" = 1.0, "subnormal tail" = 1.0, "origin" = 1.0 }
floor = { "well" = 1e-3 }

[[deviation]]
cases = ["op-alone-fp32-reference"]
x = [1.0, 2.0]
kind = "ulp"
largest_error = 3.0
largest_count = 10
largest_count_of_all = 20
reason = "because it has to be so"

[[refusal]]
cases = ["*-fp32-tensorrt_rtx"]
words = "NOT_IMPLEMENTED"
reason = "because it has to be so"
"""

LIMIT, DEVIATION, REFUSAL = ("[[" + part.rstrip() + "\n" for part in GOOD.split("[[")[1:])
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(text): a folder whose fp32.toml has that text and whose others are the shipped ones."""
    for name in ("fp16", "bf16"):
        shutil.copy(DEFAULT_FOLDER / f"{name}.toml", tmp_path)

    def put(text: str) -> Path:
        (tmp_path / "fp32.toml").write_text(text, encoding="utf-8")
        return tmp_path

    return put


def refusal_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_the_smallest_file_is_right(write: Write) -> None:
    tolerances = load(write(GOOD))
    limits = tolerances.limits(parse("op-alone-fp32-reference"))
    assert limits.floor == {"well": 1e-3}
    assert limits.ulp["identity", "regular"] == 1.0
    assert not limits.nan_at_minus_inf
    (deviation,) = limits.deviations
    assert (deviation.x, deviation.kind, deviation.largest_error) == ((1.0, 2.0), "ulp", 3.0)
    assert (deviation.largest_count, deviation.largest_count_of_all) == (10, 20)
    refusal = tolerances.refusal(parse("op-chain-fp32-tensorrt_rtx"))
    assert refusal is not None
    assert refusal.key == "refusal 1"


@pytest.mark.parametrize(
    ("version", "optional"),
    [("8.6.0", False), ("8.6", False), ("8.60.1", True), ("10.0.1", True), ("", True)],
)
def test_a_deviation_is_due_only_in_the_versions_it_was_seen_in(
    write: Write, version: str, optional: bool
) -> None:
    case = parse("op-alone-fp32-reference")
    (always,) = load(write(GOOD)).limits(case, version).deviations
    assert not always.optional
    seen = GOOD.replace("largest_count = 10\n", 'largest_count = 10\nseen_in = ["8.6"]\n')
    (deviation,) = load(write(seen)).limits(case, version).deviations
    assert (deviation.seen_in, deviation.optional) == (("8.6",), optional)


def test_two_limits_may_share_a_block(write: Write) -> None:
    parts = LIMIT.replace('"well" = 1.0, ', "").replace('floor = { "well" = 1e-3 }', "")
    rest = "\n".join(line for line in LIMIT.splitlines() if "normal =" not in line)
    rest = rest.split("regular =")[0] + 'regular = { "well" = 7.0 }\nfloor = { "well" = 1e-3 }\n'
    limits = load(write(GOOD.replace(LIMIT, parts + rest))).limits(parse("op-alone-fp32-reference"))
    assert limits.ulp["well", "regular"] == 7.0
    assert limits.ulp["bulk", "regular"] == 1.0
    assert limits.floor == {"well": 1e-3}


ALLOWED_FORMS = ", ".join(FORMS)
ALLOWED_ENGINES = ", ".join(ENGINES)
ALLOWED_CONTEXTS = ", ".join(CONTEXTS)
ALLOWED_BANDS = ", ".join(BANDS[:-1])


@pytest.mark.parametrize(
    ("old", "new", "key", "right"),
    [
        # Unknown keys at each level, with those that exist.
        ("version = 1", "version = 1\ncolour = 1", "colour", "version, precision, limit"),
        ("basis =", "limits = 1\nbasis =", "limit 1.limits", "forms, engines, contexts, basis"),
        ("kind =", "ulp = 1\nkind =", "deviation 1.ulp", "cases, x, kind, largest_error"),
        ("words =", "word = 1\nwords =", "refusal 1.word", "cases, words, reason"),
        ("version = 1", 'version = 1\n"two\\nlines" = 1', "two\\nlines", "version, precision"),
        # Unknown names, with the known ones.
        ('["op"]', '["op", "mash"]', "limit 1: forms: unknown 'mash'", ALLOWED_FORMS),
        ('["reference"]', '["trt"]', "limit 1: engines: unknown 'trt'", ALLOWED_ENGINES),
        ('["alone"]', '["loop"]', "limit 1: contexts: unknown 'loop'", ALLOWED_CONTEXTS),
        ('regular = { "negative', 'regular = { "ngtv', "regular: unknown 'ngtv", ALLOWED_BANDS),
        ('subnormal = { "flush', 'subnormal = { "flsh', "subnormal: unknown", ALLOWED_BANDS),
        ('floor = { "well"', 'floor = { "nonfinite"', "floor: unknown 'nonfinite'", ALLOWED_BANDS),
        ('basis = "derived"', 'basis = "guessed"', "limit 1.basis = 'guessed'", "'measured'"),
        (
            'kind = "ulp"',
            'kind = "rel"',
            "deviation 1.kind = 'rel'",
            "'nan', 'inf', 'sign' or 'ulp'",
        ),
        ("floor =", 'special = "any"\nfloor =', "limit 1.special = 'any'", "'exact'"),
        # Missing keys and limits.
        ("version = 1", "", "version", "required"),
        (LIMIT, "", "limit", "required"),
        ('basis = "derived"', "", "limit 1.basis", "required"),
        ('kind = "ulp"', "", "deviation 1.kind", "required"),
        ("largest_count = 10", "", "deviation 1.largest_count", "required"),
        ('words = "NOT_IMPLEMENTED"', "", "refusal 1.words", "required"),
        ('"well" = 1.0, ', "", "op / reference / alone: regular.'well' is missing", "required"),
        ('"flush tail" = 1.0, ', "", "subnormal.'flush tail' is missing", "required"),
        ("largest_error = 3.0", "", "largest_error", "is required with kind 'ulp'"),
        ("largest_count_of_all = 20", "", "largest_count_of_all is missing", "2**32"),
        ("largest_count = 10", 'largest_count = 10\nseen_in = ["8.x"]', "seen_in", "pattern"),
        ("largest_count = 10", "largest_count = 10\nseen_in = []", "seen_in", "at least 1"),
        # Empty lists.
        ('forms = ["op"]', "forms = []", "limit 1.forms", "at least 1"),
        ('cases = ["op-alone-fp32-reference"]', "cases = []", "deviation 1.cases", "at least 1"),
        ("x = [1.0, 2.0]", "x = [1.0]", "deviation 1.x", "2"),
        ("x = [1.0, 2.0]", "x = [1.0, 2.0, 3.0]", "deviation 1.x", "2"),
        # Numbers that are none, or out of range.
        (
            '"well" = 1.0',
            '"well" = -1.0',
            "limit 1.regular.well = -1.0",
            "greater than or equal to 0",
        ),
        ('"well" = 1.0', '"well" = nan', "limit 1.regular.well = nan", "finite"),
        ('"well" = 1.0', '"well" = inf', "limit 1.regular.well = inf", "finite"),
        ('"well" = 1.0', '"well" = "1"', "limit 1.regular.well = '1'", "number"),
        ('"well" = 1.0', '"well" = true', "limit 1.regular.well = True", "number"),
        ("1e-3", "0.0", "limit 1.floor.well = 0.0", "greater than 0"),
        ("1e-3", "inf", "limit 1.floor.well = inf", "finite"),
        ("largest_error = 3.0", "largest_error = -3.0", "deviation 1.largest_error", "equal to 0"),
        ("largest_error = 3.0", "largest_error = inf", "deviation 1.largest_error", "finite"),
        ("largest_count = 10", "largest_count = 0", "deviation 1.largest_count", "greater than 0"),
        ("largest_count = 10", "largest_count = 1.5", "deviation 1.largest_count", "integer"),
        ("_of_all = 20", "_of_all = -1", "largest_count_of_all", "greater than 0"),
        ("x = [1.0, 2.0]", "x = [2.0, 1.0]", "deviation 1: x = [2.0, 1.0]", "[lowest, highest]"),
        ("x = [1.0, 2.0]", "x = [nan, 1.0]", "deviation 1: x = [nan, 1.0]", "[lowest, highest]"),
        # Wrong types and values.
        ("version = 1", "version = 2", "version = 2", "1"),
        ("version = 1", 'version = "1"', "version = '1'", "1"),
        ('precision = "fp32"', 'precision = "fp16"', "precision = 'fp16'", "'fp32'"),
        ('precision = "fp32"', "precision = 32", "precision = 32", "string"),
        ('forms = ["op"]', 'forms = "op"', "limit 1.forms = 'op'", "list"),
        ('forms = ["op"]', "forms = [1]", "limit 1.forms 1 = 1", "string"),
        ('floor = { "well" = 1e-3 }', "floor = 1", "limit 1.floor = 1", "table"),
        (DEVIATION, "[deviation]\nx = 1", "deviation", "list"),
        ('"because it has to be so"\nregular', '"so"\nregular', "limit 1.reason", "10 characters"),
        ('words = "NOT_IMPLEMENTED"', 'words = ""', "refusal 1.words", "1 character"),
        # Duplicates and contradictions.
        (LIMIT, LIMIT + LIMIT, "limit 2: op / reference / alone: ", "keep one of the two"),
        ('["op"]', '["op", "op"]', "limit 1: forms", "list each once"),
        (
            LIMIT,
            LIMIT + LIMIT.split("regular =")[0] + 'floor = { "well" = 1.0 }\n',
            "limit 2: op / reference / alone: floor.'well'",
            "keep one of the two",
        ),
        (
            LIMIT,
            LIMIT.replace('"well" = 1.0, ', "")
            + LIMIT.split("regular =")[0]
            + 'regular = { "well" = 1.0 }\nspecial = "exact, NaN allowed at -inf"\n',
            "limit 2: op / reference / alone: special",
            "give both the same",
        ),
        (
            '"flush tail" = 1.0, ',
            '"flush tail" = 1.0, "well" = 1.0, ',
            "subnormal.'well'",
            "remove",
        ),
        ('kind = "ulp"', 'kind = "nan"', "largest_error", "does not apply with kind 'nan'"),
        (DEVIATION, DEVIATION + DEVIATION, "deviation 2 and deviation 1", "keep one of the two"),
        (
            DEVIATION,
            DEVIATION + DEVIATION.replace("op-alone", "*-alone").replace("[1.0", "[2.0"),
            "deviation 2 and deviation 1",
            "keep one of the two",
        ),
        (REFUSAL, REFUSAL + REFUSAL, "refusal", "list it once"),
        (
            REFUSAL,
            REFUSAL + REFUSAL.replace("*-fp32-tensorrt_rtx", "op-*-tensorrt_rtx"),
            "refusal",
            "list it once",
        ),
        # Patterns.
        ('["op-alone-fp32', '["op-alone-fp16', "deviation 1: cases: 'op-alone-fp16", "an id such"),
        (
            "*-fp32-tensorrt_rtx",
            "*-fp8-*",
            "refusal 1: cases: '*-fp8-*'",
            "op-alone-fp32-reference",
        ),
        (
            'cases = ["op-alone-fp32-reference"]',
            'cases = ["op-alone-fp32-reference", "op-alone-fp32-reference"]',
            "deviation 1: cases",
            "list each once",
        ),
        # Not TOML.
        ("version = 1", "version = ", "not valid TOML", "line 2"),
        ("version = 1", "version = 1\nversion = 1", "not valid TOML", "line 3"),
        ('"well" = 1.0', '"well" = 1.0, "well" = 1.0', "not valid TOML", "line 11"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    write: Write, old: str, new: str, key: str, right: str
) -> None:
    broken = GOOD.replace(old, new, 1)
    assert broken != GOOD
    folder = write(broken)
    message = refusal_of(folder)
    assert message.startswith(f"{folder / 'fp32.toml'}: ")
    assert key in message
    assert right in message


def test_a_floor_where_nothing_is_measured_is_refused(write: Write) -> None:
    chain = GOOD.replace('["alone"]', '["chain"]').replace('"flush tail" = 1.0, ', "")
    chain = chain.replace("regular = {", 'special = "exact"\nregular = {')
    chain = chain.replace('"subnormal tail" = 1.0', '"subnormal tail" = 1.0, "negative tail" = 2.0')
    load(write(chain))
    folder = write(chain.replace('floor = { "well"', 'floor = { "flush tail"'))
    message = refusal_of(folder)
    assert message.startswith(f"{folder / 'fp32.toml'}: limit 1: floor.'flush tail': ")
    assert message.endswith("in context 'chain'; remove it")


@pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: p.name)
def test_16_bit_deviations_have_one_count(tmp_path: Path, precision: Precision) -> None:
    shutil.copytree(DEFAULT_FOLDER, tmp_path, dirs_exist_ok=True)
    path = tmp_path / f"{precision.name}.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("largest_count =", "largest_count_of_all = 3\nlargest_count =", 1))
    message = refusal_of(tmp_path)
    assert message.startswith(f"{path}: deviation 1: largest_count_of_all: ")
    assert "only largest_count applies" in message


def test_files_that_cannot_be_read_are_refused_in_one_line(write: Write) -> None:
    folder = write(GOOD)
    path = folder / "fp32.toml"
    path.write_bytes(b'version = 1\nprecision = "\xff"')
    assert refusal_of(folder).startswith(f"{path}: ")
    assert "UTF-8" in refusal_of(folder)
    path.unlink()
    assert refusal_of(folder).startswith(f"{path}: no such file; ")
    path.mkdir()
    assert refusal_of(folder) == f"{path}: can't be read: Is a directory"
    path.rmdir()
    path.symlink_to(path)
    assert refusal_of(folder).startswith(f"{path}: can't be read: ")
    for missing in (folder / "nowhere", folder / "fp16.toml"):
        assert refusal_of(missing).startswith(f"tolerances folder {missing}: not a folder; ")


def test_a_case_without_limits_is_refused_with_what_to_add(write: Write) -> None:
    tolerances = load(write(GOOD))
    with pytest.raises(InputError) as caught:
        tolerances.limits(Case("op", "chain", FP32, "reference"))
    assert str(caught.value) == (
        f"{tolerances.folder / 'fp32.toml'}: no [[limit]] for form 'op', engine 'reference', "
        "context 'chain'; add one"
    )
