"""What is said where CUDA's bindings are missing."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from verify.plumbing.device import lacking


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ((), "cuda.core"),
        (("cuda.core",), "cuda.bindings"),
        (("cuda.core", "cuda.bindings"), ""),
    ],
)
def test_missing_bindings_are_one_line(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], missing: str
) -> None:
    def find_spec(name: str) -> Any:
        if not there:  # the parent package is not there either
            raise ModuleNotFoundError(name)
        return SimpleNamespace() if name in there else None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    said = lacking()
    assert said.startswith(f"the package {missing} is not installed; `pip install ") == bool(
        missing
    )
    assert bool(said) == bool(missing)
    assert "\n" not in said
