"""What the subcommands `sweep` and `merge` do: progress, files, tables and exit codes."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from verify import observation as observations
from verify import report
from verify.cases import Case, bound_by, parse, select
from verify.engines import EngineFailure, Executor, Lacking, Refused, engine
from verify.engines.onnxruntime import PROVIDER_VARIABLE
from verify.errors import InputError
from verify.findings import Finding, from_judgement, number
from verify.histogram import EDGES
from verify.judge import Judgement, VacuousError
from verify.record import environment, write_text
from verify.run import model_of
from verify.sample_observation import observe_sample
from verify.samples import sample
from verify.sweep import findings as found
from verify.sweep import record as records
from verify.sweep.run import Host, Part, engine_records, sweep
from verify.sweep.span import Span, shard, whole
from verify.tolerances import Tolerances, load

__all__ = ["merge", "sweep_cases"]


@dataclass(frozen=True)
class _Result:
    """What came of one case; no record where it was not executed.

    ``measured``: what ``--observe`` is to keep.
    """

    case: Case
    verdict: str
    reason: str = ""
    record: records.SweepRecord | None = None
    findings: list[Finding] = field(default_factory=list)
    measured: observations.Observation | None = None
    unobserved: str = ""  # why `measured` could not be kept


@dataclass(frozen=True)
class _Job:
    tolerances: Tolerances
    own_tolerances: Path | None
    shard: str
    out: Path
    observe: Path | None

    @property
    def folder(self) -> Path:
        return self.out.parent if self.out.suffix == ".json" else self.out

    def path(self, case: Case) -> Path:
        """Where a case's record goes."""
        if self.out.suffix == ".json":
            return self.out
        name = f".{self.shard.replace('/', '-of-')}" if self.shard else ""
        return self.out / f"{case.id}{name}.json"

    def span(self, case: Case) -> Span:
        """What of a case is swept."""
        return shard(self.shard, case.precision) if self.shard else whole(case.precision)


def sweep_cases(
    *,
    cases: tuple[str, ...],
    engines: tuple[str, ...],
    forms: tuple[str, ...],
    contexts: tuple[str, ...],
    precisions: tuple[str, ...],
    shard: str,
    sample: bool,
    seed: int,
    out: Path,
    observe: Path | None,
    tolerances: Path | None,
    ort_provider: str,
) -> int:
    """``python -m verify sweep``; returns the exit code."""
    selected = select(
        ids=cases, forms=forms, contexts=contexts, precisions=precisions, engines=engines
    )
    if not selected:
        raise InputError("no case passes all filters; `run --list` prints every case")
    if out.suffix == ".json" and len(selected) > 1:
        raise InputError(f"--out {out}: {len(selected)} cases don't fit one file; name a folder")
    if observe and shard:
        raise InputError("--observe: a shard is no observation; give it to `merge`")
    if sample and (shard or not observe):
        raise InputError("--sample: only with --observe, and without --shard")
    if observe and len({case.engine for case in selected}) > 1:
        raise InputError(f"--observe {observe}: a file is of one engine; give --engine")
    os.environ[PROVIDER_VARIABLE] = ort_provider
    job = _Job(load(tolerances), tolerances, shard, out, observe)
    for case in selected:
        job.span(case)
    if observe:
        if observe.exists():
            _same_machine(observe, selected[0])
        _writable(observe.parent, f"--observe {observe}")
    if not sample:
        _writable(job.folder, f"--out {out}")
    console, results = Console(), list[_Result]()
    with _Bar() as bar:
        for case in selected:
            if sample:
                result = _guarded(job, case, lambda r, c: _sampled(job, r, c, seed))
            else:
                result = _guarded(job, case, lambda r, c: _swept(job, r, c, bar))
            results.append(_observed(job, result))
    _print(console, results)
    report.print_findings(console, [f for result in results for f in result.findings])
    where = job.observe if sample else out
    counts = Counter(result.verdict for result in results)
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    console.print()
    console.print(f"{told}; in {where}", highlight=False, soft_wrap=True)
    for result in results:
        if result.unobserved:
            raise InputError(result.unobserved)
    return _exit_code(results)


def _same_machine(path: Path, case: Case) -> None:
    """Find out before the work that an observation is of another engine or machine."""
    old, runner = observations.load(path), engine(case.engine)
    status = runner.status()
    if not status.executes or not isinstance(runner, Executor):
        return
    ours = {
        "engine": status.engine,
        "version": status.version,
        "device": status.device,
        "cpu": environment(engine_records(runner)).cpu,
    }
    for what, value in ours.items():
        if getattr(old, what) != value:
            raise InputError(
                f"{path}: observed with {what} {getattr(old, what)!r}, not {value!r}; "
                "name another file"
            )


