"""What a plumbing check is, what it is run on, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.plumbing.bench import Bench

__all__ = ["Answer", "Broken", "Check", "Result", "Skipped", "Subject", "Tally"]

_TOLD = 8  # faults of one check that are told one by one


class Broken(Exception):
    """The plugin, or TensorRT because of it, failed; one line. A fault of the running check."""


class Skipped(Exception):
    """The check does not apply here; one line says why."""


@dataclass(frozen=True)
class Subject:
    """The plugin under test, and all that it takes to build plans with it.

    ``library``, ``preload`` and ``tensorrt`` (libnvinfer's) are paths. ``fields`` are name, kind
    (TensorRT's ``PluginFieldType``) and value, None where no value was given. ``precisions`` are
    those to test, ``required`` those that must be supported, ``lacking`` those of this version
    that are refused. ``on_request``: TensorRT's registry has to load the library. ``static``: the
    plugin refuses dynamic shapes. ``obey``: types are forced layer by layer, as in 8.6;
    ``typed``: the network is flagged as strongly typed. ``largest``: elements of one tensor, None
    without a limit. ``quick``: nothing is built but plans with only the plugin.
    """

    library: str
    preload: tuple[str, ...]
    tensorrt: str
    op: str
    version: str
    namespace: str
    fields: tuple[tuple[str, str, int | float | str | None], ...]
    precisions: tuple[str, ...]
    required: tuple[str, ...]
    lacking: tuple[str, ...]
    on_request: bool
    static: bool
    obey: bool
    typed: bool
    tactic_sources: bool
    largest: int | None
    largest_rank: int
    quick: bool = False


class Tally:
    """Counts what a check compared, and collects what was wrong."""

    def __init__(self) -> None:
        self.count = 0
        self.faults: list[str] = []
        self.missed: list[str] = []
        self.notes: list[str] = []

    def expect(self, where: str, fault: str) -> None:
        """One comparison; ``fault`` is empty if all was well."""
        self.count += 1
        if fault:
            self.faults.append(f"{where}: {fault}" if where else fault)

    def miss(self, what: str) -> None:
        """Something that the plugin claims and that could not be tested; then nothing passes."""
        self.missed.append(what)

    def note(self, text: str) -> None:
        """Something to tell that is no fault."""
        self.notes.append(text)

    @property
    def told(self) -> tuple[str, ...]:
        """The faults, the first ones one by one."""
        more = len(self.faults) - _TOLD
        rest = (f"and {more} more",) if more > 0 else ()
        return (*dict.fromkeys(self.faults[:_TOLD]), *rest)


@dataclass(frozen=True)
class Check:
    """One claim about a plugin, by the name that ``--check`` takes.

    ``run`` executes in a process that the plugin may break, for ``seconds`` at most. Checks share
    one process but for those with a process of their own (``own_process``), which get what
    ``prepare`` made in the shared one. ``loads`` False: the library is not loaded there.
    ``ends``: how the shared process ends after it belongs to the check. ``plans`` False: it
    needs no precision. ``executes`` False: it looks at the plugin and never runs it.
    ``sanitized``: compute-sanitizer is around its process.
    ``skips`` tells from the subject why the check does not apply, without a process.
    """

    name: str
    claim: str
    run: Callable[[Bench, Tally], None]
    seconds: float = 60.0
    own_process: bool = False
    prepare: Callable[[Bench], Any] | None = None
    loads: bool = True
    ends: bool = False
    plans: bool = True
    executes: bool = True
    sanitized: bool = False
    skips: Callable[[Subject], str] | None = None


@dataclass(frozen=True)
class Answer:
    """What the process says of a check.

    ``error``: the check itself broke down, which says nothing about the plugin. ``missed``: what
    it could not test. ``broken``: CUDA can't be used any more in that process.
    """

    count: int = 0
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: str = ""
    error: str = ""
    broken: str = ""
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """The verdict on one check: PASS, FAIL, SKIPPED or ERROR.

    ``faults``: what was wrong, a line each; ``reason`` is one line, for the table. ``count``:
    comparisons. ``folder`` and ``line`` show a FAIL again; ``reproduced`` if they did.
    """

    check: Check
    verdict: str
    reason: str = ""
    faults: tuple[str, ...] = ()
    count: int = 0
    seconds: float = 0.0
    folder: str = ""
    line: str = ""
    reproduced: bool = False
