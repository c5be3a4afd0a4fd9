"""All that a TensorRT plan depends on, worked out from the model without TensorRT."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from verify.engines.version import Strategy

__all__ = ["PLUGIN_DOMAIN", "Model", "PluginName", "Recipe", "fix_shape", "read", "recipe"]

PLUGIN_DOMAIN = "mish"  # of plugin nodes in `models`; a test compares

_LARGEST = 1 << 22  # elements of the largest tensor in the profile; every sample fits
_USUAL = 4096
_PLUGIN_LEVEL = 1  # the lowest at which the builder still times what it chooses
_LARGEST_BATCH = 1 << 15  # images of a convolution: a kernel may count them in a grid's y or z


@dataclass(frozen=True)
class PluginName:
    """What TensorRT looks a plugin up by."""

    op: str
    version: str
    namespace: str = ""

    def __str__(self) -> str:
        place = f" in namespace {self.namespace!r}" if self.namespace else ""
        return f"{self.op!r}, version {self.version!r}{place}"


@dataclass(frozen=True)
class Model:
    """What a model says of itself: the shape of x (-1: dynamic), operators and plugin nodes."""

    shape: tuple[int, ...]
    operators: tuple[str, ...]
    plugins: int


@dataclass(frozen=True)
class Recipe:
    """A plan to build. Equal recipes make one plan.

    ``model``: serialized ONNX, or empty for composed layers by the network API. ``shape`` is
    x's, -1 for a dynamic axis; ``profile`` its least, usual and largest shape, or empty.
    ``plugin``: what must run in the plan, in ``plugin_layers`` layers; None without a library.
    ``tactic_sources``: False builds without cuBLAS and cuDNN, which 8.6 may lack.
    ``optimization_level``: the builder's, None for TensorRT's default.
    """

    model: bytes
    precision: str
    shape: tuple[int, ...]
    profile: tuple[tuple[int, ...], ...]
    strategy: Strategy
    plugin: PluginName | None = None
    plugin_layers: int = 0
    tactic_sources: bool = True
    optimization_level: int | None = None

    def key(self, version: str, gpu: str) -> str:
        """The plan's name in a cache: the model's bytes, the version, the GPU and every option."""
        rest = repr((replace(self, model=b""), version, gpu))
        return hashlib.sha256(self.model + b"\0" + rest.encode()).hexdigest()

    def at(self, shape: tuple[int, ...]) -> Recipe:
        """The same with one static shape."""
        model = fix_shape(self.model, shape[0]) if self.model and shape else self.model
        return replace(self, model=model, shape=shape, profile=())


def recipe(
    model: bytes,
    precision: str,
    strategy: Strategy,
    *,
    plugin: PluginName | None = None,
    tactic_sources: bool = True,
    rank: int = 1,
) -> Recipe:
    """The recipe for a model as `models` builds it; for composed layers of ``rank`` if empty.

    Where ``plugin`` is given its nodes stay, with their ONNX function where this version still
    prefers the plugin. Without it they are replaced by the function's body.
    """
    if not model:
        shape = (-1, *([2] * (rank - 1))) if rank else ()
        return Recipe(
            b"", precision, shape, _profile(shape), strategy, tactic_sources=tactic_sources
        )
    prepared = _prepare(model, plugin is not None, strategy.function)
    about = read(prepared)
    return Recipe(
        model=prepared,
        precision=precision,
        shape=about.shape,
        profile=_profile(about.shape, convolution="Conv" in about.operators),
        strategy=strategy,
        plugin=plugin if about.plugins else None,
        plugin_layers=about.plugins,
        tactic_sources=tactic_sources,
        # The plugin is what it is; to time many kernels for what stands around it takes half a
        # minute a convolution, and changes nothing that is tested.
        optimization_level=_PLUGIN_LEVEL if plugin and about.plugins else None,
    )


def read(model: bytes) -> Model:
    """Read a serialized model; its functions' nodes count where the graph has none of them."""
    import onnx

    proto = onnx.load_model_from_string(model)
    (x,) = proto.graph.input
    shape = tuple(
        axis.dim_value if axis.HasField("dim_value") else -1
        for axis in x.type.tensor_type.shape.dim
    )
    nodes = proto.graph.node
    return Model(
        shape=shape,
        operators=tuple(node.op_type for node in nodes),
        plugins=sum(node.domain == PLUGIN_DOMAIN for node in nodes),
    )


@lru_cache(maxsize=64)
def _prepare(model: bytes, plugin: bool, function: bool) -> bytes:
    """The model as the parser is to see it; unchanged where it has no functions."""
    import onnx
    import onnx.inliner

    proto = onnx.load_model_from_string(model)
    if not proto.functions:
        return model
    if not plugin:
        proto = onnx.inliner.inline_local_functions(proto)
    elif not function:
        del proto.functions[:]
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def fix_shape(model: bytes, count: int) -> bytes:
    """The model with its dynamic first axis fixed to ``count``."""
    import onnx

    proto = onnx.load_model_from_string(model)
    values: Any = (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)
    for value in values:
        for axis in value.type.tensor_type.shape.dim:
            if axis.HasField("dim_param"):
                axis.dim_value = count
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _profile(shape: tuple[int, ...], *, convolution: bool = False) -> tuple[tuple[int, ...], ...]:
    """Least, usual and largest shape; nothing for a static one."""
    if -1 not in shape:
        return ()
    inner = math.prod(axis for axis in shape if axis != -1)
    counts = (0, _USUAL, _LARGEST // inner)
    if convolution:  # over no images is nothing that every version accepts
        counts = (1, _USUAL, _LARGEST_BATCH)
    return tuple(tuple(count if axis == -1 else axis for axis in shape) for count in counts)