def _observed(job: _Job, result: _Result) -> _Result:
    """Keep what was measured; a file that can't take it is told once all else is."""
    if job.observe is None or result.measured is None:
        return result
    try:
        observations.observe(job.observe, result.measured)
    except InputError as error:
        return replace(result, unobserved=str(error))
    return result


def _guarded(job: _Job, case: Case, execute: Callable[[Executor, Case], _Result]) -> _Result:
    """Execute a case; what an engine does is a verdict, not an exception."""
    runner = engine(case.engine)
    status = runner.status()
    if not status.executes or not isinstance(runner, Executor):
        return _Result(case, "SKIPPED", status.reason)
    refusal = job.tolerances.refusal(bound_by(case))
    try:
        with runner.open(model_of(case), case.precision):
            if refusal is not None:
                return _Result(case, "STALE", f"{refusal.key} no longer happens")
        return execute(runner, case)
    except InputError:
        raise
    except Lacking as words:
        return _Result(case, "SKIPPED", str(words))
    except Refused as words:
        if refusal is not None and refusal.words in str(words):
            return _Result(case, "SKIPPED", f"refused: {words}")
        return _Result(case, "ERROR", f"refused, and not listed: {words}")
    except (EngineFailure, VacuousError) as error:
        return _Result(case, "ERROR", str(error))
    except Exception as error:  # an engine may raise anything
        return _Result(case, "ERROR", _words(error))


def _words(error: BaseException) -> str:
    """What an engine raised, on one line."""
    if isinstance(error, EngineFailure | VacuousError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())


def _swept(job: _Job, runner: Executor, case: Case, bar: _Bar) -> _Result:
    limits = job.tolerances.limits(bound_by(case))
    model, span, path = model_of(case), job.span(case), job.path(case)
    bar.start(case.id, span.inputs)
    backend = Host(runner, case, model, limits)
    record, ended = sweep(backend, runner, case, model, limits, span, bar.advance)
    if record.tally.inputs:
        write_text(path, record.to_json())
    if isinstance(ended, KeyboardInterrupt):
        Console(stderr=True).print(
            f"kept {record.coverage} inputs of {case.id} in {path}"
            if record.tally.inputs
            else f"nothing of {case.id} was done",
            highlight=False,
            soft_wrap=True,
        )
        raise KeyboardInterrupt
    findings = found.findings(case, record, limits)
    folder = job.folder / "findings"
    try:
        findings = found.store(
            findings, record, limits, model, runner, folder, tolerances=job.own_tolerances
        )
    except Exception:
        if ended is None:
            raise
        # The engine is broken: what it did wrong before is told without a replay.
    if ended is not None:
        why = f"{_words(ended)}, after {record.coverage} inputs"
        reason = "; ".join(filter(None, (_reason(record), why)))
        return _Result(case, record.verdict, reason, record, findings)
    return _Result(
        case, record.verdict, _reason(record), record, findings, measured=_observation(record)
    )


def _sampled(job: _Job, runner: Executor, case: Case, seed: int) -> _Result:
    limits = job.tolerances.limits(bound_by(case))
    chosen = sample(case.precision, seed)
    new, judgement = observe_sample(runner, case, model_of(case), limits, chosen)
    verdict, why = _verdict(case, judgement)
    reason = "; ".join(filter(None, (why, f"{chosen.coverage} inputs, seed {seed}")))
    return _Result(case, verdict, reason, measured=new)


def _verdict(case: Case, judgement: Judgement) -> tuple[str, str]:
    """The verdict of `run` on the same sample, and why."""
    if judgement.breaches:
        return "FAIL", from_judgement(case, judgement)[0].message
    if judgement.stale:
        return "STALE", "; ".join(f"{d.key} no longer happens" for d in judgement.stale)
    return "KNOWN" if judgement.accepted else "PASS", ""


def _observation(record: records.SweepRecord) -> observations.Observation:
    return observations.of(
        record.case,
        record.tally,
        record.environment,
        date=record.timing.date,
        model=record.model,
        checksum=record.checksum,
    )


def merge(
    files: Sequence[Path], out: Path | None, observe: Path | None, tolerances: Path | None
) -> int:
    """``python -m verify merge``; returns the exit code."""
    if not files:
        raise InputError("merge: name the shards' records")
    named = [(str(path), records.load(path)) for path in files]
    case = parse(named[0][1].case)
    limits = load(tolerances).limits(bound_by(case))
    record = records.merge_records(named, limits)
    path = out or Path(".verify/sweep") / f"{case.id}.json"
    write_text(path, record.to_json())
    console = Console()
    findings = found.findings(case, record, limits)
    result = _Result(case, record.verdict, _reason(record), record, findings)
    _print(console, [result])
    report.print_findings(console, findings)
    console.print(f"record in {path}", highlight=False, soft_wrap=True)
    if observe:
        observations.observe(observe, _observation(record))
    return _exit_code([result])


