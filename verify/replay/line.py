"""Lines that run this suite again, tried before they are printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["TIME_LIMIT", "nested", "try_line"]

TIME_LIMIT = 120.0  # seconds for one line

_NESTED = "VERIFY_NESTED"  # set in the environment of a line that is being tried


def nested() -> bool:
    """Whether this process is such a line: it must not try lines in turn."""
    return _NESTED in os.environ


def try_line(words: Sequence[str]) -> str | None:
    """Run ``python`` with ``words`` in a folder that is thrown away.

    Returns what it printed if it exited with 1, None if not, or not within `TIME_LIMIT`.
    """
    # Our packages may be importable from the current folder only, which is another one there.
    path = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, _NESTED: "1", "PYTHONPATH": os.pathsep.join(filter(None, path))}
    with TemporaryDirectory(prefix="verify-") as folder:
        try:
            ran = subprocess.run(
                [sys.executable, *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
    return ran.stdout if ran.returncode == 1 else None
