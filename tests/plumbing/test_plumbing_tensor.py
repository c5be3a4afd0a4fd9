"""Layouts, poison and comparison: what every plumbing check rests on."""

from __future__ import annotations

import numpy as np
import pytest

from verify.plumbing.tensor import (
    FORMATS,
    GUARD,
    KINDS,
    LINEAR,
    PERIOD,
    Kind,
    Layout,
    Region,
    extremes,
    guard_fault,
    pack,
    padded,
    value_fault,
    values,
)

KIND = KINDS["fp16"]
BY_NAME = {layout.name: layout for layouts in FORMATS.values() for layout in layouts}


def place(layout: Layout, shape: tuple[int, ...], at: tuple[int, ...]) -> int:
    """Where an element lies, by the formulas in TensorRT's documentation of TensorFormat."""
    axis = len(shape) - layout.axis
    n, c = at[:axis], at[axis]
    inner, sizes = at[axis + 1 :], shape[axis + 1 :]
    vectors = -(-shape[axis] // layout.vector)
    flat = 0
    for index, size in zip(n, shape[:axis], strict=True):
        flat = flat * size + index
    if layout.last:  # [N][H][W][C padded]
        for index, size in zip(inner, sizes, strict=True):
            flat = flat * size + index
        return flat * vectors * layout.vector + c
    flat = flat * vectors + c // layout.vector  # [N][C / vector][H][W][vector]
    for index, size in zip(inner, sizes, strict=True):
        flat = flat * size + index
    return flat * layout.vector + c % layout.vector


@pytest.mark.parametrize("name", ["CHW2", "CHW4", "CHW32", "HWC8", "HWC16", "DHWC8"])
@pytest.mark.parametrize("channels", [1, 5, 8, 32, 33])
def test_every_element_is_packed_where_tensorrt_looks_for_it(name: str, channels: int) -> None:
    layout = BY_NAME[name]
    shape = (2, channels, 3, 2) if layout.axis == 3 else (2, channels, 2, 3, 2)
    tensor = np.arange(1, 1 + np.prod(shape), dtype=np.uint16).reshape(shape)
    memory = pack(tensor, layout)
    assert memory.size == padded(shape, layout)
    for at in np.ndindex(*shape):
        assert memory[place(layout, shape, at)] == tensor[at]
    assert np.count_nonzero(memory) == tensor.size  # and the rest is zero


def test_a_tensor_without_a_batch_and_a_plain_one_are_packed() -> None:
    tensor = np.arange(24, dtype=np.uint16).reshape(3, 4, 2)
    assert pack(tensor, BY_NAME["HWC8"]).size == 4 * 2 * 8
    np.testing.assert_array_equal(pack(tensor, LINEAR), np.arange(24))
    assert padded((3, 4, 2), LINEAR) == 24


@pytest.mark.parametrize("kind", [KINDS["fp32"], KINDS["fp16"], KINDS["bf16"]])
def test_inputs_differ_from_their_neighbours_and_none_is_poison(kind: Kind) -> None:
    x = values(kind)
    assert x.size == PERIOD
    assert x.dtype == kind.bits
    assert not (x == kind.poison).any()
    assert (x[1:] != x[:-1]).mean() > 0.98
    assert np.isnan(kind.number(kind.poison))
    assert kind.number(int(kind.of(np.array([-1.5]))[0])) == -1.5


@pytest.mark.parametrize("kind", [KINDS["fp32"], KINDS["fp16"], KINDS["bf16"]])
def test_extremes_have_every_exponent_and_sign_but_one_result_only(kind: Kind) -> None:
    x = extremes(kind)
    assert x.dtype == kind.bits
    assert not (x == kind.poison).any()
    heads = {int(bits) >> kind.fraction for bits in x}
    assert len(heads) == 1 << (kind.size * 8 - kind.fraction)
    numbers = [kind.number(int(bits)) for bits in x]
    assert np.isposinf(numbers).any()
    assert np.isnan(numbers).any()
    assert not np.isneginf(numbers).any()
    if kind.size == 2:
        assert len(set(x.tolist())) == (1 << 16) - 2


def test_how_far_apart_two_results_may_be_is_asked_for() -> None:
    two_apart = number(1.0), number(1.002)
    assert value_fault(*two_apart, KIND, slack=2) == ""
    assert "1 of 1 elements differ" in value_fault(*two_apart, KIND, slack=1)


def number(*numbers: float) -> np.ndarray:
    return KIND.of(np.array(numbers))


@pytest.mark.parametrize(
    ("actual", "expected", "exact", "words"),
    [
        ((1.0, 2.0), (1.0, 2.0), True, ""),
        ((1.0, 2.0), (1.0, 2.002), False, ""),  # one ULP
        ((1.0, 2.0), (1.0, 2.002), True, "1 of 2 elements differ, the first at 1"),
        ((1.0, 2.0), (1.0, 2.02), False, "1 of 2 elements differ, the first at 1: 2 instead of"),
        ((1.0, 2.0), (2.0, 1.0), False, "2 of 2 elements differ, the first at 0"),
        ((0.0,), (-0.0,), False, ""),
        ((0.0,), (-0.0,), True, "1 of 1 elements differ"),
        ((6e-8,), (-6e-8,), False, ""),  # the two smallest ones are two steps apart
        ((1.0,), (-1.0,), False, "1 of 1 elements differ"),
        ((np.nan,), (np.nan,), False, ""),
        ((np.nan,), (1.0,), False, "nan instead of 1"),
        ((np.inf,), (np.nan,), False, "inf instead of nan"),
        ((65504.0,), (np.inf,), False, ""),  # a step, as everywhere else
        ((1.0,), (1.0, 2.0), False, "1 elements instead of 2"),
    ],
)
def test_a_result_is_compared_with_the_one_that_is_due(
    actual: tuple[float, ...], expected: tuple[float, ...], exact: bool, words: str
) -> None:
    fault = value_fault(number(*actual), number(*expected), KIND, exact=exact)
    assert words in fault
    assert bool(words) == bool(fault)


def test_poison_that_is_left_is_an_element_that_was_not_written() -> None:
    y = number(1.0, 2.0, 3.0)
    y[1] = KIND.poison
    fault = value_fault(y, number(1.0, 2.0, 3.0), KIND)
    assert fault == "1 of 3 elements were not written, the first at 1"
    assert value_fault(y, y, KIND, exact=True) == ""  # it was the input's


@pytest.mark.parametrize("inside", [0, 2, 6, 4096])
@pytest.mark.parametrize("kind", [KINDS["fp32"], KINDS["fp16"]])
def test_guards_show_what_is_written_beside(inside: int, kind: Kind) -> None:
    total = (inside + 2 * GUARD + 3) // 4
    whole = np.full(total, kind.word, dtype=np.uint32).view(np.uint8)[: inside + 2 * GUARD].copy()

    def region() -> Region:
        return Region(whole[:GUARD], whole[GUARD : GUARD + inside], whole[GUARD + inside :])

    assert guard_fault("output", region(), kind.word) == ""
    whole[GUARD : GUARD + inside] = 0
    assert guard_fault("output", region(), kind.word) == ""
    whole[GUARD + inside + 5] ^= 1
    assert guard_fault("output", region(), kind.word) == (
        "1 bytes after the output were written, up to 6 away"
    )
    whole[GUARD - 1] ^= 0xFF
    assert guard_fault("output", region(), kind.word) == (
        "1 bytes before the output were written, up to 1 away"
    )
