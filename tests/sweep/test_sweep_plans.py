"""Several processes that share a folder of plans get one plan."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from verify.errors import InputError
from verify.sweep.plans import path_of, shared


def _slow() -> bytes:
    time.sleep(0.3)
    return b"built by %d" % os.getpid()


def _one(folder: Path) -> bytes:
    time.sleep(0.1)  # so that each process of the pool gets one
    return shared(folder, "key", _slow)


def test_who_comes_at_the_same_time_gets_the_same_plan(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        found = set(pool.map(_one, [tmp_path / "plans"] * 3))
    assert len(found) == 1
    assert path_of(tmp_path / "plans", "key").read_bytes() in found
    assert {path.suffix for path in (tmp_path / "plans").iterdir()} <= {".plan", ".lock"}


def test_another_key_is_another_plan(tmp_path: Path) -> None:
    assert shared(tmp_path, "a", lambda: b"1") == b"1"
    assert shared(tmp_path, "a", lambda: b"2") == b"1"
    assert shared(tmp_path, "b", lambda: b"2") == b"2"


def test_a_failed_build_leaves_no_plan(tmp_path: Path) -> None:
    def fails() -> bytes:
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError, match="refused"):
        shared(tmp_path, "a", fails)
    assert shared(tmp_path, "a", lambda: b"2") == b"2"


def test_what_a_build_can_not_do_is_not_the_folders_fault(tmp_path: Path) -> None:
    def fails() -> bytes:
        raise FileNotFoundError(2, "No such file", "libnvinfer_builder_resource.so")

    with pytest.raises(FileNotFoundError, match="builder_resource"):
        shared(tmp_path, "a", fails)
    assert shared(tmp_path, "a", lambda: b"2") == b"2"


def test_a_plan_that_is_no_file_is_told_in_one_line(tmp_path: Path) -> None:
    path_of(tmp_path, "a").mkdir()
    with pytest.raises(InputError, match=r"--plans .*: can't be used: Is a directory"):
        shared(tmp_path, "a", lambda: b"")


def test_a_file_in_the_way_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--plans .*file: can't be used: "):
        shared(tmp_path / "file", "a", lambda: b"")
