"""Load a plugin library beside TensorRT and list what it registers; for a process of its own."""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.engines.recipe import PluginName
from verify.library import Library

__all__ = ["Creator", "Field", "Listing", "NotLoaded", "listing", "load"]


class NotLoaded(Exception):
    """The library can't be loaded; the message is the loader's, on one line."""


@dataclass(frozen=True)
class Field:
    """A field that a creator announces: its name and TensorRT's name of its type."""

    name: str
    kind: str


@dataclass(frozen=True)
class Creator:
    """A plugin creator in TensorRT's registry."""

    name: PluginName
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Listing:
    """What loading a library registered; ``tensorrt`` is the path of TensorRT's own library.

    ``on_request``: TensorRT's registry had to load the library, because it only exports its
    creators; a plain ``dlopen``, which is what ``polygraphy --plugins`` does, registers nothing.
    """

    version: str
    tensorrt: str
    creators: tuple[Creator, ...]
    on_request: bool = False


_loaded: dict[Path, bool] = {}


def load(library: Library, preload: tuple[str, ...]) -> bool:
    """Load the library, once, with TensorRT's own symbols in reach; whether on request.

    Raises NotLoaded.
    """
    if library.path in _loaded:
        return _loaded[library.path]
    # What a library leaves to the program that loads it is found in the global scope only.
    everywhere = ctypes.RTLD_GLOBAL | os.RTLD_NOW
    own = tensorrt_path()
    if own:
        ctypes.CDLL(own, mode=everywhere)
    before = {_name(creator) for creator in _registered()}
    for path in preload:
        _open(path, everywhere, "--preload ")
    _open(str(library.path.resolve()), ctypes.RTLD_LOCAL | os.RTLD_NOW, "")
    on_request = False
    if library.registers_on_request and {_name(c) for c in _registered()} == before:
        handle = _registry().load_library(str(library.path.resolve()))
        if handle is None:
            raise NotLoaded("TensorRT's registry refuses to load it")
        on_request = True
    _loaded[library.path] = on_request
    return on_request


def listing(library: Library, preload: tuple[str, ...]) -> Listing:
    """Load the library and list the creators that came with it; raises NotLoaded."""
    import tensorrt

    before = {_name(creator) for creator in _registered()}
    on_request = load(library, preload)
    creators = tuple(
        Creator(_name(creator), _fields(creator))
        for creator in _registered()
        if _name(creator) not in before
    )
    return Listing(tensorrt.__version__, tensorrt_path(), creators, on_request)


def tensorrt_path() -> str:
    """The path of the ``libnvinfer`` in this process, empty where there is none."""
    import tensorrt

    assert tensorrt.__version__
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    found = re.search(r"(/\S*/libnvinfer\.so\.\S+)$", maps, re.MULTILINE)
    return found[1] if found else ""


def _open(path: str, mode: int, what: str) -> None:
    try:
        ctypes.CDLL(path, mode=mode)
    except OSError as error:
        raise NotLoaded(f"{what}{' '.join(str(error).split())}") from None


def _registry() -> Any:
    import tensorrt

    return tensorrt.get_plugin_registry()


def _registered() -> list[Any]:
    registry = _registry()
    # From 10.0 on there are creators of several interfaces, and a list that holds them all.
    every = getattr(registry, "all_creators", None)
    return list(registry.plugin_creator_list if every is None else every)


def _name(creator: Any) -> PluginName:
    return PluginName(
        str(creator.name), str(creator.plugin_version), str(creator.plugin_namespace or "")
    )


def _fields(creator: Any) -> tuple[Field, ...]:
    # A collection may be null: a creator without fields.
    return tuple(
        Field(str(field.name), str(field.type).rsplit(".", 1)[-1])
        for field in creator.field_names or ()
    )
