from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from verify.tolerances import DEFAULT_FOLDER

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run ``python -m verify`` in an empty folder, as a user does."""

    def run(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(DEFAULT_FOLDER.parent), "COLUMNS": "200"}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [sys.executable, "-m", "verify", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **more,  # type: ignore[call-overload]
        )
        return done

    return run


@pytest.fixture
def tolerances(tmp_path: Path) -> Path:
    """A copy of the tolerance files to spoil."""
    folder = tmp_path / "tolerances"
    shutil.copytree(DEFAULT_FOLDER, folder)
    return folder
