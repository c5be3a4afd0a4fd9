"""What a plan is made of, from the JSON that TensorRT's engine inspector writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Layer", "PlanTensor", "Unreadable", "layers_of", "plugin_fault", "plugins", "reformats"]


class Unreadable(Exception):
    """The inspector's answer does not describe layers; the message is one line."""


@dataclass(frozen=True)
class PlanTensor:
    """A tensor as a layer of the plan reads or writes it.

    ``precision`` is ``fp32``, ``fp16``, ``bf16``, another type's name, or empty where the
    inspector can't know; ``layout`` is ``LINEAR``, ``HWC8``, ``CHW32`` and so on, or empty.
    """

    name: str
    precision: str
    layout: str


@dataclass(frozen=True)
class Layer:
    """A layer of the plan. ``plugin`` and ``plugin_version`` are empty for any but plugins."""

    name: str
    kind: str
    plugin: str
    plugin_version: str
    inputs: tuple[PlanTensor, ...]
    outputs: tuple[PlanTensor, ...]

    @property
    def is_plugin(self) -> bool:
        """Whether a plugin runs here, of whichever interface."""
        return self.kind.startswith("PluginV")

    @property
    def is_dynamic(self) -> bool:
        """Whether its types are not known, because its shapes were not when it was inspected."""
        return any(not tensor.precision for tensor in (*self.inputs, *self.outputs))


# "Row major linear FP16 format" up to TensorRT 8 and 9, "Half" later.
_TYPES: Mapping[str, str] = {
    "fp32": "fp32",
    "float": "fp32",
    "fp16": "fp16",
    "half": "fp16",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "int8": "int8",
    "int32": "int32",
    "int64": "int64",
    "fp8": "fp8",
    "bool": "bool",
}
_COUNTS = {"two": 2, "four": 4, "sixteen": 16, "thirty-two": 32}


def layers_of(text: str) -> tuple[Layer, ...]:
    """The layers in the inspector's JSON of a whole plan, in order.

    Raises Unreadable for anything else, and for layers that are only named: such a plan was
    built without detailed profiling verbosity.
    """
    try:
        data = json.loads(text, strict=False)  # 8.6 separates names by bare control characters
    except ValueError as error:
        near = text[max(0, getattr(error, "pos", 0) - 60) :][:120]
        raise Unreadable(
            f"the engine inspector's answer is not JSON: {error}, near {near!r}"
        ) from None
    listed = data.get("Layers") if isinstance(data, dict) else None
    if not isinstance(listed, list) or not listed:
        raise Unreadable("the engine inspector lists no layers")
    if not all(isinstance(entry, dict) for entry in listed):
        raise Unreadable("the engine inspector names layers only; build with detailed verbosity")
    return tuple(_layer(entry) for entry in listed)


def plugins(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """The layers that plugins run."""
    return tuple(layer for layer in layers if layer.is_plugin)


def reformats(kinds: Iterable[str]) -> int:
    """How many kinds of layers only change a type or a layout; ``NoOp`` costs nothing."""
    return sum(kind.lower() == "reformat" for kind in kinds)


def plugin_fault(
    layers: Iterable[Layer], op: str, version: str, precision: str, *, count: int = 1
) -> str:
    """Why the plan does not test the plugin, in one line; empty if it does.

    ``count`` layers of the plugin are due, each with every input and output in ``precision``.
    A field that the inspector leaves out of a plugin's layer is not held against it, but for
    the types: those have to be known.
    """
    layers = tuple(layers)
    found = plugins(layers)
    if not found:
        kinds = ", ".join(dict.fromkeys(layer.kind for layer in layers))
        return f"no plugin is in the plan, only {kinds or 'nothing'}"
    named = [layer for layer in found if layer.plugin in (op, "")]
    if len(named) != len(found):
        others = ", ".join(dict.fromkeys(repr(layer.plugin) for layer in found))
        return f"the plan's plugin is {others}, not {op!r}"
    wrong = [layer for layer in found if layer.plugin_version not in (version, "")]
    if wrong:
        return f"the plan's plugin has version {wrong[0].plugin_version!r}, not {version!r}"
    if len(found) != count:
        return f"the plan has {len(found)} layers of the plugin, {count} are due"
    for layer in found:
        if layer.is_dynamic or not layer.inputs or not layer.outputs:
            return f"the types of the plugin's layer {layer.name} are not known"
        for tensor in (*layer.inputs, *layer.outputs):
            if tensor.precision != precision:
                return f"the plugin runs in {tensor.precision} in the plan, not in {precision}"
    return ""


def _layer(entry: Mapping[str, Any]) -> Layer:
    return Layer(
        name=str(entry.get("Name", "")),
        kind=str(entry.get("LayerType", "")),
        plugin=str(entry.get("PluginType", "")),
        plugin_version=str(entry.get("PluginVersion", "")),
        inputs=_tensors(entry.get("Inputs")),
        outputs=_tensors(entry.get("Outputs")),
    )


def _tensors(listed: object) -> tuple[PlanTensor, ...]:
    if not isinstance(listed, list):
        return ()
    return tuple(_tensor(entry) for entry in listed if isinstance(entry, dict))


def _tensor(entry: Mapping[str, Any]) -> PlanTensor:
    said = str(entry.get("Format/Datatype", ""))
    words = re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)?", said.lower())
    if "dynamic" in words:  # "N/A due to dynamic shapes"
        return PlanTensor(str(entry.get("Name", "")), "", "")
    precision = next((_TYPES[word] for word in words if word in _TYPES), "")
    return PlanTensor(str(entry.get("Name", "")), precision, _layout(said.lower(), words))


def _layout(said: str, words: list[str]) -> str:
    """TensorRT's name of a layout, as ``TensorFormat`` has it, out of a sentence."""
    depth = "D" if "3 spatial dimensions" in said else ""
    packed = re.search(r"channel major .*channel % (\d+) == 0", said)
    if packed:
        return f"{depth}HWC{packed[1]}"
    if "channel major" in said:
        return f"{depth}HWC"
    if "wide" in words:
        count = next((_COUNTS[word] for word in words if word in _COUNTS), 0)
        return f"C{depth}HW{count}" if count else ""
    return "LINEAR" if "linear" in words or len(words) == 1 else ""
