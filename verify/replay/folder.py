"""The folder that holds a finding: five files, written all at once or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verify.bands import BANDS, classify
from verify.errors import InputError
from verify.findings import Finding
from verify.judge import results_of
from verify.oracle import View
from verify.precision import BF16, Array, Precision
from verify.replay.command import Command
from verify.tolerances import RESULTS, Deviation, Limits

__all__ = ["FILES", "Stored", "name_of", "read", "write"]

FILES = ("model.onnx", "inputs.json", "golden.json", "compare.py", "replay.sh")

_TEMPLATE = Path(__file__).with_name("compare.py")
_EMPTY = 'json.loads(r"""{}""")'
_RECORD = re.compile(r'^RECORD: Any = json\.loads\(r"""(.*?)"""\)$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Stored:
    """What a finding's folder says of itself."""

    folder: Path
    command: Command
    model_is_original: bool


def name_of(finding: Finding) -> str:
    """A folder's name: case, check and band, in a-z, 0-9, ``_`` and ``-``."""
    parts = (finding.case.id, finding.check, finding.band)
    return "_".join(re.sub(r"[^a-z0-9_]+", "-", p.lower()).strip("-") for p in parts if p)


def write(
    folder: Path,
    finding: Finding,
    element: int,
    model: bytes,
    x: Array,
    views: Sequence[View],
    limits: Limits,
    command: Command,
    *,
    over: Deviation | None = None,
    allowed: int | None = None,
) -> None:
    """Write the folder, or replace it as a whole.

    ``x`` is what the model is fed, in its shape; ``element`` is the flat index of the finding's
    input. ``over`` and ``allowed``: the deviation whose largest count is exceeded, and that
    count. Raises InputError where the folder can't be written.
    """
    from polygraphy.comparator import RunResults
    from polygraphy.json import to_json

    assert finding.point is not None
    precision = finding.case.precision
    # NumPy has no bf16: its tensors travel as their bits.
    carried = x.view(np.uint16) if precision is BF16 else x
    results = RunResults()
    results.add([_golden(views, x.shape)], runner_name="oracle")
    files = {
        "model.onnx": model,
        "inputs.json": to_json([{"x": carried}]).encode(),
        "golden.json": to_json(results).encode(),
    }
    record = {
        "finding": {
            "case": finding.case.id,
            "check": finding.check,
            "message": finding.message,
            "output": finding.output,
            "element": element,
            "x_bits": finding.point.x_bits,
        },
        "precision": precision.name,
        "command": command.words,
        "environment": dict(command.environment),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "views": [
            {
                "output": view.output,
                "channel": view.channel,
                "zero_sign": view.zero_sign,
                "limits": _runs(view, precision, limits),
            }
            for view in views
        ],
        "deviations": _deviations(limits, over, allowed),
    }
    template = _TEMPLATE.read_text(encoding="utf-8")
    if template.count(_EMPTY) != 1:
        raise AssertionError(f"{_TEMPLATE}: expected {_EMPTY} once")
    text = template.replace(_EMPTY, f'json.loads(r"""{_pretty(record)}""")')
    files["compare.py"] = text.encode()
    files["replay.sh"] = _script(files["compare.py"], command).encode()
    _replace(folder, files)


def read(folder: Path) -> Stored:
    """Check that the five files are there and undamaged; another model.onnx is allowed.

    Raises InputError naming the file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; give one that a finding names")
    data = {}
    for name in FILES:
        try:
            data[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            raise InputError(
                f"{folder / name}: missing; a replay needs {', '.join(FILES)}"
            ) from None
        except OSError as error:
            raise InputError(f"{folder / name}: can't be read: {error.strerror}") from None
        if not data[name]:
            raise InputError(f"{folder / name}: damaged: it is empty")
    compare, script = folder / "compare.py", data["replay.sh"].decode(errors="replace")
    try:
        found = _RECORD.search(data["compare.py"].decode())
        record = json.loads(found[1]) if found else {}
        command = Command(tuple(record["command"]), tuple(record["environment"].items()))
        hashes = {name: str(record["sha256"][name]) for name in FILES[:3]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{compare}: damaged: it does not hold its record") from None
    if not script.endswith(command.script()):
        raise InputError(f"{folder / 'replay.sh'}: damaged: it does not run what was stored")
    if hashlib.sha256(data["compare.py"]).hexdigest() not in script:
        raise InputError(f"{compare}: damaged: its sha256 is not the one in replay.sh")
    same = {name: hashlib.sha256(data[name]).hexdigest() == hashes[name] for name in hashes}
    for name in ("inputs.json", "golden.json"):
        if not same[name]:
            raise InputError(f"{folder / name}: damaged: its sha256 is not the one in compare.py")
    if not same["model.onnx"]:
        _check_model(folder / "model.onnx", data["model.onnx"])
    return Stored(folder, command, same["model.onnx"])


def _check_model(path: Path, data: bytes) -> None:
    """A mended model in the place of the stored one is what a replay is for; a broken one isn't."""
    import onnx

    try:
        onnx.checker.check_model(onnx.load_model_from_string(data))
    except Exception as error:  # protobuf's and the checker's own, of many kinds
        first = str(error).strip().splitlines()[:1]
        raise InputError(f"{path}: damaged: not a valid model: {' '.join(first)}") from None


