"""Plan inspection on recorded layer information; see layers/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from verify.engines.inspection import (
    Layer,
    Unreadable,
    layers_of,
    plugin_fault,
    plugins,
    reformats,
)

LAYERS = Path(__file__).with_name("layers")


def read(name: str) -> tuple[Layer, ...]:
    return layers_of((LAYERS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("plugin-fp16-8.6", "fp16"),
        ("plugin-fp32-8.6", "fp32"),
        ("conv-hwc8-fp16-8.6", "fp16"),
        ("conv-chw2-fp16-8.6", "fp16"),
        ("plugin-fp16-10.x", "fp16"),
        ("plugin-bf16-10.x", "bf16"),
    ],
)
def test_the_plugin_is_found_in_the_claimed_precision(name: str, precision: str) -> None:
    assert plugin_fault(read(name), "MishExact", "1", precision) == ""


@pytest.mark.parametrize(
    ("name", "precision", "fault"),
    [
        ("composed-fp16-8.6", "fp16", "no plugin is in the plan, only PointWiseV2"),
        ("other-plugin-fp16-8.6", "fp16", "the plan's plugin is 'Mish_TRT', not 'MishExact'"),
        ("other-version-fp16-8.6", "fp16", "the plan's plugin has version '2', not '1'"),
        ("fp32-kernel-in-fp16-8.6", "fp16", "the plugin runs in fp32 in the plan, not in fp16"),
        ("plugin-fp16-8.6", "fp32", "the plugin runs in fp16 in the plan, not in fp32"),
        (
            "plugin-fp16-dynamic-8.6",
            "fp16",
            "the types of the plugin's layer mish_0/mishexact are not known",
        ),
    ],
)
def test_a_plan_that_does_not_test_the_plugin_says_why(
    name: str, precision: str, fault: str
) -> None:
    assert plugin_fault(read(name), "MishExact", "1", precision) == fault


def test_every_mish_of_a_chain_has_to_be_the_plugin() -> None:
    layers = read("plugin-fp16-8.6")
    assert plugin_fault(layers * 8, "MishExact", "1", "fp16", count=8) == ""
    assert plugin_fault(layers * 7, "MishExact", "1", "fp16", count=8) == (
        "the plan has 7 layers of the plugin, 8 are due"
    )


def test_reformats_are_counted_and_a_no_op_is_none() -> None:
    assert reformats(layer.kind for layer in read("fp32-kernel-in-fp16-8.6")) == 2
    assert reformats(layer.kind for layer in read("conv-hwc8-fp16-8.6")) == 2
    assert reformats(layer.kind for layer in read("plugin-fp16-8.6")) == 0
    kinds = [layer.kind for layer in read("conv-chw2-fp16-8.6")]
    assert kinds == ["Reformat", "CaskConvolution", "NoOp", "PluginV2"]
    assert reformats(kinds) == 1


def test_layouts_are_named_as_tensorrt_names_them() -> None:
    (layer,) = plugins(read("conv-hwc8-fp16-8.6"))
    assert layer.inputs[0].layout == "HWC8"
    assert plugins(read("plugin-fp16-8.6"))[0].outputs[0].layout == "LINEAR"
    said = "Thirty-two wide channel vectorized row major FP32 format"
    text = (LAYERS / "plugin-fp32-8.6.json").read_text(encoding="utf-8")
    (layer,) = layers_of(text.replace("Row major linear FP32", said))
    assert (layer.inputs[0].layout, layer.inputs[0].precision) == ("CHW32", "fp32")
    (layer,) = layers_of(
        text.replace("Row major linear FP32", "Two wide channel vectorized row major FP16 format")
    )
    assert (layer.inputs[0].layout, layer.inputs[0].precision) == ("CHW2", "fp16")
    for said, name in (
        ("Channel major FP16 format where channel % 8 == 0 with 3 spatial dimensions", "DHWC8"),
        ("Channel major FP16 format where channel % 16 == 0", "HWC16"),
        ("Thirty-two wide channel vectorized row major Int8 format", "CHW32"),
        (
            "Thirty-two wide channel vectorized row major Int8 format with 3 spatial dimensions",
            "CDHW32",
        ),
    ):
        (layer,) = layers_of(text.replace("Row major linear FP32", said))
        assert layer.inputs[0].layout == name


def test_control_characters_between_names_are_no_fault() -> None:
    text = (LAYERS / "composed-fp16-8.6.json").read_text(encoding="utf-8")
    layers = layers_of(text.replace('"Name": "', '"Name": "mish\x1e', 1))
    assert len(layers) == len(layers_of(text))
    assert layers[0].name.startswith("mish\x1e")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{}", "lists no layers"),
        ('{"Layers": []}', "lists no layers"),
        ("[1]", "lists no layers"),
        ((LAYERS / "names-only.json").read_text(encoding="utf-8"), "names layers only"),
    ],
)
def test_an_answer_without_layers_is_no_pass(text: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        layers_of(text)


def test_no_layers_at_all_are_a_fault() -> None:
    assert plugin_fault((), "MishExact", "1", "fp16").startswith("no plugin is in the plan")
