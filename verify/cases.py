"""Cases: form x context x precision x engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from verify.errors import InputError
from verify.precision import PRECISIONS, Precision, by_name

__all__ = ["CONTEXTS", "ENGINES", "FORMS", "Case", "bound_by", "parse", "select"]

# `models` generates these; a test compares, so that listing cases need not import onnx.
FORMS: tuple[str, ...] = ("op", "composed", "exp_log", "rational", "plugin")
CONTEXTS: tuple[str, ...] = ("alone", "chain", "residual", "branch", "conv")
ENGINES: tuple[str, ...] = ("reference", "onnxruntime", "tensorrt_rtx", "tensorrt")


@dataclass(frozen=True)
class Case:
    """One thing to verify; its ``id`` is also its row, its pytest id and its tolerance key."""

    form: str
    context: str
    precision: Precision
    engine: str

    @property
    def id(self) -> str:
        """For example ``plugin-alone-fp16-tensorrt``."""
        return f"{self.form}-{self.context}-{self.precision.name}-{self.engine}"


def bound_by(case: Case) -> Case:
    """The case whose limits bind where no plugin library is given.

    The form ``plugin`` then runs its body, which is composed.
    """
    return replace(case, form="composed") if case.form == "plugin" else case


def parse(case_id: str) -> Case:
    """The case of an id; raise InputError naming the part that is unknown."""
    parts = case_id.split("-")
    if len(parts) != 4:
        raise InputError(f"case {case_id!r}: expected FORM-CONTEXT-PRECISION-ENGINE")
    form, context, precision, engine = parts
    names = tuple(p.name for p in PRECISIONS)
    for what, value, allowed in (
        ("form", form, FORMS),
        ("context", context, CONTEXTS),
        ("precision", precision, names),
        ("engine", engine, ENGINES),
    ):
        if value not in allowed:
            raise InputError(
                f"case {case_id!r}: unknown {what} {value!r}; allowed: {', '.join(allowed)}"
            )
    return Case(form, context, by_name(precision), engine)


def select(
    *,
    ids: Sequence[str] = (),
    forms: Iterable[str] = (),
    contexts: Iterable[str] = (),
    precisions: Iterable[str] = (),
    engines: Iterable[str] = (),
) -> tuple[Case, ...]:
    """Every case that passes all filters; an empty filter lets everything through.

    Order: by engine, precision, form, context. Raises InputError for an unknown id.
    """
    wanted = {parse(i) for i in ids}
    keep_form, keep_context = frozenset(forms), frozenset(contexts)
    keep_precision, keep_engine = frozenset(precisions), frozenset(engines)
    return tuple(
        case
        for engine in ENGINES
        for precision in PRECISIONS
        for form in FORMS
        for context in CONTEXTS
        if (not keep_form or form in keep_form)
        and (not keep_context or context in keep_context)
        and (not keep_precision or precision.name in keep_precision)
        and (not keep_engine or engine in keep_engine)
        and ((case := Case(form, context, precision, engine)) in wanted or not wanted)
    )
