"""Findings: limits that were broken, told so that nobody has to argue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from verify.cases import Case
from verify.judge import Breach, Judgement, Point

__all__ = ["BROKEN", "LIMITS_CHECK", "Finding", "Replay", "broken_down", "from_judgement", "number"]

# The check that holds every element of a sample to the tolerance files.
LIMITS_CHECK = "limits"

BROKEN = "broken"  # the kind of a finding that is about no value, but about an engine's end


@dataclass(frozen=True)
class Replay:
    """How to see a finding again: a folder, one line, and whether that line showed it.

    ``untried``: why the line was not executed, empty if it was.
    """

    folder: Path | None
    line: str
    reproduced: bool
    untried: str = ""


@dataclass(frozen=True)
class Finding:
    """One broken limit or falsified property of one case.

    ``limit`` is in ULP; None where the result had to be exact or the check has none.
    ``count`` of ``samples`` inputs are concerned, ``point`` is the worst of them.
    """

    case: Case
    check: str
    message: str
    output: str
    band: str
    kind: str
    point: Point | None
    limit: float | None
    count: int
    samples: int
    replay: Replay | None = None

    def lines(self) -> list[str]:
        """The finding as text, one fact a line, without its replay."""
        out = [f"{self.case.id}: {self.check}: {self.message}"]
        if self.point is not None:
            p = self.point
            where = f" in {self.band}" if self.band else ""
            out += [
                f"  x         {number(p.x)}  {p.x_bits}{where}",
                f"  expected  {number(p.expected)}",
                f"  actual    {number(p.actual)}  {p.actual_bits}",
                f"  error     {number(p.error_ulp)} ULP"
                + ("" if self.limit is None else f", limit {number(self.limit)} ULP"),
            ]
        if self.samples:
            out.append(f"  inputs    {self.count} of {self.samples}")
        return out


def number(value: float) -> str:
    """A float in decimal, short but told apart from its neighbours."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    return f"{value:.9g}"


_SAYS = {
    "nan": "NaN where a number is due, or a number where NaN is",
    "inf": "an infinity where none is due, or none where one is",
    "sign": "the wrong sign",
    "ulp": "off by more than the limit",
}


def broken_down(case: Case, check: str, message: str, samples: int) -> Finding:
    """The finding of a check under which an engine broke down.

    ``samples``: the inputs that it was given, 0 where that is not known.
    """
    return Finding(
        case, check, f"it broke down: {message}", "", "", BROKEN, None, None, samples, samples
    )


def from_judgement(case: Case, judgement: Judgement) -> tuple[Finding, ...]:
    """The findings of a judged sample: one for each band, output and kind of breach."""
    return tuple(_finding(case, breach) for breach in judgement.breaches)


def _finding(case: Case, breach: Breach) -> Finding:
    span = f"x from {number(breach.lowest)} to {number(breach.highest)}"
    if breach.over_count:
        message = f"{breach.count} inputs deviate, {breach.over_count} ({span})"
    else:
        message = f"{breach.output}: {_SAYS[breach.kind]} ({breach.result} results, {span})"
    return Finding(
        case=case,
        check=LIMITS_CHECK,
        message=message,
        output=breach.output,
        band=breach.band,
        kind=breach.kind,
        point=breach.worst,
        limit=breach.limit,
        count=breach.count,
        samples=breach.samples,
    )
