# SPDX-License-Identifier: Apache-2.0
"""Dossiers: gaps first, four words and no other, the file that verifies; and what customers read of vulnerabilities."""

from __future__ import annotations

import json
import re

from tests.console.security_scene import ALIAS, SecurityScene

from armillary.console.evidence import pages_dossiers
from armillary.regulation import statement
from armillary.wire.dossier import dossier as files

FOUND = {
    "dossier_id": "d", "catalog": "Contoso", "product": None, "made_at": 1_900_000_000, "made_by": "anna",
    "sha256": "ab" * 32, "size": 2048, "states": {"present": 1, "absent": 1}, "facts": {},
    "standards": [
        {
            "id": "x", "title": "A standard", "statements": [
                {"id": "1", "title": "It is so", "reference": "X 1", "state": "present", "says": "3 devices",
                 "evidence": [{"part": "p"}]},
                {"id": "2", "title": "It is not", "reference": "X 2", "state": "absent", "says": "nobody said",
                 "evidence": []},
            ],
        }
    ],
    "gaps": [{"standard": "x", "id": "2", "state": "absent", "says": "nobody said"}],
}  # fmt: skip


def test_a_dossier_has_its_gaps_first_and_four_words() -> None:
    assert set(pages_dossiers.STATES) == set(statement.STATES)
    made = pages_dossiers.dossier_sheet(FOUND, 1_900_000_060)
    assert made.title == "Contoso: 1 absent and 1 present statements."
    assert [each.title for each in made.sections] == ["Gaps", "A standard"]
    assert made.sections[0].rows[0][0].href == "#x"
    assert [row[1].state.word for row in made.sections[1].rows] == ["present", "absent"]
    assert made.sections[1].note == "1 absent, 1 present"


def test_a_dossier_is_made_shown_and_its_file_verifies(security_scene: SecurityScene) -> None:
    browser = security_scene.browser("Contributor")
    absent = browser.post("/dossiers", catalog="northwind", product="Toasters")
    assert (absent.status, 'value="Toasters"' in absent.text) == (400, True)
    made = browser.post("/dossiers", catalog="northwind", product="Kettles")
    assert made.status == 303
    here = made.headers["location"].partition("?")[0]
    page = browser.get(here).text
    assert "Kettles of northwind: " in page
    assert page.index(">Gaps<") < page.index("Annex VII, technical documentation")
    assert not re.search(r"\bcompliant|\bconform", page, re.IGNORECASE)
    file = browser.get(f"{here}/file.zip")
    assert file.headers["content-disposition"] == 'attachment; filename="dossier.zip"'
    verified = files.verify(files.parse(file.body), security_scene.service.dossiers.key)
    assert verified.document["standards"]
    assert security_scene.service.dossiers.key.text in browser.get("/dossiers").text
    reader = security_scene.browser("Reader")
    assert here in reader.get("/dossiers").text
    assert "Create a dossier" not in reader.get("/dossiers").text


def test_customers_read_what_is_known_of_vulnerabilities(security_scene: SecurityScene) -> None:
    reader = security_scene.browser("Reader")
    for form, mark in (
        ("openvex", "openvex.dev"),
        ("cyclonedx", "CycloneDX"),
        ("csaf", "csaf_vex"),
        ("odd", "openvex"),
    ):
        answer = reader.get(f"/vex?format={form}")
        assert "attachment; filename=" in answer.headers["content-disposition"]
        document = json.dumps(json.loads(answer.text))
        assert mark in document
        assert ALIAS in document
