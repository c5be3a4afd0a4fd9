"""Case ids, and the choice of cases."""

from __future__ import annotations

import pytest

from verify.cases import CONTEXTS, ENGINES, FORMS, Case, parse, select
from verify.errors import InputError
from verify.precision import FP16, PRECISIONS


def test_an_id_reads_back_as_its_case() -> None:
    everything = select()
    assert len(everything) == len(FORMS) * len(CONTEXTS) * len(PRECISIONS) * len(ENGINES)
    assert len({case.id for case in everything}) == len(everything)
    for case in everything:
        assert parse(case.id) == case
    assert Case("plugin", "alone", FP16, "tensorrt").id == "plugin-alone-fp16-tensorrt"


def test_cases_come_engine_by_engine() -> None:
    order = [
        (
            ENGINES.index(c.engine),
            PRECISIONS.index(c.precision),
            FORMS.index(c.form),
            CONTEXTS.index(c.context),
        )
        for c in select()
    ]
    assert order == sorted(order)


def test_filters_hold_together_and_empty_ones_let_all_through() -> None:
    chosen = select(forms=["op", "plugin"], contexts=["conv"], precisions=["bf16"])
    assert [c.id for c in chosen] == [
        f"{form}-conv-bf16-{engine}" for engine in ENGINES for form in ("op", "plugin")
    ]
    assert {c.engine for c in select(engines=["tensorrt"])} == {"tensorrt"}
    assert select(forms=iter(["op"])) == select(forms=["op"])


def test_ids_and_filters_hold_together() -> None:
    ids = ["op-alone-fp32-reference", "op-chain-fp16-onnxruntime"]
    assert [c.id for c in select(ids=ids)] == ids
    assert [c.id for c in select(ids=ids[::-1])] == ids
    assert [c.id for c in select(ids=ids, precisions=["fp16"])] == ids[1:]
    assert select(ids=ids, forms=["rational"]) == ()


@pytest.mark.parametrize(
    ("case_id", "complaint"),
    [
        ("mash-alone-fp32-reference", f"unknown form 'mash'; allowed: {', '.join(FORMS)}"),
        ("op-loop-fp32-reference", f"unknown context 'loop'; allowed: {', '.join(CONTEXTS)}"),
        ("op-alone-fp8-reference", "unknown precision 'fp8'; allowed: fp32, fp16, bf16"),
        ("op-alone-fp32-trt", f"unknown engine 'trt'; allowed: {', '.join(ENGINES)}"),
        ("op-alone-fp32", "expected FORM-CONTEXT-PRECISION-ENGINE"),
        ("op-alone-fp32-reference-", "expected FORM-CONTEXT-PRECISION-ENGINE"),
        ("", "expected FORM-CONTEXT-PRECISION-ENGINE"),
        ("OP-alone-fp32-reference", "unknown form 'OP'"),
    ],
)
def test_an_unknown_id_is_refused_with_the_part_and_what_is_allowed(
    case_id: str, complaint: str
) -> None:
    for refused in (lambda: parse(case_id), lambda: select(ids=[case_id])):
        with pytest.raises(InputError) as caught:
            refused()
        assert str(caught.value).startswith(f"case {case_id!r}: {complaint}")
