"""The table of checks, and what a check may be called."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

from verify.mutants import CHECKS as VALUE_CHECKS
from verify.plumbing import table
from verify.plumbing.check import Tally

ALL = (*table.CHECKS, table.SANITIZER)


def test_names_are_words_and_no_two_checks_share_one() -> None:
    names = [check.name for check in ALL]
    assert len(set(names)) == len(names)
    assert not set(names) & set(VALUE_CHECKS)
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in names)
    claims = [check.claim for check in ALL]
    assert len(set(claims)) == len(claims)


def test_checks_travel_to_other_processes() -> None:
    for check in ALL:
        assert pickle.loads(pickle.dumps(check)) == check
        assert check.run.__module__.startswith("verify.plumbing.")
        assert check.prepare is None or check.own_process


def test_checks_are_chosen_by_name() -> None:
    assert table.chosen(()) == table.CHECKS
    assert table.chosen((), sanitize=True) == ALL
    assert [check.name for check in table.chosen(("stream", "limits", "build"))] == [
        "build",
        "stream",
    ]
    assert table.chosen(("limits",)) == ()
    assert table.chosen(("sanitizer",)) == (table.SANITIZER,)


def test_how_a_process_ends_is_asked_last() -> None:
    assert [check.name for check in table.CHECKS if check.ends] == [table.CHECKS[-1].name]


def test_the_readme_names_every_check() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Before a plugin ships")[1].split("\n## ")[0]
    missing = [check.name for check in ALL if f"`{check.name}`" not in section]
    assert not missing


def test_a_tally_tells_each_fault_once() -> None:
    tally = Tally()
    tally.expect("here", "wrong")
    tally.expect("here", "wrong")
    tally.expect("", "also wrong")
    tally.expect("there", "")
    assert tally.count == 4
    assert tally.told == ("here: wrong", "also wrong")
