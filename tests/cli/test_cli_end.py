"""How a command ends early: Ctrl-C while it starts, a reader that has gone, no streams at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from verify.tolerances import DEFAULT_FOLDER

# `python -m verify` that gets Ctrl-C when it imports the module named first.
_PRESS = """
import os, runpy, signal, sys
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
module = sys.argv.pop(1)
sys.meta_path.insert(0, Press())
runpy.run_module("verify", run_name="__main__", alter_sys=True)
"""


def _command(tmp_path: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(DEFAULT_FOLDER.parent)}
    return subprocess.run(
        words,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "module",
    ["click", "click.types", "verify.errors", "numpy", "numpy.linalg", "pydantic.main", "onnx"],
)
@pytest.mark.parametrize("command", ["run", "gate"])
def test_ctrl_c_while_a_command_starts_is_one_line(
    tmp_path: Path, module: str, command: str
) -> None:
    words = (command, "--plugin", "none.so") if command == "gate" else (command,)
    done = _command(tmp_path, [sys.executable, "-c", _PRESS, module, *words])
    assert done.stderr == "interrupted\n"
    assert (done.returncode, done.stdout) == (130, "")
    assert list(tmp_path.iterdir()) == []


def _shell(tmp_path: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `verify` is the command line."""
    line = line.replace("verify", f"{sys.executable} -m verify")
    return _command(tmp_path, ["bash", "-c", line])


@pytest.mark.parametrize("command", ["run --list", "tolerances", "observations", "doctor"])
def test_a_reader_that_has_gone_is_told_by_the_exit_code(tmp_path: Path, command: str) -> None:
    # The reader closes the pipe before a command can have written anything.
    done = _shell(tmp_path, f"verify {command} | exec <&-; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 128 + signal.SIGPIPE
    assert (done.stdout, done.stderr) == ("", "")


def test_a_line_that_is_read_is_whole(tmp_path: Path) -> None:
    done = _shell(tmp_path, "verify run --list --form op | head -1")
    assert done.stdout == "op-alone-fp32-reference\n"
    assert done.stderr == ""


def test_without_streams_the_exit_code_has_to_do(tmp_path: Path) -> None:
    assert _shell(tmp_path, "verify run --list >&-").returncode == 0
    assert _shell(tmp_path, "verify nonsense 2>&-").returncode == 2
    assert _shell(tmp_path, "verify nonsense 2>/dev/full").returncode == 2
    full = _shell(tmp_path, "verify run --list >/dev/full")
    assert full.returncode == 2
    assert full.stderr == "error: standard output: No space left on device\n"