def _golden(views: Sequence[View], shape: tuple[int, ...]) -> dict[str, Array]:
    """The oracle's float64 values by output, in the outputs' shapes."""
    golden = {}
    for view in views:
        if view.channel is None:
            golden[view.output] = view.expected.reshape(shape)
        elif view.output not in golden:
            channels = [v for v in views if v.output == view.output]
            without = (shape[0], *shape[2:])
            golden[view.output] = np.stack(
                [v.expected.reshape(without) for v in sorted(channels, key=_channel)], axis=1
            )
    return golden


def _channel(view: View) -> int:
    return view.channel or 0


def _runs(view: View, precision: Precision, limits: Limits) -> list[list[Any]]:
    """Each element's limits: the runs that compare.py describes."""
    either = (view.argument == -np.inf) & limits.nan_at_minus_inf
    group = classify(view.argument, precision) * np.int64(3)
    group += results_of(view.expected, precision)
    covered = [
        (view.argument >= deviation.x[0]) & (view.argument <= deviation.x[1])
        for deviation in limits.deviations
    ]
    columns = np.stack([group, either, *covered])
    changes = (columns[:, 1:] != columns[:, :-1]).any(axis=0)
    starts = np.flatnonzero(np.concatenate([[True], changes]))
    counts = np.diff(np.concatenate([starts, [len(group)]]))
    runs: list[list[Any]] = []
    for start, count in zip(starts, counts, strict=True):
        band, kind = BANDS[group[start] // 3], RESULTS[group[start] % 3]
        special = kind == "special"
        limit = None if special else limits.ulp[band, kind]
        floor = 0.0 if special else limits.floor.get(band, 0.0)
        within = [number for number, mask in enumerate(covered) if mask[start]]
        allowed = [limit, floor, bool(either[start]), within]
        if runs and runs[-1][1:] == allowed:
            runs[-1][0] += int(count)
        else:
            runs.append([int(count), *allowed])
    return runs


def _deviations(
    limits: Limits, over: Deviation | None, allowed: int | None
) -> list[dict[str, Any]]:
    """The accepted deviations, in their order: the first that covers an element takes it."""
    return [
        {
            "key": deviation.key,
            "kind": deviation.kind,
            "largest_error": deviation.largest_error,
            "largest_count": allowed if deviation is over else None,
        }
        for deviation in limits.deviations
    ]


def _pretty(record: dict[str, Any]) -> str:
    """JSON with a line for each entry, but none for each number."""
    lines = []
    for key, value in record.items():
        if isinstance(value, list) and value:
            inner = ",\n".join(f"  {json.dumps(entry)}" for entry in value)
            lines.append(f' "{key}": [\n{inner}\n ]')
        else:
            lines.append(f' "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}"


def _script(compare: bytes, command: Command) -> str:
    return (
        "#!/bin/sh\n"
        "# Shows the finding again: exit code 1 and `replay: FAIL:` while it is there, 0 when\n"
        "# it is gone, 2 where a file is missing.\n"
        f"# compare.py has sha256 {hashlib.sha256(compare).hexdigest()}\n"
        'cd -- "$(dirname -- "$0")" || exit 2\n'
        "for file in model.onnx compare.py; do\n"
        '  [ -s "$file" ] || { echo "$file is missing or empty" >&2; exit 2; }\n'
        "done\n"
        f"{command.script()}"
    )


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    new = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    try:
        new.mkdir(parents=True)
        for name, data in files.items():
            (new / name).write_bytes(data)
        (new / "replay.sh").chmod(0o755)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: can't be written: {error.strerror}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
