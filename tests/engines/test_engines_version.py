from __future__ import annotations

import pytest

from verify.engines.version import TooOld, parse, strategy


@pytest.mark.parametrize(
    ("version", "typed", "obey", "precisions", "operator", "function"),
    [
        ("8.6.0", False, True, "fp32 fp16", "", True),
        ("8.6.1.post1", False, True, "fp32 fp16", "", True),
        ("9.3.0", True, False, "fp32 fp16", "", False),
        ("10.0.1", True, False, "fp32 fp16 bf16", "fp32 fp16", False),
        ("10.6.0.post1", True, False, "fp32 fp16 bf16", "fp32 fp16", False),
        ("10.7.0", True, False, "fp32 fp16 bf16", "fp32 fp16", True),
        ("10.14.1.48", True, False, "fp32 fp16 bf16", "fp32 fp16", True),
        ("10.16.1.11", True, False, "fp32 fp16 bf16", "fp32 fp16", True),
        ("11.4.0.106", True, False, "fp32 fp16 bf16", "fp32 fp16", True),
    ],
)
def test_the_strategy_of_each_version(
    version: str, typed: bool, obey: bool, precisions: str, operator: str, function: bool
) -> None:
    found = strategy(version)
    assert (found.strongly_typed, found.obey_types) == (typed, obey)
    assert found.precisions == tuple(precisions.split())
    assert found.operator == tuple(operator.split())
    assert found.function is function


@pytest.mark.parametrize(
    ("version", "form", "precision", "words"),
    [
        ("8.6.0", "op", "fp32", "the parser of TensorRT 8.6 does not know the operator Mish"),
        ("8.6.0", "plugin", "bf16", "TensorRT 8.6 has no bf16"),
        ("8.6.0", "composed", "fp16", ""),
        ("10.0.1", "op", "bf16", "the parser of TensorRT 10.0 has no Mish in bf16"),
        ("10.0.1", "op", "fp16", ""),
        ("11.0.0", "plugin", "bf16", ""),
    ],
)
def test_what_a_version_lacks(version: str, form: str, precision: str, words: str) -> None:
    assert strategy(version).lacks(form, precision) == words


def test_64_bit_volumes_come_with_10_11() -> None:
    assert strategy("10.10.0").largest_elements == 2**31 - 1
    assert strategy("10.11.0").largest_elements is None


@pytest.mark.parametrize("version", ["8.5.3", "7.2.1"])
def test_a_version_that_is_too_old_is_one_line(version: str) -> None:
    with pytest.raises(TooOld, match=rf"TensorRT {version} is too old; 8.6 or later is needed"):
        strategy(version)


def test_no_version_is_an_error() -> None:
    assert parse("10.16.1.11") == (10, 16)
    with pytest.raises(ValueError, match="not a version"):
        parse("unknown")
