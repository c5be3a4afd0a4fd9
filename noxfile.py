"""Environments for everything: `nox -l` lists the sessions, arguments after `--` pass on."""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["verify", "tests", "lint"]


@nox.session
def verify(session: nox.Session) -> None:
    """Verify every form of Mish on every engine that this machine has."""
    session.install("-e", ".[rtx]")
    session.run("python", "-m", "verify", "run", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the suite's own tests, on the CPU; `-- -m gpu` or `-- -m headers` for the others."""
    session.install("-e", ".[rtx,tests]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting, style and types; `-- --fix` mends what can be mended."""
    session.install("-e", ".[rtx,lint]")
    fix = "--fix" in session.posargs
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("mypy")


@nox.session
def benchmark(session: nox.Session) -> None:
    """Measure what the oracle and the judge cost beside ONNX Runtime, as ratios in one run."""
    session.install("-e", ".")
    session.run("python", "-m", "benchmarks", *session.posargs)
