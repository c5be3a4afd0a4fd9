"""The plugin's sources and the tools that its tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[2] / "plugin"


def _compile(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    report = f"{' '.join(map(str, command))} exited {done.returncode}:\n{output}"
    assert done.returncode == 0, report
    assert not output.strip(), report


@pytest.fixture(scope="session")
def compile_source() -> Callable[[list[str | Path]], None]:
    """A function that runs a compiler; any output, warnings included, is a failure."""
    return _compile


@pytest.fixture(scope="session")
def plugin_sources() -> Path:
    """The folder plugin/."""
    return PLUGIN


@pytest.fixture(scope="session")
def nvcc() -> str:
    """The CUDA compiler, from PATH or CUDA_HOME; skips where there is none."""
    home = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
    found = shutil.which("nvcc") or shutil.which("nvcc", path=str(home / "bin"))
    if found is None:
        pytest.skip("nvcc is neither on PATH nor under CUDA_HOME")
    return found


@pytest.fixture(scope="session")
def tensorrt_headers() -> Path:
    """The folder of TENSORRT_HEADERS, one sub-folder per release; skips where it is not set."""
    root = os.environ.get("TENSORRT_HEADERS")
    if root is None:
        pytest.skip("TENSORRT_HEADERS is not set (a folder with 8.6/include, 10.0/include, ...)")
    return Path(root)
