from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from verify.headroom import WORST_ALLOWED, Headroom, headroom
from verify.observation import Observation, load, read_folder
from verify.tolerances import DEFAULT_FOLDER
from verify.tolerances import load as contract

Cli = Callable[..., Any]

CASE = "composed-alone-fp16-reference"
WELL = '"negative tail" = 6.5, "well" = 2.0'


@pytest.fixture
def observed(cli: Cli, tolerances: Path) -> Path:
    """The spoilt tolerances with observations of fp16's forms alone on the reference engine."""
    words = ("--precision", "fp16", "--context", "alone", "--engine", "reference")
    path = tolerances / "observed/reference.json"
    forms = [word for form in ("op", "composed", "exp_log") for word in ("--form", form)]
    assert cli("sweep", *words, *forms, "--observe", path).code == 0
    return tolerances


def _entry(folder: Path, what: str, case: str = CASE) -> Headroom:
    (entry,) = (
        e
        for e in headroom(contract(folder), read_folder(folder / "observed"))
        if e.what == what and case in e.cases
    )
    return entry


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_contract_beside_observation(cli: Cli, observed: Path) -> None:
    before = _hashes(observed)
    done = cli("tolerances", "--tolerances", observed)
    assert done.code == 0, done.err
    assert _hashes(observed) == before, "nothing is written"
    assert "reference.json: 3 cases of reference" in done.out
    assert "unsupported" in done.out
    well = _entry(observed, "regular.well")
    assert well.state == "ok"
    assert well.seen is not None
    assert well.seen.point is not None
    assert 1.0 < well.seen.value <= well.limit
    assert well.seen.case in ("op-alone-fp16-reference", CASE)
    assert well.seen.inputs == 65536


def test_a_limit_of_more_than_twice_what_was_observed_is_slack(observed: Path) -> None:
    path = observed / "fp16.toml"
    assert WELL in path.read_text()
    path.write_text(path.read_text().replace(WELL, WELL.replace("2.0", "20.0")))
    entry = _entry(observed, "regular.well")
    assert entry.state == "slack"
    assert entry.seen is not None
    assert entry.propose is not None
    assert entry.seen.value <= entry.propose <= entry.seen.value * 1.1
    assert entry.ratio is not None
    assert entry.ratio > 2


def test_a_limit_below_what_was_observed_is_exceeded(cli: Cli, observed: Path) -> None:
    path = observed / "fp16.toml"
    path.write_text(path.read_text().replace(WELL, WELL.replace("2.0", "1.25")))
    entry = _entry(observed, "regular.well")
    assert entry.state == "exceeded"
    assert entry.propose is None, "never loosened"
    done = cli("tolerances", "--tolerances", observed)
    assert done.code == 1
    assert "exceeded" in done.out


def test_what_a_deviation_accepts_is_not_held_against_a_limit(observed: Path) -> None:
    case = "exp_log-alone-fp16-reference"
    tail = _entry(observed, "regular.negative tail", case)
    assert tail.state == "unsupported"
    assert tail.within
    assert _entry(observed, "regular.well", case).state == "ok"
    path = observed / "fp16.toml"
    text = path.read_text()
    assert 'x = [-20.328125, -4.0]\nkind = "ulp"\nlargest_error = 2048.0' in text
    path.write_text(text.replace("largest_error = 2048.0", "largest_error = 1000.0"))
    assert _entry(observed, "regular.negative tail", case).state == "exceeded"


def test_the_bounds_of_deviations_are_held_to_what_was_observed(observed: Path) -> None:
    case = "exp_log-alone-fp16-reference"
    entries = {
        e.what.partition(" largest")[2]: e
        for e in headroom(contract(observed), read_folder(observed / "observed"))
        if case in e.cases and "deviation" in e.what and e.limit > 100
    }
    assert entries["_error"].state == "ok"
    assert entries["_error"].seen is not None
    assert 1000 < entries["_error"].seen.value <= 2048
    assert entries["_count"].state == "ok", "conv, which is not observed, may need the rest"
    path = observed / "fp16.toml"
    text = path.read_text()
    path.write_text(text.replace("largest_count = 4_200", "largest_count = 42"))
    assert any(
        e.state == "exceeded" and e.limit == 42
        for e in headroom(contract(observed), read_folder(observed / "observed"))
    )


