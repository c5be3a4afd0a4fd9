"""Which TensorRT is at hand, without importing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from verify.engines.tensorrt import version_at_hand


@pytest.mark.parametrize(
    ("text", "version"), [('__version__ = "8.6.0"\n', "8.6.0"), ("x = 1\n", "")]
)
def test_an_unpacked_package_without_metadata_tells_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, version: str
) -> None:
    package = tmp_path / "tensorrt"
    package.mkdir()
    (package / "__init__.py").write_text(text + "raise RuntimeError('must not be imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert version_at_hand() == version
