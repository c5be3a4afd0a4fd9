"""Ask a plugin of TensorRT 8.6 for format combinations itself, through its vtable.

TensorRT's Python package has no such call. Slots, sizes and numbers are those that the Itanium C++
ABI gives the classes of 8.6's headers; a test compiles those headers and compares.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Combinations", "Desc", "Registrations", "combinations", "descs", "has_fields"]

# Slots of virtual functions.
_REGISTER_CREATOR, _GET_PLUGIN_CREATOR = 0, 2  # IPluginRegistry
_GET_PLUGIN_NAME, _GET_PLUGIN_VERSION, _GET_FIELD_NAMES, _CREATE_PLUGIN = 1, 2, 3, 4  # …Creator
_DESTROY = 13  # IPluginV2
_SUPPORTS_FORMAT_COMBINATION = 26  # IPluginV2DynamicExt


class _Dims(ctypes.Structure):
    _fields_ = (("nbDims", ctypes.c_int32), ("d", ctypes.c_int32 * 8))


class Desc(ctypes.Structure):
    """``PluginTensorDesc``."""

    _fields_ = (
        ("dims", _Dims),
        ("type", ctypes.c_int32),
        ("format", ctypes.c_int32),
        ("scale", ctypes.c_float),
    )


class _Field(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("type", ctypes.c_int32),
        ("length", ctypes.c_int32),
    )


class _Fields(ctypes.Structure):
    _fields_ = (("nbFields", ctypes.c_int32), ("fields", ctypes.POINTER(_Field)))


class Combinations:
    """A plugin with one input and one output, asked what it supports; close it.

    ``tensorrt`` is the path of 8.6's library, already loaded in this process. ``fields`` are name,
    number of the type, bytes and length. Raises LookupError where there is no such plugin.
    """

    def __init__(
        self,
        tensorrt: str,
        op: str,
        version: str,
        namespace: str,
        fields: tuple[tuple[str, int, bytes, int], ...],
    ) -> None:
        creator, text = _creator(tensorrt, op, version, namespace), ctypes.c_char_p
        # The fields must last as long as the call only; the check `fields` holds plugins to it.
        array = (_Field * max(1, len(fields)))()
        kept = [ctypes.create_string_buffer(data, len(data)) for _, _, data, _ in fields]
        for field, (name, kind, _, length), data in zip(array, fields, kept, strict=False):
            field.name, field.data = name.encode(), ctypes.cast(data, ctypes.c_void_p)
            field.type, field.length = kind, length
        collection = _Fields(len(fields), array)
        self._plugin = _virtual(
            creator, _CREATE_PLUGIN, ctypes.c_void_p, text, ctypes.POINTER(_Fields)
        )(b"plugin", ctypes.byref(collection))
        if not self._plugin:
            raise LookupError("the creator makes no plugin")
        desc = ctypes.POINTER(Desc)
        number = ctypes.c_int32
        self._supports = _virtual(
            self._plugin, _SUPPORTS_FORMAT_COMBINATION, ctypes.c_bool, number, desc, number, number
        )

    def supported(self, position: int, descs: ctypes.Array[Desc]) -> bool:
        """What ``supportsFormatCombination`` answers for one input and one output."""
        return bool(self._supports(position, descs, 1, 1))

    def close(self) -> None:
        """Destroy the plugin."""
        _virtual(self._plugin, _DESTROY, None)()


class Registrations:
    """Listens to TensorRT 8.6's registry: a context manager for while a library is loaded.

    ``refused`` are the names and versions of creators that the registry did not take, because
    another creator has them; it never lists those, nor raises. ``tensorrt`` is the path of
    TensorRT's library, already loaded.
    """

    _COPIED, _BEFORE = 64, 2  # words of a vtable, and those in front of it (offset, type)

    def __init__(self, tensorrt: str) -> None:
        self.refused: list[tuple[str, str]] = []
        self._registry = ctypes.c_void_p.from_address(_registry(tensorrt))
        self._own = self._registry.value or 0
        kind = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
        word = ctypes.sizeof(ctypes.c_void_p)
        original = kind(
            ctypes.c_void_p.from_address(self._own + _REGISTER_CREATOR * word).value or 0
        )

        def register(registry: int, creator: int, namespace: bytes) -> bool:
            taken = bool(original(registry, creator, namespace))
            if not taken:
                text = ctypes.c_char_p
                name = _virtual(creator, _GET_PLUGIN_NAME, text)() or b""
                version = _virtual(creator, _GET_PLUGIN_VERSION, text)() or b""
                self.refused.append((name.decode(), version.decode()))
            return taken

        # The class' own table is read-only and everybody's: this one object gets a copy.
        self._called = kind(register)
        self._table = (ctypes.c_void_p * self._COPIED)()
        begin = self._own - self._BEFORE * word
        ctypes.memmove(self._table, begin, ctypes.sizeof(self._table))
        place = self._BEFORE + _REGISTER_CREATOR
        self._table[place] = ctypes.cast(self._called, ctypes.c_void_p).value

    def __enter__(self) -> Registrations:
        word = ctypes.sizeof(ctypes.c_void_p)
        self._registry.value = ctypes.addressof(self._table) + self._BEFORE * word
        return self

    def __exit__(self, *error: object) -> None:
        self._registry.value = self._own


def has_fields(tensorrt: str, op: str, version: str, namespace: str) -> bool:
    """Whether a creator's list of fields is there at all; Python shows a null one as empty."""
    creator = _creator(tensorrt, op, version, namespace)
    return bool(_virtual(creator, _GET_FIELD_NAMES, ctypes.c_void_p)())


def _creator(tensorrt: str, op: str, version: str, namespace: str) -> int:
    text = ctypes.c_char_p
    words = [word.encode() for word in (op, version, namespace)]
    get = _virtual(_registry(tensorrt), _GET_PLUGIN_CREATOR, ctypes.c_void_p, text, text, text)
    found = get(*words)
    if not found:
        raise LookupError("the registry has no such creator")
    return int(found)


def _registry(tensorrt: str) -> int:
    get = ctypes.CDLL(tensorrt).getPluginRegistry
    get.restype = ctypes.c_void_p
    return int(get())


def descs(*pairs: tuple[int, int], shape: tuple[int, ...] = (8, 8, 8, 8)) -> ctypes.Array[Desc]:
    """Descriptions with these types and formats, of one shape, and one of garbage behind."""
    array = (Desc * (len(pairs) + 1))()
    ctypes.memset(ctypes.addressof(array), 0x5A, ctypes.sizeof(array))
    for desc, (kind, layout) in zip(array, pairs, strict=False):
        desc.dims.nbDims = len(shape)
        for axis in range(8):
            desc.dims.d[axis] = shape[axis] if axis < len(shape) else 0
        desc.type, desc.format, desc.scale = kind, layout, -1.0
    return array


def combinations() -> Iterator[tuple[int, int]]:
    """Types (float, half, int8, int32) with formats of 8.6."""
    for kind in range(4):
        for layout in (*range(8), 11):
            yield kind, layout


def _virtual(this: int, slot: int, result: Any, *arguments: Any) -> Callable[..., Any]:
    table = ctypes.c_void_p.from_address(this).value
    assert table is not None
    function = ctypes.c_void_p.from_address(table + slot * ctypes.sizeof(ctypes.c_void_p)).value
    assert function is not None
    call = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *arguments)(function)
    return lambda *given: call(this, *given)
