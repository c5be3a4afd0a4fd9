"""The table of wrong plugins, and what is refused as one."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from verify import mutation
from verify.errors import InputError
from verify.mutants import CHECKS
from verify.mutation import MutantTable, Trial
from verify.plumbing.table import CHECKS as PLUMBING
from verify.plumbing.table import SANITIZER
from verify.plumbing.v3 import __all__ as v3_checks
from verify.tolerances import DEFAULT_FOLDER

ROW = '[[mutant]]\nname = "a"\nbug = "1"\nsays = "x"\nchecks = ["limits"]\n'
HEAD = "version = 1\ncontrols = []\n"
V3_ONLY = set(v3_checks)


def test_every_bug_of_the_list_has_a_mutant(table: MutantTable) -> None:
    bugs = {mutant.bug for mutant in table.mutants}
    assert bugs - {"property", "plugin"} == {str(bug) for bug in range(1, 30)}


COMMITTED = sorted((DEFAULT_FOLDER / "observed").glob("mutants-*.json"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: str(path.name))
def test_a_committed_run_is_of_this_table_and_adds_up(table: MutantTable, path: Path) -> None:
    run: Any = json.loads(path.read_text(encoding="utf-8"))
    own = {field.name for field in fields(Trial)}
    trials = []
    for row in run["trials"]:
        given: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items() if k in own}
        trials.append(Trial(**given))
    assert {trial.name for trial in trials} <= set(table.names)
    total = mutation.score(trials, table)
    assert list(total.killed) == run["score"]["killed"]
    assert list(total.survived) == run["score"]["survived"]
    assert total.rate == run["score"]["rate"]
    (engine,) = run["environment"]["engines"]
    assert run["complete"] == (len(trials) == len(table.names_in(engine["version"])))


def test_every_source_is_in_the_table(table: MutantTable) -> None:
    sources = {path.stem for path in (table.folder / "plugins").glob("*.cu")}
    assert sources == set(table.names) - {mutation.REFERENCE}
    for name in table.names:
        for path in table.sources(name):
            assert path.is_file()
    for mutant in table.mutants:
        (source,) = table.sources(mutant.name)
        text = source.read_text()
        bug = f"Bug {mutant.bug}:" if mutant.bug.isdigit() else "// "
        assert bug in text, f"{source.name} does not say which bug it is"
        assert len(text.splitlines()) < 60


def test_the_table_names_checks_that_there_are(table: MutantTable) -> None:
    known = {*CHECKS, *(check.name for check in PLUMBING), SANITIZER.name}
    for mutant in table.mutants:
        assert set(mutant.checks) <= known, mutant.name
        assert (SANITIZER.name in mutant.checks) == ("--sanitize" in mutant.options)


def test_every_plumbing_check_is_expected_to_catch_one(table: MutantTable) -> None:
    alone = {mutant.checks[0] for mutant in table.mutants if len(mutant.checks) == 1}
    expected = {check for mutant in table.mutants for check in mutant.checks}
    names = {check.name for check in PLUMBING}
    exempt: dict[str, str] = {}  # a check that no mutant can be made for, and why
    assert names - expected == set(exempt)
    # Only an IPluginV3 fails these: nothing else may be what kills their mutants.
    assert names & alone >= V3_ONLY


@pytest.mark.parametrize("release", ["8.6", "8.6.1", "10.0", "10.16.1.11", "11.1", ""])
def test_which_libraries_there_are_depends_on_the_release(release: str, table: MutantTable) -> None:
    late = {mutant.name for mutant in table.mutants if mutant.since}
    there = table.names_in(release)
    assert set(table.names) - set(there) == (late if release.startswith("8") else set())
    assert list(there) == [name for name in table.names if name in there]
    catching = {
        check for mutant in table.mutants if mutant.name in there for check in mutant.checks
    }
    assert bool(catching & V3_ONLY) == (not release.startswith("8"))


def test_a_mutant_that_another_check_could_kill_is_there_in_all_versions(
    table: MutantTable,
) -> None:
    for mutant in table.mutants:
        assert mutant.since == ("10" if set(mutant.checks) <= V3_ONLY else ""), mutant.name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version = 2\ncontrols = []\n" + ROW, "version"),
        (HEAD, "mutant"),
        (HEAD + ROW + ROW, "'a' is there twice"),
        (HEAD + ROW.replace('"a"', '"a/b"'), "mutant.0.name"),
        (HEAD + ROW.replace('"1"', '"one"'), "mutant.0.bug"),
        (HEAD + ROW.replace('["limits"]', "[]"), "mutant.0.checks"),
        (HEAD + ROW + "colour = 1\n", "mutant.0.colour"),
        (HEAD + ROW + 'since = "10.3"\n', "mutant.0.since"),
        (HEAD + ROW + 'since = "0"\n', "mutant.0.since"),
        (HEAD + ROW + 'since = ""\n', "mutant.0.since"),
        (HEAD + ROW + "since = 10\n", "mutant.0.since"),
        (HEAD + ROW + "wrong = { fp8 = [1.0, 2.0] }\n", "mutant.0.wrong.fp8"),
        (HEAD + ROW.replace('"a"', '"reference"'), "'reference' is there twice"),
        ("version = [", "mutants.toml"),
    ],
)
def test_a_damaged_table_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mutants.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"mutants\.toml: ") as refused:
        mutation.load(path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: can't be read: No such file"):
        mutation.load(tmp_path / "none.toml")
