"""What properties are checked on: a case, its limits, and sessions that run its models."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType

from verify.cases import Case
from verify.engines.base import Refused, Session
from verify.judge import VacuousError
from verify.precision import Array, Precision
from verify.tolerances import Limits

__all__ = ["OUTPUT", "Open", "Sessions", "Subject", "WrongOutput"]

OUTPUT = "y"  # what the context `alone` calls its only output

Open = Callable[[str, Precision, int], Session]


class WrongOutput(VacuousError):
    """An output is missing, or not of the input's shape and type: nothing can be compared."""


class Sessions:
    """Sessions of one engine in the context ``alone``, each opened once. A context manager.

    ``open_session`` takes form, precision and rank and returns a session that was not entered
    yet; it raises Refused where the engine rejects the model.
    """

    def __init__(self, open_session: Open) -> None:
        self._open = open_session
        self._stack = ExitStack()
        self._known: dict[tuple[str, str, int], Session | Refused] = {}

    def __enter__(self) -> Sessions:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._known.clear()
        self._stack.close()

    def get(self, form: str, precision: Precision, rank: int) -> Session:
        """The session for a model; raises Refused, every time, where the engine rejects it."""
        key = (form, precision.name, rank)
        if key not in self._known:
            try:
                session = self._open(form, precision, rank)
                self._known[key] = self._stack.enter_context(session)
            except Refused as refusal:
                self._known[key] = refusal
        known = self._known[key]
        if isinstance(known, Refused):
            raise known
        return known


@dataclass(frozen=True)
class Subject:
    """A case to check: what it is allowed, and how to run it.

    ``limits_of`` gives any case's limits, those of its counterparts in other forms and
    precisions too.
    """

    case: Case
    limits_of: Callable[[Case], Limits]
    sessions: Sessions

    @property
    def precision(self) -> Precision:
        """The precision of inputs and outputs."""
        return self.case.precision

    @cached_property
    def limits(self) -> Limits:
        """What the case is allowed."""
        return self.limits_of(self.case)

    @property
    def bitwise(self) -> bool:
        """Whether an element's result may not depend on its position at all.

        ONNX's evaluator and a plugin compute each element alike. Libraries with vector kernels
        treat what is left over at the end of a block otherwise.
        """
        return self.case.engine == "reference" or (
            self.case.form == "plugin" and self.case.engine.startswith("tensorrt")
        )

    def run(self, x: Array) -> Array:
        """The result for ``x`` (any rank that has a model), in its shape.

        Raises WrongOutput unless there is one output ``y`` of x's shape and type.
        """
        outputs = self.sessions.get(self.case.form, self.precision, x.ndim).run(x)
        if set(outputs) != {OUTPUT}:
            raise WrongOutput(f"expected one output {OUTPUT!r}, got {sorted(outputs)}")
        y = outputs[OUTPUT]
        if y.dtype != x.dtype or y.shape != x.shape:
            raise WrongOutput(
                f"expected {x.dtype} of shape {x.shape} for that input, got {y.dtype} of "
                f"shape {y.shape}"
            )
        return y

    def other(
        self, *, form: str | None = None, precision: Precision | None = None
    ) -> Subject | None:
        """The same in another form or precision; None where the engine rejects that."""
        case = replace(
            self.case, form=form or self.case.form, precision=precision or self.case.precision
        )
        if case not in self._others:
            try:
                self.sessions.get(case.form, case.precision, 1)
            except Refused:
                self._others[case] = None
            else:
                self._others[case] = replace(self, case=case)
        return self._others[case]

    @cached_property
    def _others(self) -> dict[Case, Subject | None]:
        return {}
