"""What the plugin says of itself to TensorRT's registry, without a plan."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from verify.plumbing import abi
from verify.plumbing.bench import Bench, churned
from verify.plumbing.check import Broken, Skipped, Tally

__all__ = ["combinations", "fields", "namespace", "other_fields", "registry", "serialization"]

# Longer than what std::string keeps in itself, so that it lies in memory that can be freed.
_LONG = "a-namespace-that-is-kept-by-nobody-but-the-plugin-" * 2


def registry(bench: Bench, tally: Tally) -> None:
    """One creator of the name, and a plugin that says the same of itself."""
    about = bench.subject
    creator = bench.creator()
    dropped = [f"{op!r}, version {version!r}" for op, version in bench.refused]
    dropped += [text for text in bench.loading if "already registered" in text.lower()]
    tally.expect(
        "",
        f"a creator of a taken name and version was dropped: {' '.join(dropped[0].split())[:200]}"
        if dropped
        else "",
    )
    said = (creator.name, creator.plugin_version, creator.plugin_namespace or "")
    tally.expect("the creator", _differ(said, (about.op, about.version, about.namespace)))
    plugin = bench.plugin()
    if bench.is_v3:
        tally.note("an IPluginV3 says its name through its creator")
        return
    plugin.plugin_namespace = about.namespace
    own = (plugin.plugin_type, plugin.plugin_version, plugin.plugin_namespace or "")
    tally.expect("the plugin", _differ(own, said))
    outputs = plugin.num_outputs
    tally.expect("the plugin", f"{outputs} outputs instead of 1" if outputs != 1 else "")
    if bench.started:
        # NVIDIA's own plugins come last, so that ours is the one in the registry.
        bench.log.clear()
        bench.trt.init_libnvinfer_plugins(bench.log, "")
        taken = [
            text
            for _, text in bench.log.lines
            if "already registered" in text.lower() and about.op in text
        ]
        tally.expect("", "one of TensorRT's own plugins has its name and version" if taken else "")


def fields(bench: Bench, tally: Tally) -> None:
    """The list of fields, and what becomes of the values that a plugin is made from."""
    creator = bench.creator()
    with churned():
        first = _announced(creator)
        about = bench.subject
        if bench.trt.__version__.startswith("8.") and about.tensorrt:
            there = abi.has_fields(about.tensorrt, about.op, about.version, about.namespace)
            first = first if there else None
        if first is None:
            tally.expect("", "the list of fields is null: TensorRT's parser reads it unchecked")
            return
        for _ in range(3):
            bench.plugin()
            _churn()
            again = _announced(creator)
            same = again == first
            tally.expect("", "" if same else f"the list of fields is {again}, was {first}")
        unknown = ("not_a_field_of_this_plugin", "FLOAT32", 1.5)
        try:
            odd = bench.plugin((unknown, *about.fields))
        except Broken:
            tally.note("unknown fields are refused")
            tally.expect("", "")
        else:
            tally.note("unknown fields are ignored")
            same = bench.is_v3 or bytes(odd.serialize()) == bytes(bench.plugin().serialize())
            tally.expect("", "" if same else "a field that it does not know changes the plugin")
    given = other_fields(bench)
    if not given or bench.is_v3:
        return
    with churned():
        collection, kept = bench.collection(given)
        one = bench.plugin(collection)
        before = bytes(one.serialize())
        for data in kept:
            data.view(np.uint8)[:] = 0xA5
        after = bytes(one.serialize())
    tally.expect(
        "",
        ""
        if after == before
        else "the values of fields are not copied: the plugin changes with the caller's memory",
    )


def namespace(bench: Bench, tally: Tally) -> None:
    """Strings that the plugin is given are its own from then on."""
    if bench.is_v3:
        raise Skipped("an IPluginV3 has no namespace of its own")
    creator = bench.creator()
    with churned():
        plugin = bench.plugin()
        for what, one in (("the plugin", plugin), ("the creator", creator)):
            was = one.plugin_namespace or ""
            one.plugin_namespace = "".join(["", _LONG])
            _churn()
            tally.expect(what, _kept(one, _LONG))
            one.plugin_namespace = was
            tally.expect(what, _kept(one, was))
        plugin.plugin_namespace = _LONG
        clone = plugin.clone()
        if clone is None:
            tally.expect("", "clone returns null")
            return
        plugin.plugin_namespace = "another"
        _churn()
        tally.expect("a clone", _kept(clone, _LONG))


def serialization(bench: Bench, tally: Tally) -> None:
    """What a plugin writes of itself is what it reads."""
    if bench.is_v3:
        raise Skipped("an IPluginV3 is serialized by TensorRT, from named fields")
    creator = bench.creator()
    with churned():
        for given in dict.fromkeys((bench.subject.fields, other_fields(bench))):
            plugin = bench.plugin(given)
            data = bytes(plugin.serialize())
            size = plugin.serialization_size
            tally.expect("", "" if len(data) == size else f"{len(data)} bytes instead of {size}")
            _churn()
            tally.expect("", _same("serialized twice", bytes(plugin.serialize()), data))
            clone = plugin.clone()
            if clone is None:
                tally.expect("", "clone returns null")
                continue
            tally.expect("", _same("a clone", bytes(clone.serialize()), data))
            read = creator.deserialize_plugin("plugin", data)
            if read is None:
                tally.expect("", "what the plugin serialized is not deserialized")
                continue
            tally.expect("", _same("deserialized", bytes(read.serialize()), data))
            inner = read.clone()
            if inner is not None:
                tally.expect("", _same("a clone of that", bytes(inner.serialize()), data))


def combinations(bench: Bench, tally: Tally) -> None:
    """``supportsFormatCombination`` reads what is at and before its position."""
    every = tuple(abi.combinations())
    names = {number: str(name) for name, number in _formats(bench.trt)}
    types = ("fp32", "fp16", "int8", "int32")
    with bench.combinations() as plugin:
        for first in every:
            said = {plugin.supported(0, abi.descs(first, other)) for other in every}
            where = f"{types[first[0]]} {names.get(first[1], first[1])}"
            fault = "whether it is taken as input depends on the output" if len(said) > 1 else ""
            tally.expect(where, fault)


def _announced(creator: Any) -> list[tuple[str, str]] | None:
    listed = creator.field_names
    if listed is None:
        return None
    return [(str(field.name), str(field.type).rsplit(".", 1)[-1]) for field in listed]


def other_fields(bench: Bench) -> tuple[tuple[str, str, int | float | str | None], ...]:
    """The announced fields with other values: all of them, or the first that alone may change.

    Empty where there are none, or every change is refused.
    """
    given = bench.subject.fields
    numbers = [i for i, (_, kind, _) in enumerate(given) if kind.startswith(("FLOAT", "INT"))]
    for chosen in dict.fromkeys((tuple(numbers), *((i,) for i in numbers))):
        changed = tuple(
            (name, kind, _other(kind, value) if i in chosen else value)
            for i, (name, kind, value) in enumerate(given)
            if i in chosen or value is not None
        )
        if not chosen:
            continue
        try:
            bench.plugin(changed)
        except Broken:
            continue
        return changed
    return ()


def _other(kind: str, value: int | float | str | None) -> int | float:
    known = value if isinstance(value, int | float) else 1
    return known + 1 if kind.startswith("INT") else float(known) * 0.5 + 0.25


def _formats(trt: Any) -> list[tuple[str, int]]:
    return [(name, int(value)) for name, value in trt.TensorFormat.__members__.items()]


def _churn() -> None:
    """Free and fill memory of many sizes, so that nothing borrowed stays as it was."""
    kept = ["x" * size for size in range(8, 400, 8)]
    del kept
    gc.collect()


def _kept(one: Any, due: str) -> str:
    try:
        said = one.plugin_namespace or ""
    except UnicodeDecodeError:
        said = "unreadable"
    return "" if said == due else f"its namespace is {said[:40]!r} instead of {due[:40]!r}"


def _same(what: str, data: bytes, due: bytes) -> str:
    if data == due:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(data, due, strict=False)) if a != b), len(due))
    return f"{what}: other bytes from byte {at} on ({len(data)} and {len(due)} bytes)"


def _differ(said: tuple[str, ...], due: tuple[str, ...]) -> str:
    words = ("name", "version", "namespace")
    return ", ".join(
        f"{word} {a!r} instead of {b!r}"
        for word, a, b in zip(words, said, due, strict=True)
        if a != b
    )
