"""Compile the mutants with nvcc: what has not changed is not compiled again."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from verify import interrupt
from verify.errors import InputError
from verify.mutation.table import MutantTable

__all__ = ["Toolchain", "build", "toolchain"]

_PLUGIN = Path(__file__).resolve().parents[2] / "plugin"
_COMMON = (_PLUGIN / "mish_kernel.cu", _PLUGIN / "mish_tensor.cc")
# The arithmetic of the right ones is not contracted, as in plugin/CMakeLists.txt. Libraries are
# linked against no TensorRT: they find it in the process that loads them.
_OPTIONS = (
    "-std=c++17",
    "-O2",
    "-fmad=false",
    "-cudart=static",
    "-gencode=arch=compute_90,code=sm_90",
    # A library with unique symbols can't be unloaded.
    "-Xcompiler=-fPIC,-fno-gnu-unique,-Wall,-Wextra,-Wno-deprecated-declarations",
)


@dataclass(frozen=True)
class Toolchain:
    """``nvcc`` and the folder of TensorRT's headers, with the release that they are of."""

    nvcc: str
    include: Path
    release: str


def toolchain(release: str = "") -> Toolchain:
    """What is on this machine; ``release`` chooses among the folders of TENSORRT_HEADERS.

    nvcc comes from PATH, CUDACXX or CUDA_HOME; headers from TENSORRT_HEADERS/RELEASE/include or
    TENSORRT_ROOT/include. Raises InputError, on one line, for what is missing.
    """
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    nvcc = (
        os.environ.get("CUDACXX")
        or shutil.which("nvcc")
        or shutil.which("nvcc", path=home + "/bin")
    )
    if nvcc is None:
        raise InputError("mutants are built with nvcc: put it on PATH or set CUDACXX or CUDA_HOME")
    headers, root = os.environ.get("TENSORRT_HEADERS"), os.environ.get("TENSORRT_ROOT")
    if headers:
        have = sorted(path.parents[1].name for path in Path(headers).glob("*/include/NvInfer.h"))
        if not have:
            raise InputError(f"TENSORRT_HEADERS={headers}: has no RELEASE/include/NvInfer.h")
        if not release and len(have) > 1:
            raise InputError(f"TENSORRT_HEADERS has {', '.join(have)}; choose one with --headers")
        if release and release not in have:
            raise InputError(f"--headers {release}: TENSORRT_HEADERS has {', '.join(have)}")
        include = Path(headers) / (release or have[0]) / "include"
    elif root:
        include = Path(root) / "include"
    else:
        raise InputError(
            "mutants are built against TensorRT's headers: set TENSORRT_HEADERS to a folder with "
            "RELEASE/include, or TENSORRT_ROOT to one with include"
        )
    return Toolchain(nvcc, include, _release(include))


def build(
    table: MutantTable,
    names: Sequence[str],
    folder: Path,
    tools: Toolchain,
    *,
    jobs: int = 0,
    done: Callable[[str, str], None] = lambda name, fault: None,
) -> dict[str, str]:
    """Build ``folder/NAME.so`` for each name; the compiler's words for those that fail.

    A warning is a failure. ``done`` gets each name with its fault, empty if all is well.
    ``jobs`` compilers run at once, by default as many as there are processors. Raises InputError
    where the folder can't be written or the common parts don't compile.
    """
    jobs = jobs or os.cpu_count() or 1
    try:
        parts = folder / "common"
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--build {folder}: can't be written: {error.strerror}") from None
    headers = (*(table.folder / "plugins").glob("*.h"), *_PLUGIN.glob("*.h"))
    version = tools.include / "NvInferVersion.h"
    objects = [parts / f"{source.name}.o" for source in _COMMON]
    faults: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        compiled = [
            pool.submit(_make, tools, table, [source], ["-c"], made, (source, *headers, version))
            for source, made in zip(_COMMON, objects, strict=True)
        ]
        for source, common in zip(_COMMON, compiled, strict=True):
            if common.result():
                raise InputError(f"{source.name}: {common.result()}")
        waiting = {
            pool.submit(
                _make,
                tools,
                table,
                [*table.sources(name), *objects],
                ["-shared", "-Xlinker=-s"],
                folder / f"{name}.so",
                (*table.sources(name), *headers, *objects, version),
            ): name
            for name in names
        }
        try:
            for each in as_completed(waiting):
                name, fault = waiting[each], each.result()
                if fault:
                    faults[name] = fault
                done(name, fault)
                interrupt.check()
        except BaseException:
            for each in waiting:
                each.cancel()
            raise
    return {name: faults[name] for name in names if name in faults}


def _make(
    tools: Toolchain,
    table: MutantTable,
    sources: Sequence[Path],
    more: Sequence[str],
    made: Path,
    inputs: Sequence[Path],
) -> str:
    """Compile unless the same command made the same file of the same inputs; its fault."""
    words = [tools.nvcc, *_OPTIONS, *more, "-isystem", str(tools.include)]
    words += ["-I", str(table.folder / "plugins"), "-I", str(_PLUGIN), *map(str, sources)]
    try:
        digest = hashlib.sha256("\0".join(words).encode())
        for path in inputs:
            digest.update(path.read_bytes())
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    stamp = made.with_name(f".{made.name}.made")
    key = digest.hexdigest()
    if made.is_file() and stamp.is_file() and stamp.read_text(encoding="ascii") == key:
        return ""
    unfinished = made.with_name(f".{made.name}.{os.getpid()}")
    try:
        ran = subprocess.run(
            [*words, "-o", str(unfinished)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = (ran.stdout + ran.stderr).strip()
        if ran.returncode or said:
            line = next((x for x in said.splitlines() if "error" in x or "warning" in x), said)
            return " ".join(line.split())[:300] or f"nvcc ended with exit code {ran.returncode}"
        unfinished.replace(made)
        stamp.write_text(key, encoding="ascii")
    except OSError as error:
        return f"{error.filename or tools.nvcc}: {error.strerror}"
    finally:
        unfinished.unlink(missing_ok=True)
    return ""


def _release(include: Path) -> str:
    """The release that headers are of, such as ``8.6``; raises InputError."""
    try:
        text = (include / "NvInferVersion.h").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{include}/NvInferVersion.h: can't be read: {error.strerror}") from None
    # From 10.16 on the numbers stand behind macros of another name.
    found = [
        re.search(rf"#define (?:NV_TENSORRT|TRT)_{part}(?:_ENTERPRISE)? (\d+)", text)
        for part in ("MAJOR", "MINOR")
    ]
    numbers = [match[1] for match in found if match]
    if len(numbers) != 2:
        raise InputError(f"{include}/NvInferVersion.h: names no release")
    return ".".join(numbers)
