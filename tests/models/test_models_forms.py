"""Every form in every context, precision and rank: valid, typed, named, and Mish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import pytest

import models
from models.forms import PluginNode

OUTPUTS = {
    "alone": ["y"],
    "chain": ["y"],
    "residual": ["y"],
    "branch": ["y", "neg", "abs"],
    "conv": ["y"],
}
ELEMENT_TYPES = {
    "fp32": onnx.TensorProto.FLOAT,
    "fp16": onnx.TensorProto.FLOAT16,
    "bf16": onnx.TensorProto.BFLOAT16,
}


def places() -> Iterator[tuple[str, int]]:
    for context in models.CONTEXTS:
        for rank in models.ranks_of(context):
            yield context, rank


def dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def expected_dims(context: str, rank: int) -> list[int | str]:
    if context == "conv":
        return ["N", 1, 1, 1]
    # Written out, not computed from INNER_DIMS: these are what the documentation promises.
    written: dict[int, list[int | str]] = {
        0: [],
        1: ["N"],
        2: ["N", 3],
        3: ["N", 3, 5],
        4: ["N", 3, 5, 2],
        5: ["N", 3, 5, 2, 2],
        6: ["N", 3, 5, 2, 2, 1],
    }
    return written[rank]


@pytest.mark.parametrize("precision", models.PRECISIONS)
@pytest.mark.parametrize("form", models.FORMS)
@pytest.mark.parametrize("body", [True, False])
def test_model_is_valid_and_typed(form: str, precision: str, body: bool) -> None:
    if not body and form != "plugin":
        with pytest.raises(ValueError, match="body"):
            models.build(form, "alone", precision, body=body)
        return
    for context, rank in places():
        model = models.build(form, context, precision, rank=rank, body=body)
        onnx.checker.check_model(model, full_check=True)
        assert model.producer_name == "mish-verify"
        assert not model.producer_version
        opsets = {each.domain: each.version for each in model.opset_import}
        assert opsets[""] == (22 if precision == "bf16" else 18)
        assert model.ir_version == (10 if precision == "bf16" else 8)
        assert ("mish" in opsets) == (form == "plugin")
        (x,) = model.graph.input
        assert x.name == "x"
        assert dims(x) == expected_dims(context, rank)
        assert [value.name for value in model.graph.output] == OUTPUTS[context]
        shape = ["N", 2, 1, 1] if context == "conv" else expected_dims(context, rank)
        for value in model.graph.output:
            assert dims(value) == shape
        for value in (x, *model.graph.output):
            assert value.type.tensor_type.elem_type == ELEMENT_TYPES[precision]
        for tensor in model.graph.initializer:
            assert tensor.data_type == ELEMENT_TYPES[precision]
        names = [node.name for node in model.graph.node]
        assert all(names)
        assert len(set(names)) == len(names)


def test_node_names_and_operators() -> None:
    def nodes(form: str, context: str = "alone") -> list[tuple[str, str]]:
        graph = models.build(form, context, "fp32").graph
        return [(node.name, node.op_type) for node in graph.node]

    assert nodes("op") == [("mish_0/mish", "Mish")]
    assert nodes("composed") == [
        ("mish_0/softplus", "Softplus"),
        ("mish_0/tanh", "Tanh"),
        ("mish_0/mul", "Mul"),
    ]
    assert [name for _, name in nodes("exp_log")] == ["Exp", "Add", "Log", "Tanh", "Mul"]
    assert [name for _, name in nodes("rational")] == ["Exp", "Add", "Mul", "Add", "Div", "Mul"]
    assert nodes("op", "chain") == [(f"mish_{i}/mish", "Mish") for i in range(models.CHAIN_LENGTH)]
    assert nodes("op", "branch")[1:] == [("branch/neg", "Neg"), ("branch/abs", "Abs")]


def test_plugin_node_has_both_attributes_and_its_function() -> None:
    node_of = PluginNode(fields=(("mode", 3), ("slope", 0.5), ("name", "soft")))
    for context, count in (("alone", 1), ("chain", models.CHAIN_LENGTH)):
        model = models.build("plugin", context, "fp16", node=node_of)
        onnx.checker.check_model(model, full_check=True)
        (function,) = model.functions
        assert (function.domain, function.name) == ("mish", "MishExact")
        assert [each.op_type for each in function.node] == ["Softplus", "Tanh", "Mul"]
        outer = {name for each in model.graph.node for name in (*each.input, *each.output)}
        assert not outer & {*function.input, *function.output}
        nodes = [node for node in model.graph.node if node.op_type == "MishExact"]
        assert len(nodes) == count
        for node in nodes:
            found = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            assert found == {
                "plugin_version": b"1",
                "plugin_namespace": b"",
                "mode": 3,
                "slope": 0.5,
                "name": b"soft",
            }
    bare = models.build("plugin", "alone", "fp16", body=False)
    assert not bare.functions
    assert [each.name for each in bare.graph.node[0].attribute] == [
        "plugin_version",
        "plugin_namespace",
    ]


@pytest.mark.parametrize("engine", ["reference", "onnxruntime"])
@pytest.mark.parametrize("form", models.FORMS)
def test_form_is_mish(form: str, engine: str, run: Any, mish: Callable[[Any], Any]) -> None:
    values = np.linspace(-5, 5, 480).astype(np.float32)
    for context, rank in places():
        inner = [1, 1, 1] if context == "conv" else list(models.INNER_DIMS[: max(rank - 1, 0)])
        shape = [] if rank == 0 else [-1, *inner]
        x = np.array(values[100]) if rank == 0 else values.reshape(shape)
        outputs = run(models.build(form, context, "fp32", rank=rank), engine, x)
        if context == "alone":
            expected = [mish(x)]
        elif context == "chain":
            y = x
            for _ in range(models.CHAIN_LENGTH):
                y = mish(y)
            expected = [y]
        elif context == "residual":
            expected = [x + mish(x)]
        elif context == "branch":
            expected = [mish(x), -mish(x), abs(mish(x))]
        else:
            expected = [mish(x * np.array(models.CONV_WEIGHTS).reshape(1, 2, 1, 1))]
        for y, right in zip(outputs, expected, strict=True):
            assert y.dtype == np.float32
            assert y.shape == right.shape
            np.testing.assert_allclose(y, right, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("engine", ["reference", "onnxruntime"])
def test_empty_tensors_stay_empty(engine: str, run: Any) -> None:
    for form in models.FORMS:
        for rank in range(1, 7):
            shape = (0, *models.INNER_DIMS[: rank - 1])
            x = np.zeros(shape, np.float32)
            (y,) = run(models.build(form, "alone", "fp32", rank=rank), engine, x)
            assert y.shape == shape


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_reference_rounds_in_the_tensor_s_own_type(precision: str, run: Any, dtypes: Any) -> None:
    x = np.array([1.0, 50.0], dtypes[precision])
    for form in models.FORMS:
        (y,) = run(models.build(form, "alone", precision), "reference", x)
        assert y.dtype == dtypes[precision]
        assert abs(float(y[0]) - 0.8650984) < 0.01
        assert np.isnan(float(y[1])) == (form == "rational")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mish", "alone", "fp32"), "form: 'mish' is not one of op, composed"),
        (("op", "lonely", "fp32"), "context: 'lonely' is not one of alone"),
        (("op", "alone", "fp64"), "precision: 'fp64' is not one of fp32, fp16, bf16"),
    ],
)
def test_unknown_names_are_refused(arguments: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.build(*arguments)
    with pytest.raises(ValueError, match=message):
        models.file_name(*arguments)


@pytest.mark.parametrize(("context", "rank"), [("alone", 7), ("alone", -1), ("conv", 2)])
def test_ranks_that_do_not_exist_are_refused(context: str, rank: int) -> None:
    with pytest.raises(ValueError, match=rf"rank \(of context {context}\): {rank} is not one of"):
        models.build("op", context, "fp32", rank=rank)
    with pytest.raises(ValueError, match="rank"):
        models.build("op", "alone", "fp32", rank=True)


def test_plugin_nodes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="decomposes"):
        PluginNode(op="Mish")
    with pytest.raises(ValueError, match="plugin_version"):
        PluginNode(fields=(("plugin_version", "2"),))
    with pytest.raises(ValueError, match="unique"):
        PluginNode(fields=(("a", 1), ("a", 2)))


def test_file_names() -> None:
    assert models.file_name("op", "alone", "fp16") == "mish-op-alone-fp16-rank1.onnx"
    assert models.file_name("op", "conv", "fp32") == "mish-op-conv-fp32-rank4.onnx"
    assert (
        models.file_name("plugin", "chain", "bf16", rank=0, body=False)
        == "mish-plugin-chain-bf16-rank0-no-function.onnx"
    )
    with pytest.raises(ValueError, match="body"):
        models.file_name("op", "alone", "fp16", body=False)
