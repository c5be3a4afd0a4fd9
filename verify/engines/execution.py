"""Build and run TensorRT plans through Polygraphy, in a process that a plugin may break.

Only module-level functions: `Worker` calls them. What they keep is in this module.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.engines import poison
from verify.engines.base import EngineFailure, Poisoned, Refused, RunFailure
from verify.engines.nvidia import gpu
from verify.engines.parsing import network_fault, words_of
from verify.engines.recipe import Recipe
from verify.engines.registry import load
from verify.library import Library
from verify.precision import Array, by_name

__all__ = ["Opened", "build", "information", "open_plan", "run_plan", "start"]

_NO_MEMORY = "the GPU is out of memory"
_KEPT = 64  # plans open at a time; the one that was not used for longest goes first


@dataclass(frozen=True)
class Opened:
    """A plan that is ready to run: its key, its size in bytes, what the inspector says of it.

    ``layer_names`` are those of the network before it was built, for a replay that has to name
    them.
    """

    key: str
    plan_bytes: int
    information: str
    layer_names: tuple[str, ...]


class _Plan:
    """A plan with its runner; outputs are poisoned and guarded."""

    def __init__(self, recipe: Recipe, key: str) -> None:
        from polygraphy.backend.trt import TrtRunner

        self.precision = by_name(recipe.precision)
        engine, names = build(recipe)
        self._runner = TrtRunner(engine, name="tensorrt")
        self._runner.activate()
        from verify.engines.guarded import GuardedOutputs

        self._outputs = GuardedOutputs(self._runner.stream, self.precision)
        self._runner.output_allocator = self._outputs
        self._input = _device_memory(0)
        # Dynamic plans know their layers' types only after a first run.
        usual = recipe.profile[1] if recipe.profile else recipe.shape
        self.run(np.zeros(usual, dtype=self.precision.dtype))
        self.opened = Opened(key, _size(engine), information(engine, self._runner.context), names)

    def run(self, x: Array) -> dict[str, Array]:
        """Outputs by name; raises RunFailure, and EngineFailure where there is no memory."""
        from polygraphy import cuda
        from polygraphy.datatype import DataType
        from polygraphy.exception import PolygraphyException

        kinds = {"fp32": DataType.FLOAT32, "fp16": DataType.FLOAT16, "bf16": DataType.BFLOAT16}
        flat = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
        said = io.StringIO()
        try:
            with _quiet(said):
                # Never without memory: TensorRT refuses a null address, also of an empty tensor.
                self._input.resize((max(flat.nbytes, poison.GUARD),))
                self._input.copy_from(flat, self._runner.stream)
                self._outputs.begin()
                view = cuda.DeviceView(self._input.ptr, x.shape, kinds[self.precision.name])
                self._runner.infer(
                    {"x": view},
                    check_inputs=False,
                    copy_outputs_to_host=False,
                    return_raw_buffers=True,
                )
                return {name: self._read(name, x) for name in self._outputs.shapes}
        except PolygraphyException as error:
            raise _failure(said.getvalue(), error) from None

    def close(self) -> None:
        """Free what it holds on the GPU."""
        self._runner.deactivate()
        self._outputs.free()
        self._input.free()

    def _read(self, name: str, x: Array) -> Array:
        shape = self._outputs.shapes[name]
        nbytes = math.prod(shape) * self.precision.bits_dtype.itemsize
        region = self._outputs.region(name, nbytes)
        fault = poison.fault(name, region, x, self.precision)
        if fault:
            raise RunFailure(fault)
        return np.asarray(region.inside.view(self.precision.dtype).reshape(shape))


_plans: OrderedDict[str, _Plan] = OrderedDict()
_builders: list[Any] = []  # one at most: with the last one TensorRT unloads what all need


def start() -> None:
    """Start CUDA and TensorRT's builder, which takes seconds and needs no plugin."""
    from polygraphy.backend.trt import create_network

    if not _builders:
        _builders.append(create_network()[0])


def open_plan(recipe: Recipe, library: Library | None, preload: tuple[str, ...]) -> Opened:
    """Build the recipe's plan, or find it again, and run it once with zeros.

    Raises Refused in TensorRT's words, EngineFailure, and NotLoaded for the library.
    """
    import tensorrt

    if library is not None:
        load(library, preload)
    found = gpu()
    key = recipe.key(tensorrt.__version__, found if isinstance(found, str) else found.name)
    if key not in _plans:
        while len(_plans) >= _KEPT:
            _plans.popitem(last=False)[1].close()
        _plans[key] = _Plan(recipe, key)
    _plans.move_to_end(key)
    return _plans[key].opened


def information(engine: Any, context: Any = None) -> str:
    """What the engine inspector says of a plan, as JSON.

    A plan with dynamic shapes knows its layers' types only with a ``context`` that has run.
    """
    import tensorrt as trt

    inspector = engine.create_engine_inspector()
    if context is not None:
        inspector.execution_context = context
    return str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def run_plan(key: str, x: Array) -> dict[str, Array] | None:
    """Run an open plan on ``x``; None where it is not open any more. Raises EngineFailure."""
    if key not in _plans:
        return None
    _plans.move_to_end(key)
    return _plans[key].run(x)


