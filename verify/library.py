"""A plugin library as an ELF file: what it is and what it needs, without loading it."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from verify.errors import InputError

__all__ = ["DYNAMIC_REGISTRATION", "Library", "Linked", "read"]

DYNAMIC_REGISTRATION = ("getCreators", "getPluginCreators")
"""What a library exports to be registered by ``IPluginRegistry::loadLibrary``: from 10, before."""

_TENSORRT = re.compile(r"lib(nvinfer|tensorrt_rtx)\.so\.(\d+)")
_FLAVOURS = {"nvinfer": "tensorrt", "tensorrt_rtx": "tensorrt_rtx"}
# `platform.machine()` on 64-bit Linux, by ELF's name for the machine.
_MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}
# TensorRT's own functions that a plugin may leave to whoever loads it.
_FROM_TENSORRT = ("getPluginRegistry", "getLogger", "getInferLibVersion")

# pyelftools has its own exception for some damage, and trips over the rest.
_DAMAGED = (
    ELFError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError,
    RecursionError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Linked:
    """The TensorRT that a library is linked against: the engine's name and the major version."""

    engine: str
    major: int

    def __str__(self) -> str:
        name = "TensorRT" if self.engine == "tensorrt" else "TensorRT-RTX"
        return f"{name} {self.major}"


@dataclass(frozen=True)
class Library:
    """What an ELF shared library says of itself; names of symbols are without versions.

    ``undefined`` holds the strong ones only: a weak symbol may stay undefined.
    """

    path: Path
    machine: str
    needed: tuple[str, ...]
    undefined: frozenset[str]
    exported: frozenset[str]

    @property
    def linked(self) -> Linked | None:
        """The TensorRT that it names, None where it names none."""
        for name in self.needed:
            found = _TENSORRT.fullmatch(name)
            if found:
                return Linked(_FLAVOURS[found[1]], int(found[2]))
        return None

    @property
    def leaves_to_loader(self) -> tuple[str, ...]:
        """TensorRT's symbols that it uses without naming the library that has them."""
        if self.linked is not None:
            return ()
        return tuple(name for name in _FROM_TENSORRT if name in self.undefined)

    @property
    def registers_on_request(self) -> bool:
        """Whether it exports what TensorRT's registry asks for when it loads a library itself."""
        return any(name in self.exported for name in DYNAMIC_REGISTRATION)


def read(path: Path, option: str = "--plugin") -> Library:
    """Read a shared library for this machine, which ``option`` names.

    Raises InputError, on one line, for a path that does not exist or can't be read, is no ELF
    file or a damaged one, is no shared library, or is for another architecture.
    """
    try:
        if path.is_dir():
            raise InputError(f"{option} {path}: a folder; give the shared library itself")
        if path.exists() and not path.is_file():  # a pipe would have us wait for ever
            raise InputError(f"{option} {path}: no plain file; give a shared library (.so)")
        with path.open("rb") as stream:
            if stream.read(4) != b"\x7fELF":
                raise InputError(f"{option} {path}: not an ELF file; give a shared library (.so)")
            return _parse(path, ELFFile(stream), option)
    except FileNotFoundError:
        raise InputError(f"{option} {path}: no such file") from None
    except OSError as error:
        raise InputError(f"{option} {path}: can't be read: {error.strerror}") from None
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"{option} {path}: a damaged ELF file ({error})") from None


def _parse(path: Path, elf: ELFFile, option: str) -> Library:
    kind, machine = elf["e_type"], elf["e_machine"]
    here = platform.machine()
    name = _MACHINES.get(machine, str(machine))
    if elf.elfclass != 64 or name != here:
        raise InputError(f"{option} {path}: a {elf.elfclass}-bit library for {name}, not {here}")
    if kind != "ET_DYN":
        raise InputError(f"{option} {path}: an ELF file, but not a shared library ({kind})")
    needed: list[str] = []
    undefined, exported = set(), set()
    dynamic = False
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            dynamic = True
            tags = section.iter_tags("DT_NEEDED")
            needed += [str(tag.needed) for tag in tags]  # type: ignore[attr-defined]
        elif isinstance(section, SymbolTableSection) and section["sh_type"] == "SHT_DYNSYM":
            for symbol in section.iter_symbols():
                weak = symbol["st_info"]["bind"] == "STB_WEAK"
                if not symbol.name or symbol["st_info"]["bind"] == "STB_LOCAL":
                    continue
                if symbol["st_shndx"] != "SHN_UNDEF":
                    exported.add(symbol.name)
                elif not weak:
                    undefined.add(symbol.name)
    if not dynamic:
        raise InputError(f"{option} {path}: an ELF file without a dynamic section")
    return Library(path, name, tuple(needed), frozenset(undefined), frozenset(exported))
