"""Mutants: each is wrong where it says, runs everywhere, and is wrong in nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest

import models
from models.mutants import MUTANTS, Mutant, mutant, off_by_ulps

WRONG = [
    pytest.param(each, precision, engine, id=f"{each.name}-{precision}-{engine}")
    for each in MUTANTS
    for precision in each.precisions
    for engine in each.engines_for(precision)
]
LARGEST = {"fp32": 2.0**128 - 2.0**104, "fp16": 65504.0, "bf16": 2.0**128 - 2.0**120}
BY_NAME = [pytest.param(each, id=each.name) for each in MUTANTS]


def shaped(x: Any, rank: int) -> Any:
    """As many of the values as fill a shape of this rank."""
    inner = models.INNER_DIMS[: rank - 1]
    count = int(np.prod(inner, dtype=int))
    return x[: x.size // count * count].reshape((-1, *inner))


def test_the_table_is_sound() -> None:
    names = [each.name for each in MUTANTS]
    assert len(set(names)) == len(names)
    assert {each.bug for each in MUTANTS} == {*map(str, range(1, 12)), "properties"}
    for each in MUTANTS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", each.name)
        assert each.form in models.FORMS
        assert 0 < len(each.description) < 100
        assert set(each.precisions) <= set(models.PRECISIONS)
        assert set(each.engines) <= {"reference", "onnxruntime"}
        assert any(each.engines_for(precision) for precision in each.precisions)
        assert "onnxruntime" not in each.engines_for("bf16")
        assert mutant(each.name) is each
    with pytest.raises(ValueError, match="mutant: 'mash' is not one of"):
        mutant("mash")


@pytest.fixture(scope="module")
def right_errors(run: Any, ulp_errors: Any, inputs: Any) -> Callable[[str, str, str, int], Any]:
    """The errors of a right form, measured once for all mutants."""

    @cache
    def measure(form: str, precision: str, engine: str, rank: int) -> Any:
        x = shaped(inputs(precision), rank)
        (y,) = run(models.build(form, "alone", precision, rank=rank), engine, x)
        return ulp_errors(y, x, precision)

    return measure


@pytest.mark.parametrize(("each", "precision", "engine"), WRONG)
def test_mutant_is_visibly_worse_than_its_form(
    each: Mutant,
    precision: str,
    engine: str,
    run: Any,
    ulp_errors: Any,
    inputs: Any,
    right_errors: Any,
) -> None:
    worst = None
    for rank in (1, 3):
        if rank in each.ranks:
            x = shaped(inputs(precision), rank)
            (y,) = run(each.build(precision, rank=rank), engine, x)
            errors = ulp_errors(y, x, precision)
            right = right_errors(each.form, precision, engine, rank)
            worse = errors > 1.5 * right + 3
            assert worse.any(), f"rank {rank}: nowhere worse than {each.form}"
            worst = x[worse].ravel()[errors[worse].argmax()]
    if 0 in each.ranks:
        # A scalar takes one value at a time: that of the worst result above.
        (y,) = run(each.build(precision, rank=0), engine, np.array(worst))
        error = ulp_errors(y, np.array(worst), precision)
        # One draw of random noise may be small.
        assert error > 3 or each.name == "nondeterministic"


@pytest.mark.parametrize("each", BY_NAME)
def test_mutant_runs_at_every_rank(each: Mutant, run: Any, dtypes: Any) -> None:
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -100, -8, -1.2, 1e-6, 1.2, 8, 100])
    for precision in each.precisions:
        flat = np.resize(special, 60 * 6).astype(dtypes[precision])
        for engine in each.engines_for(precision):
            for rank in range(7):
                model = each.build(precision, rank=rank)
                x = shaped(flat, rank) if rank else np.array(flat[0])
                for given in (x, x[:1], x[:0]) if rank else (x,):
                    (y,) = run(model, engine, given)
                    assert (y.shape, y.dtype) == (given.shape, given.dtype), (engine, rank)


@pytest.mark.parametrize("each", BY_NAME)
def test_mutant_is_a_valid_model_in_every_context(each: Mutant, run: Any) -> None:
    x = np.linspace(-3, 3, 12).astype(np.float32)
    for precision in models.PRECISIONS:
        for context in models.CONTEXTS:
            for rank in models.ranks_of(context) if context == "alone" else [None]:
                model = each.build(precision, context, rank=rank)
                onnx.checker.check_model(model, full_check=True)
                right = models.build("op", context, precision, rank=rank)
                assert list(model.graph.input) == list(right.graph.input)
                assert list(model.graph.output) == list(right.graph.output)
    if "fp32" in each.precisions:
        for context in models.CONTEXTS:
            given = x.reshape(-1, 1, 1, 1) if context == "conv" else x
            for engine in each.engines_for("fp32"):
                for y in run(each.build("fp32", context), engine, given):
                    assert y.shape[0] == 12


@np.errstate(invalid="ignore")
def differing(run: Any, wrong: Mutant, precision: str, x: Any) -> Any:
    """Where a mutant differs from its form on the reference engine, in bits; NaN is NaN."""
    (expected,) = run(models.build(wrong.form, "alone", precision), "reference", x)
    (actual,) = run(wrong.build(precision), "reference", x)
    e, a = expected.astype(np.float64), actual.astype(np.float64)
    return ~((np.isnan(e) & np.isnan(a)) | ((e == a) & (np.signbit(e) == np.signbit(a))))


@np.errstate(invalid="ignore")
@pytest.mark.parametrize("precision", models.PRECISIONS)
def test_properties_break_alone(precision: str, run: Any, inputs: Any) -> None:
    x = inputs(precision)
    wide = x.astype(np.float64)
    well = (wide >= -1.25) & (wide < -1.125)
    largest = LARGEST[precision]
    only = {
        "inf-to-nan": np.isposinf(wide),
        "identity-above-1": (wide > 1) & (wide < 10),
        "nan-swallowed": np.isnan(wide),
        "negative-zero-lost": (wide == 0) & np.signbit(wide),
        "tail-positive-zero": (wide < -12) & np.isfinite(wide),
        "tail-sign-lost": wide < -6,
        "saturates-early": np.isfinite(wide) & (wide > largest / 2),
        "minimum-too-deep": well,
        "step-in-bulk": (wide >= 1) & (wide < 1.5),
        "one-input-wrong": wide == (0.69921875 if precision == "bf16" else 0.7001953125),
        "position": np.arange(x.size) % 2 == 1,
    }
    for name, allowed in only.items():
        found = differing(run, mutant(name), precision, x)
        assert found.any(), name
        assert not (found & ~allowed).any(), name


@pytest.mark.parametrize("precision", models.PRECISIONS)
def test_neighbours_is_right_without_any(
    precision: str, run: Any, ulp_errors: Any, dtypes: Any
) -> None:
    model = mutant("neighbours").build(precision)
    for value in (-9.0, -1.0, -0.0, 0.5, 3.0, 7.0, 20.0, 60.0, 3e4, np.inf, np.nan):
        x = np.array([value], dtypes[precision])
        (y,) = run(model, "reference", x)
        assert ulp_errors(y, x, precision) < 4, value


def test_nondeterministic_differs_between_two_runs_of_a_session(load: Any) -> None:
    x = np.full(1000, 1.5, np.float32)
    for engine in ("reference", "onnxruntime"):
        infer = load(mutant("nondeterministic").build("fp32"), engine)
        (first,), (second,) = infer(x), infer(x)
        assert (first != second).any()


@pytest.mark.parametrize("engine", ["reference", "onnxruntime"])
@pytest.mark.parametrize("form", models.FORMS)
def test_off_by_ulps(form: str, engine: str, run: Any, dtypes: Any) -> None:
    x = np.linspace(-4, 4, 4001).astype(np.float32)
    for k in (3, 40, -40):
        wrong = off_by_ulps(form, "fp32", k, -2.0, 1.0)
        onnx.checker.check_model(wrong.build("fp32"), full_check=True)
        (y,) = run(wrong.build("fp32"), engine, x)
        (right,) = run(models.build(form, "alone", "fp32"), engine, x)
        steps = (np.abs(y).view(np.int32) - np.abs(right).view(np.int32)) * np.sign(k)
        hit = (x >= -2) & (x < 1)
        assert (steps[~hit] == 0).all()
        moved = steps[hit & (x != 0)]
        # Half a ULP of rounding on either side; a step across a power of two counts half or double.
        assert moved.min() >= abs(k) * 0.99 - 1
        assert moved.max() <= 2 * abs(k) + 1


def test_off_by_ulps_refuses_what_is_no_mutant() -> None:
    with pytest.raises(ValueError, match="form"):
        off_by_ulps("mash", "fp32", 1, 0, 1)
    with pytest.raises(ValueError, match="precision"):
        off_by_ulps("op", "fp8", 1, 0, 1)
    with pytest.raises(ValueError, match="k: 0 ULP"):
        off_by_ulps("op", "fp32", 0, 0, 1)
    with pytest.raises(ValueError, match="lo: 1 is not below"):
        off_by_ulps("op", "fp32", 1, 1, 1)
    # The ends of the interval are open upwards: +inf itself stays right.
    assert off_by_ulps("op", "fp32", 2, -1, float("inf")).precisions == ("fp32",)
