"""The wrong plugins' table, and their libraries where they can be built or are given."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from verify import mutation
from verify.errors import InputError
from verify.mutation import MutantTable

Libraries = Callable[[str], Path]


@pytest.fixture(scope="session")
def table() -> MutantTable:
    return mutation.load()


@pytest.fixture(scope="session")
def libraries(table: MutantTable, tmp_path_factory: pytest.TempPathFactory) -> Libraries:
    """libraries(release): a folder with every library that the release has, without a warning.

    Taken from the folder MISH_MUTANTS/RELEASE, or built; skips where neither can be.
    """
    made: dict[str, Path] = {}

    def get(release: str) -> Path:
        if release not in made:
            names = table.names_in(release)
            ready = Path(os.environ.get("MISH_MUTANTS", "/none")) / release
            if not all((ready / f"{name}.so").is_file() for name in names):
                try:
                    tools = mutation.toolchain(release)
                except InputError as error:
                    pytest.skip(str(error))
                ready = tmp_path_factory.mktemp(f"mutants-{release}")
                faults = mutation.build(table, names, ready, tools)
                assert faults == {}
            made[release] = ready
        return made[release]

    return get
