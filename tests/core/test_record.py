"""Records are strict JSON, read back as they were, and are written whole or not at all."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from verify.cases import parse
from verify.errors import InputError
from verify.findings import Finding, Replay
from verify.judge import BandResult, Point
from verify.record import (
    BandRecord,
    CaseRecord,
    EngineRecord,
    Record,
    environment,
    finding_record,
    load,
    write_text,
)

POINT = Point(7, -math.inf, "0xff800000", -0.0, math.nan, "0x7fc00000", math.inf)


def a_finding(replay: Replay | None) -> Finding:
    case = parse("op-alone-fp32-reference")
    message = "a NaN — “quoted”, and a\nline"
    return Finding(case, "limits", message, "y", "bulk", "nan", POINT, None, 3, 40, replay)


def a_record(folder: Path) -> Record:
    band = BandResult("y", "bulk", "regular", 40, 2.5, POINT, 1)
    special = BandResult("y", "nonfinite", "special", 2, None, POINT, 0)
    case = CaseRecord(
        id="op-alone-fp32-reference",
        form="op",
        context="alone",
        precision="fp32",
        engine="reference",
        verdict="FAIL",
        reason="",
        body=False,
        samples=40,
        coverage="40 of 4 294 967 296",
        layers=("a", "b"),
        bands=(BandRecord.of(band), BandRecord.of(special)),
        accepted=(),
        properties={"sign": 3},
    )
    engine = EngineRecord(
        engine="reference", version="1", executes=True, builds=False, device="", reason=""
    )
    replay = Replay(folder / "findings" / "1", "polygraphy run", True)
    return Record(
        schema_version=1,
        command="run",
        complete=True,
        seed=2**63,
        tolerances="tolerances",
        environment=environment([engine]),
        cases=(case,),
        findings=(
            finding_record(a_finding(replay), folder),
            finding_record(a_finding(None), folder),
        ),
    )


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: ")
    return message


def no_constants(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def test_a_record_reads_back_as_it_was(tmp_path: Path) -> None:
    record = a_record(tmp_path)
    path = tmp_path / "record.json"
    write_text(path, record.to_json())
    again = load(path)
    assert again.to_json() == record.to_json()
    worst = again.cases[0].bands[0].worst
    assert (worst.x, worst.error_ulp) == (-math.inf, math.inf)
    assert math.isnan(worst.actual)
    assert math.copysign(1, worst.expected) == -1
    assert again.seed == 2**63
    assert again.cases[0].bands[1].limit is None
    assert again.findings[0].message == a_finding(None).message


def test_a_record_is_strict_json(tmp_path: Path) -> None:
    data = json.loads(a_record(tmp_path).to_json(), parse_constant=no_constants)
    assert data["schema_version"] == 1
    worst = data["cases"][0]["bands"][0]["worst"]
    assert worst == {
        "x": "-Infinity",
        "x_bits": "0xff800000",
        "expected": -0.0,
        "actual": "NaN",
        "actual_bits": "0x7fc00000",
        "error_ulp": "Infinity",
    }
    assert data["findings"][0]["replay"] == {
        "folder": str(Path("findings", "1")),
        "line": "polygraphy run",
        "reproduced": True,
    }
    assert data["findings"][1]["replay"] is None


def test_the_environment_says_where_it_was(tmp_path: Path) -> None:
    where = a_record(tmp_path).environment
    for text in (where.date, where.python, where.platform, where.cpu, where.numpy):
        assert text
    assert where.polygraphy[0].isdigit()


Damage = Callable[[dict[str, Any]], Any]


def change(**values: Any) -> Damage:
    return lambda data: data.update(values)


def drop(key: str) -> Damage:
    return lambda data: data.pop(key)


def in_case(**values: Any) -> Damage:
    return lambda data: data["cases"][0].update(values)


def in_worst(**values: Any) -> Damage:
    return lambda data: data["cases"][0]["bands"][0]["worst"].update(values)


@pytest.mark.parametrize(
    ("damage", "key"),
    [
        (change(schema_version=2), "schema_version"),
        (change(schema_version="1.0"), "schema_version"),
        (drop("schema_version"), "schema_version"),
        (drop("cases"), "cases"),
        (drop("seed"), "seed"),
        (change(command="sail"), "command"),
        (change(colour=1), "colour"),
        (change(**{"two\nlines": 1}), "two"),
        (change(cases={}), "cases"),
        (in_case(verdict="OK"), "cases.0.verdict"),
        (in_case(samples="many"), "cases.0.samples"),
        (in_worst(x="huge"), "cases.0.bands.0.worst.x"),
        (in_worst(x=None), "cases.0.bands.0.worst.x"),
    ],
)
def test_a_damaged_record_is_refused_with_the_key(tmp_path: Path, damage: Damage, key: str) -> None:
    data = json.loads(a_record(tmp_path).to_json())
    damage(data)
    path = tmp_path / "record.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    message = refused(path)
    assert "not a record of schema version 1: " in message
    assert key in message


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "\x00", "{}", '{"a": NaN}', "[" * 5000])
def test_a_foreign_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    assert "not a record of schema version 1: " in refused(path)


def test_a_record_cut_short_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    text = a_record(tmp_path).to_json().rstrip()
    path = tmp_path / "record.json"
    for end in range(0, len(text), 50):
        path.write_text(text[:end], encoding="utf-8")
        refused(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere.json").endswith("can't be read: No such file or directory")
    assert refused(tmp_path).endswith("can't be read: Is a directory")
    path = tmp_path / "record.json"
    path.write_bytes(b"\xff\xfe{}")
    assert "not a record" in refused(path)


def test_text_is_written_with_its_folders_and_over_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "out.txt"
    for text in ("fürst\n", "second\n"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert [p.name for p in path.parent.iterdir()] == ["out.txt"]


def write_refused(path: Path, text: str = "new") -> str:
    with pytest.raises(InputError) as caught:
        write_text(path, text)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: can't be written: ")
    return message


def test_a_place_that_cannot_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("mine")
    write_refused(tmp_path / "taken")
    write_refused(tmp_path / "file" / "out.txt")
    write_refused(tmp_path / "file" / "deep" / "out.txt")
    write_refused(tmp_path / ("n" * 300))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "taken"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), InputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_write_that_stops_half_way_leaves_the_old_text(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    raised: type[BaseException],
) -> None:
    path = tmp_path / "out.txt"
    write_text(path, "old")
    real = Path.write_text

    def half(self: Path, text: str, **options: Any) -> int:
        real(self, text[: len(text) // 2], **options)
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", half)
        with pytest.raises(raised):
            write_text(path, "the new text")
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]
    assert path.read_text() == "old"
