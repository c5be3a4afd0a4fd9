"""One process with the plugin in it: TensorRT, the library, plans with nothing but the plugin."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from verify.engines.inspection import Layer, Unreadable, layers_of, reformats
from verify.plumbing import abi
from verify.plumbing.check import Broken, Skipped, Subject
from verify.plumbing.device import Device, Memory
from verify.plumbing.tensor import KINDS, LINEAR, Bits, Kind, Layout, Region, values

__all__ = ["LEVEL", "LONGEST", "Bench", "Context", "Plan", "Ran", "Unbuilt", "churned", "tile"]

LONGEST = (1 << 24) + 1  # elements of a dynamic plan of a row of them
_USUAL = 4096
LEVEL = 0  # of the builder: what it chooses around the plugin takes seconds and is of no interest
_BATCH = 1 << 16  # elements of a plain run: a multiple of every block and vector
_IMAGE = (1, 1, 1)  # before the elements, for a plugin that computes images only
_DYNAMIC = 3  # PluginVersion::kV2_DYNAMICEXT, in the highest byte of getTensorRTVersion
_M_PERTURB = -6  # malloc.h: fill what is freed, and what is allocated, with a byte

# NumPy's types for TensorRT's PluginFieldType.
_NUMPY = {
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "FLOAT64": np.float64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
}


class Unbuilt(Broken):
    """TensorRT builds no such plan; its words, on one line."""


@contextmanager
def churned() -> Iterator[None]:
    """Have malloc fill fresh and freed memory: what is borrowed or not set then shows."""
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_PERTURB, 0xA5)
    try:
        yield
    finally:
        gc.collect()
        mallopt(_M_PERTURB, 0)


def tile(bits: Bits, count: int, offset: int = 0) -> Bits:
    """``count`` elements of a pattern that repeats, from its element ``offset`` on."""
    return np.resize(np.roll(bits, -offset), count)


@dataclass(frozen=True)
class Plan:
    """A plan of one input and some outputs; ``kind`` is the input's, ``out`` the outputs'.

    ``timings``: the timing cache behind a build that was given one.
    """

    engine: Any
    data: bytes
    kind: Kind
    out: Kind
    inspect: Callable[[Any], str]
    timings: bytes = b""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What the engine inspector lists; types and formats for static shapes only."""
        try:
            return layers_of(self.inspect(self.engine))
        except Unreadable as error:
            raise Broken(str(error)) from None

    @property
    def plugin(self) -> Layer:
        """The plugin's layer; raises Broken unless there is exactly one."""
        found = [layer for layer in self.layers if layer.is_plugin]
        if len(found) != 1:
            kinds = ", ".join(layer.kind for layer in self.layers)
            raise Broken(f"the plan has {len(found)} layers of the plugin, only {kinds}")
        return found[0]


@dataclass(frozen=True)
class Ran:
    """Input and output memory after a run."""

    x: Region
    y: Region
    kind: Kind

    @property
    def bits(self) -> Bits:
        """The output, flat, in the order of its memory."""
        return self.y.inside.view(self.kind.bits)


class Context:
    """An execution context; addresses stay until they are given anew."""

    def __init__(self, bench: Bench, engine: Any, memory: Memory | None = None) -> None:
        self._bench = bench
        if memory is None:
            self.native = engine.create_execution_context()
        elif hasattr(engine, "create_execution_context_without_device_memory"):
            self.native = engine.create_execution_context_without_device_memory()
            self.native.device_memory = memory.address
        else:
            strategy = bench.trt.ExecutionContextAllocationStrategy.USER_MANAGED
            self.native = engine.create_execution_context(strategy)
            self.native.set_device_memory(memory.address, memory.nbytes)
        if self.native is None:
            raise Broken(f"no execution context is made: {bench.words()}")

    def bind(self, shape: Sequence[int] | None = None, **addresses: int) -> None:
        """Set x's shape, where it is dynamic, and addresses by tensor name."""
        if shape is not None and not self.native.set_input_shape("x", tuple(shape)):
            raise Broken(f"the shape {tuple(shape)} is refused: {self._bench.words()}")
        for name, address in addresses.items():
            if not self.native.set_tensor_address(name, address):
                raise Broken(f"the address of {name} is refused: {self._bench.words()}")

    def enqueue(self, stream: Any) -> None:
        """Enqueue; raises Broken where TensorRT says that it failed."""
        self._bench.log.clear()
        if not self.native.execute_async_v3(int(stream.handle)):
            raise Broken(f"enqueue fails: {self._bench.words()}")


