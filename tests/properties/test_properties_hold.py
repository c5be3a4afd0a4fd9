"""Right models have every property: no false alarms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from verify.cases import Case, select
from verify.judge import VacuousError
from verify.precision import FP16, FP32
from verify.properties import PROPERTIES, Outcome, Property, Subject, by_name, check
from verify.tolerances import Limits, load

SEEDS = range(5)
EXECUTED = tuple(
    case
    for case in select(contexts=["alone"], engines=["reference", "onnxruntime"])
    if load().refusal(case) is None
)
COMPOSED = Case("composed", "alone", FP32, "reference")


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in EXECUTED])
def test_right_models_have_every_property(case: Case, subject: Any) -> None:
    for seed in SEEDS:
        outcomes = check(subject(case), PROPERTIES, seed)
        names = {outcome.property.name for outcome in outcomes}
        left_out = {"precisions"} if case.precision is FP32 else set()
        assert names == {each.name for each in PROPERTIES} - left_out
        for outcome in outcomes:
            assert outcome.falsified is None, f"seed {seed}: {outcome.falsified}"
            assert outcome.inputs > 0


def test_inputs_are_many_where_any_input_counts(subject: Any) -> None:
    for outcome in check(subject(COMPOSED), PROPERTIES, 0):
        least = {"zero-sign": 2, "nonfinite": 20}.get(outcome.property.name, 2000)
        assert outcome.inputs >= least, outcome


def test_the_same_seed_tries_the_same_inputs(subject: Any) -> None:
    def counts(seed: int) -> list[int]:
        return [outcome.inputs for outcome in check(subject(COMPOSED), PROPERTIES, seed)]

    assert counts(0) == counts(0)
    assert len({tuple(counts(seed)) for seed in SEEDS}) == len(SEEDS)


def test_the_thorough_profile_tries_more(subject: Any) -> None:
    def inputs(profile: str) -> int:
        (outcome,) = check(subject(COMPOSED), [by_name("sign")], 0, profile=profile)
        assert outcome.falsified is None
        return int(outcome.inputs)

    assert inputs("thorough") > 5 * inputs("bounded")


def outcome_with(subject: Subject, limits: Limits, name: str) -> Outcome:
    (outcome,) = check(replace(subject, limits_of=lambda case: limits), [by_name(name)], 0)
    return outcome


def test_accepted_deviations_are_not_reported_again(subject: Any) -> None:
    rational = subject(Case("rational", "alone", FP32, "reference"))
    accepted = rational.limits
    assert any(deviation.kind == "nan" for deviation in accepted.deviations)
    assert outcome_with(rational, accepted, "finite").falsified is None
    strict = replace(accepted, deviations=())
    falsified = outcome_with(rational, strict, "finite").falsified
    assert falsified is not None
    assert falsified.x.tolist() == [pytest.approx(44.36142)]


def test_a_deviation_excuses_its_own_kind_only(subject: Any) -> None:
    rational = subject(Case("rational", "alone", FP32, "reference"))
    other = tuple(
        replace(deviation, kind="sign", largest_error=float("inf"))
        for deviation in rational.limits.deviations
        if deviation.kind == "nan"
    )
    limits = replace(rational.limits, deviations=other)
    assert outcome_with(rational, limits, "finite").falsified is not None


def test_nothing_left_to_check_is_not_a_pass(subject: Any) -> None:
    composed = subject(COMPOSED)
    (sample,) = subject(Case("rational", "alone", FP32, "reference")).limits.deviations[:1]
    everything = replace(sample, kind="nan", x=(-float("inf"), float("inf")))
    limits = replace(composed.limits, deviations=(everything,))
    with pytest.raises(VacuousError, match="'finite' got no input"):
        outcome_with(composed, limits, "finite")


class Silent:
    """A session that returns nothing, or a result of another shape."""

    def __init__(self, outputs: Any) -> None:
        self.outputs = outputs

    def run(self, x: Any) -> Any:
        return self.outputs(x)


@pytest.mark.parametrize("name", [each.name for each in PROPERTIES if each.name != "shapes"])
def test_missing_outputs_are_not_a_pass(name: str, subject: Any) -> None:
    class Sessions:
        def get(self, *model: object) -> Silent:
            return Silent(lambda x: {})

    silent = replace(subject(replace(COMPOSED, precision=FP16)), sessions=Sessions())
    with pytest.raises(VacuousError, match="expected one output 'y'"):
        check(silent, [by_name(name)], 0)


def failing(x: Any) -> Any:
    if x.size:
        return {"y": x}
    raise RuntimeError("no block to launch")


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (lambda x: {"z": x}, "expected one output 'y', got ['z']"),
        (lambda x: {"y": x.reshape(-1)}, "for that input, got float32 of shape (1,)"),
        (lambda x: {"y": x.astype("float64")}, "got float64"),
    ],
)
def test_shapes_tells_of_outputs_that_do_not_fit(outputs: Any, says: str, subject: Any) -> None:
    class Sessions:
        def get(self, *model: object) -> Silent:
            return Silent(outputs)

    (outcome,) = check(replace(subject(COMPOSED), sessions=Sessions()), [by_name("shapes")], 0)
    assert outcome.falsified is not None
    assert says in outcome.falsified.message
    assert outcome.falsified.point is None


def test_shapes_tells_of_an_engine_that_breaks_on_no_elements(
    subject: Any, right_sessions: Any
) -> None:
    class Sessions:
        def get(self, *model: Any) -> Silent:
            right = right_sessions("reference").get(*model)
            return Silent(lambda x: right.run(x) if x.size else failing(x))

    (outcome,) = check(replace(subject(COMPOSED), sessions=Sessions()), [by_name("shapes")], 0)
    assert outcome.falsified is not None
    assert "no result for shape (0,): RuntimeError: no block" in outcome.falsified.message
    assert outcome.falsified.x.size == 0


def test_engines_owe_only_what_the_table_says(subject: Any) -> None:
    elsewhere: Property = replace(by_name("sign"), owed_by=("tensorrt",))
    assert check(subject(COMPOSED), [elsewhere], 0) == []
