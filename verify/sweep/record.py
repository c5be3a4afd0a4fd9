"""The record of a sweep: what was covered, where, and all that was found; and how they merge."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, FiniteFloat

from verify.bands import BANDS
from verify.cases import Case, parse
from verify.count import coverage
from verify.errors import InputError
from verify.histogram import BUCKETS
from verify.judge import KINDS
from verify.oracle import expected
from verify.record import Environment, Schema, Verdict, misfit, read_schema, write_text
from verify.sweep.checksum import checksum
from verify.sweep.span import Span, unit_size, whole
from verify.sweep.tally import FEW, Tally, merge
from verify.tolerances import RESULTS, Limits

__all__ = [
    "OverCount",
    "PluginRecord",
    "SweepRecord",
    "Timing",
    "build",
    "limits_digest",
    "load",
    "merge_records",
    "timing",
    "write",
]


_NotNegative = Annotated[FiniteFloat, Field(ge=0)]


class Timing(Schema):
    """When and how fast: all that differs between two runs of the same sweep.

    ``seconds`` is the whole of it, generation, engine, digests, oracle and judge;
    ``engine_seconds`` the engine's own time on the same inputs, ``ratio`` the one through the
    other.
    """

    date: str
    seconds: _NotNegative
    engine_seconds: _NotNegative
    inputs_per_second: _NotNegative
    ratio: _NotNegative


class PluginRecord(Schema):
    """The plugin that ran: its name in TensorRT's registry, its library and that file's SHA-256."""

    name: str
    library: str
    sha256: str


class OverCount(Schema):
    """A deviation that accepts fewer inputs than there are."""

    deviation: str
    count: int
    allowed: int


class SweepRecord(Schema):
    """One case, swept over the units ``first`` <= unit < ``end`` of ``units``.

    ``complete``: whether that is all that was asked for. ``environment`` has an empty date.
    ``model``, ``plan`` and ``limits`` are SHA-256 digests: of the ONNX model, of the plan that
    was built from it (empty if none was), and of the limits and deviations that the case was
    held to. ``digests``: of each unit's outputs, and ``checksum``
    of all of them. ``stale`` and ``over``: deviations that never happened or happened too
    often, known only once every input was covered. ``plugin``: None where no library ran.
    """

    schema_version: Literal[1]
    command: Literal["sweep"]
    complete: bool
    case: str
    body: bool
    plugin: PluginRecord | None = None
    verdict: Verdict
    coverage: str
    model: str
    plan: str
    limits: str
    environment: Environment
    unit: int
    units: int
    first: int
    end: int
    checksum: str
    tally: Tally
    stale: tuple[str, ...]
    over: tuple[OverCount, ...]
    digests: tuple[str, ...]
    timing: Timing

    @property
    def exhaustive(self) -> bool:
        """Whether every input was covered."""
        return self.first == 0 and self.end == self.units

    def to_json(self) -> str:
        """Strict JSON, indented; the units' digests last but for the timing."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"


