"""Plugin libraries as ELF files: real ones, and real ones that were damaged."""

from __future__ import annotations

import platform
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from verify.errors import InputError
from verify.library import Linked, read

Build = Callable[..., Path]

AARCH64, X86_64 = 183, 62  # ELF's e_machine


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    return said


def test_what_a_library_names_leaves_and_offers(build: Build) -> None:
    library = read(
        build(
            "plain",
            "extern void *getPluginRegistry(void); extern int own(int);"
            "__attribute__((weak)) extern int maybe(void); static int hidden(void) { return 1; }"
            "void *getCreators(int *n) { return maybe ? getPluginRegistry() + own(hidden()) : 0; }",
        )
    )
    assert library.machine == platform.machine()
    assert library.linked is None
    assert library.leaves_to_loader == ("getPluginRegistry",)
    assert {"getPluginRegistry", "own"} <= library.undefined
    assert "maybe" not in library.undefined
    assert "hidden" not in library.exported
    assert library.registers_on_request


@pytest.mark.parametrize(
    ("soname", "named", "text"),
    [
        ("libnvinfer.so.8", Linked("tensorrt", 8), "TensorRT 8"),
        ("libnvinfer.so.10", Linked("tensorrt", 10), "TensorRT 10"),
        ("libtensorrt_rtx.so.1", Linked("tensorrt_rtx", 1), "TensorRT-RTX 1"),
    ],
)
def test_the_tensorrt_that_a_library_is_linked_against(
    linked: Callable[[str], Path], soname: str, named: Linked, text: str
) -> None:
    library = read(linked(soname))
    assert library.linked == named
    assert str(library.linked) == text
    assert library.leaves_to_loader == ()  # it names the library that has them
    assert not library.registers_on_request


def test_what_is_no_library_is_one_line(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.so")
    assert "a folder" in refused(tmp_path)
    for content in (b"", b"\x7fEL", b"hello, world\n"):
        path = tmp_path / "text.so"
        path.write_bytes(content)
        assert "not an ELF file" in refused(path)


def test_a_library_for_another_machine_is_refused(build: Build) -> None:
    path = build("other", "int f(void) { return 1; }")
    data = bytearray(path.read_bytes())
    other = AARCH64 if platform.machine() == "x86_64" else X86_64
    struct.pack_into("<H", data, 18, other)
    path.write_bytes(data)
    name = "aarch64" if other == AARCH64 else "x86_64"
    assert f"a 64-bit library for {name}, not {platform.machine()}" in refused(path)
    struct.pack_into("<H", data, 18, 8)  # MIPS
    path.write_bytes(data)
    assert "EM_MIPS" in refused(path)


def test_every_field_of_the_section_headers_may_be_damaged(linked: Callable[[str], Path]) -> None:
    path = linked("libnvinfer.so.8")
    data = path.read_bytes()
    sections, size = struct.unpack_from("<Q", data, 40)[0], 64  # e_shoff; of one Elf64_Shdr
    refusals = set()
    for offset in range(sections, sections + size * struct.unpack_from("<H", data, 60)[0], 4):
        for value in (0, 1, 4, 1 << 20, (1 << 32) - 1):
            path.write_bytes(data[:offset] + struct.pack("<I", value) + data[offset + 4 :])
            try:
                read(path)
            except InputError as error:
                refusals.add(str(error))
    assert len(refusals) > 5


def test_an_object_file_and_a_damaged_library_are_refused(build: Build, tmp_path: Path) -> None:
    relocatable = build("object", "int f(void) { return 1; }", "-c")
    assert "not a shared library (ET_REL)" in refused(relocatable)
    path = build("whole", "int f(void) { return 1; }")
    data = path.read_bytes()
    for size in (4, 20, 64, 200):
        path.write_bytes(data[:size])
        assert "ELF file" in refused(path)
