"""The gate: whether a plugin library may ship, decided on TensorRT itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import models
from verify.cases import CONTEXTS, Case
from verify.count import spaced
from verify.engines import EngineFailure, Executor, Lacking, Refused, Session, Status, engine
from verify.engines.registry import Creator, Listing, NotLoaded, listing
from verify.engines.tensorrt import Plugin, Tensorrt
from verify.engines.version import parse
from verify.errors import InputError
from verify.findings import LIMITS_CHECK, Finding
from verify.judge import VacuousError
from verify.library import Library, read
from verify.oracle import expected
from verify.plumbing.check import Result, Subject
from verify.precision import FP32, PRECISIONS, Array, Precision
from verify.run import FAILING, CaseResult, model_of
from verify.samples import sample
from verify.ulp import error_ulp
from verify.worker import Died, Worker

__all__ = [
    "CouldNotVerify",
    "DoNotShip",
    "Neighbour",
    "Order",
    "Outcome",
    "Target",
    "cases_of",
    "choose",
    "fields_of",
    "named",
    "neighbours",
    "obstacle",
    "opinions",
    "options_of",
    "order_of",
    "outcome",
    "register",
    "subject_of",
    "supported",
]

_LISTING = 300.0  # seconds to load a library and list what it registers


class CouldNotVerify(Exception):
    """Nothing was tested; the message says what is missing here."""


class DoNotShip(Exception):
    """The library is no good already before a plan is built; the message says why.

    That is a finding of the check `registry`.
    """


@dataclass(frozen=True)
class Order:
    """What is asked for: which plugin of which library. Empty strings leave the choice open."""

    library: Library
    op: str = ""
    version: str = ""
    namespace: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    preload: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """The plugin under test, and the node that stands for it in models."""

    plugin: Plugin
    node: models.PluginNode
    listing: Listing


@dataclass(frozen=True)
class Outcome:
    """The gate's last word: SHIP, DO NOT SHIP or COULD NOT VERIFY, and the exit code."""

    word: str
    reason: str
    exit_code: int

    @property
    def sentence(self) -> str:
        """One line."""
        return f"{self.word}: {self.reason}"


@dataclass(frozen=True)
class Neighbour:
    """Who else computes Mish here: the worst error in ULP over the sample, and where.

    ``reason`` says why there is nothing to compare, and is empty otherwise.
    """

    name: str
    precision: Precision
    worst: float = 0.0
    x: float = 0.0
    samples: int = 0
    special: int = 0
    reason: str = ""
    opinion: Callable[[Array], float] | None = field(default=None, compare=False, repr=False)


def order_of(
    plugin: Path,
    op: str,
    version: str,
    namespace: str | None,
    fields: Sequence[str],
    preloads: Sequence[Path],
) -> Order:
    """The order of a command line; ``fields`` are NAME=VALUE.

    Raises InputError for a file that is missing or no shared library, and for a damaged field.
    """
    library = read(plugin)
    for path in preloads:
        read(path, "--preload")
    pairs = []
    for text in fields:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise InputError(f"--field {text!r}: expected NAME=VALUE")
        pairs.append((name, value))
    preload = tuple(str(path.resolve()) for path in preloads)
    return Order(library, op, version, namespace, tuple(pairs), preload)


def options_of(target: Target) -> list[str]:
    """The options of a command line that name the same plugin, whoever calls it."""
    name = target.plugin.name
    words = ["--plugin", str(target.plugin.library.path.resolve())]
    words += ["--op", name.op, "--plugin-version", name.version]
    words += ["--plugin-namespace", name.namespace]
    for key, value in target.node.fields:
        words += ["--field", f"{key}={value}"]
    for path in target.plugin.preload:
        words += ["--preload", path]
    return words


