"""Run a stored finding once more: `verify replay DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

from verify.errors import InputError
from verify.replay.command import Command, execute
from verify.replay.folder import read

__all__ = ["replay"]

_SCRIPT = "again.py"  # a finding's own script


def replay(folder: Path) -> int:
    """Run the folder's command with this interpreter's Polygraphy, printing what it prints.

    Returns 1 if the finding is still there, 0 if it is gone. Raises InputError for a folder with
    a missing or damaged file, and where the run ended before anything was compared.
    """
    if (folder / _SCRIPT).is_file():  # about a plugin's plumbing: it has no model
        command = Command(("python", _SCRIPT))
    else:
        stored = read(folder)
        if not stored.model_is_original:
            print(f"{folder / 'model.onnx'} is not the model that was stored")
        command = stored.command
    print(command.line(folder), flush=True)

    def echo(line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    ran = execute(command, folder, echo=echo)
    if ran.failed:
        return 1
    if ran.passed:
        return 0
    raise InputError(
        f"{folder}: {command.words[0]} {ran.end} and nothing was compared; what it printed says why"
    )
