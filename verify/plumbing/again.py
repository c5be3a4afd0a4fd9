"""Shows a finding about a plugin's plumbing again, with the modules beside this file.

Needs NumPy, cuda-core, TensorRT and the plugin's library:

    python again.py [LIBRARY]

LIBRARY takes the place of the one that was tested. Exit code: 1 and `replay: FAIL:` while the
finding is there, 0 and `replay: PASS:` when it is gone, 2 where nothing can be tested.
"""

from __future__ import annotations

import ctypes
import json
import pickle
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from verify.plumbing import worker  # noqa: E402
from verify.plumbing.check import Subject  # noqa: E402
from verify.plumbing.table import by_name  # noqa: E402

RECORD: Any = json.loads(r"""{}""")

_SECONDS = 300  # for CUDA and TensorRT to start, on top of the check's own
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(words: list[str]) -> int:
    """Run the check in processes of its own, which the plugin may break."""
    check = by_name(RECORD["check"])
    library = str(Path(words[0]).resolve()) if words else RECORD["subject"]["library"]
    if not Path(library).is_file():
        print(f"{library}: no such file; python again.py LIBRARY takes another", file=sys.stderr)
        return 2
    print(f"{check.name}: {check.claim}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        steps = (["prepare"] if check.prepare is not None else []) + ["perform"]
        for step in steps:
            command = [sys.executable, __file__, "--inside", step, library, folder]
            try:
                done = subprocess.run(
                    command,
                    timeout=check.seconds + _SECONDS,
                    check=False,
                    preexec_fn=_with_us,
                )
            except subprocess.TimeoutExpired:
                print("replay: FAIL: the process did not end within its time")
                return 1
            if done.returncode < 0:
                name = signal.Signals(-done.returncode).name
                print(f"replay: FAIL: the process was ended by {name}")
                return 1
            if not (Path(folder) / f"{step}.done").exists():
                print(f"replay: FAIL: the process ended with exit code {done.returncode}")
                return 1
            if done.returncode:
                return done.returncode
    return 0


def _with_us() -> None:
    """A process that hangs ends with the one that waits for it, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def inside(step: str, library: str, folder: Path) -> int:
    """One step: prepare what the check takes with it, or perform the check."""
    check = by_name(RECORD["check"])
    subject = _subject(library)
    fault, code = "", 0
    try:
        worker.start()
    except Exception as error:
        print(f"TensorRT does not start: {error}", file=sys.stderr)
        code = 2
    if not code and (check.loads or step == "prepare"):
        fault = worker.load(subject)
    if code:
        pass
    elif fault:
        print(f"replay: FAIL: {fault}")
        code = 1
    elif step == "prepare":
        (folder / "payload").write_bytes(pickle.dumps(worker.prepare(check, subject)))
    else:
        payload = folder / "payload"
        data = pickle.loads(payload.read_bytes()) if payload.exists() else None
        code = _told(worker.perform(check, subject, data))
    (folder / f"{step}.done").write_bytes(b"")
    sys.stdout.flush()
    return code


def _told(answer: Any) -> int:
    if answer.faults:
        for fault in answer.faults:
            print(f"replay: FAIL: {fault}")
        return 1
    if answer.error or answer.skipped:
        print(f"nothing was tested: {answer.error or answer.skipped}", file=sys.stderr)
        return 2
    print(f"replay: PASS: {answer.count} comparisons")
    return 0


def _subject(library: str) -> Subject:
    record = dict(RECORD["subject"])
    listed = {key: tuple(value) for key, value in record.items() if isinstance(value, list)}
    listed["fields"] = tuple(tuple(field) for field in record["fields"])
    return replace(Subject(**{**record, **listed}), library=library)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(sys.argv[2], sys.argv[3], Path(sys.argv[4])))
    sys.exit(main(sys.argv[1:]))
