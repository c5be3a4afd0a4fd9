"""Stored folders, run as a user runs them."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import models
from verify import replay
from verify.errors import InputError
from verify.findings import Finding
from verify.replay.command import Command, Ran, execute

ON = [
    ("onnxruntime", "fp32"),
    ("onnxruntime", "fp16"),
    ("reference", "fp16"),
    ("reference", "bf16"),
]


@pytest.fixture
def folder(stored: Any, tmp_path: Path) -> Path:
    """A copy of the folder for ONNX Runtime in fp32, to be damaged."""
    return Path(shutil.copytree(stored("onnxruntime", "fp32")[0].replay.folder, tmp_path / "copy"))


def rehash(folder: Path, name: str) -> None:
    """Write a changed file's hash into compare.py, as nobody should."""
    compare = folder / "compare.py"
    new = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    compare.write_text(re.sub(rf'("{name}": ")[0-9a-f]+', rf"\g<1>{new}", compare.read_text()))


@pytest.mark.parametrize(("engine", "precision"), ON)
def test_wrong_model_fails_and_prints_x(
    engine: str, precision: str, stored: Any, run: Any, tmp_path: Path
) -> None:
    finding: Finding = stored(engine, precision)[0]
    assert finding.replay is not None
    assert finding.replay.reproduced
    assert finding.replay.folder is not None
    assert sorted(p.name for p in finding.replay.folder.iterdir()) == sorted(replay.FILES)
    assert re.fullmatch(r"[a-z0-9_-]+", finding.replay.folder.name)
    moved = shutil.move(shutil.copytree(finding.replay.folder, tmp_path / "a"), tmp_path / "b c")
    ran = run(Path(moved))
    assert ran.returncode == 1, ran.stdout
    assert finding.point is not None
    assert f" x_bits {finding.point.x_bits} " in ran.stdout
    assert f" actual_bits {finding.point.actual_bits} " in ran.stdout
    assert "Traceback" not in ran.stdout


@pytest.mark.parametrize(("engine", "precision"), [ON[0], ON[3]])
def test_right_model_passes(
    engine: str, precision: str, stored: Any, run: Any, tmp_path: Path
) -> None:
    source = stored(engine, precision)[0].replay.folder
    folder = Path(shutil.copytree(source, tmp_path / "copy"))
    # Of the right forms the one that is within 4 ULP in the tail on every engine.
    model = models.build("rational", "alone", precision)
    (folder / "model.onnx").write_bytes(models.serialize(model))
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout
    assert "replay: PASS: 1 inputs" in ran.stdout


def test_line_can_be_pasted(stored: Any) -> None:
    finding = stored("onnxruntime", "fp32")[0]
    assert "polygraphy run model.onnx --onnxrt --data-loader-script compare.py:load_data " in (
        finding.replay.line
    )
    ran = subprocess.run(
        ["sh", "-c", finding.replay.line], cwd="/", stdout=subprocess.PIPE, text=True, timeout=100
    )
    assert ran.returncode == 1
    assert finding.point.x_bits in ran.stdout
    shutil.rmtree(finding.replay.folder / "__pycache__", ignore_errors=True)


def damaged(path: Path, damage: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if damage == "emptied":
        path.write_bytes(b"")
    elif damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "no iterations":
        none = '{"lst": [["oracle", []]], "polygraphy_class": "RunResults"}'
        path.write_text("[]" if path.name == "inputs.json" else none)


@pytest.mark.parametrize("name", ["inputs.json", "golden.json"])
@pytest.mark.parametrize("damage", ["missing", "emptied", "truncated", "no iterations"])
def test_damaged_data_is_refused(
    name: str, damage: str, folder: Path, load: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged(folder / name, damage)
    with pytest.raises(SystemExit) as caught:
        load(folder).load_data()
    assert caught.value.code == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"replay: {folder / name}: ")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("inputs.json", "emptied"),
        ("golden.json", "emptied"),
        ("inputs.json", "missing"),
        ("golden.json", "no iterations"),
    ],
)
def test_polygraphy_ends_on_damaged_data(name: str, damage: str, folder: Path, run: Any) -> None:
    damaged(folder / name, damage)
    ran = run(folder)
    assert ran.returncode == 2, ran.stdout
    assert f"/{name}: " in ran.stdout
    assert "Traceback" not in ran.stdout


def test_reference_refuses_too(stored: Any, run: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(stored("reference", "bf16")[0].replay.folder, tmp_path / "copy"))
    (folder / "golden.json").write_bytes(b"")
    ran = run(folder)
    assert ran.returncode == 2
    assert "golden.json: is empty" in ran.stdout


