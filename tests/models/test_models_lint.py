"""``polygraphy check lint`` has nothing to say about any model that it can load."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

import models

main = pytest.importorskip("polygraphy.tools").main

# Polygraphy's command line asks importlib.metadata for its plugins in a way deprecated since 3.10.
pytestmark = pytest.mark.filterwarnings("ignore:SelectableGroups dict:DeprecationWarning")


def lint(model: onnx.ModelProto, folder: Path) -> tuple[int, list[dict[str, object]], set[str]]:
    """The exit code, the entries and the passing nodes. In this process: a start takes a second."""
    path, report = folder / "model.onnx", folder / "report.json"
    path.write_bytes(models.serialize(model))
    report.unlink(missing_ok=True)
    code = main(["check", "lint", str(path), "-o", str(report)])
    written = json.loads(report.read_text())
    return code, written["lint_entries"], set(written["summary"]["passing"])


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("form", models.FORMS)
def test_no_lint(form: str, precision: str, tmp_path: Path) -> None:
    for context in models.CONTEXTS:
        for rank in models.ranks_of(context) if context == "alone" else [None]:
            model = models.build(form, context, precision, rank=rank)
            code, entries, passing = lint(model, tmp_path)
            assert (code, entries) == (0, []), (context, rank)
            # A linter that looked at nothing would pass as well.
            assert passing == {node.name for node in model.graph.node}


def test_lint_would_say_something(tmp_path: Path) -> None:
    model = models.build("op", "alone", "fp32")
    unused = onnx.helper.make_node("Neg", ["x"], ["nobody"], name="unused")
    model.graph.node.append(unused)
    _, entries, _ = lint(model, tmp_path)
    assert entries
