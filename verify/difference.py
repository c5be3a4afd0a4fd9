"""What changed between two records or observations: versions, bits, bands, inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from verify import observation as observations
from verify import record as runs
from verify.cases import parse
from verify.count import coverage
from verify.errors import InputError
from verify.findings import number
from verify.precision import Precision
from verify.record import WorstRecord
from verify.sweep import record as sweeps

__all__ = ["Band", "Measured", "Snapshot", "difference", "read"]

Key = tuple[str, str, str]  # output, band, result


@dataclass(frozen=True)
class Band:
    """The worst of a band; ``breaches`` and ``histogram`` where the file tells them."""

    samples: int
    worst: WorstRecord
    breaches: int | None = None
    histogram: tuple[int, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What a file says of one case; ``facts``: under what conditions, by name."""

    facts: Mapping[str, str]
    bands: Mapping[Key, Band]
    checksum: str = ""
    digests: tuple[str, ...] = ()
    first: int = 0
    unit: int = 0


@dataclass(frozen=True)
class Snapshot:
    """A file of any of the three kinds, as far as they can be compared."""

    path: Path
    cases: Mapping[str, Measured] = field(default_factory=dict)


def read(path: Path) -> Snapshot:
    """Read ``record.json`` of a run or of the gate, a sweep's record or an observation.

    Raises InputError, in one line, for anything else.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path}: neither a record nor an observation") from None
    kind = raw.get("command") if isinstance(raw, dict) else None
    if kind == "sweep":
        return _of_sweep(path, sweeps.load(path))
    if kind == "observe":
        return _of_observation(path, observations.load(path))
    if kind in ("run", "gate"):
        return _of_run(path, runs.load(path))
    raise InputError(f"{path}: neither a record nor an observation")


def _of_sweep(path: Path, record: sweeps.SweepRecord) -> Snapshot:
    (engine,) = record.environment.engines
    bands = {
        (b.output, b.band, b.result): Band(b.samples, b.worst, b.breaches, b.histogram)
        for b in record.tally.bands
    }
    facts = {
        "engine": f"{engine.engine} {engine.version} on {engine.device}",
        "CPU": record.environment.cpu,
        "numpy": record.environment.numpy,
        "driver": engine.driver,
        "plugin": _plugin(record.plugin),
        "model": record.model[:16],
        "plan": record.plan[:16],
        "limits": record.limits[:16],
        "inputs": record.coverage,
        "verdict": record.verdict,
    }
    measured = Measured(facts, bands, record.checksum, record.digests, record.first, record.unit)
    return Snapshot(path, {record.case: measured})


def _plugin(plugin: sweeps.PluginRecord | None) -> str:
    """Which build of which plugin ran; empty where none did."""
    return "" if plugin is None else f"{plugin.name}, library {plugin.sha256[:16]}"


def _of_observation(path: Path, observation: observations.Observation) -> Snapshot:
    cases = {}
    for case_id, case in observation.cases.items():
        facts = {
            "engine": f"{observation.engine} {observation.version} on {observation.device}",
            "CPU": observation.cpu,
            "numpy": case.numpy,
            "driver": case.driver,
            "plugin": _plugin(case.plugin),
            "model": case.model[:16],
            "inputs": coverage(case.inputs, case.total),
        }
        bands = {
            (b.output, b.band, b.result): Band(b.samples, b.worst, None, b.histogram)
            for b in case.bands
        }
        cases[case_id] = Measured(facts, bands, case.checksum)
    return Snapshot(path, cases)


def _of_run(path: Path, record: runs.Record) -> Snapshot:
    engines = {
        e.engine: f"{e.engine} {e.version} on {e.device}" for e in record.environment.engines
    }
    cases = {}
    for case in record.cases:
        facts = {
            "engine": engines.get(case.engine, case.engine),
            "CPU": record.environment.cpu,
            "numpy": record.environment.numpy,
            "inputs": case.coverage,
            "verdict": case.verdict,
        }
        bands = {
            (b.output, b.band, b.result): Band(b.samples, b.worst, b.breaches) for b in case.bands
        }
        cases[case.id] = Measured(facts, bands)
    return Snapshot(path, cases)


def difference(before: Snapshot, after: Snapshot) -> tuple[list[str], bool]:
    """What changed, in lines, and whether any result did.

    Raises InputError where the two have no case in common, or of those that they have, nothing
    that was measured.
    """
    common = [case_id for case_id in before.cases if case_id in after.cases]
    if not common:
        raise InputError(f"{before.path} and {after.path} have no case in common")
    lines: list[str] = []
    changed = compared = False
    for snapshot, other in ((before, after), (after, before)):
        only = [case_id for case_id in snapshot.cases if case_id not in other.cases]
        if only:
            lines.append(f"only in {snapshot.path}: {', '.join(only)}")
    for case_id in common:
        a, b = before.cases[case_id], after.cases[case_id]
        precision = parse(case_id).precision
        same, bits = _bits(a, b, precision)
        # Of the same outputs no error changed: only who measured, and by which limits.
        bands = [] if same else list(_bands(a, b))
        changed |= same is False or bool(bands)
        compared |= same is not None or bool(a.bands or b.bands)
        lines.append(f"{case_id}: {bits}")
        for fact in dict.fromkeys([*a.facts, *b.facts]):
            old, new = a.facts.get(fact, "unknown"), b.facts.get(fact, "unknown")
            if old != new and "unknown" not in (old, new):
                changed |= fact == "verdict"
                compared |= fact == "verdict"
                lines.append(f"  {fact}: {old} -> {new}")
        lines += [f"  {line}" for line in bands]
    if not compared:
        raise InputError(
            f"{before.path} and {after.path} have nothing to compare: no case of both was measured"
        )
    return lines, changed


def _bits(a: Measured, b: Measured, precision: Precision) -> tuple[bool | None, str]:
    """Whether the outputs are the same, None if unknown, and that in words."""
    if not a.checksum or not b.checksum:
        return None, "bits unknown: no checksum in one of the two"
    if a.facts["inputs"] != b.facts["inputs"] or (a.digests and b.digests and a.first != b.first):
        return None, "bits unknown: other inputs"
    if a.checksum == b.checksum:
        return True, f"bitwise the same ({a.checksum})"
    told = f"not bitwise the same ({a.checksum} -> {b.checksum})"
    units = [i for i, (x, y) in enumerate(zip(a.digests, b.digests, strict=False)) if x != y]
    if units:
        ranges = "; ".join(_ranges(units, a, precision))
        told += f"; {len(units)} of {len(a.digests)} units differ: {ranges}"
    return False, told


def _ranges(units: Sequence[int], a: Measured, precision: Precision, most: int = 4) -> list[str]:
    """Runs of units as ranges of x, in the order of the bit patterns."""
    runs_: list[list[int]] = []
    for unit in units:
        if runs_ and unit == runs_[-1][1] + 1:
            runs_[-1][1] = unit
        else:
            runs_.append([unit, unit])
    told = []
    digits = precision.total_bits // 4
    for low, high in runs_[:most]:
        first, last = (a.first + low) * a.unit, (a.first + high + 1) * a.unit - 1
        told.append(f"bits 0x{first:0{digits}x} to 0x{last:0{digits}x}")
    return told + ([f"and {len(runs_) - most} more ranges"] if len(runs_) > most else [])


def _bands(a: Measured, b: Measured) -> Iterator[str]:
    """A line for each band whose worst, samples or number of breaches changed."""
    for key in dict.fromkeys([*a.bands, *b.bands]):
        name = f"{key[0]} {key[1]} ({key[2]})"
        old, new = a.bands.get(key), b.bands.get(key)
        if old is None or new is None:
            yield f"{name}: only {'after' if old is None else 'before'}"
            continue
        if old.samples != new.samples:
            yield f"{name}: {old.samples} samples -> {new.samples}"
        before, after = old.worst, new.worst
        # Of inputs that are equally far off, which one is named depends on who looked.
        if before.error_ulp != after.error_ulp:
            word = "worse" if after.error_ulp > before.error_ulp else "better"
            yield f"{name}: {word}: {_told(before)} -> {_told(after)}"
        elif before.x_bits == after.x_bits and before.actual_bits != after.actual_bits:
            yield f"{name}: other bits at {_told(before)}"
        if None not in (old.breaches, new.breaches) and old.breaches != new.breaches:
            yield f"{name}: {old.breaches} beyond the limit -> {new.breaches}"
        comparable = old.samples == new.samples and old.histogram and new.histogram
        if comparable and old.histogram != new.histogram:
            both = zip_longest(old.histogram, new.histogram, fillvalue=0)
            moved = sum(max(y - x, 0) for x, y in both)
            yield f"{name}: {moved} inputs have an error in another bucket of the histogram"


def _told(point: WorstRecord) -> str:
    return f"{number(point.error_ulp)} ULP at {number(point.x)} ({point.x_bits})"
