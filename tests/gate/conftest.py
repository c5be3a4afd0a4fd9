"""Real shared libraries, built with the C compiler, and a stand-in for TensorRT's registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Build = Callable[..., Path]
Gate = Callable[..., "subprocess.CompletedProcess[str]"]
Creators = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]

# Stands for TensorRT where only the registry matters: a library's creators are what its symbol
# `test_creators` says, in JSON.
_STAND_IN = """
import ctypes, json, re
from types import SimpleNamespace as _Some

__version__ = "8.6.0"


def _creators():
    found = []
    for path in sorted(set(re.findall(r"(/\\S*\\.so)$", open("/proc/self/maps").read(), re.M))):
        library = ctypes.CDLL(path)
        if hasattr(library, "test_creators"):
            text = ctypes.c_char_p.in_dll(library, "test_creators").value
            found += json.loads(text)
    return [
        _Some(
            name=name,
            plugin_version=version,
            plugin_namespace=namespace,
            field_names=[_Some(name=n, type=f"PluginFieldType.{k}") for n, k in fields] or None,
        )
        for name, version, namespace, fields in found
    ]


class _Registry:
    @property
    def plugin_creator_list(self):
        return _creators()


def get_plugin_registry():
    return _Registry()
"""


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """build(name, source, *options): the path of a shared library."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")

    def make(name: str, source: str, *options: str) -> Path:
        code = tmp_path / f"{name}.c"
        code.write_text(source)
        library = tmp_path / f"{name}.so"
        command = [compiler, "-shared", "-fPIC", "-w", "-o", str(library), str(code), *options]
        subprocess.run(command, check=True)
        return library

    return make


@pytest.fixture
def linked(build: Build, tmp_path: Path) -> Callable[[str], Path]:
    """linked(soname): a library that names a TensorRT, such as ``libnvinfer.so.10``."""

    def make(soname: str) -> Path:
        name = f"stub-{soname}"
        stub = build(name, "void *getPluginRegistry(void) { return 0; }", f"-Wl,-soname,{soname}")
        source = (
            "extern void *getPluginRegistry(void); void *f(void) { return getPluginRegistry(); }"
        )
        return build(f"plugin-{soname}", source, str(stub))

    return make


@pytest.fixture
def creators() -> Creators:
    """creators((name, version, namespace, fields), ...): C that registers them in the stand-in."""

    def source(*found: object, more: str = "") -> str:
        return f"const char *test_creators = {json.dumps(json.dumps(found))};\n{more}"

    return source


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package ``tensorrt`` with nothing but a registry, for the process that lists creators."""
    package = tmp_path / "stand-in" / "tensorrt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_STAND_IN)
    monkeypatch.syspath_prepend(str(package.parent))


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Run ``python -m verify gate`` in an empty folder, as a user does."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "current"
        folder.mkdir(exist_ok=True)
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, "-m", "verify", "gate", *map(str, words)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    return run
