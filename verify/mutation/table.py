"""The table of wrong plugins, ``tests/mutants/mutants.toml``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from verify.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["DEFAULT_TABLE", "REFERENCE", "Mutant", "MutantTable", "load"]

_ROOT = Path(__file__).resolve().parents[2]
DEFAULT_TABLE = _ROOT / "tests" / "mutants" / "mutants.toml"

REFERENCE = "reference"
"""The control that is the reference plugin itself, built from ``plugin/``."""

_Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
_Words = Annotated[str, Field(min_length=1)]
_Precision = Annotated[str, Field(pattern="^(fp32|fp16|bf16)$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Mutant(_Strict):
    """One wrong plugin.

    ``bug`` is its number in the list of bugs, ``property`` or ``plugin``; ``says`` is what is
    wrong. ``checks``: any of them is expected to catch it. ``wrong``: by precision, between
    which two x (both included, NaN for NaN) the results of a bug of arithmetic are wrong;
    everywhere else they are correctly rounded. ``options`` are the gate's. ``since``: TensorRT's
    major version from which on it exists, empty for all.
    """

    name: _Name
    bug: Annotated[str, Field(pattern="^([0-9]+|property|plugin)$")]
    says: _Words
    checks: Annotated[tuple[_Words, ...], Field(min_length=1)]
    wrong: dict[_Precision, tuple[float, float]] = {}
    options: tuple[str, ...] = ()
    since: Annotated[str, Field(pattern="^[1-9][0-9]*$")] = ""

    def exists_in(self, release: str) -> bool:
        """Whether TensorRT ``release``, such as 8.6, has what it takes; True for an unknown one."""
        major = release.partition(".")[0]
        return not (self.since and major.isdigit()) or int(major) >= int(self.since)


class _File(_Strict):
    version: Literal[1]
    controls: tuple[_Name, ...]
    mutant: Annotated[tuple[Mutant, ...], Field(min_length=1)]


class MutantTable(_Strict):
    """All mutants, and the names of the libraries without a bug beside them.

    ``folder`` holds the sources, ``plugins/NAME.cu``.
    """

    mutants: tuple[Mutant, ...]
    controls: tuple[str, ...]
    folder: Path

    @property
    def names(self) -> tuple[str, ...]:
        """Every library's name, controls first."""
        return (*self.controls, *(mutant.name for mutant in self.mutants))

    def names_in(self, release: str) -> tuple[str, ...]:
        """Those of the libraries that exist for a release of TensorRT; all for an unknown one."""
        mutants = (mutant.name for mutant in self.mutants if mutant.exists_in(release))
        return (*self.controls, *mutants)

    def mutant(self, name: str) -> Mutant | None:
        """The mutant of a name, None for a control."""
        return next((mutant for mutant in self.mutants if mutant.name == name), None)

    def sources(self, name: str) -> tuple[Path, ...]:
        """A library's own sources; the kernel and what knows tensors come along."""
        plugin = _ROOT / "plugin"
        if name == REFERENCE:
            return tuple(
                plugin / f"{part}.cc"
                for part in ("mish_plugin_v2", "mish_plugin_v3", "mish_register")
            )
        return (self.folder / "plugins" / f"{name}.cu",)


def load(path: Path = DEFAULT_TABLE) -> MutantTable:
    """Read the table; raises InputError, naming file and key, for anything that is not one."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        file = _File.model_validate(data)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}") from None
    controls = (REFERENCE, *file.controls)
    names = [*controls, *(mutant.name for mutant in file.mutant)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: {name!r} is there twice; names are unique")
    return MutantTable(mutants=file.mutant, controls=controls, folder=path.resolve().parent)
