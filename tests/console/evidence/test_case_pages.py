# SPDX-License-Identifier: Apache-2.0
"""Cases: their clocks as pages show them, a case from becoming aware to its end, drafts with what is missing."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.console.security_scene import ADVISORY, SecurityScene

from armillary.console.evidence import pages_case, pages_cases
from armillary.console.frame.times import time_field, typed_time
from armillary.errors import InvalidArgumentError
from armillary.regulation import case as rules

NOW = 1_900_000_000


def stage(name: str, state: str, due: int | None) -> dict[str, Any]:
    return {
        "stage": name, "state": state, "begins": "aware", "begun_at": NOW, "due_at": due, "warn_at": due,
        "submitted_at": None, "reference": "", "remaining_s": None if due is None else due - NOW,
    }  # fmt: skip


def case(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    first = stages[0]
    return {
        "case_id": "c", "kind": "exploited-vulnerability", "title": "A hole", "catalog": "Contoso", "product": None,
        "state": "open", "aware_at": NOW, "recorded_at": NOW, "recorded_by": "anna", "fix_available_at": None,
        "closed_at": None, "about": [], "stages": list(stages), "next_stage": first["stage"],
        "next_due_at": first["due_at"], "remaining_s": first["remaining_s"], "entries": [], **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (69_120, "19 h 12 min left"), (-183_600, "2 d 3 h over"), (59, "less than a minute left"), (None, "nothing"),
        (0, "less than a minute left"), (-1, "less than a minute over"), (1_209_600, "14 d left"),
    ],
)  # fmt: skip
def test_what_remains_is_said_in_two_units(seconds: int | None, says: str) -> None:
    assert pages_cases.remaining(seconds) == says


def test_every_state_of_a_stage_is_drawn_and_what_is_over_is_never_good() -> None:
    assert set(pages_cases.STANDING) == set(rules.STAGE_STATES)
    good = {word for word, each in pages_cases.STANDING.items() if each.kind == "good"}
    assert good == {rules.DONE}
    over = pages_case.case_sheet(case(stage("24h", "overdue", NOW - 3600)), [], may_add=False, now=NOW)
    assert over.title.startswith("A hole: the early warning (24 hours) is due, 1 h over, 2030-03-17")
    assert over.sections[0].rows[0][1].state.kind == "bad"
    assert over.every_s > 0, "who only looks sees the clock move"


def test_the_list_says_first_what_is_due_first() -> None:
    soon, later = case(stage("24h", "due-soon", NOW + 7200)), case(stage("72h", "running", NOW + 90_000))
    page = {"items": [later, {**soon, "title": "B"}], "next": None}
    made = pages_cases.list_sheet(page, asked="", new="", is_part=False, now=NOW)
    assert made.title == "2 reports due; first the early warning (24 hours) of B, 2 h left."
    none = pages_cases.list_sheet({"items": [], "next": None}, asked="", new="/new-case", is_part=False, now=NOW)
    assert (none.title, none.buttons[0].href) == ("No case is open.", "/new-case")


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_a_time_that_a_form_shows_is_read_as_it_was(at: int) -> None:
    assert typed_time("at", time_field(at)) == at - at % 60
    assert typed_time("at", f" {time_field(at)} UTC ") == at - at % 60


@pytest.mark.parametrize(
    "typed", ["tomorrow", "2026-13-01", "2026-02-30 10:00", "26-1-1", "2026-11-28 25:00", "\u0661"]
)
def test_what_is_no_time_is_named(typed: str) -> None:
    with pytest.raises(InvalidArgumentError, match="due: expected a time such as 2026-11-28 04:00"):
        typed_time("due", typed)
    assert typed_time("due", "  ") is None
    assert typed_time("due", "2026-11-28") == 1_795_824_000


def test_a_case_is_begun_drafted_submitted_and_closed(security_scene: SecurityScene) -> None:
    browser, cases = security_scene.browser("Contributor"), security_scene.service.casework.cases
    form = browser.get(f"/new-case?subject=advisory&reference={ADVISORY}").text
    assert re.search(rf'name="reference"[^>]*value="{ADVISORY}"', form)
    sent = {"kind": "exploited-vulnerability", "title": "In the field", "catalog": "northwind", "product": "Kettles"}
    sent |= {"subject": "advisory", "reference": ADVISORY, "text": "a mail"}
    refused = browser.post("/new-case", **sent, at="2999-01-01")
    assert (refused.status, "expected a time until now" in refused.text) == (400, True)
    assert 'value="2999-01-01"' in refused.text, "nothing that somebody typed is lost"
    began = browser.post("/new-case", **sent, at="")
    assert began.status == 303
    here = began.headers["location"].partition("?")[0]
    page = browser.get(here).text
    assert re.search(r"In the field: the early warning \(24 hours\) is due, (23 h 59 min|1 d) left", page)
    assert f'href="/advisories/{ADVISORY}"' in page

    draft = browser.get(f"{here}/draft?stage=24h").text
    assert "Source: " in draft
    assert re.search(r"Early warning \(24 hours\): \d+ gaps? in \d+ fields\.", draft)
    text = browser.get(f"{here}/draft.txt?stage=24h")
    assert text.headers["content-disposition"] == 'attachment; filename="draft-24h.txt"'
    assert text.text.startswith("Early warning (24 hours): In the field")
    kept = json.loads(browser.get(f"{here}/draft.json?stage=72h").text)
    assert kept["stage"] == "72h"
    gap = kept["gaps"][0]["field"]
    assert browser.post(f"{here}/notes", field=gap, text="We know it").status == 303
    again = json.loads(browser.get(f"{here}/draft.json?stage=72h").text)
    assert gap not in [each["field"] for each in again["gaps"]]

    assert browser.post(f"{here}/submissions", stage="24h", at="", reference="ENISA-1").status == 303
    assert "ENISA-1" in browser.get(here).text
    nothing = browser.post(f"{here}/notes", field="", text=" ")
    assert (nothing.status, "expected a text that says why" in nothing.text) == (400, True)
    absent = browser.post(f"{here}/references", subject="advisory", reference="CVE-1-1")
    assert (absent.status, "no feed has an advisory" in absent.text) == (400, True)
    early = f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(time.time() - 7200))}"
    assert browser.post(f"{here}/corrections", at=early, text="the mail was older").status == 303
    assert browser.post(f"{here}/close", text="done").status == 303
    found = cases.get(cases.list("northwind", is_open=False).items[0].row.case_id)
    assert [each.kind for each in found.entries] == ["aware", "note", "submitted", "correction", "closed"]
    assert "Close the case" not in browser.get(here).text
    assert browser.post(f"{here}/odd").status == 404


def test_a_reader_sees_clocks_and_changes_nothing(security_scene: SecurityScene) -> None:
    reader, here = security_scene.browser("Reader"), f"/cases/{security_scene.case}"
    page = reader.get(here).text
    assert 'data-every="15"' in page
    assert "Record</button>" not in page
    assert "Become aware" not in reader.get("/cases").text
    assert reader.get("/new-case").status == 403
    assert reader.post(f"{here}/close", text="x").status == 403
