"""What the subcommands `sweep` and `merge` do: progress, files, tables and exit codes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from verify import gate as gates
from verify import observation as observations
from verify import report
from verify.cases import Case, bound_by, parse, select
from verify.count import spaced
from verify.engines import Builder, EngineFailure, Executor, Lacking, Refused, engine
from verify.engines.onnxruntime import PROVIDER_VARIABLE
from verify.engines.tensorrt import Tensorrt
from verify.errors import InputError
from verify.findings import Finding, from_judgement, number
from verify.histogram import EDGES
from verify.judge import Judgement, VacuousError
from verify.record import check_target, environment
from verify.run import model_of
from verify.sample_observation import no_limits, observe_sample
from verify.samples import sample
from verify.sweep import findings as found
from verify.sweep import record as records
from verify.sweep.device import Device
from verify.sweep.run import Host, Part, engine_records, plugin_of, sweep
from verify.sweep.span import Span, shard, whole
from verify.tolerances import Limits, Tolerances, load

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
    older: bool = False  # whether what the file held of more inputs was kept instead
    speed: str = ""  # what a GPU took, beside the least that it could


@dataclass(frozen=True)
class _Job:
    tolerances: Tolerances
    own_tolerances: Path | None
    shard: str
    out: Path
    observe: Path | None
    target: gates.Target | None = None  # the plugin that is meant
    runner: Tensorrt | None = None  # the engine that has it
    asked: bool = False  # whether precisions were chosen
    plans: Path | None = None

    def engine(self, case: Case) -> Executor | Builder:
        """What executes a case."""
        return engine(case.engine) if self.runner is None else self.runner

    def model(self, case: Case) -> bytes:
        """A case's model, with the plugin's node where one is meant."""
        return model_of(case, None if self.target is None else self.target.node)

    def bound(self, case: Case) -> Case:
        """The case whose limits bind: without a plugin its body runs."""
        return bound_by(case) if self.target is None else case

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
    plans: Path | None,
    sample: bool,
    seed: int,
    out: Path,
    observe: Path | None,
    tolerances: Path | None,
    ort_provider: str,
    plugin: Path | None = None,
    op: str = "",
    plugin_version: str = "",
    plugin_namespace: str | None = None,
    fields: tuple[str, ...] = (),
    preloads: tuple[Path, ...] = (),
) -> int:
    """``python -m verify sweep``; returns the exit code."""
    order = None
    if plugin is not None:
        if {*forms} - {"plugin"} or {*engines} - {"tensorrt"}:
            raise InputError("--plugin: only with the form plugin and the engine tensorrt")
        order = gates.order_of(plugin, op, plugin_version, plugin_namespace, fields, preloads)
        forms, engines, contexts = ("plugin",), ("tensorrt",), contexts or ("alone",)
    elif op or plugin_version or plugin_namespace is not None or fields or preloads:
        raise InputError(
            "--op, --plugin-version, --plugin-namespace, --field and --preload: only with --plugin"
        )
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
    kept = [case for case in selected if case.engine == "tensorrt" and case.context == "alone"]
    if plans and (sample or not kept):
        raise InputError("--plans: only for sweeps of the engine tensorrt in the context alone")
    asked = bool(precisions or cases)
    job = _Job(load(tolerances), tolerances, shard, out, observe, asked=asked, plans=plans)
    for case in selected:
        job.span(case)
    if observe and not sample:
        _another_file(observe, [job.path(case) for case in selected])
    console = Console()
    if order is not None:
        try:
            why = gates.obstacle(order.library, Tensorrt().status())
            if why:
                raise gates.CouldNotVerify(why)
            target = gates.register(order)
        except gates.CouldNotVerify as error:
            report.say(console, f"nothing was executed: {error}")
            return 3
        except gates.DoNotShip as error:
            report.say(console, f"{order.library.path.name}: {error}")
            return 1
        job = replace(job, target=target, runner=Tensorrt(target.plugin))
    if observe:
        check_target(observe, f"--observe {observe}")
        if observe.exists():
            _same_machine(observe, job.engine(selected[0]))
    if plans:
        _writable(plans, f"--plans {plans}")
    if not sample:
        for path in (job.path(case) for case in selected):
            check_target(path, f"--out {path}")
    results = list[_Result]()
    try:
        with _Bar() as bar:
            for case in selected:
                if sample:
                    result = _guarded(job, case, lambda r, c: _sampled(job, r, c, seed))
                else:
                    result = _guarded(job, case, lambda r, c: _swept(job, r, c, bar))
                results.append(_observed(job, result))
    finally:
        if job.runner is not None:
            job.runner.close()
    _print(console, results)
    for result in results:
        if result.speed:
            report.say(console, f"{result.case.id}: {result.speed}")
    report.print_findings(console, [f for result in results for f in result.findings])
    counts = Counter(result.verdict for result in results)
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    console.print()
    told += f"; {_sample_told(observe, results)}" if observe and sample else f"; in {out}"
    console.print(told, highlight=False, soft_wrap=True)
    for result in results:
        if result.unobserved:
            raise InputError(result.unobserved)
    return _exit_code(results)


def _same_machine(path: Path, runner: Executor | Builder) -> None:
    """Find out before the work that an observation is of another engine or machine."""
    if runner.status().executes and isinstance(runner, Executor):
        (ours,) = engine_records(runner)
        observations.agree(path, ours, environment([ours]).cpu, plugin_of(runner))
    else:
        observations.load(path)


def _another_file(observe: Path, others: Iterable[Path]) -> None:
    """Find out before the work that an observation would replace a record."""
    if observe.resolve() in (path.resolve() for path in others):
        raise InputError(f"--observe {observe}: the same file as a record; name another")


def _observed(job: _Job, result: _Result) -> _Result:
    """Keep what was measured; a file that can't take it is told once all else is."""
    if job.observe is None or result.measured is None:
        return result
    try:
        older = observations.observe(job.observe, result.measured)
    except InputError as error:
        return replace(result, unobserved=str(error))
    return replace(result, older=bool(older))


