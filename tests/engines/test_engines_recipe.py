"""What a plan is built from, without TensorRT."""

from __future__ import annotations

import onnx
import pytest

import models
from models.names import CHAIN_LENGTH
from models.names import PLUGIN_DOMAIN as DOMAIN
from verify.engines.recipe import PLUGIN_DOMAIN, PluginName, fix_shape, read, recipe
from verify.engines.version import strategy

NAME = PluginName("MishExact", "1")
OLD, BODY, NEW = strategy("8.6.0"), strategy("10.0.1"), strategy("11.4.0")


def model(form: str, context: str, precision: str = "fp16", rank: int | None = None) -> bytes:
    return models.serialize(models.build(form, context, precision, rank=rank))


def test_the_plugins_domain_is_the_models() -> None:
    assert PLUGIN_DOMAIN == DOMAIN


def test_without_a_library_the_plugin_is_its_body() -> None:
    made = recipe(model("plugin", "alone"), "fp16", OLD)
    proto = onnx.load_model_from_string(made.model)
    assert [node.op_type for node in proto.graph.node] == ["Softplus", "Tanh", "Mul"]
    assert not proto.functions
    assert (made.plugin, made.plugin_layers) == (None, 0)


@pytest.mark.parametrize(("version", "functions"), [(OLD, 1), (BODY, 0), (NEW, 1)])
def test_with_a_library_the_node_stays_and_the_function_where_the_plugin_wins(
    version: object, functions: int
) -> None:
    made = recipe(model("plugin", "chain"), "fp16", version, plugin=NAME)  # type: ignore[arg-type]
    proto = onnx.load_model_from_string(made.model)
    assert [node.op_type for node in proto.graph.node] == ["MishExact"] * CHAIN_LENGTH
    assert len(proto.functions) == functions
    assert (made.plugin, made.plugin_layers) == (NAME, CHAIN_LENGTH)


def test_a_form_without_plugin_nodes_owes_none() -> None:
    made = recipe(model("composed", "alone"), "fp16", OLD, plugin=NAME)
    assert (made.plugin, made.plugin_layers) == (None, 0)
    assert made.model == model("composed", "alone")


@pytest.mark.parametrize(
    ("context", "rank", "profile"),
    [
        ("alone", 0, ()),
        ("alone", 1, ((0,), (4096,), (1 << 22,))),
        ("alone", 3, ((0, 3, 5), (4096, 3, 5), ((1 << 22) // 15, 3, 5))),
        ("conv", 4, ((1, 1, 1, 1), (4096, 1, 1, 1), (1 << 15, 1, 1, 1))),
    ],
)
def test_the_profile_of_each_rank(
    context: str, rank: int, profile: tuple[tuple[int, ...], ...]
) -> None:
    assert recipe(model("composed", context, rank=rank), "fp16", OLD).profile == profile


def test_composed_layers_need_no_model() -> None:
    made = recipe(b"", "fp32", NEW, rank=2)
    assert (made.model, made.shape) == (b"", (-1, 2))
    assert recipe(b"", "fp32", NEW, rank=0).shape == ()


def test_a_static_shape_is_fixed_in_every_tensor() -> None:
    made = recipe(model("plugin", "branch"), "fp16", OLD, plugin=NAME).at((7,))
    assert made.profile == ()
    proto = onnx.load_model_from_string(made.model)
    values = (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)
    shapes = [[axis.dim_value for axis in v.type.tensor_type.shape.dim] for v in values]
    assert shapes == [[7]] * len(shapes)
    onnx.checker.check_model(proto)
    assert read(fix_shape(model("composed", "alone"), 3)).shape == (3,)


def test_a_plans_key_depends_on_all_that_it_is_made_of() -> None:
    one = recipe(model("composed", "alone"), "fp16", OLD)
    others = [
        recipe(model("exp_log", "alone"), "fp16", OLD),
        recipe(model("composed", "alone"), "fp16", NEW),
        recipe(model("composed", "alone"), "fp16", OLD, tactic_sources=False),
        one.at((3,)),
    ]
    keys = [one.key("8.6.0", "a GPU"), one.key("8.6.1", "a GPU"), one.key("8.6.0", "another")]
    keys += [other.key("8.6.0", "a GPU") for other in others]
    assert len(set(keys)) == len(keys)
    again = recipe(model("composed", "alone"), "fp16", OLD)
    assert again.key("8.6.0", "a GPU") == keys[0]
