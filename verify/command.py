"""What the subcommands do: progress, output folder, tables and exit codes around `run`."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from verify import interrupt, report
from verify import observation as observations
from verify import record as records
from verify.cases import ENGINES, Case, select
from verify.engines import Builder, Executor, engine
from verify.engines.onnxruntime import PROVIDER_VARIABLE
from verify.errors import InputError
from verify.findings import LIMITS_CHECK
from verify.mutants import CHECKS
from verify.replay import replay as replay_one
from verify.run import CaseResult, Job, verify
from verify.sweep.run import engine_records, plugin_of
from verify.tolerances import load

__all__ = [
    "can_observe",
    "doctor",
    "keep",
    "mutants",
    "output_folder",
    "progress_bar",
    "record_of",
    "replay",
    "run",
]


def run(
    *,
    cases: tuple[str, ...],
    engines: tuple[str, ...],
    forms: tuple[str, ...],
    contexts: tuple[str, ...],
    precisions: tuple[str, ...],
    listing: bool,
    checks: tuple[str, ...],
    seed: int,
    out: Path,
    json_file: Path | None,
    junit: Path | None,
    observe: Path | None,
    tolerances: Path | None,
    ort_provider: str,
) -> int:
    """``python -m verify run``; returns the exit code."""
    selected = select(
        ids=cases, forms=forms, contexts=contexts, precisions=precisions, engines=engines
    )
    console = Console()
    if not selected:
        raise InputError("no case passes all filters; --list without filters prints every case")
    if listing:
        for case in selected:
            console.print(case.id, highlight=False)
        return 0
    for check in checks:
        if check not in CHECKS:
            raise InputError(f"--check {check!r}: unknown; allowed: {', '.join(CHECKS)}")
    if checks and LIMITS_CHECK not in checks:  # properties are those of Mish alone
        selected = tuple(case for case in selected if case.context == "alone")
        if not selected:
            raise InputError(
                f"--check {', '.join(checks)}: properties are checked in context alone"
            )
    check_targets(out, json_file, junit, observe)
    os.environ[PROVIDER_VARIABLE] = ort_provider
    job = Job(selected, load(tolerances), seed, out, checks, observe=observe is not None)
    if observe:
        can_observe(observe, selected, checks, engine(selected[0].engine))
    results: list[CaseResult] = []
    pressed, kept = False, ""
    with output_folder(out):
        try:
            with progress_bar() as progress:
                task = progress.add_task("verify", total=len(selected))

                def done(result: CaseResult) -> None:
                    results.append(result)
                    progress.update(task, advance=1, description=result.case.id)
                    interrupt.check()

                verify(job, done)
        except KeyboardInterrupt:
            pressed = True
        finally:
            # What is finished is kept, also when Ctrl-C ends the run.
            text = record_of(job, results, complete=len(results) == len(selected)).to_json()
            for path in (out / "record.json", *([json_file] if json_file else [])):
                records.write_text(path, text)
            if junit:
                report.junit(junit, results)
            kept = keep(observe, results) if observe else ""
    if pressed:
        told = f"after {len(results)} of {len(selected)} cases; kept in {out / 'record.json'}"
        raise KeyboardInterrupt("; ".join(filter(None, (told, kept))))
    report.print_table(console, results)
    report.print_findings(console, [f for r in results for f in r.findings])
    report.print_summary(console, results, seed, out)
    if kept:
        report.say(console, kept)
    return report.exit_code(results)


def can_observe(
    path: Path, cases: Iterable[Case], checks: Sequence[str], runner: Executor | Builder
) -> None:
    """Find out before the work whether ``--observe path`` can take what it will measure.

    ``runner`` is the engine of the cases. Raises InputError for cases of several engines, for
    checks that measure nothing, and for a file that is of another engine, version, machine or
    plugin.
    """
    if len({case.engine for case in cases}) > 1:
        raise InputError(f"--observe {path}: a file is of one engine; give --engine")
    if checks and LIMITS_CHECK not in checks:
        raise InputError(f"--observe {path}: --check {LIMITS_CHECK} measures, no other check does")
    if isinstance(runner, Executor) and runner.status().executes:
        (ours,) = engine_records(runner)
        observations.agree(path, ours, records.environment([ours]).cpu, plugin_of(runner))
    elif path.exists():
        observations.load(path)


def keep(path: Path, results: Iterable[CaseResult]) -> str:
    """Put what was measured into an observation; a line that says so. Raises InputError."""
    found = [result.observed for result in results if result.observed is not None]
    left = observations.observe(path, observations.combine(found)) if found else ()
    return observations.told(path, len(found), len(left))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield progress


@contextmanager
def output_folder(out: Path) -> Iterator[None]:
    """Own the output folder for a run: one run at a time, and nothing left of the last one."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"--out {out}: another run is writing there; choose another folder"
        ) from None
    except OSError as error:
        raise InputError(f"--out {out}: can't be written: {error.strerror}") from None
    try:
        _clear(out)
        yield
    finally:
        lock.release()  # the file stays: whoever takes it away may take another run's


def _clear(out: Path) -> None:
    """Take the last run's record and findings away, and nothing that isn't one's."""
    findings, path = out / "findings", out / "record.json"
    # What a run that was killed was still writing has a hidden name.
    whole = [folder for folder in findings.glob("*") if not folder.name.startswith(".")]
    ours = all((folder / "replay.sh").is_file() for folder in whole)
    if path.exists():
        try:
            ours &= "schema_version" in json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            ours = False
    if not ours:
        raise InputError(
            f"--out {out}: its record.json or findings are not of this suite; choose another folder"
        )
    try:
        if findings.exists():
            shutil.rmtree(findings)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: can't be cleared: {error.strerror}") from None