def _sample_told(observe: Path, results: Sequence[_Result]) -> str:
    """What came of the observations of a sample."""
    taken = [r for r in results if r.measured is not None and not r.unobserved]
    return observations.told(observe, len(taken), sum(result.older for result in taken))


def _guarded(job: _Job, case: Case, execute: Callable[[Executor, Case], _Result]) -> _Result:
    """Execute a case; what an engine does is a verdict, not an exception."""
    runner = job.engine(case)
    status = runner.status()
    if not status.executes or not isinstance(runner, Executor):
        return _Result(case, "SKIPPED", status.reason)
    refusal = job.tolerances.refusal(job.bound(case))
    try:
        with runner.open(job.model(case), case.precision):
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
        if job.target is not None and not job.asked:
            return _Result(case, "SKIPPED", f"the plugin refuses {case.precision.name}: {words}")
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
    try:
        limits, unlimited = job.tolerances.limits(job.bound(case), runner.status().version), ""
    except InputError as error:
        # An engine that nobody measured yet: it can be observed, but not judged.
        if job.observe is None:
            return _Result(case, "ERROR", str(error))
        limits, unlimited = no_limits(case.context), str(error)
    model, span, path = job.model(case), job.span(case), job.path(case)
    bar.start(case.id, span.inputs)
    backend: Host | Device
    if isinstance(runner, Tensorrt) and case.context == "alone":
        backend = Device(runner, case, model, limits, plans=job.plans)
    else:
        backend = Host(runner, case, model, limits)
    try:
        record, ended = sweep(backend, runner, case, model, limits, span, bar.advance)
    finally:
        if isinstance(backend, Device):
            with contextlib.suppress(EngineFailure):  # it may have taken its process with it
                backend.close()
    if unlimited and ended is None:
        told = _speed(backend, record) if isinstance(backend, Device) else ""
        return _Result(case, "ERROR", unlimited, measured=_observation(record), speed=told)
    kept = f"nothing of {case.id} was done"
    if record.tally.inputs:
        path, holds = records.write(path, record)
        kept = f"kept {record.coverage} inputs of {case.id} in {path}"
        kept = kept if holds else f"{path} holds more than these {record.coverage} inputs and stays"
    if isinstance(ended, KeyboardInterrupt):
        Console(stderr=True).print(kept, highlight=False, soft_wrap=True)
        raise KeyboardInterrupt
    findings = found.findings(case, record, limits)
    folder = job.folder / "findings"
    try:
        findings = found.store(
            findings,
            record,
            limits,
            model,
            runner,
            folder,
            tolerances=job.own_tolerances,
            options=() if job.target is None else gates.options_of(job.target),
        )
    except Exception:
        if ended is None:
            raise
        # The engine is broken: what it did wrong before is told without a replay.
    if ended is not None:
        why = f"{_words(ended)}, after {record.coverage} inputs; {kept}"
        reason = "; ".join(filter(None, (_reason(record), why)))
        return _Result(case, record.verdict, reason, record, findings)
    return _Result(
        case,
        record.verdict,
        _reason(record),
        record,
        findings,
        measured=_observation(record),
        speed=_speed(backend, record) if isinstance(backend, Device) else "",
    )