def build(recipe: Recipe) -> tuple[Any, tuple[str, ...]]:
    """TensorRT's engine for a recipe, and the names of the network's layers.

    Raises Refused in TensorRT's words and EngineFailure. A plugin library must be loaded already.
    """
    import tensorrt as trt
    from polygraphy.backend.trt import (
        CreateConfig,
        EngineFromNetwork,
        NetworkFromOnnxBytes,
        Profile,
    )
    from polygraphy.exception import PolygraphyException

    strategy, said = recipe.strategy, io.StringIO()
    options: dict[str, Any] = {}
    if recipe.profile:
        profile = Profile()
        profile.add("x", *recipe.profile)
        options["profiles"] = [profile]
    if not recipe.tactic_sources:
        options["tactic_sources"] = []
    if recipe.optimization_level is not None:
        options["builder_optimization_level"] = recipe.optimization_level
    if strategy.obey_types and recipe.precision == "fp16":
        options |= {"fp16": True, "precision_constraints": "obey"}
    try:
        with _quiet(said):
            if recipe.model:
                loaded = NetworkFromOnnxBytes(
                    recipe.model, strongly_typed=strategy.strongly_typed
                )()
            else:
                loaded = _composed_layers(recipe)
            network = loaded[1]
            if strategy.obey_types and recipe.precision == "fp16":
                _force(network, trt.float16)
            fault = network_fault(network, recipe.precision)
            if fault:
                raise EngineFailure(fault)
            names = tuple(str(network.get_layer(i).name) for i in range(network.num_layers))
            engine = EngineFromNetwork(loaded, config=CreateConfig(**options))()
    except PolygraphyException as error:
        if _out_of_memory(said.getvalue(), error):
            raise EngineFailure(_NO_MEMORY) from None
        raise Refused(words_of(said.getvalue()) or str(error)) from None
    return engine, names


def _composed_layers(recipe: Recipe) -> tuple[Any, Any]:
    """Softplus with alpha = beta = 1, tanh, and the product with x, by the network API."""
    import tensorrt as trt
    from polygraphy.backend.trt import CreateNetwork

    builder, network = CreateNetwork(strongly_typed=recipe.strategy.strongly_typed)()
    x = network.add_input("x", _types(trt)[recipe.precision], recipe.shape)
    softplus = network.add_activation(x, trt.ActivationType.SOFTPLUS)
    softplus.alpha = softplus.beta = 1.0
    tanh = network.add_activation(softplus.get_output(0), trt.ActivationType.TANH)
    product = network.add_elementwise(x, tanh.get_output(0), trt.ElementWiseOperation.PROD)
    for name, layer in (("softplus", softplus), ("tanh", tanh), ("product", product)):
        layer.name = name
    y = product.get_output(0)
    y.name = "y"
    network.mark_output(y)
    if not recipe.strategy.strongly_typed:
        y.dtype = _types(trt)[recipe.precision]
    return builder, network


def _force(network: Any, kind: Any) -> None:
    """Have every layer compute and return one floating-point type, which "obey" then obeys."""
    import tensorrt as trt

    floating = (trt.float32, trt.float16)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        # Constants have the type of their weights, and shapes are integers.
        if layer.type in (trt.LayerType.CONSTANT, trt.LayerType.SHAPE):
            continue
        outputs = [i for i in range(layer.num_outputs) if layer.get_output(i).dtype in floating]
        if outputs:
            layer.precision = kind
        for i in outputs:
            layer.set_output_type(i, kind)
    # Behind a plugin 8.6 takes them for fp32, whatever the file says.
    for index in range(network.num_outputs):
        network.get_output(index).dtype = kind


def _types(trt: Any) -> dict[str, Any]:
    known = {"fp32": trt.float32, "fp16": trt.float16}
    if hasattr(trt, "bfloat16"):
        known["bf16"] = trt.bfloat16
    return known


def _size(engine: Any) -> int:
    return int(engine.serialize().nbytes)


def _device_memory(nbytes: int) -> Any:
    from polygraphy import cuda

    return cuda.DeviceArray.raw((nbytes,))


@contextlib.contextmanager
def _quiet(said: io.StringIO) -> Iterator[None]:
    """Collect what Polygraphy logs."""
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield


def _failure(log: str, error: Exception) -> EngineFailure:
    """Why a run failed, in one line."""
    if _out_of_memory(log, error):
        return EngineFailure(_NO_MEMORY)
    words = words_of(log) or " ".join(str(error).split())
    return RunFailure(words) if _usable() else Poisoned(words)


def _usable() -> bool:
    """Whether the device still works in this process: some CUDA errors stay."""
    from polygraphy.exception import PolygraphyException

    try:
        with _quiet(io.StringIO()), _device_memory(1) as memory:
            memory.copy_from(np.zeros(1, dtype=np.uint8))
    except PolygraphyException:
        return False
    return True


def _out_of_memory(log: str, error: Exception) -> bool:
    """Whether that was it; Polygraphy gives the number of cudaErrorMemoryAllocation."""
    return bool(re.search(r"CUDA Error: 2\.|out of memory|OutOfMemory", f"{log}{error}"))