def obstacle(library: Library, status: Status) -> str:
    """Why this machine can't test the library, in one line; empty if it can.

    ``status`` is that of the engine ``tensorrt``.
    """
    if not status.executes:
        return status.reason + (f"; it needs {status.install}" if status.install else "")
    linked = library.linked
    if linked is None:
        return ""
    if linked.engine != "tensorrt":
        return f"the library is linked against {linked}; the gate executes full TensorRT"
    if linked.major != parse(status.version)[0]:
        return (
            f"the library is linked against {linked}, and TensorRT {status.version} is at hand; "
            f"nox -s gate -- --tensorrt {linked.major} … gets another"
        )
    return ""


def register(order: Order) -> Target:
    """Load the library in a process of its own and settle which of its plugins is meant.

    Raises DoNotShip for a library that can't be loaded or registers nothing, CouldNotVerify
    where TensorRT itself can't be imported, InputError where the choice is not clear.
    """
    worker = Worker()
    try:
        found: Listing = worker.call(listing, order.library, order.preload, seconds=_LISTING)
        end = worker.finish()
    except NotLoaded as error:
        raise DoNotShip(f"the library can't be loaded: {error}") from None
    except Died as error:
        raise DoNotShip(f"the process that loads the library {error}") from None
    except ImportError as error:
        said = " ".join(str(error).split())
        raise CouldNotVerify(f"TensorRT can't be imported: {said}") from None
    finally:
        worker.close()
    if not found.creators:
        raise DoNotShip("the library registers no plugin creator")
    creator = choose(found.creators, order)
    if end:
        raise DoNotShip(f"a process that only loaded the library {end}")
    if creator.name.op == "Mish":
        raise DoNotShip(
            "the plugin is registered as 'Mish': from 10.0 on TensorRT's parser decomposes that "
            "operator in any domain, and never uses the plugin"
        )
    try:
        node = models.PluginNode(
            creator.name.op,
            creator.name.version,
            creator.name.namespace,
            fields_of(creator, order.fields),
        )
    except ValueError as error:
        raise InputError(f"--field: {error}") from None
    plugin = Plugin(order.library, creator.name, order.preload, found.tensorrt)
    return Target(plugin, node, found)


def choose(creators: Sequence[Creator], order: Order) -> Creator:
    """The creator that is meant; raises InputError, listing all of them, unless it is one."""
    named = [
        creator
        for creator in creators
        if (creator.name.op == order.op if order.op else "mish" in creator.name.op.lower())
        and order.version in ("", creator.name.version)
        and order.namespace in (None, creator.name.namespace)
    ]
    if len(named) == 1:
        return named[0]
    listed = "; ".join(str(creator.name) for creator in creators)
    if order.op:
        many = "is registered more than once" if named else "is not registered"
        raise InputError(f"--op {order.op!r} {many}; the library registers {listed}")
    why = "several have" if named else "none has"
    raise InputError(
        f"{why} 'mish' in the name; choose with --op, --plugin-version and --plugin-namespace: "
        f"the library registers {listed}"
    )


def fields_of(
    creator: Creator, given: Iterable[tuple[str, str]]
) -> tuple[tuple[str, int | float | str], ...]:
    """Fields with values of the types that the creator announces; raises InputError."""
    kinds = {announced.name: announced.kind for announced in creator.fields}
    values: list[tuple[str, int | float | str]] = []
    for name, text in given:
        if name not in kinds:
            has = ", ".join(kinds) or "none"
            raise InputError(f"--field {name}: {creator.name} has no such field; it has: {has}")
        try:
            values.append((name, _typed(kinds[name], text)))
        except ValueError:
            kind = kinds[name]
            raise InputError(f"--field {name}={text}: the field's type is {kind}") from None
    return tuple(values)


def _typed(kind: str, text: str) -> int | float | str:
    if kind.startswith("INT"):
        return int(text)
    return float(text) if kind.startswith(("FLOAT", "BF")) else text


