"""Observations: what was measured, where and when, beside the contract of the tolerance files.

A file is of one engine in one version on one device. What can change without a change of any of
these stands with each case: the driver, NumPy, the plugin.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock

from verify.bands import BANDS
from verify.cases import Case, parse
from verify.errors import InputError
from verify.histogram import BUCKETS
from verify.oracle import expected
from verify.record import (
    Count,
    EngineRecord,
    Environment,
    Number,
    Schema,
    WorstRecord,
    misfit,
    read_schema,
    write_text,
)
from verify.sweep.record import PluginRecord as PluginObservation
from verify.sweep.tally import Tally
from verify.tolerances import RESULTS

__all__ = [
    "AcceptedObservation",
    "BandObservation",
    "CaseObservation",
    "Observation",
    "PluginObservation",
    "agree",
    "combine",
    "load",
    "observe",
    "of",
    "read_folder",
    "told",
]


class BandObservation(Schema):
    """The worst of a band of one output, for one kind of result, and all its errors counted.

    ``outside``: the worst at an x that no deviation was about, null if there was none.
    """

    output: str
    band: str
    result: str
    samples: Count
    worst: WorstRecord
    outside: WorstRecord | None
    histogram: tuple[int, ...]
    nan: Count
    inf: Count
    sign: Count


class AcceptedObservation(Schema):
    """What a deviation accepted: of this kind, in this x-range, so many inputs, at worst this."""

    kind: str
    x: tuple[Number, Number]
    count: Count
    worst: WorstRecord


class CaseObservation(Schema):
    """One case: ``inputs`` of ``total`` inputs of the model with this SHA-256.

    ``driver``: the NVIDIA driver's release, empty on a CPU. ``plugin``: None where none ran.
    """

    date: str
    inputs: Count
    total: Count
    model: str
    numpy: str
    driver: str = ""
    plugin: PluginObservation | None = None
    checksum: str
    bands: tuple[BandObservation, ...]
    accepted: tuple[AcceptedObservation, ...]

    @property
    def exhaustive(self) -> bool:
        """Whether these are all inputs that there are."""
        return self.inputs == self.total


class Observation(Schema):
    """A file of ``tolerances/observed``: cases of one engine on one kind of machine.

    ``cpu``: the instruction sets that matter for results, empty where another device executes.
    """

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
    plugin: PluginObservation | None = None,
) -> Observation:
    """The observation of one case."""
    (engine,) = environment.engines
    observed = CaseObservation(
        date=date,
        inputs=tally.inputs,
        total=1 << parse(case_id).precision.total_bits,
        model=model,
        numpy=environment.numpy,
        driver=engine.driver,
        plugin=plugin,
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
        cpu=_cpu_of(engine, environment.cpu),
        cases={case_id: observed},
    )


def combine(observations: Iterable[Observation]) -> Observation:
    """One observation of the cases of several, which must be of one engine on one machine."""
    first, *others = observations
    cases = dict(first.cases)
    for other in others:
        assert _machine(other) == _machine(first), "observations of two machines"
        cases |= other.cases
    return first.model_copy(update={"cases": cases})


def agree(
    path: Path, engine: EngineRecord, cpu: str, plugin: PluginObservation | None = None
) -> None:
    """Find out before the work whether a file can take what is measured here.

    Raises InputError where it is of another engine, version, device, CPU or plugin, or damaged;
    a file that is not there can take anything.
    """
    if path.exists():
        ours = (engine.engine, engine.version, engine.device, _cpu_of(engine, cpu))
        _agree(path, load(path), dict(zip(_MACHINE, ours, strict=True)), plugin)


_MACHINE = ("engine", "version", "device", "cpu")


def _machine(observation: Observation) -> dict[str, str]:
    return {what: getattr(observation, what) for what in _MACHINE}


def _cpu_of(engine: EngineRecord, cpu: str) -> str:
    """The CPU, as far as it computes: what a GPU returns does not depend on it."""
    return cpu if engine.device == "CPU" else ""


def _agree(
    path: Path, old: Observation, ours: Mapping[str, str], plugin: PluginObservation | None
) -> None:
    for what, theirs in _machine(old).items():
        if ours[what] != theirs:
            raise InputError(
                f"{path}: observed with {what} {theirs!r}, not {ours[what]!r}; name another file"
            )
    for case_id, case in old.cases.items():
        # The figures of another plugin would be lost unseen; another build of one may replace it.
        if plugin and case.plugin and case.plugin.name != plugin.name:
            raise InputError(
                f"{path}: {case_id}: observed with the plugin {case.plugin.name}, not "
                f"{plugin.name}; name another file"
            )


def _beats(old: CaseObservation, new: CaseObservation) -> bool:
    """Whether an old case stays: of the same model and plugin, and of more inputs."""
    return (old.model, old.plugin) == (new.model, new.plugin) and old.inputs > new.inputs


def observe(path: Path, new: Observation) -> tuple[str, ...]:
    """Write ``new`` into ``path``: its cases replace those of the file, all others stay.

    A case of which the file holds more inputs of the same model and plugin stays too, because
    all inputs say more than a sample: returns the ids of these.
    Raises InputError where the file is of another engine, version, machine or plugin, or damaged.
    """
    # Several sweeps may observe into one file at a time. The lock is not beside it, where it would
    # be left lying among the observations.
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"verify-observe-{key}.lock"):
        cases: Mapping[str, CaseObservation] = {}
        if path.exists():
            old = load(path)
            plugins = [case.plugin for case in new.cases.values() if case.plugin]
            _agree(path, old, _machine(new), plugins[0] if plugins else None)
            cases = old.cases
        kept = {
            case_id: cases[case_id]
            for case_id, case in new.cases.items()
            if case_id in cases and _beats(cases[case_id], case)
        }
        merged = dict(sorted({**cases, **new.cases, **kept}.items()))
        write_text(path, new.model_copy(update={"cases": merged}).to_json())
    return tuple(kept)


def told(path: Path, measured: int, stayed: int) -> str:
    """What came of `observe`: so many cases were measured, and so many of the file stayed."""
    if not measured:
        return f"nothing was measured, and nothing written to {path}"
    if stayed == measured:
        return f"nothing written to {path}, which holds more inputs of all {measured} cases"
    line = f"observed {measured - stayed} cases; in {path}"
    return line + (f"; {stayed} others held more inputs and stay" if stayed else "")


def load(path: Path) -> Observation:
    """Read a file; raise InputError, in one line, for a missing or damaged one."""
    observation = read_schema(path, Observation, "an observation")
    for case_id, observed in observation.cases.items():
        try:
            case = parse(case_id)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        if case.engine != observation.engine:
            raise InputError(f"{path}: {case_id} is no case of {observation.engine}")
        fault = _damage(observed, case)
        if fault:
            raise InputError(f"{path}: damaged: {case_id}: {fault}")
    return observation


def _damage(observed: CaseObservation, case: Case) -> str:
    """What an observation says of a case that can't be, empty if nothing."""
    total = 1 << case.precision.total_bits
    if observed.total != total or observed.inputs > total:
        return f"{observed.inputs} of {observed.total} inputs; there are {total}"
    one = case.precision.round(np.zeros(1))
    outputs = [view.label for view in expected(case.context, one, case.precision)]
    seen = set[tuple[str, str, str]]()
    for band in observed.bands:
        key = (band.output, band.band, band.result)
        known = band.output in outputs and band.band in BANDS and band.result in RESULTS
        if key in seen or not known:
            return f"an unknown band, or one twice: {' '.join(key)}"
        seen.add(key)
        counts = band.histogram
        if len(counts) != BUCKETS or min(counts) < 0 or sum(counts) != band.samples:
            return f"the histogram of {' '.join(key)} has not {BUCKETS} counts of its samples"
        if band.nan + band.inf + band.sign > band.samples or not band.samples:
            return f"more results are wrong than there are in {' '.join(key)}"
    points = [point for band in observed.bands for point in (band.worst, band.outside)]
    return misfit([*points, *(accepted.worst for accepted in observed.accepted)], case.precision)


def read_folder(folder: Path) -> dict[str, Observation]:
    """Every observation of a folder by file name, none if there is no folder.

    The table of a run of mutants may lie there too; it is of no engine's limits.
    """
    paths = sorted(folder.glob("*.json"))
    return {path.name: load(path) for path in paths if not _is_table_of_mutants(path)}


def _is_table_of_mutants(path: Path) -> bool:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and data.get("command") == "mutants"
