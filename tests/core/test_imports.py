"""Imports point one way only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "verify").rglob("*.py"), *(ROOT / "models").rglob("*.py")])

# A module imports only from those before it; packages count as one.
ORDER = (
    "errors",
    "interrupt",
    "attached",
    "worker",
    "count",
    "precision",
    "blocks",
    "ulp",
    "histogram",
    "oracle",
    "bands",
    "breakpoints",
    "samples",
    "cases",
    "tolerances",
    "judge",
    "findings",
    "library",
    "engines",
    "requirements",
    "properties",
    "replay",
    "plumbing",
    "record",
    "sweep",
    "observation",
    "sample_observation",
    "difference",
    "extreme",
    "headroom",
    "support",
    "run",
    "power",
    "mutants",
    "report",
    "gate",
    "sweep_command",
    "observed_command",
    "observations_command",
    "command",
    "gate_command",
    "mutation",
    "mutation_command",
    "__main__",
)


def imported(path: Path) -> set[str]:
    """The modules that a file imports, lazily or not; relative imports are written out."""
    package = path.relative_to(ROOT).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) + 1 - node.level]) if node.level else []
            base += [node.module] if node.module else []
            whole = ".".join(base)
            # `from verify import x` imports the module x.
            found |= (
                {f"{whole}.{alias.name}" for alias in node.names} if whole == "verify" else {whole}
            )
    return found


def part(module: str) -> str:
    """The part of verify that a module belongs to."""
    return module.split(".")[1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    names = path.relative_to(ROOT).with_suffix("").parts
    used = {m for m in imported(path) if m.split(".")[0] in ("verify", "tests")}
    if names[0] == "models" or names == ("verify", "__init__"):
        assert not used
        return
    own = names[1]
    assert own in ORDER, f"verify.{own} has no place in the order"
    for module in used:
        assert module.startswith("verify."), f"{module} is imported"
        assert ORDER.index(part(module)) < ORDER.index(own) or (
            part(module) == own and len(names) > 2
        ), f"verify.{own} imports {module}"


def test_no_module_is_a_drawer_for_everything() -> None:
    assert len(SOURCES) > 30
    assert not [path for path in SOURCES if path.stem in ("util", "utils", "helpers", "common")]


def test_the_check_sees_every_way_to_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "verify" / "engines" / "base.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import verify.run\nfrom verify import report, cases\nfrom . import plan\n"
        "from ..judge import judge\ndef f():\n    from verify.command import main\n"
    )
    assert imported(path) == {
        "verify.run",
        "verify.report",
        "verify.cases",
        "verify.engines",
        "verify.judge",
        "verify.command",
    }