def supported(
    runner: Tensorrt, node: models.PluginNode, asked: Sequence[Precision]
) -> dict[Precision, str]:
    """The precisions to test, each with why it is refused; empty for one that is tested.

    A precision that TensorRT or the plugin refuses is one it does not support; any other
    failure is left for its case to tell. Raises InputError where one that was asked for by
    name is refused.
    """
    found: dict[Precision, str] = {}
    for precision in asked or PRECISIONS:
        case = Case("plugin", "alone", precision, "tensorrt")
        try:
            runner.open(model_of(case, node), precision)
        except Lacking as error:
            found[precision] = str(error)
        except Refused as error:
            found[precision] = f"the plugin refuses {precision.name}: {error}"
        except EngineFailure:
            found[precision] = ""
        else:
            found[precision] = ""
        if asked and found[precision]:
            raise InputError(f"--precision {precision.name}: {found[precision]}")
    return found


def cases_of(precisions: Iterable[Precision], checks: Sequence[str]) -> tuple[Case, ...]:
    """The plugin's cases; only the context ``alone`` has checks other than the limits."""
    contexts = CONTEXTS if not checks or LIMITS_CHECK in checks else ("alone",)
    return tuple(
        Case("plugin", context, precision, "tensorrt")
        for precision in precisions
        for context in contexts
    )


def outcome(
    results: Sequence[CaseResult], about: str, checks: Sequence[Result] = (), why: str = ""
) -> Outcome:
    """The verdict on the plugin's own cases and its plumbing; ``about`` names what was tested.

    ``why`` says why there are no cases, where none were asked for or none can be.
    """
    for result in results:
        if result.verdict in FAILING and not _others(result):
            return Outcome("DO NOT SHIP", f"{result.case.id}: {result.reason}", 1)
    for check in checks:
        if check.verdict == "FAIL":
            return Outcome("DO NOT SHIP", f"{check.check.name}: {check.reason}", 1)
    for check in checks:
        if check.verdict == "ERROR":
            return Outcome("COULD NOT VERIFY", f"{check.check.name}: {check.reason}", 3)
    done = [result for result in results if result.verdict in ("PASS", "KNOWN") or _others(result)]
    passed = sum(check.verdict == "PASS" for check in checks)
    if done:
        samples = spaced(sum(result.samples for result in done))
        precisions = dict.fromkeys(result.case.precision.name for result in done)
        judged = f"{samples} inputs judged in {', '.join(precisions)}"
        more = f", {passed} checks of its plumbing passed" if checks else ""
        return Outcome("SHIP", f"{about}: {judged}{more}", 0)
    if passed and not why:
        told = f"{about}: {passed} checks of its plumbing passed, no others run"
        if any(check.verdict == "PASS" and check.check.executes for check in checks):
            return Outcome("SHIP", told, 0)
        return Outcome("COULD NOT VERIFY", f"{told}; none of them runs the plugin", 3)
    if checks and not (why or passed or results):
        return Outcome("COULD NOT VERIFY", f"{checks[0].check.name}: {checks[0].reason}", 3)
    return Outcome("DO NOT SHIP", why or f"{about}: no case of the plugin was executed", 1)


def _others(result: CaseResult) -> bool:
    """Whether a deviation is stale that TensorRT's own layers around the plugin have elsewhere.

    Another GPU or kernel may do without it. Alone, the plugin has none.
    """
    judged = result.verdict == "STALE" and result.samples > 0
    return judged and result.case.context != "alone"