def _reason(record: records.SweepRecord) -> str:
    if record.over:
        over = (f"{o.deviation}: {o.count} inputs, accepts {o.allowed}" for o in record.over)
        return "; ".join(over)
    if record.tally.breaches:
        return f"{sum(breach.count for breach in record.tally.breaches)} beyond their limit"
    if record.stale:
        return "; ".join(f"{key} no longer happens" for key in record.stale)
    return ", ".join(f"{d.count} {d.kind} ({d.deviation})" for d in record.tally.deviations)


def _exit_code(results: Sequence[_Result]) -> int:
    if any(result.verdict in ("FAIL", "STALE", "ERROR") for result in results):
        return 1
    return 0 if any(result.verdict in ("PASS", "KNOWN") for result in results) else 3


_COLUMNS = (
    "case", "verdict", "inputs", "worst ULP", "limit", "where", "inputs/s", "x engine", "checksum",
    "why",
)  # fmt: skip


def _print(console: Console, results: Sequence[_Result]) -> None:
    """One row per case: verdict, coverage, the worst error no deviation is about, and speed.

    No worst error where a deviation is about every input.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        right = name in ("inputs", "worst ULP", "limit", "inputs/s", "x engine")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "why")
    for result in results:
        cells = [""] * 7 if result.record is None else _cells(result.record)
        style = "green" if result.verdict in ("PASS", "KNOWN") else "bold red"
        style = "dim" if result.verdict == "SKIPPED" else style
        table.add_row(
            result.case.id, Text(result.verdict, style=style), *cells, Text(result.reason)
        )
    report.print_wide(console, table)
    swept = [result.record for result in results if result.record is not None]
    if len(results) == len(swept) == 1:
        _print_bands(console, swept[0])


_BANDS = (
    "output", "band", "result", "inputs", "within 0.5", "limit", "worst ULP", "at", "nan", "inf",
    "sign", "beyond",
)  # fmt: skip


def _print_bands(console: Console, record: records.SweepRecord) -> None:
    """A row per band: its worst with the input, and the inputs that are wrong, accepted or not."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _BANDS:
        table.add_column(
            name, justify="left" if name in ("output", "band", "result", "at") else "right"
        )
    rounded = EDGES.index(0.5) + 1
    for band in record.tally.bands:
        table.add_row(
            band.output,
            band.band,
            band.result,
            str(band.samples),
            f"{sum(band.histogram[:rounded]) / band.samples:.2%}",
            "exact" if band.limit is None else number(band.limit),
            number(float(f"{band.worst.error_ulp:.5g}")),
            f"{number(band.worst.x)} ({band.worst.x_bits})",
            *(str(count or "") for count in (band.nan, band.inf, band.sign, band.breaches)),
        )
    console.print()
    report.print_wide(console, table)


def _cells(record: records.SweepRecord) -> list[str]:
    judged = [(b.outside, b.limit, b.band) for b in record.tally.bands if b.outside is not None]
    worst = max(judged, key=lambda item: item[0].error_ulp, default=None)
    told = ["", "", ""]
    if worst is not None:
        point, limit, band = worst
        told = [
            number(round(point.error_ulp, 4)),
            "exact" if limit is None else number(limit),
            f"x = {number(point.x)}, {band}",
        ]
    return [
        record.coverage,
        *told,
        f"{record.timing.inputs_per_second:.3g}",
        f"{record.timing.ratio:.2f}",
        record.checksum,
    ]


def _writable(folder: Path, what: str) -> None:
    """Find out before the work, not after it, that a folder can't be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{what}: can't be written: {error.strerror}") from None


class _Bar:
    """A bar with inputs per second and the time left on a terminal, nothing elsewhere.

    A context manager.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>5.1f} %"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )

    def __enter__(self) -> _Bar:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def start(self, name: str, inputs: int) -> None:
        """Show the next case in the place of the last one."""
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(name, total=inputs, rate="")

    def advance(self, part: Part) -> None:
        """Show that a part is done."""
        if self._bar:
            (task,) = self._bar.tasks
            speed = f"{task.speed / 1e6:.1f} million inputs/s" if task.speed else ""
            self._bar.update(task.id, advance=part.tally.inputs, rate=speed)
