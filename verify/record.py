"""``record.json``: everything a run found, for programs. `Record` is its schema."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from verify.engines import Status
from verify.errors import InputError
from verify.findings import Finding
from verify.judge import BandResult, Point
from verify.precision import Precision

__all__ = [
    "SCHEMA_VERSION",
    "BandRecord",
    "Bits",
    "CaseRecord",
    "CheckRecord",
    "Count",
    "Environment",
    "FindingRecord",
    "Record",
    "ReplayRecord",
    "Schema",
    "check_target",
    "environment",
    "finding_record",
    "load",
    "misfit",
    "read_schema",
    "write_text",
]

SCHEMA_VERSION = 1


def _read(value: Any) -> Any:
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def _write(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


# JSON has no NaN and no infinities: they are the strings "NaN", "Infinity" and "-Infinity".
Number = Annotated[float, BeforeValidator(_read), PlainSerializer(_write, when_used="json")]
Bits = Annotated[str, Field(pattern="^0x[0-9a-f]+$")]
Count = Annotated[int, Field(ge=0)]

Verdict = Literal["PASS", "FAIL", "KNOWN", "STALE", "BUILT", "SKIPPED", "ERROR"]


class Schema(BaseModel):
    """What all parts of our files have in common: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_Whole = TypeVar("_Whole", bound=Schema)  # a file's


class WorstRecord(Schema):
    """One input and what came of it; bits are hexadecimal."""

    x: Number
    x_bits: Bits
    expected: Number
    actual: Number
    actual_bits: Bits
    error_ulp: Number

    @classmethod
    def of(cls, point: Point) -> WorstRecord:
        """From the judge's point."""
        return cls(
            x=point.x,
            x_bits=point.x_bits,
            expected=point.expected,
            actual=point.actual,
            actual_bits=point.actual_bits,
            error_ulp=point.error_ulp,
        )


def misfit(points: Iterable[WorstRecord | None], precision: Precision) -> str:
    """The first bits that no value of ``precision`` has, empty if there are none."""
    width = precision.total_bits
    for point in points:
        for bits in () if point is None else (point.x_bits, point.actual_bits):
            if int(bits, 16) >> width:
                return f"{bits} in {precision.name}, which has {width} bits"
    return ""


class BandRecord(Schema):
    """A band of one output, for one kind of result (regular, subnormal, special).

    ``limit`` is in ULP, null where the result must be exact. ``worst`` is there on a pass too.
    """

    output: str
    band: str
    result: str
    samples: int
    limit: Number | None
    worst: WorstRecord
    breaches: int

    @classmethod
    def of(cls, band: BandResult) -> BandRecord:
        """From the judge's band result."""
        return cls(
            output=band.output,
            band=band.band,
            result=band.result,
            samples=band.samples,
            limit=band.limit,
            worst=WorstRecord.of(band.worst),
            breaches=band.breaches,
        )


class AcceptedRecord(Schema):
    """A deviation at work."""

    deviation: str
    reason: str
    count: int
    worst: WorstRecord


class CaseRecord(Schema):
    """One case and its verdict. ``reason`` is one line, empty for a plain PASS."""

    id: str
    form: str
    context: str
    precision: str
    engine: str
    verdict: Verdict
    reason: str
    body: bool
    samples: int
    coverage: str
    layers: tuple[str, ...]
    bands: tuple[BandRecord, ...]
    accepted: tuple[AcceptedRecord, ...]
    properties: dict[str, int]


class ReplayRecord(Schema):
    """How to see a finding again; ``folder`` is relative to the record's own folder."""

    folder: str | None
    line: str
    reproduced: bool


class FindingRecord(Schema):
    """One finding; ``limit`` in ULP or null."""

    case: str
    check: str
    message: str
    output: str
    band: str
    kind: str
    point: WorstRecord | None
    limit: Number | None
    count: int
    samples: int
    replay: ReplayRecord | None


class CheckRecord(Schema):
    """A check of a plugin's plumbing. ``count``: comparisons; ``reason`` is one line."""

    check: str
    claim: str
    verdict: Verdict
    reason: str
    count: int
    seconds: Number