def subject_of(
    target: Target,
    runner: Tensorrt,
    refused: Mapping[Precision, str],
    asked: Sequence[Precision],
    *,
    quick: bool,
) -> Subject:
    """What the plumbing checks are run on, when it is known what the plugin supports."""
    strategy = runner.strategy
    given = dict(target.node.fields)
    announced = next(
        creator.fields for creator in target.listing.creators if creator.name == target.plugin.name
    )
    tested = tuple(p.name for p, why in refused.items() if not why)
    required = () if asked and FP32 not in asked else (FP32.name,)
    lacking = tuple(
        p.name for p, why in refused.items() if why and not strategy.lacks("plugin", p.name)
    )
    return Subject(
        library=str(target.plugin.library.path.resolve()),
        preload=target.plugin.preload,
        tensorrt=target.plugin.tensorrt,
        op=target.plugin.name.op,
        version=target.plugin.name.version,
        namespace=target.plugin.name.namespace,
        fields=tuple((field.name, field.kind, given.get(field.name)) for field in announced),
        precisions=tested,
        required=required,
        lacking=lacking,
        on_request=target.listing.on_request,
        static=runner.static,
        obey=strategy.obey_types,
        typed=strategy.strongly_typed,
        tactic_sources=runner.tactic_sources,
        largest=strategy.largest_elements,
        largest_rank=7,  # of 8.6; later versions have no fewer
        quick=quick,
    )


def neighbours(
    runner: Tensorrt, precisions: Iterable[Precision], seed: int, stack: ExitStack, *, quick: bool
) -> Iterator[Neighbour]:
    """Who else computes Mish on the same inputs, each held against the oracle.

    ``quick`` leaves out what needs a plan. Sessions stay open until ``stack`` closes.
    """
    for precision in precisions:
        for name, session in _sessions(runner, precision, quick=quick):
            about = Neighbour(name, precision)
            try:
                yield _measure(about, stack.enter_context(session()), seed)
            except (Refused, EngineFailure, VacuousError) as error:
                yield replace(about, reason=str(error))


def _sessions(
    runner: Tensorrt, precision: Precision, *, quick: bool
) -> Iterator[tuple[str, Callable[[], Session]]]:
    model = model_of(Case("composed", "alone", precision, "tensorrt"))
    if not quick:
        yield "composed, TensorRT", lambda: runner.open(model, precision)
        yield "composed, TensorRT's network API", lambda: runner.open_layers(precision)
    other = engine("onnxruntime")
    if isinstance(other, Executor) and other.status().executes:
        yield "composed, ONNX Runtime", lambda: other.open(model, precision)


def _measure(about: Neighbour, session: Session, seed: int) -> Neighbour:
    """The worst error; NaN or infinity where none is due are counted apart."""
    precision = about.precision
    inputs = sample(precision, seed)
    (view,) = expected("alone", inputs.values, precision)
    y = session.run(inputs.values)["y"]
    if y.shape != inputs.values.shape or y.dtype != precision.dtype:
        raise VacuousError(f"returned {y.dtype} of shape {y.shape}")
    wide = precision.widen(y)
    # At -inf either the limit -0 or NaN is right.
    number = np.isfinite(view.expected) & (view.argument != -np.inf)
    special = int(np.count_nonzero(number & ~np.isfinite(wide)))
    with np.errstate(invalid="ignore", over="ignore"):
        error = error_ulp(wide, view.expected, precision)
    error = np.where(number & np.isfinite(error), error, 0.0)
    at = int(np.argmax(error))

    def opinion(x: Array) -> float:
        return float(precision.widen(session.run(x)["y"])[0])

    return replace(
        about,
        worst=float(error[at]),
        x=float(view.argument[at]),
        samples=inputs.count,
        special=special,
        opinion=opinion,
    )


def opinions(finding: Finding, others: Iterable[Neighbour]) -> list[str]:
    """What the others return for a finding's input, a line each: who is wrong, not who differs."""
    point, precision = finding.point, finding.case.precision
    if point is None or finding.case.context != "alone":
        return []
    x = precision.from_bits(np.array([int(point.x_bits, 16)]))
    lines = []
    for other in others:
        if other.precision is not precision or other.opinion is None:
            continue
        y = other.opinion(x)
        error = error_ulp(np.array([y]), np.array([point.expected]), precision)[0]
        lines.append(f"  beside    {y:.9g} by {other.name}, {error:.4g} ULP off")
    return lines


def named(path: Path, target: Target) -> str:
    """The plugin in a few words."""
    return f"{path.name}: {target.plugin.name}"
