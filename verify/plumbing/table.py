"""All plumbing checks, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from verify.plumbing import (
    built,
    composed,
    failing,
    kept,
    ordered,
    registered,
    sanitized,
    shaped,
    state,
    v3,
)
from verify.plumbing.bench import Bench
from verify.plumbing.check import Check, Subject, Tally

__all__ = ["CHECKS", "OUT_OF_SCOPE", "SANITIZER", "by_name", "chosen"]

OUT_OF_SCOPE = ("DLA", "weight streaming", "version-compatible plans")

_Run = Callable[[Bench, Tally], None]


def _apart(
    name: str, claim: str, run: _Run, prepare: Callable[[Bench], Any], **options: Any
) -> Check:
    return Check(name, claim, run, own_process=True, prepare=prepare, **options)


def _stays(subject: Subject) -> str:
    return "" if subject.on_request else "a library that registers itself can't be unloaded safely"


def _plain(subject: Subject) -> str:
    numbers = any(kind.startswith(("FLOAT", "INT")) for _, kind, _ in subject.fields)
    return "" if numbers else "the plugin has no field with a number"


CHECKS: tuple[Check, ...] = (
    Check(
        "registry",
        "the library registers one creator of its name, and its plugins say the same",
        registered.registry,
        plans=False,
        executes=False,
    ),
    Check(
        "fields",
        "the list of fields lasts, values are copied, unknown fields do no harm",
        registered.fields,
        plans=False,
        executes=False,
    ),
    Check(
        "namespace",
        "creator, plugins and clones keep a namespace of their own",
        registered.namespace,
        plans=False,
        executes=False,
    ),
    Check(
        "serialization",
        "what a plugin writes of itself is of the size it said, and is what it reads",
        registered.serialization,
        plans=False,
        executes=False,
    ),
    Check(
        "combinations",
        "supportsFormatCombination reads what is at and before its position only",
        registered.combinations,
        plans=False,
        executes=False,
    ),
    Check(
        "build",
        "a plan is built in each precision, with the plugin in it, and writes its output",
        built.build,
        seconds=120.0,
        plans=False,
    ),
    # The first of those in processes of their own: they run beside the ones that follow.
    _apart(
        "reload",
        "the plan needs the library in another process, and returns the same bytes there",
        state.reload,
        state.plans,
        loads=False,
    ),
    _apart(
        "errors",
        "enqueue reports a launch that fails, and the next one is right again",
        failing.errors,
        state.plans,
    ),
    _apart(
        "unload",
        "it is right after it was unloaded and loaded again",
        state.unload,
        state.plans,
        skips=_stays,
    ),
    Check(
        "refusal",
        "types without Mish, and precisions that it lacks, are refused",
        built.refusal,
        plans=False,
        executes=False,
    ),
    Check(
        "formats",
        "each format that it accepts is right, and zero padding stays zero",
        built.formats,
    ),
    Check(
        "mismatch",
        "different formats or types of input and output are right or refused",
        built.mismatch,
    ),
    Check("refit", "a plan that may be refitted is right", built.refit),
    Check("ranks", "every rank is built and right", shaped.ranks),
    Check("batch", "batches of 1, 2 and 17 are right", shaped.batch),
    Check("empty", "a tensor without elements is no error", shaped.empty),
    # A plugin for static shapes needs a plan for each length.
    Check("sizes", "every length is right up to its last element", shaped.sizes, seconds=300.0),
    Check("huge", "it is right just under 2^31 elements", shaped.huge, seconds=120.0),
    Check(
        "padded",
        "it is right where padding brings a tensor beyond 2^31 elements",
        shaped.padded,
        seconds=120.0,
    ),
    Check("reshape", "one context is right at every shape of its profile", shaped.reshape),
    Check("addresses", "it is right wherever input and output lie", shaped.addresses),
    Check("input", "the input is unchanged", kept.input_kept),
    Check("bounds", "nothing is written outside of the output", kept.bounds),
    Check(
        "workspace",
        "nothing is written outside of its workspace, or expected to stay in it",
        kept.workspace,
    ),
    Check(
        "stream", "it keeps to the order of a non-blocking stream behind long work", ordered.stream
    ),
    Check("capture", "captured in a CUDA graph it is replayed right", ordered.capture),
    Check("repeat", "a thousand calls return the same bits", state.repeat),
    Check("clones", "clones and contexts are right when the earlier ones are gone", state.clones),
    Check("threads", "it is right in many contexts from many threads", state.threads),
    Check("builds", "it is right when several plans are built at once", state.builds),
    Check(
        "attributes",
        "two plugins in one plan keep their attributes",
        state.attributes,
        skips=_plain,
    ),
    Check("shape_change", "onShapeChange follows shapes and addresses", v3.shape_change),
    # Builds that time kernels take up to thirty times as long on a GPU with seven other gates.
    Check(
        "timing_cache",
        "plans built with a timing cache are right",
        v3.timing_cache,
        seconds=240.0,
    ),
    Check("tactics", "every build returns the same values", v3.tactics, seconds=240.0),
    Check("aliasing", "input and output do not share memory unasked", v3.aliasing),
    Check("network", "inside of a network it is right as alone", composed.network, seconds=600.0),
    Check("exit", "a process that used it ends well", state.end, ends=True),
)

SANITIZER = Check(
    "sanitizer",
    "compute-sanitizer finds no access out of bounds",
    sanitized.watched,
    seconds=420.0,
    own_process=True,
    sanitized=True,
)
"""Only with ``--sanitize``: compute-sanitizer takes a minute a process."""


def by_name(name: str) -> Check:
    """The check of this name; raises KeyError."""
    return {check.name: check for check in (*CHECKS, SANITIZER)}[name]


def chosen(names: Sequence[str], *, sanitize: bool = False) -> tuple[Check, ...]:
    """The checks of these names, all of them for none; names of other checks do not count."""
    found = tuple(check for check in CHECKS if not names or check.name in names)
    return (*found, SANITIZER) if sanitize or SANITIZER.name in names else found