class EngineRecord(Schema):
    """An engine on the machine of the run; ``driver`` is the release of its GPU's driver."""

    engine: str
    version: str
    executes: bool
    builds: bool
    device: str
    reason: str
    driver: str = ""

    @classmethod
    def of(cls, status: Status) -> EngineRecord:
        """From what an engine says of itself."""
        return cls(
            engine=status.engine,
            version=status.version,
            executes=status.executes,
            builds=status.builds,
            device=status.device,
            reason=status.reason,
            driver=status.driver,
        )


class Environment(Schema):
    """Where a run took place. ``cpu`` names the instruction sets that matter for results."""

    date: str
    python: str
    platform: str
    cpu: str
    numpy: str
    polygraphy: str
    engines: tuple[EngineRecord, ...]

    def version_of(self, engine: str) -> str:
        """The version of an engine, empty if it was not part of the run."""
        return next((found.version for found in self.engines if found.engine == engine), "")


class Record(Schema):
    """The whole of ``record.json``. ``checks`` are those of `gate` that no case has."""

    schema_version: Literal[1]
    command: Literal["run", "gate"]
    complete: bool
    seed: int
    tolerances: str
    environment: Environment
    cases: tuple[CaseRecord, ...]
    findings: tuple[FindingRecord, ...]
    checks: tuple[CheckRecord, ...] = ()

    def to_json(self) -> str:
        """Strict JSON, indented."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"


def finding_record(finding: Finding, base: Path) -> FindingRecord:
    """A finding as it stands in a record in folder ``base``."""
    replay = finding.replay
    return FindingRecord(
        case=finding.case.id,
        check=finding.check,
        message=finding.message,
        output=finding.output,
        band=finding.band,
        kind=finding.kind,
        point=None if finding.point is None else WorstRecord.of(finding.point),
        limit=finding.limit,
        count=finding.count,
        samples=finding.samples,
        replay=None
        if replay is None
        else ReplayRecord(
            folder=None if replay.folder is None else os.path.relpath(replay.folder, base),
            line=replay.line,
            reproduced=replay.reproduced,
        ),
    )


def environment(engines: Iterable[EngineRecord]) -> Environment:
    """What this machine is, as far as results depend on it."""
    import numpy as np

    from verify.engines.base import installed_version

    return Environment(
        date=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        numpy=np.__version__,
        polygraphy=installed_version("polygraphy"),
        engines=tuple(engines),
    )


_FLAGS = ("avx", "avx2", "fma", "avx512f", "avx512bw", "avx512_bf16", "amx_tile", "asimd", "sve")


def _cpu() -> str:
    """The instruction sets that vectorized math libraries choose by."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    flags = {word for line in text.splitlines() if ":" in line for word in line.split()}
    return " ".join(f for f in _FLAGS if f in flags) or platform.machine()


def load(path: Path) -> Record:
    """Read a record; raise InputError for a missing, damaged or foreign file."""
    return read_schema(path, Record, f"a record of schema version {SCHEMA_VERSION}")


def read_schema(path: Path, schema: type[_Whole], what: str) -> _Whole:
    """Read a JSON file that holds a ``schema``, which is called ``what``.

    Raises InputError, in one line, where it can't be read or is something else.
    """
    try:
        return schema.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not {what}: {_first_fault(error)}") from None


def _first_fault(error: ValidationError | UnicodeDecodeError) -> str:
    """One line for the first thing that is wrong with a file."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    detail = error.errors()[0]
    where = ".".join(str(part) for part in detail["loc"]) or "file"
    return " ".join(f"{where}: {detail['msg']}".split())


def check_target(path: Path, what: str) -> None:
    """Find out before the work whether `write_text` can write a file after it.

    Makes its folder. Raises InputError, which begins with ``what``, for a folder, a device, and
    a place that can't be written.
    """
    try:
        # A device or a pipe would be replaced by a file.
        if path.exists() and not path.is_file():
            told = "a folder" if path.is_dir() else "no plain file"
            raise InputError(f"{what}: {told}; it can't be written there; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Tried, because permissions don't say it of every place, nor to every user.
        temporary = _temporary(path)
        try:
            temporary.touch()
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{what}: can't be written: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; raise InputError where the place can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror}") from None


def _temporary(path: Path) -> Path:
    """What a file is called until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}")
