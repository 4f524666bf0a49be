# SPDX-License-Identifier: Apache-2.0
"""Whoever follows a page types what it says now, and notices each difference between what it shows and what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.guides import person as of_person
from tests.e2e.guides.output import Known, compared, in_order
from tests.e2e.guides.person import Person

FENCE = "```"
SAMPLE = "167d8f0a-7b8e-4be6-b968-e87da4106abf"
REAL = "e8a4b27a-0b95-4793-a220-881b15897305"


def page(folder: Path, text: str) -> str:
    path = folder / "page.md"
    path.write_text(f"# A page\n\n{text}\n")
    return str(path)


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setattr(of_person, "LIMIT_S", 0.3)
    return Person(tmp_path)


def test_a_block_that_changes_changes_what_is_run(person: Person, tmp_path: Path) -> None:
    for text in ("one", "two"):
        person.follow(page(tmp_path, f"{FENCE}console\n$ echo {text} > said\n{FENCE}"))
        assert (tmp_path / "said").read_text() == f"{text}\n"


def test_commands_of_ours_run_and_a_file_is_saved_as_the_page_says(person: Person, tmp_path: Path) -> None:
    person.follow(
        page(
            tmp_path,
            f"Save it as `some.json`:\n\n{FENCE}json\n{{}}\n{FENCE}\n\n"
            f"{FENCE}console\n$ NAME=some\n$ cat $NAME.json\n{{}}\n$ armillary --version\narmillary …\n"
            f"$ armillary catalog list\nerror: no service is known [request.invalid]\n…\n{FENCE}",
        )
    )
    assert len(person.done) == 2


@pytest.mark.parametrize(
    "text",
    [
        f"{FENCE}console\n$ echo one\ntwo\n{FENCE}",
        f"{FENCE}console\n$ false\n{FENCE}",
        f"{FENCE}console\n$ echo error: no\nerror: no\n{FENCE}",
        f"{FENCE}console\n$ armillary --version\narmillary 7\n{FENCE}",
        f"{FENCE}json\n{{}}\n{FENCE}",
        f"<!-- checked as: settings -->\n{FENCE}toml\nno_such = 1\n{FENCE}",
        f"{FENCE}console\nonly output\n{FENCE}",
    ],
)
def test_a_page_that_is_wrong_is_refused_with_its_place(person: Person, tmp_path: Path, text: str) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:\d+: "):
        person.follow(page(tmp_path, text))


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a  b"], "a b\n", True),
        (["a b"], "a c", False),
        (["a"], "a\nb", False),
        (["a", "…"], "a\nb", True),
        (["…", "b"], "a\nb", True),
        (["…", "b", "…", "d"], "a\nb\nc\nd", True),
        (["…", "d", "b"], "b\nd", False),
        (["at 2026-11-28T07:25:00Z"], "at 2027-01-01T00:00:01Z", True),
        (["at 2026-11-28"], "at 2026-11-29", False),
        (["n 3"], "n 4", False),
        (["n … of 5"], "n 4 of 5", True),
        (["5588bdc926c24fc1…"], "124cef172ec23913b606ede687", True),
        (["5588bdc926c24fc1"], "124cef172ec23913b606ede687", False),
        (["weaker sandbox: x"], "", True),
    ],
)
def test_what_is_shown_is_what_is_printed(shown: list[str], printed: str, same: bool) -> None:
    assert (compared(shown, printed, Known()) == "") is same


def test_numbers_vary_only_where_the_page_says_so() -> None:
    assert compared(["24.81 C"], "3 C", Known())
    assert not compared(["24.81 C"], "3 C", Known(), numbers_vary=True)
    assert compared(["24.81 C"], "3 F", Known(), numbers_vary=True)


def test_a_sample_stands_for_what_was_printed_in_its_place_from_then_on() -> None:
    known = Known()
    assert not compared(
        [f"id {SAMPLE}", "5588bdc926c24fc1…", "token arm_…"], f"id {REAL}\n124cef172ec2391377\ntoken arm_x", known
    )
    assert known.told(f"use {SAMPLE} 5588bdc926c2 arm_…") == f"use {REAL} 124cef172ec2 arm_x"
    assert not compared([f"id {SAMPLE}"], f"id {REAL}", known)
    assert compared([f"id {SAMPLE}"], f"id {SAMPLE.replace('1', '2')}", known)  # another one than before


def test_lines_of_a_command_that_goes_on_come_in_order() -> None:
    assert in_order(["b", "d"], ["a", "b", "c", "d", "e"], Known()) == ("", 4)
    assert in_order(["d", "b"], ["a", "b", "c", "d", "e"], Known())[0]


def test_the_first_digits_of_an_id_that_is_known_are_its_own() -> None:
    known = Known()
    assert not compared([f"id  {SAMPLE}"], f"id  {REAL}", known)
    assert known.told(f"show {SAMPLE[:8]} of {SAMPLE}") == f"show {REAL[:8]} of {REAL}"
    assert not compared([f"{SAMPLE[:8]}  held"], f"{REAL[:8]}  held", known)
    assert compared([f"{SAMPLE[:8]}  held"], "0123abcd  held", known)


def test_first_digits_that_a_table_shows_are_learned() -> None:
    known = Known()
    assert not compared([f"{SAMPLE[:8]}  open"], "12345678  open", known)
    assert known.told(f"armillary finding show -f {SAMPLE[:8]}") == "armillary finding show -f 12345678"
    assert compared([f"{SAMPLE[:8]}  open"], "87654321  open", known)
