"""Checks that only look at the plugin's objects, on TensorRT 8.6 and wrong plugins, without a GPU.

Needs TensorRT 8.6's package, and nvcc with its headers or libraries in MISH_MUTANTS/8.6.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from verify import mutation
from verify.engines.registry import Listing, listing
from verify.engines.tensorrt import version_at_hand
from verify.errors import InputError
from verify.library import read
from verify.plumbing import table
from verify.plumbing import worker as inside
from verify.plumbing.bench import Bench
from verify.plumbing.check import Subject
from verify.plumbing.tensor import FORMATS
from verify.worker import Worker

CHECKS = ("registry", "fields", "namespace", "serialization", "combinations")
WRONG = {
    "fields_borrowed": "fields",
    "fields_null": "fields",
    "layout_disagrees": "serialization",
    "namespace_borrowed": "namespace",
    "not_cloned": "serialization",
    "reads_ahead": "combinations",
    "serialized_noise": "serialization",
    "two_creators": "registry",
    "unknown_field": "fields",
    "version_changed": "registry",
}
RIGHT = ("right", "right_with_field", "reference")
CLAIMED = {  # beside LINEAR, at ranks 2, 3 and 4
    "reference": {"fp16 HWC8": (False, True, True)},
    "chw32_unpadded": {"fp16 HWC8": (False, True, True), "fp32 CHW32": (False, True, True)},
}
TAKEN = {  # as input and as output of images, and whether any goes with any
    "reference": (("fp32 LINEAR", "fp16 LINEAR", "fp16 HWC8"), False),
    "chw32_unpadded": (("fp32 LINEAR", "fp32 CHW32", "fp16 LINEAR", "fp16 HWC8"), False),
    "claims_everything": (("fp32 LINEAR", "fp16 LINEAR", "fp16 HWC8"), True),
}


def without_gpu() -> None:
    """Makes the process' bench one that leaves the GPU alone."""
    inside._bench.append(Bench(gpu=False))


def claimed() -> dict[str, tuple[bool, ...]]:
    """What the process' plugin says that it takes."""
    bench = inside._bench[0]
    return {
        f"{precision} {layout.name}": tuple(
            bench.claims(precision, layout, rank) for rank in (2, 3, 4)
        )
        for precision in ("fp32", "fp16")
        for layout in FORMATS[precision]
    }


def denied() -> dict[str, bool]:
    """What the process' plugin says that it does not return, for each pair of formats."""
    bench = inside._bench[0]
    ends = [
        (precision, layout)
        for precision in ("fp32", "fp16")
        for layout in FORMATS[precision]
        if layout.axis == 3
    ]
    return {
        f"{x[0]} {x[1].name} to {y[0]} {y[1].name}": bench.denies((1, 5, 2, 3), x, y)
        for x in ends
        for y in ends
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libraries that are tested here."""
    if not version_at_hand().startswith("8.6"):
        pytest.skip("TensorRT 8.6 is not installed")
    names = (*WRONG, *RIGHT, *CLAIMED, *TAKEN)
    ready = Path(os.environ.get("MISH_MUTANTS", "/none")) / "8.6"
    if all((ready / f"{name}.so").is_file() for name in names):
        return ready
    try:
        tools = mutation.toolchain("8.6")
    except InputError as error:
        pytest.skip(str(error))
    made = tmp_path_factory.mktemp("plugins")
    assert mutation.build(mutation.load(), names, made, tools) == {}
    return made


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def take(worker: Worker, library: Path, subject: Subject) -> Subject:
    """The library as a subject, loaded in the worker."""
    lister = Worker()  # what is heard while a library is loaded is heard once in a process
    found: Listing = lister.call(listing, read(library), ())
    lister.close()
    (creator,) = found.creators
    subject = replace(
        subject,
        library=str(library),
        tensorrt=found.tensorrt,
        op=creator.name.op,
        version=creator.name.version,
        namespace=creator.name.namespace,
        fields=tuple((field.name, field.kind, None) for field in creator.fields),
        precisions=("fp32", "fp16"),
        on_request=found.on_request,
    )
    worker.call(without_gpu)
    assert worker.call(inside.load, subject) == ""
    return subject


def caught(worker: Worker, library: Path, subject: Subject) -> dict[str, tuple[str, ...]]:
    """The faults that each check finds, of those that find any."""
    subject, faults = take(worker, library, subject), {}
    for name in CHECKS:
        answer = worker.call(inside.perform, table.by_name(name), subject, seconds=60)
        assert not answer.error
        assert answer.count
        if answer.faults:
            faults[name] = answer.faults
    return faults


@pytest.mark.headers
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_plugin_passes(worker: Worker, folder: Path, subject: Subject, name: str) -> None:
    assert caught(worker, folder / f"{name}.so", subject) == {}


@pytest.mark.headers
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_plugin_is_caught_by_its_check(
    worker: Worker, folder: Path, subject: Subject, name: str
) -> None:
    assert WRONG[name] in caught(worker, folder / f"{name}.so", subject)


@pytest.mark.headers
@pytest.mark.parametrize("name", CLAIMED)
def test_a_plugin_is_asked_what_it_claims(
    worker: Worker, folder: Path, subject: Subject, name: str
) -> None:
    take(worker, folder / f"{name}.so", subject)
    said = worker.call(claimed)
    others = {what for what in said if "LINEAR" not in what and any(said[what])}
    assert {what: said[what] for what in others} == CLAIMED[name]
    assert said["fp32 LINEAR"] == said["fp16 LINEAR"] == (True, True, True)


@pytest.mark.headers
@pytest.mark.parametrize("name", TAKEN)
def test_a_plugin_is_asked_what_it_does_not_return(
    worker: Worker, folder: Path, subject: Subject, name: str
) -> None:
    take(worker, folder / f"{name}.so", subject)
    said = worker.call(denied)
    ends, mixed = TAKEN[name]
    taken = {f"{x} to {y}" for x in ends for y in ends if mixed or x == y}
    assert {what for what, no in said.items() if not no} == taken
