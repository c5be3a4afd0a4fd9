"""The order of the gate's exit codes, with real files, up to COULD NOT VERIFY."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from verify.__main__ import main
from verify.engines.tensorrt import Tensorrt
from verify.tolerances import DEFAULT_FOLDER

Build = Callable[..., Path]
Gate = Callable[..., "subprocess.CompletedProcess[str]"]

PLAIN = "int f(void) { return 1; }"

without_gpu = pytest.mark.skipif(
    Tensorrt().status().executes, reason="this machine executes TensorRT"
)


def test_bad_input_comes_first(
    build: Build,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    library = build("plain", PLAIN)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    text = tmp_path / "text.so"
    text.write_text("no library\n")
    missing, object_file = tmp_path / "none.so", build("object", PLAIN, "-c")
    for words, said in (
        ((), "--plugin"),
        (("--plugin", missing), "no such file"),
        (("--plugin", text), "not an ELF file"),
        (("--plugin", library, "--field", "alpha"), "expected NAME=VALUE"),
        (("--plugin", fifo), f"--plugin {fifo}: no plain file"),
        (("--plugin", tmp_path / ("n" * 300)), "can't be read: File name too long"),
        (("--plugin", library, "--preload", missing), f"--preload {missing}: no such file"),
        (("--plugin", library, "--preload", text), f"--preload {text}: not an ELF file"),
        (("--plugin", library, "--preload", fifo), f"--preload {fifo}: no plain file"),
        (("--plugin", library, "--preload", tmp_path), f"--preload {tmp_path}: a folder"),
        (("--plugin", library, "--preload", object_file), f"--preload {object_file}: an ELF file,"),
        (("--plugin", library, "--check", "everything"), "--check 'everything': unknown"),
        (("--plugin", library, "--check", "sign", "--context", "chain"), "no case and no check"),
        (("--plugin", library, "--json", fifo), "name a file"),
        (("--plugin", library, "--precision", "fp8"), "fp8"),
        (("--plugin", library, "--tolerances", tmp_path / "none"), "tolerances folder"),
    ):
        monkeypatch.setattr("sys.argv", ["verify", "gate", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert ended.value.code == 2, (words, out, err)
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert said in err


@without_gpu
def test_a_good_library_can_not_be_verified_here(
    gate: Gate, linked: Callable[[str], Path], tmp_path: Path
) -> None:
    for soname in ("libnvinfer.so.8", "libnvinfer.so.10"):
        done = gate("--plugin", linked(soname), "--json", tmp_path / "copy.json")
        assert done.returncode == 3, done.stdout + done.stderr
        assert done.stdout.startswith("COULD NOT VERIFY: ")
        assert done.stdout.count("\n") == 1
        assert "SHIP" not in done.stdout
    record = json.loads((tmp_path / "copy.json").read_text())
    assert record["command"] == "gate"
    assert record["cases"] == []
    assert record["complete"] is True
    assert record["environment"]["engines"][0]["executes"] is False


@without_gpu
def test_a_library_that_can_not_be_loaded_comes_after_a_missing_gpu(
    gate: Gate, build: Build
) -> None:
    source = "extern int gone(void); int f(void) { return gone(); }"
    done = gate("--plugin", build("needy", source), "--tolerances", DEFAULT_FOLDER)
    assert done.returncode == 3
    assert done.stdout.startswith("COULD NOT VERIFY: ")
