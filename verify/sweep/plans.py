"""Plans that several sweeps share: the first one builds a plan, the others find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from verify.errors import InputError

__all__ = ["path_of", "shared"]


def path_of(folder: Path, key: str) -> Path:
    """Where the plan of this key is kept."""
    return folder / f"{key}.plan"


def shared(folder: Path, key: str, build: Callable[[], bytes]) -> bytes:
    """The plan that ``folder`` keeps under ``key``; built and put there where there is none.

    Two builds of one model may differ. Who comes while another builds waits for that plan.
    Raises InputError where the folder can't be used, and what ``build`` raises.
    """
    path = path_of(folder, key)
    lock = FileLock(path.with_suffix(".lock"))
    with _usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        with _usable(folder):
            if path.exists():
                return path.read_bytes()
        plan = build()  # what goes wrong in here is not the folder's fault
        with _usable(folder):
            _write(path, plan)
        return plan
    finally:
        lock.release()


def _write(path: Path, plan: bytes) -> None:
    temporary = path.with_suffix(".part")
    try:
        temporary.write_bytes(plan)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        told = error.strerror or error
        raise InputError(f"--plans {folder}: can't be used: {told}") from None