class Bench:
    """What a process keeps between checks. Nothing is loaded or started before it is used.

    ``gpu`` False leaves the GPU alone, for checks that only look at the plugin's objects.
    ``payload`` is what a check prepared in another process.
    """

    def __init__(self, subject: Subject | None = None, *, gpu: bool = True) -> None:
        self._subject = subject
        self.payload: Any = None
        self.handle: Any = None  # of a library that TensorRT's registry loaded
        self.started = False
        self.loaded = False
        self.loading: tuple[str, ...] = ()  # what TensorRT said while the library was loaded
        self.refused: tuple[tuple[str, str], ...] = ()  # creators that the registry did not take
        self._gpu = gpu
        self._plans: dict[Any, Plan | Unbuilt] = {}
        self._known: dict[str, tuple[Bits, Bits]] = {}
        self._plain: dict[str, Context] = {}
        self._leading: dict[str, tuple[int, ...]] = {}

    # TensorRT and the library

    @property
    def subject(self) -> Subject:
        """The plugin under test."""
        assert self._subject is not None
        return self._subject

    def take(self, subject: Subject) -> None:
        """Say what is under test; the process stays with it."""
        self._subject = subject

    def start(self, *, builds: bool = True) -> None:
        """Start CUDA and TensorRT: what costs seconds, and needs no plugin."""
        assert self.runtime is not None
        assert not builds or self.builder is not None

    @cached_property
    def trt(self) -> Any:
        """TensorRT's package."""
        import tensorrt

        return tensorrt

    @cached_property
    def log(self) -> Any:
        """The logger of this process: keeps what TensorRT says until it is cleared."""
        trt = self.trt

        class Log(trt.ILogger):  # type: ignore[misc, name-defined]  # TensorRT ships no types
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.lines: list[tuple[str, str]] = []

            def log(self, severity: Any, message: str) -> None:
                self.lines.append((str(severity).rsplit(".", 1)[-1], str(message)))

            def clear(self) -> None:
                self.lines.clear()

        return Log()

    @cached_property
    def runtime(self) -> Any:
        """TensorRT's runtime, on the GPU."""
        self.device.enter()
        return self.trt.Runtime(self.log)

    @cached_property
    def device(self) -> Device:
        """The GPU."""
        self.started = True
        return Device()

    def load(self) -> None:
        """Load the library, once, and what must come before it; raises Broken."""
        if self.loaded:
            return
        about = self.subject
        if self._gpu:  # TensorRT's registry speaks to the logger of whoever came first
            assert self.runtime is not None
        self.log.clear()
        assert self.trt.__version__
        try:
            # What a library leaves to the program that loads it is found in the global scope only.
            for path in (*filter(None, [about.tensorrt]), *about.preload):
                ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL | os.RTLD_NOW)
            if not about.on_request:
                with self._listening() as heard:
                    ctypes.CDLL(about.library, mode=ctypes.RTLD_LOCAL | os.RTLD_NOW)
                self.refused = tuple(heard.refused) if heard else ()
        except OSError as error:
            raise Broken(f"the library can't be loaded: {' '.join(str(error).split())}") from None
        if about.on_request:
            self.handle = self.registry.load_library(about.library)
        self.loading = tuple(message for _, message in self.log.lines)
        self.loaded = True

    def _listening(self) -> AbstractContextManager[abi.Registrations | None]:
        """What the library registers is heard where the registry's own table is known."""
        known = self.trt.__version__.startswith("8.6") and self.subject.tensorrt
        return abi.Registrations(self.subject.tensorrt) if known else nullcontext()

    def unload(self) -> None:
        """Have TensorRT's registry unload a library that it loaded."""
        self.registry.deregister_library(self.handle)
        self.loaded = False

    @property
    def registry(self) -> Any:
        """TensorRT's plugin registry."""
        return self.trt.get_plugin_registry()

    def creator(self) -> Any:
        """The plugin's creator; raises Broken."""
        about, registry = self.subject, self.registry
        get = getattr(registry, "get_creator", None) or registry.get_plugin_creator
        found = get(about.op, about.version, about.namespace)
        if found is None:
            raise Broken(f"the registry has no creator {about.op!r}, version {about.version!r}")
        return found

    @property
    def is_v3(self) -> bool:
        """Whether the plugin is an IPluginV3."""
        kind = getattr(self.trt, "IPluginCreator", None)
        return kind is None or not isinstance(self.creator(), kind)

    def plugin(self, fields: Any = None, name: str = "plugin") -> Any:
        """A new plugin; ``fields`` as in `Subject`, or a ready collection. Raises Broken."""
        creator = self.creator()
        if fields is None or isinstance(fields, tuple):
            fields, kept = self.collection(self.subject.fields if fields is None else fields)
        else:
            kept = []
        phase = (self.trt.TensorRTPhase.BUILD,) if self.is_v3 else ()
        made = creator.create_plugin(name, fields, *phase)
        del kept
        if made is None:
            raise Broken(f"the creator makes no plugin: {self.words()}")
        return made

    def collection(self, fields: Any) -> tuple[Any, list[Bits]]:
        """Fields with a value as TensorRT takes them, and the arrays that hold the values."""
        kept, listed = [], []
        for name, kind, value in fields:
            if value is None:
                continue
            if isinstance(value, str):
                data = np.frombuffer(value.encode(), dtype=np.int8).copy()
            else:
                data = np.array([value], dtype=_NUMPY.get(kind, np.int32))
            kept.append(data)
            which = getattr(self.trt.PluginFieldType, kind, self.trt.PluginFieldType.UNKNOWN)
            listed.append(self.trt.PluginField(name, data, which))
        return self.trt.PluginFieldCollection(listed), kept

    def words(self) -> str:
        """The errors that TensorRT logged since the log was cleared, on one line."""
        errors = [text for kind, text in self.log.lines if "ERROR" in kind]
        return " ".join("; ".join(errors[:3]).split())[:400] or "without a word"

    # Plans

    def data_type(self, precision: str) -> Any:
        """TensorRT's type for a precision."""
        names = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
        return getattr(self.trt, names.get(precision, precision))

    def plan(
        self,
        precision: str,
        shape: tuple[int, ...],
        profile: tuple[tuple[int, ...], ...] = (),
        *,
        layout: Layout = LINEAR,
        out: str = "",
        out_layout: Layout | None = None,
        refit: bool = False,
        direct: bool = False,
        level: int | None = LEVEL,
    ) -> Plan:
        """A plan of the plugin alone, built once; raises Unbuilt.

        ``direct``: no reformat may stand beside the plugin. ``level``: the builder's optimization
        level, None for TensorRT's default.
        """
        key = (precision, shape, profile, layout, out, out_layout, refit, direct, level)
        if key not in self._plans:
            try:
                self._plans[key] = self.build(
                    precision,
                    shape,
                    lambda network, x: [self.layer(network, x, out or precision)],
                    profile,
                    layouts=(layout, out_layout or layout),
                    out=out,
                    refit=refit,
                    direct=direct,
                    level=level,
                )
            except Unbuilt as error:
                self._plans[key] = error
        found = self._plans[key]
        if isinstance(found, Unbuilt):
            raise found
        return found

    def layer(self, network: Any, x: Any, precision: str, plugin: Any = None) -> Any:
        """Add a layer of the plugin behind ``x``; its output."""
        made = self.plugin() if plugin is None else plugin
        added = (
            network.add_plugin_v3([x], [], made) if self.is_v3 else network.add_plugin_v2([x], made)
        )
        if added is None:
            raise Unbuilt(f"the network takes no layer of the plugin: {self.words()}")
        if self.subject.obey and precision in ("fp32", "fp16"):
            added.precision = self.data_type(precision)
            added.set_output_type(0, self.data_type(precision))
        return added.get_output(0)

    def build(
        self,
        precision: str,
        shape: tuple[int, ...],
        define: Callable[[Any, Any], list[Any]],
        profile: tuple[tuple[int, ...], ...] = (),
        *,
        layouts: tuple[Layout, Layout] | None = (LINEAR, LINEAR),
        out: str = "",
        refit: bool = False,
        direct: bool = False,
        level: int | None = LEVEL,
        builder: Any = None,
        cache: bytes | None = None,
    ) -> Plan:
        """Build the network that ``define`` makes of its input ``x``; raises Unbuilt.

        Outputs are named ``y``, ``y1``, ``y2``...; all of ``layouts`` are allowed where it is None.
        """
        trt = self.trt
        self.log.clear()
        builder = self.builder if builder is None else builder
        network = builder.create_network(self._flags())
        config = self._config(
            builder, profile, precision, out, refit=refit, direct=direct, level=level
        )
        if cache is not None:
            config.set_timing_cache(config.create_timing_cache(cache), ignore_mismatch=False)
        x = network.add_input("x", self.data_type(precision), shape)
        results = define(network, x)
        for number, result in enumerate(results):
            result.name = f"y{number or ''}"
            network.mark_output(result)
            if not self.subject.typed:
                result.dtype = self.data_type(out or precision)
        if layouts is not None:
            x.allowed_formats = 1 << int(getattr(trt.TensorFormat, layouts[0].name))
            for result in results:
                result.allowed_formats = 1 << int(getattr(trt.TensorFormat, layouts[1].name))
        built = builder.build_serialized_network(network, config)
        if built is None:
            raise Unbuilt(self.words())
        plan = self.deserialize(bytes(memoryview(built)), precision, out)
        if cache is None:
            return plan
        return replace(plan, timings=bytes(memoryview(config.get_timing_cache().serialize())))

    def deserialize(self, data: bytes, precision: str, out: str = "") -> Plan:
        """A plan from its bytes; raises Broken."""
        self.log.clear()
        with churned():
            engine = self.runtime.deserialize_cuda_engine(data)
        if engine is None:
            raise Broken(f"the plan can't be read: {self.words()}")
        return Plan(engine, data, KINDS[precision], KINDS[out or precision], self._inspect)

    def _inspect(self, engine: Any) -> str:
        form = self.trt.LayerInformationFormat.JSON
        return str(engine.create_engine_inspector().get_engine_information(form))

    @cached_property
    def builder(self) -> Any:
        """TensorRT's builder, for one thread at a time."""
        return self.trt.Builder(self.log)

    def _flags(self) -> int:
        kinds = self.trt.NetworkDefinitionCreationFlag
        if self.subject.obey:
            return 1 << int(kinds.EXPLICIT_BATCH)
        if self.subject.typed and hasattr(kinds, "STRONGLY_TYPED"):
            return 1 << int(kinds.STRONGLY_TYPED)
        return 0

    def _config(
        self,
        builder: Any,
        profile: tuple[tuple[int, ...], ...],
        precision: str,
        out: str,
        *,
        refit: bool,
        direct: bool,
        level: int | None,
    ) -> Any:
        trt, flag = self.trt, self.trt.BuilderFlag
        config = builder.create_builder_config()
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if not self.subject.tactic_sources:
            config.set_tactic_sources(0)
        if level is not None:
            config.builder_optimization_level = level
        if self.subject.obey and "fp16" in (precision, out):
            config.set_flag(flag.FP16)
            config.set_flag(flag.OBEY_PRECISION_CONSTRAINTS)
        if refit:
            config.set_flag(flag.REFIT)
        if direct and hasattr(flag, "DIRECT_IO"):
            config.set_flag(flag.DIRECT_IO)
        if profile:
            made = builder.create_optimization_profile()
            made.set_shape("x", *profile)
            config.add_optimization_profile(made)
            # Several contexts of one dynamic profile, in 8.6; later versions always have it.
            sharing = getattr(trt.PreviewFeature, "PROFILE_SHARING_0806", None)
            if sharing is not None:
                config.set_preview_feature(sharing, True)
        return config

    # Runs

    def run(
        self,
        plan: Plan,
        x: Bits,
        shape: Sequence[int] | None = None,
        *,
        count: int | None = None,
        context: Context | None = None,
        output: str = "y",
        memory: dict[str, Memory] | None = None,
    ) -> Ran:
        """Run a plan once on ``x``, in the order of its memory, and fetch input and output.

        ``count`` elements are due (as many as in x by default). ``memory``: of other outputs.
        Raises Broken.
        """
        stream, device = self.device.stream, self.device
        nbytes = (x.size if count is None else count) * plan.out.size
        context = Context(self, plan.engine) if context is None else context
        with device.memory(x.nbytes) as source, device.memory(nbytes) as target:
            source.poison(plan.kind.word, stream)
            source.put(x, stream)
            target.poison(plan.out.word, stream)
            others = {name: held.address for name, held in (memory or {}).items()}
            context.bind(shape, x=source.address, **{output: target.address}, **others)
            context.enqueue(stream)
            return Ran(source.region(stream), target.region(stream), plan.out)

    def leading(self, precision: str) -> tuple[int, ...]:
        """The axes before the last one of a row of elements: none.

        Three of length 1 for a plugin that writes nothing at rank 1 and something at rank 4: what
        else is wrong with it is told, too.
        """
        if precision not in self._leading:
            for axes in ((), _IMAGE):
                self._leading[precision] = axes
                if self._writes(precision):
                    break
            else:
                self._leading[precision] = ()
        return self._leading[precision]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a check's reader should know of the runs here."""
        return tuple(
            f"{precision}: run at rank {len(axes) + 1}, as nothing is written at rank 1"
            for precision, axes in self._leading.items()
            if axes
        )

    def _writes(self, precision: str) -> bool:
        """Whether a plain run writes anything."""
        x = values(KINDS[precision])[:_USUAL]
        try:
            plan, shape = self.vector(precision, x.size)
            return bool((self.run(plan, x, shape).bits != KINDS[precision].poison).any())
        except Broken:
            return False

    def row(self, precision: str, count: int) -> tuple[int, ...]:
        """The shape of ``count`` elements in a row."""
        return (*self.leading(precision), count)

    def vector(
        self, precision: str, count: int, leading: tuple[int, ...] | None = None
    ) -> tuple[Plan, tuple[int, ...] | None]:
        """A plan for ``count`` elements in a row, and the shape to set for it, if it is one."""
        before = self.leading(precision) if leading is None else leading
        if self.subject.static:
            return self.plan(precision, (*before, count)), None
        profile = tuple((*before, size) for size in (0, _USUAL, LONGEST))
        return self.plan(precision, (*before, -1), profile), (*before, count)

    def alone(self, precision: str, bits: Bits) -> Bits:
        """What the plugin makes of these elements in a plain, contiguous run of its own."""
        plan, shape = self.vector(precision, _BATCH)
        if precision not in self._plain:
            self._plain[precision] = Context(self, plan.engine)
        parts = []
        for start in range(0, bits.size, _BATCH):
            part = bits[start : start + _BATCH]
            ran = self.run(plan, np.resize(part, _BATCH), shape, context=self._plain[precision])
            parts.append(ran.bits[: part.size])
        return np.concatenate(parts)

    def known(self, precision: str) -> tuple[Bits, Bits]:
        """`PERIOD` inputs and the plugin's own results for them."""
        if precision not in self._known:
            x = values(KINDS[precision])
            y = self.alone(precision, x)
            if (y == KINDS[precision].poison).all():
                raise Broken(f"run plainly in {precision} it writes nothing to compare with")
            self._known[precision] = (x, y)
        return self._known[precision]

    def pair(self, precision: str, count: int, offset: int = 0) -> tuple[Bits, Bits]:
        """``count`` inputs and what is due for them."""
        x, y = self.known(precision)
        return tile(x, count, offset), tile(y, count, offset)

    def claimed(self, precision: str, shape: tuple[int, ...], layout: Layout) -> Plan | None:
        """A static plan with this format at both ends and no reformat; None where refused.

        What the plugin itself says that it takes is also tried at the builder's default level.
        """
        if len(shape) < layout.axis and layout is not LINEAR:
            return None
        if self.denies(shape, (precision, layout), (precision, layout)):
            return None
        plan = self._forced(precision, shape, layout, LEVEL)
        if plan is None and self.claims(precision, layout, len(shape)):
            plan = self._forced(precision, shape, layout, None)
        return plan

    def _forced(
        self, precision: str, shape: tuple[int, ...], layout: Layout, level: int | None
    ) -> Plan | None:
        try:
            plan = self.plan(precision, shape, layout=layout, direct=True, level=level)
        except Unbuilt:
            return None
        tensors = (*plan.plugin.inputs, *plan.plugin.outputs)
        right = all(tensor.layout in (layout.name, "") for tensor in tensors)
        return plan if right and not reformats(layer.kind for layer in plan.layers) else None

    def claims(self, precision: str, layout: Layout, rank: int) -> bool:
        """Whether the plugin says that it takes this at both ends; False where it can't be asked.

        Raises Broken where its creator makes no plugin.
        """
        kind = self._format(precision, layout)
        try:
            with self.combinations() as plugin:
                both = abi.descs(kind, kind, shape=(8,) * rank)
                return plugin.supported(0, both) and plugin.supported(1, both)
        except Skipped:
            return False

    def denies(self, shape: tuple[int, ...], x: tuple[str, Layout], y: tuple[str, Layout]) -> bool:
        """Whether the plugin says that it does not take ``x`` or return ``y``, so that no plan can.

        Each a precision and a format. Asked as TensorRT does, of the output once the input is
        decided; a build that is refused takes a hundred times as long. False where the plugin
        can't be asked.
        """
        first, second = self._format(*x), self._format(*y)
        both, before = abi.descs(first, second, shape=shape), abi.descs(first, shape=shape)
        try:
            with self.combinations() as plugin:
                # It must not look at what is not decided yet; what it says if it does is not used.
                taken = plugin.supported(0, both) or plugin.supported(0, before)
                return not (taken and plugin.supported(1, both))
        except Skipped:
            return False

    def _format(self, precision: str, layout: Layout) -> tuple[int, int]:
        return int(self.data_type(precision)), int(getattr(self.trt.TensorFormat, layout.name))

    @contextmanager
    def combinations(self) -> Iterator[abi.Combinations]:
        """A plugin that can be asked for its format combinations.

        Raises Skipped where it can't, and Broken where its creator makes none.
        """
        about = self.subject
        if not self.trt.__version__.startswith("8.") or not about.tensorrt:
            raise Skipped("asked of an IPluginV2DynamicExt in TensorRT 8 only")
        if self.plugin().tensorrt_version >> 24 != _DYNAMIC:
            raise Skipped("the plugin is no IPluginV2DynamicExt")
        given = tuple(
            (field.name, int(field.type), _bytes(field.data), int(field.size))
            for field in self.collection(about.fields)[0]
        )
        try:
            plugin = abi.Combinations(
                about.tensorrt, about.op, about.version, about.namespace, given
            )
        except LookupError as error:
            raise Broken(str(error)) from None
        try:
            yield plugin
        finally:
            plugin.close()

    def needs_dynamic(self) -> None:
        """Raises Skipped for a plugin that refuses dynamic shapes."""
        if self.subject.static:
            raise Skipped("the plugin refuses dynamic shapes")

    def fault(self) -> str:
        """The error that CUDA is stuck with in this process; empty if it works."""
        return self.device.fault() if self.started else ""


def _bytes(data: Any) -> bytes:
    return bytes(memoryview(data)) if data is not None else b""
