"""Store findings about values, and see to it that the line printed shows each of them again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from verify.blocks import cores
from verify.engines import Session
from verify.engines.onnxruntime import PROVIDER_VARIABLE
from verify.findings import LIMITS_CHECK, Finding, Replay
from verify.oracle import View
from verify.precision import Array
from verify.replay.command import Command, command_of, execute
from verify.replay.folder import name_of, write
from verify.replay.line import TIME_LIMIT, nested, try_line
from verify.replay.shrink import feed, shrink, subset
from verify.tolerances import Deviation, Limits

__all__ = ["TIME_LIMIT", "Request", "rerun", "store", "store_all"]


@dataclass(frozen=True)
class Request:
    """A finding about values, and all that it takes to show it again.

    ``x`` is what was judged: flat, or in the shape that the model takes; ``views`` and the
    finding's ``point.index`` count its elements flat. ``open_session`` opens the engine with
    ``model``, to see how few inputs still fail. ``command`` defaults to the engine's own.
    """

    finding: Finding
    model: bytes
    x: Array
    views: Sequence[View]
    limits: Limits
    open_session: Callable[[], Session]
    command: Command | None = None


def store(
    finding: Finding,
    model: bytes,
    x: Array,
    views: Sequence[View],
    limits: Limits,
    folder: Path,
    open_session: Callable[[], Session],
    *,
    command: Command | None = None,
) -> Finding:
    """Store one finding in a new folder inside of ``folder``; see `Request` and `store_all`."""
    request = Request(finding, model, x, views, limits, open_session, command)
    return store_all([request], folder)[0]


def store_all(
    requests: Sequence[Request], folder: Path, *, jobs: int | None = None
) -> list[Finding]:
    """Store each finding in a folder of its own inside of ``folder``, and execute its line.

    Returns the findings in order, with ``replay``; it is ``reproduced`` if the line, run within
    `TIME_LIMIT`, exited with 1 and printed the finding's x bits among the failing elements.
    ``jobs`` lines are executed at a time, by default one for every two cores, eight at the most.

    Raises ValueError for a finding without a point or of an output that no view has, and
    InputError where a folder can't be written.
    """
    used: set[str] = set()
    written = []
    for request in requests:
        name = wanted = name_of(request.finding)
        number = 1
        while name in used:
            number += 1
            name = f"{wanted}_{number}"
        used.add(name)
        written.append((request.finding, folder / name, _write(request, folder / name)))
    if jobs is None:
        jobs = min(8, max(2, cores() // 2))
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        return list(pool.map(_executed, written))


def rerun(
    finding: Finding,
    seed: int,
    tolerances: Path | None = None,
    again: Sequence[str] = (),
    untried: str = "",
) -> Finding:
    """A finding that is not about values, with the line that runs its check again.

    ``tolerances`` is a user's own folder. The line is executed, in a folder that is thrown
    away: it must exit with 1 and print the finding's x bits, if it has a point. ``again``: words
    that repeat the case, where it is not ``verify run``. ``untried``: why it is not executed.
    """
    words = [*again] or ["-m", "verify", "run", "--case", finding.case.id]
    words += ["--check", finding.check, "--seed", str(seed)]
    if tolerances is not None:
        words += ["--tolerances", str(tolerances.resolve())]
    provider = os.environ.get(PROVIDER_VARIABLE, "cpu")
    if provider != "cpu" and not again:
        words += ["--ort-provider", provider]
    reproduced = not untried and (nested() or _fails_again(words, finding))
    line = shlex.join(["python", *words])
    return replace(finding, replay=Replay(None, line, reproduced, untried))


def _fails_again(words: Sequence[str], finding: Finding) -> bool:
    printed = try_line(words)
    if printed is None:
        return False
    lines = printed.splitlines()
    told = any(line.startswith(f"{finding.case.id}: {finding.check}: ") for line in lines)
    shown = finding.point is None or any(
        line.startswith("  x ") and finding.point.x_bits in line.split() for line in lines
    )
    return told and shown


def _write(request: Request, folder: Path) -> Command:
    finding, views = request.finding, request.views
    if finding.point is None:
        raise ValueError(f"{finding.case.id}: {finding.check}: a finding without a point")
    over = _exceeded(finding, views, request.limits)
    if over is None and not any(finding.output in ("", view.label) for view in views):
        raise ValueError(f"{finding.case.id}: no view of the output {finding.output!r}")
    allowed = None if over is None else over.largest_count
    x, at = request.x, finding.point.index
    if x.ndim == 1:
        try:
            with request.open_session() as session:
                chosen = shrink(
                    finding,
                    at,
                    x,
                    views,
                    request.limits,
                    session,
                    over=over,
                )
        except Exception:  # the engine breaks down now: the finding is kept with all its inputs
            chosen = np.arange(len(x))
        x, views, at = x[chosen], subset(views, chosen), int(np.flatnonzero(chosen == at)[0])
    command = request.command or command_of(finding.case.engine)
    write(
        folder,
        finding,
        at,
        request.model,
        feed(x, finding.case.context),
        views,
        request.limits,
        command,
        over=over,
        allowed=allowed,
    )
    return command


def _executed(written: tuple[Finding, Path, Command]) -> Finding:
    finding, folder, command = written
    assert finding.point is not None
    reproduced = nested()  # who tries this process' own line tries no further ones
    if not reproduced:
        ran = execute(command, folder, seconds=TIME_LIMIT)
        reproduced = ran.shows(finding.output, finding.point.x_bits, finding.kind)
    return replace(finding, replay=Replay(folder, command.line(folder), reproduced))


def _exceeded(finding: Finding, views: Sequence[View], limits: Limits) -> Deviation | None:
    """The deviation that accepts fewer inputs than there are, if that is the finding.

    The judge names no output then. The first deviation that takes the finding's input is meant,
    as it is for the judge.
    """
    point = finding.point
    if point is None or finding.check != LIMITS_CHECK or finding.output:
        return None
    arguments = [float(view.argument[point.index]) for view in views]
    for deviation in limits.deviations:
        low, high = deviation.x
        within = deviation.kind == finding.kind and any(low <= a <= high for a in arguments)
        if within and (deviation.kind != "ulp" or point.error_ulp <= deviation.largest_error):
            return deviation
    return None
