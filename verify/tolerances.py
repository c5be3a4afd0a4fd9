"""Tolerance files: what is allowed (limits), what is accepted (deviations), what is refused.

One file for each precision, ``fp32.toml``, ``fp16.toml`` and ``bf16.toml``; they are contracts,
written by hand. What was measured lies beside them in ``observed/`` and never changes them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from verify.bands import BANDS
from verify.cases import CONTEXTS, ENGINES, FORMS, Case
from verify.errors import InputError
from verify.precision import PRECISIONS, Precision

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "DEFAULT_FOLDER",
    "OWED",
    "RESULTS",
    "Deviation",
    "Limits",
    "Refusal",
    "Tolerances",
    "load",
]

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "tolerances"

# A result is judged apart by what the oracle expects: a normal number, a subnormal one, or a
# special value (NaN, an infinity, a zero), which has to be exact.
RESULTS: tuple[str, ...] = ("regular", "subnormal", "special")

_ALONE = {
    "flush tail": ("subnormal",),
    "subnormal tail": ("subnormal",),
    "negative tail": ("regular",),
    "well": ("regular",),
    "origin": ("regular", "subnormal"),
    "bulk": ("regular",),
    "identity": ("regular",),
}

# Which limits a block for a context owes: (band, result) pairs that occur there.
OWED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "alone": _ALONE,
    "branch": _ALONE,
    "conv": _ALONE,
    # mish(x) of the flush tail is rounded to -0, and stays so; 0.6**7 of a number that is just
    # normal is subnormal.
    "chain": {
        **{band: results for band, results in _ALONE.items() if band != "flush tail"},
        "negative tail": ("regular", "subnormal"),
    },
    # x + mish(x) is as large as x.
    "residual": {**_ALONE, "flush tail": ("regular",), "subnormal tail": ("regular",)},
}

Kind = Literal["nan", "inf", "sign", "ulp"]


@dataclass(frozen=True)
class Deviation:
    """A finding accepted for the cases that match: beyond any of its bounds it fails again.

    ``x``: range of what Mish is given (after Conv, the product), both ends included. ``kind``:
    what is wrong there: NaN instead of a number, a wrong infinity, a wrong sign or an error in
    ULP, the last two of at most ``largest_error`` ULP.
    ``largest_count`` bounds the inputs concerned in a sample, ``largest_count_of_all`` in an
    exhaustive run. ``seen_in``: the engine's versions, such as ``8.6``, in which it is known to
    happen; in any other it is ``optional``, and not STALE where it does not. Empty: all versions.
    """

    key: str
    cases: tuple[str, ...]
    x: tuple[float, float]
    kind: Kind
    largest_error: float
    largest_count: int
    largest_count_of_all: int
    reason: str
    seen_in: tuple[str, ...] = ()
    optional: bool = False

    def matches(self, case_id: str) -> bool:
        """Whether this deviation is for the case."""
        return any(fnmatchcase(case_id, pattern) for pattern in self.cases)

    def at(self, version: str) -> Deviation:
        """The same as it binds in a version of the engine; empty for an unknown one."""
        seen = any(f"{version}.".startswith(f"{known}.") for known in self.seen_in)
        return replace(self, optional=bool(self.seen_in) and not seen)


@dataclass(frozen=True)
class Refusal:
    """Cases that an engine rejects: they are SKIPPED in its own words, not verified."""

    key: str
    cases: tuple[str, ...]
    words: str
    reason: str

    def matches(self, case_id: str) -> bool:
        """Whether this refusal is for the case."""
        return any(fnmatchcase(case_id, pattern) for pattern in self.cases)


@dataclass(frozen=True)
class Limits:
    """What one case is allowed: ULP by (band, result), absolute floors by band.

    ``nan_at_minus_inf``: NaN is accepted beside -0 (and its image in a context) for -inf.
    """

    source: str
    ulp: Mapping[tuple[str, str], float]
    floor: Mapping[str, float]
    reasons: Mapping[tuple[str, str], str]
    nan_at_minus_inf: bool
    deviations: tuple[Deviation, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


_Reason = Annotated[str, Field(min_length=10)]
_Version = Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")]
_Names = Annotated[list[str], Field(min_length=1)]
_Ulp = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Absolute = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Limit(_Strict):
    forms: _Names
    engines: _Names
    contexts: _Names
    basis: Literal["derived", "measured"]
    reason: _Reason
    regular: dict[str, _Ulp] = {}
    subnormal: dict[str, _Ulp] = {}
    floor: dict[str, _Absolute] = {}
    special: Literal["exact", "exact, NaN allowed at -inf"] = "exact"


class _Deviation(_Strict):
    cases: _Names
    x: Annotated[list[float], Field(min_length=2, max_length=2)]
    kind: Kind
    largest_error: _Ulp | None = None
    largest_count: Annotated[int, Field(gt=0)]
    largest_count_of_all: Annotated[int, Field(gt=0)] | None = None
    reason: _Reason
    seen_in: Annotated[list[_Version], Field(min_length=1)] = []


class _Refusal(_Strict):
    cases: _Names
    words: Annotated[str, Field(min_length=1)]
    reason: _Reason


class _File(_Strict):
    version: Literal[1]
    precision: str
    limit: Annotated[list[_Limit], Field(min_length=1)]
    deviation: list[_Deviation] = []
    refusal: list[_Refusal] = []


_TABLES: Mapping[str, type[BaseModel]] = {
    "limit": _Limit,
    "deviation": _Deviation,
    "refusal": _Refusal,
}


Block = tuple[str, str, str, str]  # precision, form, engine, context


@dataclass(frozen=True)
class Tolerances:
    """Everything a folder of tolerance files says."""

    folder: Path
    blocks: Mapping[Block, Limits]  # deviations left out
    deviations: Mapping[str, tuple[Deviation, ...]]
    refusals: Mapping[str, tuple[Refusal, ...]]

    def limits(self, case: Case, version: str = "") -> Limits:
        """The limits and deviations of a case in a version of its engine.

        Raises InputError where the file has no limits for its form, engine and context.
        """
        name = case.precision.name
        block = self.blocks.get((name, case.form, case.engine, case.context))
        if block is None:
            raise InputError(
                f"{self.folder / f'{name}.toml'}: no [[limit]] for form {case.form!r}, engine "
                f"{case.engine!r}, context {case.context!r}; add one"
            )
        listed = self.deviations[name]
        deviations = tuple(d.at(version) for d in listed if d.matches(case.id))
        return replace(block, deviations=deviations)

    def refusal(self, case: Case) -> Refusal | None:
        """The listed refusal of a case, if there is one."""
        return next((r for r in self.refusals[case.precision.name] if r.matches(case.id)), None)


def load(folder: Path | None = None) -> Tolerances:
    """Read the three files of ``folder`` (default: the project's own).

    Raises InputError, naming file and key and what is allowed, for a file that can't be read
    and for anything unknown, missing, negative, duplicated or contradictory in it.
    """
    folder = DEFAULT_FOLDER if folder is None else folder
    if not folder.is_dir():
        raise InputError(f"tolerances folder {folder}: not a folder; it must hold fp32.toml, …")
    blocks: dict[Block, Limits] = {}
    deviations: dict[str, tuple[Deviation, ...]] = {}
    refusals: dict[str, tuple[Refusal, ...]] = {}
    for precision in PRECISIONS:
        path, name = folder / f"{precision.name}.toml", precision.name
        parsed = _parse(path)
        if parsed.precision != name:
            raise InputError(f"{path}: precision = {parsed.precision!r}; this file's is {name!r}")
        blocks |= _blocks(path, parsed, name)
        deviations[name] = tuple(
            _deviation(d, precision, path, f"deviation {n}")
            for n, d in enumerate(parsed.deviation, 1)
        )
        refusals[name] = tuple(
            _refusal(r, precision, path, f"refusal {n}") for n, r in enumerate(parsed.refusal, 1)
        )
        _once(path, deviations[name], refusals[name], precision)
    return Tolerances(folder, blocks, deviations, refusals)


def _parse(path: Path) -> _File:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; a tolerances folder holds one per precision"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8, as TOML must be: byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    try:
        return _File.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """One line for the first thing that is wrong: the key, the fault, and what is allowed."""
    detail = error.errors()[0]
    key, fields = "", _File.model_fields
    for part in detail["loc"]:
        if isinstance(part, int):
            key += f" {part + 1}"
        else:
            name = part if part.isprintable() else repr(part)
            key += f".{name}" if key else name
    if detail["type"] == "extra_forbidden":
        if len(detail["loc"]) > 1:
            fields = _TABLES[str(detail["loc"][0])].model_fields
        return f"{key}: unknown key; allowed: {', '.join(fields)}"
    if detail["type"] == "missing":
        return f"{key}: missing; it is required"
    table = detail["type"] in ("dict_type", "model_type")
    fault = "must be a table" if table else detail["msg"].replace("Input should be", "must be")
    return f"{key} = {detail['input']!r}: {fault}"


def _known(values: list[str], allowed: tuple[str, ...], where: str, key: str) -> None:
    for value in values:
        if value not in allowed:
            raise InputError(f"{where}: {key}: unknown {value!r}; allowed: {', '.join(allowed)}")
    if len(set(values)) != len(values):
        raise InputError(f"{where}: {key}: a name stands twice; list each once")


def _blocks(path: Path, parsed: _File, precision: str) -> dict[Block, Limits]:
    """The limits of a file by block, each block complete and no limit given twice."""
    blocks: dict[Block, Limits] = {}
    for number, limit in enumerate(parsed.limit, 1):
        where = f"{path}: limit {number}"
        _known(limit.forms, FORMS, where, "forms")
        _known(limit.engines, ENGINES, where, "engines")
        _known(limit.contexts, CONTEXTS, where, "contexts")
        for key in ("regular", "subnormal", "floor"):
            _known(list(getattr(limit, key)), BANDS[:-1], where, key)
        for form, engine, context in product(limit.forms, limit.engines, limit.contexts):
            block = (precision, form, engine, context)
            old, new = blocks.get(block), _limits(limit, context, path, where)
            if old is None:
                blocks[block] = new
                continue
            for band, result in old.ulp.keys() & new.ulp.keys():
                raise InputError(
                    f"{where}: {form} / {engine} / {context}: {result}.{band!r} has a limit "
                    "already; keep one of the two"
                )
            for band in old.floor.keys() & new.floor.keys():
                raise InputError(
                    f"{where}: {form} / {engine} / {context}: floor.{band!r} is given already; "
                    "keep one of the two"
                )
            if old.nan_at_minus_inf != new.nan_at_minus_inf:
                raise InputError(
                    f"{where}: {form} / {engine} / {context}: special differs from an earlier "
                    "[[limit]]; give both the same"
                )
            blocks[block] = replace(
                old,
                ulp={**old.ulp, **new.ulp},
                floor={**old.floor, **new.floor},
                reasons={**old.reasons, **new.reasons},
            )
    for (_, form, engine, context), limits in blocks.items():
        for band, results in OWED[context].items():
            for result in results:
                if (band, result) not in limits.ulp:
                    raise InputError(
                        f"{path}: {form} / {engine} / {context}: {result}.{band!r} is missing; a "
                        "limit in ULP is required"
                    )
    return blocks


def _limits(limit: _Limit, context: str, path: Path, where: str) -> Limits:
    ulp = {
        (band, result): value
        for result, values in (("regular", limit.regular), ("subnormal", limit.subnormal))
        for band, value in values.items()
    }
    for band, result in ulp:
        if result not in OWED[context].get(band, ()):
            raise InputError(
                f"{where}: {result}.{band!r}: no {result} result occurs there in context "
                f"{context!r}; remove it"
            )
    for band in limit.floor:
        if band not in OWED[context]:
            raise InputError(
                f"{where}: floor.{band!r}: no result with a limit occurs there in context "
                f"{context!r}; remove it"
            )
    return Limits(
        source=path.name,
        ulp=ulp,
        floor=limit.floor,
        reasons=dict.fromkeys(ulp, f"{limit.basis}: {limit.reason}"),
        nan_at_minus_inf=limit.special != "exact",
        deviations=(),
    )


def _ids(precision: Precision) -> list[str]:
    return [Case(f, c, precision, e).id for f in FORMS for c in CONTEXTS for e in ENGINES]


def _check_patterns(cases: list[str], precision: Precision, where: str) -> tuple[str, ...]:
    known = _ids(precision)
    for pattern in cases:
        if not any(fnmatchcase(case_id, pattern) for case_id in known):
            raise InputError(
                f"{where}: cases: {pattern!r} matches no case of {precision.name}; expected "
                f"an id such as {known[0]!r}, * allowed"
            )
    if len(set(cases)) != len(cases):
        raise InputError(f"{where}: cases: a pattern stands twice; list each once")
    return tuple(cases)


def _deviation(raw: _Deviation, precision: Precision, path: Path, key: str) -> Deviation:
    where, (low, high) = f"{path}: {key}", raw.x
    if math.isnan(low) or math.isnan(high) or low > high:
        raise InputError(f"{where}: x = [{low}, {high}]; expected [lowest, highest]")
    measured = raw.kind in ("ulp", "sign")  # the others are off by infinitely many ULP
    if (raw.largest_error is None) == measured:
        wanted = "is required" if measured else "does not apply"
        raise InputError(f"{where}: largest_error (in ULP) {wanted} with kind {raw.kind!r}")
    sixteen = precision.total_bits == 16
    if sixteen and raw.largest_count_of_all is not None:
        raise InputError(
            f"{where}: largest_count_of_all: {precision.name} samples are exhaustive already; "
            "only largest_count applies"
        )
    if not sixteen and raw.largest_count_of_all is None:
        raise InputError(f"{where}: largest_count_of_all is missing; of all 2**32 inputs")
    return Deviation(
        key=key,
        cases=_check_patterns(raw.cases, precision, where),
        x=(low, high),
        kind=raw.kind,
        largest_error=math.inf if raw.largest_error is None else raw.largest_error,
        largest_count=raw.largest_count,
        largest_count_of_all=raw.largest_count_of_all or raw.largest_count,
        reason=raw.reason,
        seen_in=tuple(raw.seen_in),
    )


def _refusal(raw: _Refusal, precision: Precision, path: Path, key: str) -> Refusal:
    cases = _check_patterns(raw.cases, precision, f"{path}: {key}")
    return Refusal(key, cases, raw.words, raw.reason)


def _once(
    path: Path,
    deviations: tuple[Deviation, ...],
    refusals: tuple[Refusal, ...],
    precision: Precision,
) -> None:
    """Refuse two deviations that could both take one finding, and a case refused twice."""
    for case_id in _ids(precision):
        accepting = [d for d in deviations if d.matches(case_id)]
        for second, first in combinations(accepting, 2):
            overlap = first.x[0] <= second.x[1] and second.x[0] <= first.x[1]
            if overlap and first.kind == second.kind:
                raise InputError(
                    f"{path}: {first.key} and {second.key} accept the same {first.kind} "
                    f"findings of {case_id!r}; keep one of the two"
                )
        refusing = [r.key for r in refusals if r.matches(case_id)]
        if len(refusing) > 1:
            raise InputError(f"{path}: {' and '.join(refusing)} list {case_id!r}; list it once")
