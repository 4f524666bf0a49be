# SPDX-License-Identifier: Apache-2.0
"""Statements by facts, drafts with their gaps, and the tables of requirements: what is missing is named, nothing is made up."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from armillary import content
from armillary.errors import WireError
from armillary.regulation.case import NOTE, CaseEntry
from armillary.regulation.clocks import KINDS, STAGES
from armillary.regulation.draft import DraftHead, as_document, as_text, make
from armillary.regulation.standard import Requirement, Standard, read_standard
from armillary.regulation.statement import STATES, Fact, absent, out_of_scope, present, stale, state_of, statement
from armillary.service.cases.drafts import asked

HEAD = DraftHead(
    case_id="c", kind="exploited-vulnerability", stage="72h", title="t", aware_at=1000, due_at=2000, made_at=1500
)
TABLE = Standard(
    id="t",
    title="A standard",
    source="s",
    requirements=(
        Requirement(id="one", reference="1", title="First", facts=("a",)),
        Requirement(id="two", reference="2", title="Second", facts=("a", "b")),
        Requirement(id="three", reference="3", title="Third", out_of_scope="Hardware."),
        Requirement(id="late", reference="4", title="Fourth", facts=("a",), stages=("final",)),
        Requirement(id="other", reference="5", title="Fifth", facts=("a",), kinds=("severe-incident",)),
    ),
)


def note(field: str, text: str = "we wrote this") -> CaseEntry:
    return CaseEntry(number=4, kind=NOTE, recorded_at=1, stated_at=1, actor="ann", text=text, reference=field)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "out-of-scope"), (["out-of-scope"], "out-of-scope"), (["present"], "present"),
        (["present", "out-of-scope"], "present"), (["present", "stale"], "stale"),
        (["stale", "absent", "present"], "absent"),
    ],
)  # fmt: skip
def test_the_worst_fact_decides(states: list[str], expected: str) -> None:
    assert state_of(states) == expected


@given(st.lists(st.sampled_from(STATES)), st.sampled_from(["absent", "stale"]))
def test_one_more_missing_fact_makes_no_statement_better(states: list[str], missing: str) -> None:
    order = ("absent", "stale", "present", "out-of-scope")
    assert order.index(state_of([*states, missing])) <= order.index(missing)


def test_what_is_missing_is_named_and_nothing_is_made_up() -> None:
    facts = {"a": present("a", "It is blue.", 1, "audit 7")}
    made = make(HEAD, TABLE, facts, ())
    assert [(each.requirement.id, each.state) for each in made.fields] == [
        ("one", "present"), ("two", "absent"), ("three", "out-of-scope"),
    ]  # fmt: skip
    text = as_text(made)
    assert "Source: audit 7" in text
    assert "Missing: 1 of 3" in text
    assert "armillary case note --field two" in text
    document = as_document(made)
    assert [each["field"] for each in document["gaps"]] == ["two"]
    assert all(each["says"] for each in document["fields"])
    assert document["fields"][0]["values"] == {"a": 1}


def test_a_note_fills_a_gap_and_makes_nothing_fresh() -> None:
    facts = {"a": present("a", "It is blue."), "b": absent("b", "Say it.")}
    made = make(HEAD, TABLE, facts, (note("two"), note("none"), note("")))
    assert made.fields[1].state == "present"
    assert "we wrote this" in as_text(made)
    assert "Say it." not in as_text(made)
    assert "entry 4 of the case, ann" in as_text(made)
    old = {"a": present("a", "It is blue."), "b": stale("b", "It was red in May.")}
    assert make(HEAD, TABLE, old, (note("two"),)).fields[1].state == "stale"


def test_other_stages_and_kinds_ask_for_other_things() -> None:
    ids = {
        (kind, stage): [each.id for each in asked().requirements if each.asks_of(kind, stage)]
        for kind in KINDS
        for stage in STAGES
    }
    early = ids["exploited-vulnerability", "24h"]
    assert {"manufacturer", "product", "member-states", "vulnerability", "aware"} <= set(early)
    assert "fix" not in early
    assert "fix" in ids["exploited-vulnerability", "final"]
    assert "unlawful-act" in ids["severe-incident", "24h"]
    assert "root-cause" in ids["severe-incident", "final"]
    assert "root-cause" not in ids["exploited-vulnerability", "final"]


def test_shipped_tables_are_read_and_say_no_word_of_judgement() -> None:
    found = {name: read_standard(text, name) for name, text in content.standard_files().items()}
    assert found
    for name, each in found.items():
        assert f"{each.id}.yml" == name
        assert each.source.startswith("https://")
        assert not re.search(r"(?i)\bcomplian|\bcomplies\b|\bconform", content.standard_files()[name])


GOOD = """\
standard: t
title: A
source: https://x
requirements:
- {id: a, reference: "1", title: First, facts: [x]}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "a map"),
        ("standard: [\n", "YAML"),
        (GOOD.replace("standard: t", "standard: &t t"), "anchors"),
        (GOOD.replace("title: A\n", ""), "the key title"),
        (GOOD + "more: x\n", "keys of"),
        (GOOD.replace("title: A", "title: A\ntitle: B"), "each key once"),
        (GOOD.replace("facts: [x]", "facts: []"), "line 5"),
        (GOOD.replace("facts: [x]", "facts: x"), "a list of words"),
        (GOOD.replace(", facts: [x]", ""), "facts, or out_of_scope"),
        (GOOD.replace("facts: [x]", "facts: [x], out_of_scope: y"), "facts, or out_of_scope"),
        (GOOD.replace("facts: [x]", "facts: [x], stages: [48h]"), "stages of 24h, 72h, final"),
        (GOOD.replace("facts: [x]", "facts: [x], kinds: [fire]"), "kinds of"),
        (GOOD + '- {id: a, reference: "2", title: Second, facts: [x]}\n', "an id of its own"),
        (GOOD.replace("title: First", f"title: {'x' * 501}"), "1 to 500"),
        ("x" * (257 << 10), "at most"),
        (GOOD.replace("requirements:\n-", "requirements:\n  a:\n   -"), "a list of 1 to"),
    ],
)
def test_a_wrong_table_is_one_error_with_its_place(text: str, said: str) -> None:
    assert read_standard(GOOD, "t.yml").requirements[0].facts == ("x",)
    with pytest.raises(WireError, match=re.escape(said)) as caught:
        read_standard(text, "t.yml")
    assert "t.yml" in caught.value.message


def test_a_fact_that_nobody_holds_is_absent() -> None:
    found = statement(TABLE.requirements[0], {})
    assert (found.state, found.is_gap) == ("absent", True)
    assert statement(TABLE.requirements[0], {"a": out_of_scope("a", "x")}).state == "out-of-scope"
    assert isinstance(found.facts[0], Fact)


def test_facts_of_one_requirement_are_sentences_beside_each_other() -> None:
    both = {"a": present("a", "Contact: psirt@contoso.example"), "b": absent("b", "Nobody is told.")}
    requirement = replace(TABLE.requirements[0], facts=("a", "b"))
    assert statement(requirement, both).says == "Contact: psirt@contoso.example. Nobody is told."
