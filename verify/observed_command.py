"""What the subcommands `tolerances` and `diff` do: tables and exit codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.count import spaced
from verify.difference import difference, read
from verify.findings import number
from verify.headroom import Headroom, headroom
from verify.observation import read_folder
from verify.report import print_wide, say
from verify.tolerances import load

__all__ = ["diff", "tolerances"]

_STYLE = {"ok": "green", "exceeded": "bold red", "slack": "yellow", "unsupported": "yellow"}


def tolerances(folder: Path | None) -> int:
    """``python -m verify tolerances``; returns the exit code: 1 if a limit is exceeded."""
    contract = load(folder)
    observed = read_folder(contract.folder / "observed")
    entries = headroom(contract, observed)
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        right = name in ("limit", "observed", "ratio", "propose")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for entry in entries:
        cells = _row(entry)
        state = Text(entry.state, style=_STYLE.get(entry.state, "dim"))
        table.add_row(*cells[:5], state, *cells[5:])
    print_wide(console, table)
    console.print()
    for file, observation in observed.items():
        engine = f"{observation.engine} {observation.version} on {observation.device}"
        cpu = f" ({observation.cpu})" if observation.cpu else ""
        line = f"{file}: {len(observation.cases)} cases of {engine}{cpu}"
        console.print(line, highlight=False, soft_wrap=True)
    counts = Counter(entry.state for entry in entries)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    console.print(f"{len(entries)} limits: {told}", highlight=False)
    return 1 if counts["exceeded"] else 0


_COLUMNS = (
    "file", "limit of", "limit", "observed", "ratio", "", "propose", "at", "case", "for",
)  # fmt: skip


def _row(entry: Headroom) -> list[str]:
    seen = entry.seen
    at = "the worst there is a deviation's" if entry.within else ""
    if seen is not None and seen.point is not None:
        of = spaced(seen.inputs)
        at = f"x = {number(seen.point.x)} ({seen.point.x_bits}) of {of}"
    return [
        entry.source,
        entry.what,
        number(entry.limit),
        "" if seen is None else number(float(f"{seen.value:.5g}")),
        "" if entry.ratio is None else f"{entry.ratio:.2f}",
        "" if entry.propose is None else number(entry.propose),
        at,
        "" if seen is None else seen.case,
        _cases(entry.cases),
    ]


def _cases(ids: Sequence[str]) -> str:
    """The first case and how many more."""
    if not ids:
        return ""
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more"


def diff(before: Path, after: Path) -> int:
    """``python -m verify diff``; returns the exit code: 1 if any result changed."""
    lines, changed = difference(read(before), read(after))
    console = Console()
    for line in lines:
        say(console, line)
    return 1 if changed else 0