def test_unequal_files_are_refused_whatever_their_hashes(
    folder: Path, load: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    from polygraphy.comparator import RunResults
    from polygraphy.json import to_json

    def refused(name: str, content: str) -> str:
        kept = (folder / name).read_text()
        (folder / name).write_text(content)
        rehash(folder, name)
        with pytest.raises(SystemExit) as caught:
            load(folder).load_data()
        (folder / name).write_text(kept)
        rehash(folder, name)
        assert caught.value.code == 2
        return capfd.readouterr().err

    def golden(*iterations: Any, runs: int = 1) -> str:
        results = RunResults()
        for number in range(runs):
            results.add(list(iterations), runner_name=f"oracle{number}")
        return str(to_json(results))

    one, two = np.zeros(1), np.zeros(2)
    x = np.zeros(1, np.float32)
    assert "holds 0 iterations" in refused("golden.json", golden())
    assert "holds 2 iterations" in refused("golden.json", golden({"y": one}, {"y": one}))
    assert "holds 2 runs" in refused("golden.json", golden({"y": one}, runs=2))
    assert "holds 2 elements of y for 1 inputs" in refused("golden.json", golden({"y": two}))
    assert "holds 0 elements of y" in refused("golden.json", golden({"z": one}))
    assert "holds no iterations" in refused("inputs.json", "[]")
    assert "no elements of the input x" in refused("inputs.json", to_json([{"x": x[:0]}]))
    assert "no elements of the input x" in refused("inputs.json", to_json([{"z": x}]))
    assert "1 iterations, inputs.json 2" in refused("inputs.json", to_json([{"x": x}] * 2))
    assert load(folder).load_data()[0]["x"].dtype == np.float32


def test_outputs_of_another_name_shape_or_type_fail(
    folder: Path, load: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = load(folder).compare_outputs
    golden = {"y": load(folder).RunResults.load(str(folder / "golden.json"))[0][1][0]["y"]}
    right = golden["y"].astype(np.float32)
    assert compare({"y": right}, golden) == {"y": True}
    assert "replay: PASS" in capsys.readouterr().out
    for live in (
        {},
        {"z": right},
        {"y": right, "z": right},
        {"y": right.reshape(1, 1)},
        {"y": right.astype(np.float16)},
        {"y": golden["y"]},
    ):
        answer = compare(live, golden)
        assert answer
        assert not any(answer.values())
        assert "replay: FAIL" in capsys.readouterr().out
    for wrong in ({}, {"z": golden["y"]}, {"y": golden["y"], "z": golden["y"]}):
        assert not any(compare({"y": right}, wrong).values())
    # The golden first and the live run second is a mistake, too.
    assert compare(golden, {"y": right}) == {"y": False}


def test_replay_runs_the_folder_again(
    folder: Path, stored: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.replay(folder) == 1
    out = capsys.readouterr().out
    assert stored("onnxruntime", "fp32")[0].point.x_bits in out
    right = models.serialize(models.build("rational", "alone", "fp32"))
    (folder / "model.onnx").write_bytes(right)
    assert replay.replay(folder) == 0
    assert "is not the model that was stored" in capsys.readouterr().out


@pytest.mark.parametrize("name", replay.FILES)
@pytest.mark.parametrize("damage", ["missing", "emptied", "truncated"])
def test_replay_names_what_is_damaged(name: str, damage: str, folder: Path) -> None:
    data = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage != "missing":
        (folder / name).write_bytes(data[: len(data) // 2] if damage == "truncated" else b"")
    with pytest.raises(InputError) as caught:
        replay.replay(folder)
    assert str(folder / name) in str(caught.value)
    assert ("missing" if damage == "missing" else "damaged") in str(caught.value)


def test_replay_wants_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        replay.replay(tmp_path / "none")


def test_replay_tells_a_run_that_compared_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A valid model that the engine refuses: Polygraphy exits with 1, as it does on a mismatch.
    other = models.build("plugin", "alone", "fp32", body=False)
    (folder / "model.onnx").write_bytes(models.serialize(other))
    with pytest.raises(InputError, match="polygraphy ended with exit code 1 and nothing"):
        replay.replay(folder)
    assert "polygraphy" in capsys.readouterr().out


def test_how_a_command_ends(tmp_path: Path) -> None:
    assert Ran(-6, "").end == "was aborted by SIGABRT"
    assert Ran(134, "").end == "was aborted by SIGABRT"
    assert Ran(2, "").end == "ended with exit code 2"
    sleep = Command(("python", "-c", "import time; time.sleep(60)"))
    ran = execute(sleep, tmp_path, seconds=0.2)
    assert ran.end == "did not end within the time limit"
    assert not ran.failed
    assert not ran.passed
    shown = "replay: FAIL: 1\n  y: x 1 x_bits 0x0001  error inf ULP (nan)  limit 2 ULP\n"
    assert Ran(1, shown).shows("y", "0x0001", "nan")
    assert not Ran(1, shown).shows("y", "0x0001", "ulp"), "another fault"
    assert Ran(1, shown.replace(" (nan)", "")).shows("y", "0x0001", "ulp")
    assert not Ran(1, shown).shows("neg", "0x0001", "nan")
    assert not Ran(0, shown).shows("y", "0x0001", "nan")
    assert not Ran(1, "the finding's x_bits 0x0001 ").shows("y", "0x0001", "nan")


def test_commands_of_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert replay.command_of("onnxruntime").words[3:5] == ("--onnxrt", "--data-loader-script")
    monkeypatch.setenv("VERIFY_ORT_PROVIDER", "cuda")
    words = replay.command_of("onnxruntime").words
    assert words[3:6] == ("--onnxrt", "--providers", "cuda")
    with pytest.raises(ValueError, match="tensorrt"):
        replay.command_of("tensorrt")
    trt = replay.polygraphy_run(
        "--trt", "--trt-min-shapes", "x:[1]", environment=(("POLYGRAPHY_USE_TENSORRT_RTX", "1"),)
    )
    assert " && POLYGRAPHY_USE_TENSORRT_RTX=1 " in trt.line(tmp_path)
    assert "--trt-min-shapes 'x:[1]'" in trt.line(tmp_path)
    assert trt.script().startswith("export POLYGRAPHY_USE_TENSORRT_RTX=1\nexec polygraphy run ")


def test_store_fails_cleanly(find: Callable[..., Any], tmp_path: Path) -> None:
    request = find("silu", "onnxruntime", "fp16")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        replay.store_all([request], tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
