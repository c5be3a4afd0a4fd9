"""Files: equal to the byte, written whole or not at all, by a command that refuses clearly."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

import models

ROOT = Path(__file__).resolve().parents[2]

DIGEST = """
import hashlib
import models
from models.mutants import MUTANTS
digest = hashlib.sha256()
for form in models.FORMS:
    for context in models.CONTEXTS:
        for precision in models.PRECISIONS:
            for body in (True, False) if form == "plugin" else (True,):
                digest.update(models.serialize(models.build(form, context, precision, body=body)))
for mutant in MUTANTS:
    for precision in mutant.precisions:
        digest.update(models.serialize(mutant.build(precision)))
print(digest.hexdigest())
"""


def python(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "models", *map(str, arguments))


def test_two_processes_make_the_same_bytes() -> None:
    first, second = (python("-c", DIGEST, hash_seed=seed) for seed in ("1", "4711"))
    assert first.returncode == 0, first.stderr
    assert len(first.stdout.strip()) == 64
    assert first.stdout == second.stdout


def test_selected_files_are_written(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "er"
    selection = ["--form", "op", "--form", "plugin", "--precision", "fp16"]
    selection += ["--context", "alone", "--rank", "0", "--rank", "3"]
    done = command(out, *selection)
    assert done.returncode == 0, done.stderr
    expected = [
        "mish-op-alone-fp16-rank0.onnx",
        "mish-op-alone-fp16-rank3.onnx",
        "mish-plugin-alone-fp16-rank0.onnx",
        "mish-plugin-alone-fp16-rank0-no-function.onnx",
        "mish-plugin-alone-fp16-rank3.onnx",
        "mish-plugin-alone-fp16-rank3-no-function.onnx",
    ]
    assert done.stdout.splitlines() == [f"wrote {out / name}" for name in expected]
    assert sorted(path.name for path in out.iterdir()) == sorted(expected)
    for path in out.iterdir():
        onnx.checker.check_model(onnx.load(path), full_check=True)
    again = {path.name: path.read_bytes() for path in out.iterdir()}
    assert command(out, *selection).returncode == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == again


def test_everything_is_written_by_default(tmp_path: Path) -> None:
    done = command(tmp_path)
    assert done.returncode == 0, done.stderr
    places = sum(len(models.ranks_of(context)) for context in models.CONTEXTS)
    count = (len(models.FORMS) + 1) * len(models.PRECISIONS) * places
    assert len(done.stdout.splitlines()) == count
    assert len(list(tmp_path.iterdir())) == count


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--form", "mash"], "'mash' is not one of"),
        (["--precision", "fp8"], "'fp8' is not one of"),
        (["--context", "conv", "--rank", "2"], "context conv has none of 2; only 4"),
        (["--rank", "7"], "'7' is not one of"),
        (["--frm", "op"], "No such option"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    done = command(tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
    assert not (tmp_path / "out").exists()


def test_out_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        done = command(out, "--form", "op")
        assert done.returncode == 2
        assert done.stderr.startswith(f"Error: OUT: cannot write to {out}: ")
        assert len(done.stderr.splitlines()) == 1
    assert file.read_text() == "mine"
    assert command().returncode == 2


def test_a_name_that_is_taken_by_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "mish-op-alone-fp32-rank1.onnx").mkdir()
    narrow = ["--form", "op", "--context", "alone", "--precision", "fp32", "--rank", "1"]
    done = command(tmp_path, *narrow)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mish-op-alone-fp32-rank1.onnx"]


def test_help_does_not_load_onnx() -> None:
    start = time.perf_counter()
    done = command("--help")
    assert time.perf_counter() - start < 5
    assert done.returncode == 0
    assert "--precision" in done.stdout
    loaded = python("-c", "import sys, models.__main__; print('onnx' in sys.modules)")
    assert loaded.stdout.strip() == "False"