def check_targets(
    out: Path, json_file: Path | None, junit: Path | None, observe: Path | None = None
) -> None:
    """Refuse a file that can't be written before the work, not after it."""
    for option, path in (("--json", json_file), ("--junit", junit), ("--observe", observe)):
        if path is not None:
            records.check_target(path, f"{option} {path}")
    targets = [
        p.resolve() for p in (out / "record.json", json_file, junit, observe) if p is not None
    ]
    if len(set(targets)) != len(targets):
        raise InputError(
            "--json, --junit, --observe and the record: two are the same file; name another"
        )


def record_of(
    job: Job,
    results: list[CaseResult],
    *,
    complete: bool,
    command: Literal["run", "gate"] = "run",
) -> records.Record:
    """What the command found, for programs."""
    used = dict.fromkeys(case.engine for case in job.cases)
    engines = [records.EngineRecord.of(engine(name).status()) for name in used]
    return records.Record(
        schema_version=1,
        command=command,
        complete=complete,
        seed=job.seed,
        tolerances=str(job.tolerances.folder),
        environment=records.environment(engines),
        cases=tuple(_case_record(result) for result in results),
        findings=tuple(
            records.finding_record(finding, job.out)
            for result in results
            for finding in result.findings
        ),
    )


def _case_record(result: CaseResult) -> records.CaseRecord:
    case, judgement = result.case, result.judgement
    accepted = () if judgement is None else judgement.accepted
    return records.CaseRecord.model_validate(
        {
            "id": case.id,
            "form": case.form,
            "context": case.context,
            "precision": case.precision.name,
            "engine": case.engine,
            "verdict": result.verdict,
            "reason": result.reason,
            "body": result.body,
            "samples": result.samples,
            "coverage": result.coverage,
            "layers": result.layers,
            "bands": [records.BandRecord.of(b) for b in (judgement.bands if judgement else ())],
            "accepted": [
                records.AcceptedRecord(
                    deviation=a.deviation.key,
                    reason=a.deviation.reason,
                    count=a.count,
                    worst=records.WorstRecord.of(a.worst),
                )
                for a in accepted
            ],
            "properties": result.properties,
        }
    )


def replay(folder: Path) -> int:
    """``python -m verify replay``; returns the exit code."""
    path = folder / "record.json"
    if not path.exists():
        return replay_one(folder)
    findings = records.load(path).findings
    stored = [f.replay.folder for f in findings if f.replay and f.replay.folder]
    if not findings:
        Console().print(f"{path}: no findings to replay", highlight=False, markup=False)
        return 3
    if not stored:
        raise InputError(f"{path}: no finding about values; run the lines that it holds")
    codes, damaged = [0], []
    for name in stored:
        try:
            codes.append(replay_one(folder / name))
        except InputError as error:
            damaged.append(str(error))
    if damaged:
        raise InputError("; ".join(damaged))
    return max(codes)


def mutants(seed: int, names: tuple[str, ...], json_file: Path | None) -> int:
    """``python -m verify mutants``; returns the exit code."""
    from models.mutants import MUTANTS
    from verify.mutants import Killing, killings, score, spare

    known = {mutant.name: mutant for mutant in MUTANTS}
    for name in names:
        if name not in known:
            raise InputError(f"--mutant {name!r}: unknown; allowed: {', '.join(known)}")
    if json_file:
        records.check_target(json_file, f"--json {json_file}")
    chosen = [known[name] for name in dict.fromkeys(names)] or list(MUTANTS)
    tolerances = load()
    right = select(contexts=("alone",), engines=("reference", "onnxruntime"))
    right = tuple(case for case in right if tolerances.refusal(case) is None)
    for name in ("reference", "onnxruntime"):
        status = engine(name).status()
        if not status.executes:
            raise InputError(f"mutants run on {name}: {status.reason}; {status.install}")
    console, table, alarms = Console(), list[Killing](), list[str]()
    total, done, pressed = len(chosen) + len(right), 0, False
    try:
        with progress_bar() as progress:
            task = progress.add_task("mutants", total=total)
            for mutant, killed in killings(chosen, tolerances, seed):
                table += killed
                done += 1
                progress.update(task, advance=1, description=mutant.name)
                interrupt.check()
            for case in right:
                alarms += [f"{case.id} by {check}" for check in spare(case, tolerances, seed)]
                done += 1
                progress.update(task, advance=1, description=case.id)
                interrupt.check()
    except KeyboardInterrupt:
        pressed = True
    finally:
        # What is finished is kept, also when Ctrl-C ends the run. Nothing is no table.
        if json_file and done:
            data = {
                "seed": seed,
                "complete": done == total,
                "killings": [dataclasses.asdict(killing) for killing in table],
                "false_alarms": alarms,
            }
            records.write_text(json_file, json.dumps(data, indent=1) + "\n")
    if table:
        report.print_killings(console, table, alarms)
    if pressed:
        where = f"kept in {json_file}" if json_file and done else "nothing written"
        raise KeyboardInterrupt(f"after {done} of {total} mutants and right forms; {where}")
    return 1 if score(table).survived or alarms else 0


def doctor() -> int:
    """``python -m verify doctor``; returns the exit code: 0 if any engine executes, else 3."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("engine", "version", "executes", "builds", "device", "why not", "to change that"):
        table.add_column(name, overflow="fold")
    statuses: list[Any] = [engine(name).status() for name in ENGINES]
    for status in statuses:
        table.add_row(
            status.engine,
            status.version or "-",
            "yes" if status.executes else "no",
            "yes" if status.builds else "no",
            status.device or "-",
            Text(status.reason),
            Text(status.install),
        )
    report.print_wide(console, table)
    return 0 if any(status.executes for status in statuses) else 3