def limits_digest(limits: Limits) -> str:
    """SHA-256 of everything in ``limits`` that a result depends on or that a record repeats."""
    content = {
        "ulp": sorted((*key, value) for key, value in limits.ulp.items()),
        "floor": sorted(limits.floor.items()),
        "nan_at_minus_inf": limits.nan_at_minus_inf,
        "deviations": [asdict(deviation) for deviation in limits.deviations],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def build(
    *,
    case: Case,
    limits: Limits,
    model: bytes,
    plan: str,
    environment: Environment,
    planned: Span,
    end: int,
    tally: Tally,
    digests: Sequence[str],
    timing: Timing,
    plugin: PluginRecord | None = None,
) -> SweepRecord:
    """The record of ``planned``, covered up to the unit ``end`` (excluded)."""
    units = whole(case.precision).units
    everything = planned.first == 0 and end == units
    counts = {deviation.deviation: deviation.count for deviation in tally.deviations}
    due = [d.key for d in limits.deviations if everything and not d.optional]
    stale = tuple(key for key in due if key not in counts)
    over = tuple(
        OverCount(deviation=d.key, count=counts[d.key], allowed=d.largest_count_of_all)
        for d in limits.deviations
        if everything and counts.get(d.key, 0) > d.largest_count_of_all
    )
    return SweepRecord(
        schema_version=1,
        command="sweep",
        complete=end == planned.end,
        case=case.id,
        body=case.form == "plugin" and plugin is None,
        plugin=plugin,
        verdict=_verdict(tally, stale, over),
        coverage=_coverage(tally, case),
        model=hashlib.sha256(model).hexdigest(),
        plan=plan,
        limits=limits_digest(limits),
        environment=environment.model_copy(update={"date": ""}),
        unit=unit_size(case.precision),
        units=units,
        first=planned.first,
        end=end,
        checksum=checksum(digests),
        tally=tally,
        stale=stale,
        over=over,
        digests=tuple(digests),
        timing=timing,
    )


def _coverage(tally: Tally, case: Case) -> str:
    return coverage(tally.inputs, 1 << case.precision.total_bits)


def _verdict(tally: Tally, stale: Sequence[str], over: Sequence[OverCount]) -> Verdict:
    if tally.breaches or over:
        return "FAIL"
    if stale:
        return "STALE"
    return "KNOWN" if tally.deviations else "PASS"


def load(path: Path) -> SweepRecord:
    """Read a record; raise InputError, in one line, for a missing, damaged or foreign file."""
    record = read_schema(path, SweepRecord, "a sweep's record")
    try:
        fault = _damage(record)
    except InputError as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if fault:
        raise InputError(f"{path}: damaged: {fault}")
    return record


def write(path: Path, record: SweepRecord) -> tuple[Path, bool]:
    """Write a record; returns where it went, or the file that it can't replace, and which.

    What an interrupted sweep did replaces no finished record and none of more inputs: it goes
    beside it, to ``NAME.partial.json``, which goes away when the sweep is finished.
    """
    beside = path.with_name(f"{path.stem}.partial{path.suffix}")
    if not record.complete and _fuller(path, record):
        path = beside
        if _fuller(path, record):
            return path, False
    write_text(path, record.to_json())
    if record.complete and _superseded(beside, record):
        beside.unlink()
    return path, True


def _fuller(path: Path, record: SweepRecord) -> bool:
    """Whether a file holds a finished record, or one of more inputs."""
    old = _old(path)
    return old is not None and (old.complete or old.tally.inputs > record.tally.inputs)


def _superseded(path: Path, record: SweepRecord) -> bool:
    """Whether a file holds what was left of an interrupted sweep of the same units."""
    old = _old(path)
    if old is None or old.complete or old.case != record.case:
        return False
    return record.first <= old.first and old.end <= record.end


def _old(path: Path) -> SweepRecord | None:
    try:
        return load(path)
    except InputError:  # none, or a damaged one
        return None


def _damage(record: SweepRecord) -> str:
    """What a record says that can't be, empty if nothing; raises InputError for its case."""
    if len(record.environment.engines) != 1:
        return f"{len(record.environment.engines)} engines; expected the one that was swept"
    span = whole(parse(record.case).precision)
    unit = unit_size(span.precision)
    if (record.unit, record.units) != (unit, span.units):
        return f"{record.units} units of {record.unit} inputs; expected {span.units} of {unit}"
    if not 0 <= record.first <= record.end <= record.units:
        return f"units {record.first} to {record.end} of {record.units}"
    if len(record.digests) != record.end - record.first:
        return f"{len(record.digests)} digests of {record.end - record.first} units"
    if checksum(record.digests) != record.checksum:
        return "the checksum is not that of the digests"
    inputs = (record.end - record.first) * record.unit
    if record.tally.inputs != inputs:
        return f"{record.tally.inputs} inputs in {record.end - record.first} units"
    fault = _damaged_tally(record.tally, parse(record.case))
    if fault:
        return fault
    if record.coverage != _coverage(record.tally, parse(record.case)):
        return f"coverage {record.coverage!r} of {inputs} inputs"
    if (record.stale or record.over) and not record.exhaustive:
        return "deviations are counted, but not all inputs were covered"
    verdict = _verdict(record.tally, record.stale, record.over)
    failed = not record.complete and record.verdict == "ERROR" and verdict != "FAIL"
    if record.verdict != verdict and not failed:
        return f"verdict {record.verdict}; what was found makes it {verdict}"
    return ""


def _damaged_tally(tally: Tally, case: Case) -> str:
    """What the parts of a tally say of each other that can't be, empty if nothing."""
    one = case.precision.round(np.zeros(1))
    outputs = [view.label for view in expected(case.context, one, case.precision)]
    unknown = {band.output for band in tally.bands}.difference(outputs)
    if unknown:
        return f"bands of {', '.join(sorted(unknown))}; the outputs are {', '.join(outputs)}"
    for output in outputs:
        if sum(band.samples for band in tally.bands if band.output == output) != tally.inputs:
            return f"the bands of {output} don't add up to {tally.inputs} inputs"
    accepted: dict[tuple[str, str, str], int] = {}  # by a deviation: beyond a limit, no breach
    for band in tally.bands:
        key = (band.output, band.band, band.result)
        if key in accepted or band.band not in BANDS or band.result not in RESULTS:
            return f"an unknown band, or one twice: {' '.join(key)}"
        if len(band.histogram) != BUCKETS or min(band.histogram) < 0:
            return f"the histogram of {band.band} has not {BUCKETS} counts"
        if sum(band.histogram) != band.samples or not band.samples:
            return f"the histogram of {band.band} does not add up to {band.samples}"
        if min(band.nan, band.inf, band.sign, band.breaches) < 0:
            return f"a negative count in {band.band}"
        if not band.nan + band.inf + band.sign <= band.breaches <= band.samples:
            return f"{band.breaches} of {band.samples} inputs of {band.band} are beyond the limit"
        accepted[key] = band.breaches
    for breach in tally.breaches:
        key = (breach.output, breach.band, breach.result)
        if key not in accepted or breach.kind not in KINDS:
            return f"breaches of an unknown band or kind: {' '.join(key)}, {breach.kind}"
        if {len(breach.first), len(breach.worst)} != {min(FEW, breach.count)} or breach.count < 1:
            return f"{breach.count} breaches in {breach.band}, of which others are told"
        accepted[key] -= breach.count
        if accepted[key] < 0:
            return f"more breaches of {' '.join(key)} than inputs beyond its limit"
    points = [point for band in tally.bands for point in (band.worst, band.outside)]
    points += [point for breach in tally.breaches for point in (*breach.first, *breach.worst)]
    points += [deviation.worst for deviation in tally.deviations]
    fault = misfit(points, case.precision)
    if fault:
        return fault
    # An input counts once for its deviation, in however many outputs it deviates.
    counted = sum(deviation.count for deviation in tally.deviations)
    for output in outputs:
        beyond = sum(count for key, count in accepted.items() if key[0] == output)
        if beyond > counted:
            return f"{beyond} of {output} are beyond their limit, {counted} are accepted"
    if counted > sum(accepted.values()):
        return f"{counted} inputs are accepted, {sum(accepted.values())} beyond their limit"
    return ""


_SAME: tuple[tuple[str, Callable[[SweepRecord], object]], ...] = (
    ("case", lambda record: record.case),
    ("model", lambda record: record.model),
    ("plan", lambda record: record.plan),
    ("plugin", lambda record: record.plugin),
    (
        "engine",
        lambda record: tuple((e.engine, e.version, e.device) for e in record.environment.engines),
    ),
    ("CPU instruction set", lambda record: record.environment.cpu),
    ("environment", lambda record: record.environment),
    ("tolerances", lambda record: record.limits),
)


def merge_records(named: Sequence[tuple[str, SweepRecord]], limits: Limits) -> SweepRecord:
    """Merge shards, with their names for messages: the record of the sweep that they divide.

    Raises InputError for an interrupted shard, for one of another case, model, engine,
    environment or tolerances (``limits`` included), where they overlap or leave a gap, and for
    shards of TensorRT's whose plan is not known.
    """
    for name, record in named:
        if not record.complete:
            raise InputError(
                f"{name}: interrupted after {record.coverage} inputs; sweep this shard again"
            )
        for what, of in _SAME:
            if of(record) != of(named[0][1]):
                told = _apart(of(record), of(named[0][1]))
                # Two builds of the same layers need not be the same plan.
                told += "; sweep all shards with one --plans DIR" if what == "plan" else ""
                raise InputError(f"{name}: another {what} than {named[0][0]}: {told}")
        if record.limits != limits_digest(limits):
            raise InputError(f"{name}: other tolerances than {limits.source} has now; sweep again")
    name, record = named[0]
    if len(named) > 1 and parse(record.case).engine == "tensorrt" and not record.plan:
        raise InputError(
            f"{name}: no plan is kept of the context {parse(record.case).context}, and each shard "
            "has another; sweep all units at once"
        )
    ordered = sorted(named, key=lambda item: (item[1].first, item[1].end))
    reached, last = 0, ""
    for name, record in ordered:
        if record.first < reached:
            both = f"units {record.first} to {min(record.end, reached) - 1}"
            raise InputError(f"{name}: overlaps {last}: {both}")
        if record.first > reached:
            raise _missing(reached, record.first, record.units)
        reached, last = record.end, name
    records = [record for _, record in ordered]
    if reached < records[0].units:
        raise _missing(reached, records[0].units, records[0].units)
    case = parse(records[0].case)
    seconds = sum(record.timing.seconds for record in records)
    engine = sum(record.timing.engine_seconds for record in records)
    tally = merge([record.tally for record in records])
    merged = build(
        case=case,
        limits=limits,
        model=b"",
        plan=records[0].plan,
        environment=records[0].environment,
        planned=whole(case.precision),
        end=reached,
        tally=tally,
        digests=[digest for record in records for digest in record.digests],
        timing=timing(max(record.timing.date for record in records), seconds, engine, tally.inputs),
        plugin=records[0].plugin,
    )
    return merged.model_copy(update={"model": records[0].model})


def timing(date: str, seconds: float, engine_seconds: float, inputs: int) -> Timing:
    """Round what was timed, and divide it; seconds of several shards are added up."""
    return Timing(
        date=date,
        seconds=round(seconds, 3),
        engine_seconds=round(engine_seconds, 3),
        inputs_per_second=round(inputs / seconds) if seconds else 0,
        ratio=round(seconds / engine_seconds, 3) if engine_seconds else 0,
    )


def _missing(first: int, end: int, units: int) -> InputError:
    return InputError(f"missing: units {first} to {end - 1} of {units} are in none of the shards")


def _apart(one: object, other: object) -> str:
    """What differs between two values, by field where they have fields."""
    ours, theirs = _fields(one), _fields(other)
    if ours.keys() != theirs.keys():
        ours, theirs = {"": one}, {"": other}
    pairs = {key: (str(ours[key]), str(theirs[key])) for key in ours if ours[key] != theirs[key]}
    return "; ".join(
        f"{key}{': ' if key else ''}{_cut(a, b)}, not {_cut(b, a)}" for key, (a, b) in pairs.items()
    )


def _fields(value: object, key: str = "") -> dict[str, object]:
    """The innermost values of a part of a record, by their dotted names."""
    if isinstance(value, Schema):
        inner = {name: getattr(value, name) for name in type(value).model_fields}
    elif isinstance(value, tuple) and value and all(isinstance(item, Schema) for item in value):
        inner = {str(i): item for i, item in enumerate(value)}
    else:
        return {key: value}
    found: dict[str, object] = {}
    for name, item in inner.items():
        found |= _fields(item, f"{key}.{name}" if key else name)
    return found


_SHOWN = 120  # characters of a value; the first that differs is among them


def _cut(text: str, other: str) -> str:
    if len(text) <= _SHOWN:
        return text
    pairs = enumerate(zip(text, other, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), min(len(text), len(other)))
    start = max(0, same - _SHOWN // 2)
    end = start + _SHOWN
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
