"""Observations: what was measured, where and when, beside the contract of the tolerance files."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import ValidationError

from verify.cases import parse
from verify.errors import InputError
from verify.record import Environment, Number, Schema, WorstRecord, write_text
from verify.sweep.record import first_fault
from verify.sweep.tally import Tally

__all__ = [
    "AcceptedObservation",
    "BandObservation",
    "CaseObservation",
    "Observation",
    "load",
    "observe",
    "of",
    "read_folder",
]


class BandObservation(Schema):
    """The worst of a band of one output, for one kind of result, and all its errors counted.

    ``outside``: the worst at an x that no deviation was about, null if there was none.
    """

    output: str
    band: str
    result: str
    samples: int
    worst: WorstRecord
    outside: WorstRecord | None
    histogram: tuple[int, ...]
    nan: int
    inf: int
    sign: int


class AcceptedObservation(Schema):
    """What a deviation accepted: of this kind, in this x-range, so many inputs, at worst this."""

    kind: str
    x: tuple[Number, Number]
    count: int
    worst: WorstRecord


class CaseObservation(Schema):
    """One case: ``inputs`` of ``total`` inputs of the model with this SHA-256."""

    date: str
    inputs: int
    total: int
    model: str
    numpy: str
    checksum: str
    bands: tuple[BandObservation, ...]
    accepted: tuple[AcceptedObservation, ...]


class Observation(Schema):
    """A file of ``tolerances/observed``: cases of one engine on one kind of machine."""

    schema_version: Literal[1]
    command: Literal["observe"]
    engine: str
    version: str
    device: str
    cpu: str
    cases: dict[str, CaseObservation]

    def to_json(self) -> str:
        """Strict JSON with a line for each band, so that a change of one shows as one line."""
        data = self.model_dump(mode="json")
        lines = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in data.items() if k != "cases"]
        cases = []
        for case_id, case in data["cases"].items():
            rows = []
            for key, value in case.items():
                told = json.dumps(value, allow_nan=False)
                if isinstance(value, list) and value:
                    items = ",\n    ".join(json.dumps(item, allow_nan=False) for item in value)
                    told = f"[\n    {items}\n   ]"
                rows.append(f"   {json.dumps(key)}: {told}")
            cases.append(f"  {json.dumps(case_id)}: {{\n" + ",\n".join(rows) + "\n  }")
        lines.append(' "cases": {\n' + ",\n".join(cases) + "\n }")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def of(
    case_id: str,
    tally: Tally,
    environment: Environment,
    *,
    date: str,
    model: str,
    checksum: str,
) -> Observation:
    """The observation of one case."""
    (engine,) = environment.engines
    observed = CaseObservation(
        date=date,
        inputs=tally.inputs,
        total=1 << parse(case_id).precision.total_bits,
        model=model,
        numpy=environment.numpy,
        checksum=checksum,
        bands=tuple(
            BandObservation(**band.model_dump(exclude={"limit", "breaches"}))
            for band in tally.bands
        ),
        accepted=tuple(
            AcceptedObservation(
                kind=accepted.kind, x=accepted.x, count=accepted.count, worst=accepted.worst
            )
            for accepted in tally.deviations
        ),
    )
    return Observation(
        schema_version=1,
        command="observe",
        engine=engine.engine,
        version=engine.version,
        device=engine.device,
        cpu=environment.cpu,
        cases={case_id: observed},
    )


def observe(path: Path, new: Observation) -> None:
    """Write ``new`` into ``path``: its cases replace those of the file, all others stay.

    Raises InputError where the file is of another engine, version or machine, or damaged.
    """
    # Several sweeps may observe into one file at a time. The lock is not beside it, where it would
    # be left lying among the observations.
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"verify-observe-{key}.lock"):
        cases: Mapping[str, CaseObservation] = {}
        if path.exists():
            old = load(path)
            for what in ("engine", "version", "device", "cpu"):
                ours, theirs = getattr(new, what), getattr(old, what)
                if ours != theirs:
                    raise InputError(
                        f"{path}: observed with {what} {theirs!r}, not {ours!r}; name another file"
                    )
            cases = old.cases
        merged = dict(sorted({**cases, **new.cases}.items()))
        write_text(path, new.model_copy(update={"cases": merged}).to_json())


def load(path: Path) -> Observation:
    """Read a file; raise InputError, in one line, for a missing or damaged one."""
    try:
        observation = Observation.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not an observation: {first_fault(error)}") from None
    for case_id in observation.cases:
        if parse(case_id).engine != observation.engine:
            raise InputError(f"{path}: {case_id} is no case of {observation.engine}")
    return observation


def read_folder(folder: Path) -> dict[str, Observation]:
    """Every observation of a folder by file name, none if there is no folder."""
    return {path.name: load(path) for path in sorted(folder.glob("*.json"))}