def _speed(backend: Device, record: records.SweepRecord) -> str:
    """What a sweep on a GPU took, apart from the plan, beside a pass over the bytes."""
    timed = record.timing
    told = f"plan built in {backend.build_seconds:.1f} s; swept in {timed.seconds:.3f} s, "
    told += f"of which the plan {timed.engine_seconds:.3f} s"
    some = [f"{spaced(count)} {why}" for why, count in backend.settled.items() if count]
    told += f"; settled by the host: {', '.join(some) or 'nothing'}"
    least = backend.copy_seconds(record.tally.inputs)
    if parse(record.case).precision.total_bits == 16:  # no bytes to speak of
        return told
    ratio = timed.seconds / least
    return f"{told}; {ratio:.2f} times a device copy of the inputs' bytes, {least:.3f} s"


def _sampled(job: _Job, runner: Executor, case: Case, seed: int) -> _Result:
    limits = job.tolerances.limits(job.bound(case), runner.status().version)
    chosen = sample(case.precision, seed)
    new, judgement = observe_sample(runner, case, job.model(case), limits, chosen)
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
        plugin=record.plugin,
    )


def merge(
    files: Sequence[Path], out: Path | None, observe: Path | None, tolerances: Path | None
) -> int:
    """``python -m verify merge``; returns the exit code."""
    if not files:
        raise InputError("merge: name the shards' records")
    named = [(str(path), records.load(path)) for path in files]
    case = parse(named[0][1].case)
    version = named[0][1].environment.version_of(case.engine)
    bound = case if named[0][1].plugin is not None else bound_by(case)
    limits = load(tolerances).limits(bound, version)
    record = records.merge_records(named, limits)
    path = out or Path(".verify/sweep") / f"{case.id}.json"
    check_target(path, f"--out {path}")
    if observe:
        _another_file(observe, [path, *files])
        check_target(observe, f"--observe {observe}")
        (ours,) = record.environment.engines
        observations.agree(observe, ours, record.environment.cpu, record.plugin)
    records.write(path, record)
    where = f"record in {path}"
    if observe:
        stayed = observations.observe(observe, _observation(record))
        where += f"; {observations.told(observe, 1, len(stayed))}"
    console = Console()
    try:
        findings = _replayed(case, record, limits, path.parent / "findings", tolerances)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"before the findings were told; {where}") from None
    result = _Result(case, record.verdict, _reason(record), record, findings)
    _print(console, [result])
    report.print_findings(console, findings)
    console.print(where, highlight=False, soft_wrap=True)
    return _exit_code([result])


def _replayed(
    case: Case,
    record: records.SweepRecord,
    limits: Limits,
    folder: Path,
    tolerances: Path | None,
) -> list[Finding]:
    """A merged record's findings with their replays, executed where the same can run here."""
    findings = found.findings(case, record, limits)
    if not findings:
        return []
    (ours,) = record.environment.engines
    os.environ[PROVIDER_VARIABLE] = "cuda" if ours.device.startswith("CUDA") else "cpu"
    runner, model = engine(case.engine), model_of(case)
    status = runner.status()
    options: tuple[str, ...] = ()
    if record.plugin is not None:
        options, why = ("--plugin", record.plugin.library), "a merge has no library"
    elif not isinstance(runner, Executor) or not status.executes or status.version != ours.version:
        why = f"{ours.engine} {ours.version} does not execute here"
    elif status.device != ours.device:
        why = f"{ours.device} is not here"
    elif hashlib.sha256(model).hexdigest() != record.model:
        why = "the model is another one now"
    else:
        return found.store(findings, record, limits, model, runner, folder, tolerances=tolerances)
    return found.told(findings, why, tolerances=tolerances, options=options)


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