def test_a_limit_that_nothing_supports(tolerances: Path) -> None:
    entries = [e for e in headroom(contract(tolerances), {}) if e.seen is None]
    assert {entry.state for entry in entries} == {"unsupported", "not observed"}
    assert {e.basis for e in entries if e.state == "unsupported"} == {"measured"}
    assert {e.basis for e in entries if e.state == "not observed"} == {"derived"}


PLUGIN_CHAIN = '"well" = 4.0, "origin" = 5.0, "bulk" = 9.25'  # of fp16


def test_the_contract_of_a_plugin_has_no_slack_and_no_contradiction() -> None:
    entries = [
        entry
        for entry in headroom(contract(), read_folder(DEFAULT_FOLDER / "observed"))
        if any(case.startswith("plugin-") for case in entry.cases)
    ]
    assert len(entries) > 60
    assert [(e.source, e.what) for e in entries if e.state in ("slack", "exceeded")] == []
    # Every limit of the contexts that do arithmetic on what the plugin returns is supported, most
    # of them by the worst plugin that may be.
    covered = [e for e in entries if e.seen is not None and "deviation" not in e.what]
    for context in ("chain", "residual"):
        seen = [e.seen.case for e in covered if e.seen and context in e.cases[0]]
        assert len(seen) == 24
        assert seen.count(WORST_ALLOWED) >= 18


@pytest.mark.parametrize(("bulk", "state"), [("9.25", "ok"), ("9.0", "exceeded"), ("19", "slack")])
def test_a_chain_of_plugins_is_owed_what_each_may_do_alone(
    tolerances: Path, bulk: str, state: str
) -> None:
    path = tolerances / "fp16.toml"
    assert path.read_text().count(PLUGIN_CHAIN) == 1
    path.write_text(path.read_text().replace(PLUGIN_CHAIN, PLUGIN_CHAIN.replace("9.25", bulk)))
    assert _entry(tolerances, "regular.bulk", "plugin-chain-fp16-tensorrt").state == state


def test_half_a_ulp_is_no_slack_of_one() -> None:
    """A result rounded to nearest comes as near to 0.5 as there are inputs, and no nearer."""
    folder = DEFAULT_FOLDER / "observed"
    observed = load(folder / "reference-onnx-1.23.2.json")
    case = observed.cases["rational-alone-fp32-reference"]
    bands = [
        band.model_copy(
            update={
                "worst": band.worst.model_copy(update={"error_ulp": worst}),
                "outside": band.worst.model_copy(update={"error_ulp": worst}),
            }
        )
        for band in case.bands
        if band.band == "well"
        for worst in [0.49999999]
    ]
    case = case.model_copy(update={"bands": tuple(bands), "accepted": ()})
    gpu = observed.model_copy(
        update={"engine": "tensorrt", "cases": {"plugin-alone-fp32-tensorrt": case}}
    )
    (entry,) = (
        e
        for e in headroom(contract(), {"gpu.json": gpu})
        if e.what == "regular.well" and "plugin-alone-fp32-tensorrt" in e.cases
    )
    assert entry.limit == 1.0
    assert entry.state == "ok"


def test_a_damaged_observation_is_refused(cli: Cli, tolerances: Path) -> None:
    (tolerances / "observed").mkdir()
    (tolerances / "observed/broken.json").write_text("{")
    done = cli("tolerances", "--tolerances", tolerances)
    assert done.code == 2
    assert "broken.json: not an observation" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "name", sorted(read_folder(DEFAULT_FOLDER / "observed")), ids=lambda name: str(name)
)
def test_the_projects_observations_are_sound(name: str) -> None:
    observation: Observation = load(DEFAULT_FOLDER / "observed" / name)
    assert observation.cases
    for case in observation.cases.values():
        outputs = {band.output for band in case.bands}
        for output in outputs:
            bands = [band for band in case.bands if band.output == output]
            assert sum(band.samples for band in bands) == case.inputs
        for band in case.bands:
            assert sum(band.histogram) == band.samples


def test_no_limit_of_the_project_is_exceeded_by_its_observations() -> None:
    entries = headroom(contract(), read_folder(DEFAULT_FOLDER / "observed"))
    assert [entry.what for entry in entries if entry.state == "exceeded"] == []
