# SPDX-License-Identifier: Apache-2.0
"""Drafts over a real fleet: everything that is held is in them with its source, and the rest is a gap by name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.clocks import Clock
from tests.service.advisories.fleet import HOUR_S, AdvisoryFleet, osv

from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.regulation.clocks import EXPLOITED, INCIDENT
from armillary.regulation.draft import as_document
from armillary.service.cases.cases import Said
from armillary.service.cases.drafts import fields
from armillary.service.cases.subjects import Subject
from armillary.service.response.aims import ActionRequest

NAME, BAD, GOOD = "PYSEC-2026-1", "pkg:pypi/django@3.2.10", "pkg:pypi/django@3.2.13"
FACTS = {
    "manufacturer": "Contoso AG",
    "contact": "psirt@contoso.example",
    "intended_use": "Boils water.",
    "placed_on_market": 1_700_000_000,
    "support_ends": 2_000_000_000,
}


def begun(fleet: AdvisoryFleet, kind: str = EXPLOITED, **more: Any) -> UUID:
    said = Said(kind="aware", subject=Subject("advisory", NAME), text="The entry was read on Saturday.")
    given = {"catalog": "Contoso", "actor": "ann", **more}
    return fleet.service.casework.cases.aware(kind, said, **given).row.case_id


def drafted(fleet: AdvisoryFleet, case_id: UUID, stage: str = "72h") -> dict[str, Any]:
    return as_document(fleet.service.casework.drafts.make(case_id, stage, "Contoso"))


def states(draft: dict[str, Any]) -> dict[str, str]:
    return {each["field"]: each["state"] for each in draft["fields"]}


@pytest.fixture
def saturday(fleet: AdvisoryFleet) -> AdvisoryFleet:
    """Two devices with a vulnerable image, one of them in Germany; the advisory is exploited."""
    fleet.release_bill("pkg:pypi/flask@2.0")
    image = fleet.image(BAD)
    fleet.device(image)
    fleet.device(image, group="Development")
    fleet.service.registry.groups.update("Contoso", "Kettle", "Production", actor="t", country="DE")
    fleet.feed(osv(NAME, aliases=["CVE-2026-7777"], published="2026-11-20T00:00:00Z"))
    fleet.exploited("CVE-2026-7777")
    return fleet


def test_the_first_warning_has_everything_that_is_held(saturday: AdvisoryFleet) -> None:
    case_id = begun(saturday)
    before = drafted(saturday, case_id, "24h")
    assert {each["field"] for each in before["gaps"]} == {"manufacturer", "contact"}
    saturday.service.registry.products.declare("Contoso", "Kettle", FACTS, actor="t")
    draft = drafted(saturday, case_id, "24h")
    assert set(states(draft).values()) == {"present"}, draft["gaps"]
    text = draft["text"]
    for held in (
        "Contoso AG", "psirt@contoso.example", "Boils water.", NAME, "CVE-2026-7777", "Published 2026-11-20", "DE: 1 device\n",
        "1 device in groups of which nobody said", "since 2026-11-20", "The entry was read on Saturday.",
        "feed osv-pypi edition 1", "Nothing is missing.",
    ):  # fmt: skip
        assert held in text, held
    assert all(each["sources"] for each in draft["fields"])


def test_a_notice_and_a_final_report_follow_the_fleet(saturday: AdvisoryFleet, clock: Clock) -> None:
    saturday.service.registry.products.declare("Contoso", "Kettle", FACTS, actor="t")
    case_id = begun(saturday)
    notice = drafted(saturday, case_id, "72h")
    assert {each["field"] for each in notice["gaps"]} == {"measures-taken", "measures-of-users", "sensitivity"}
    assert "2 devices affected" in notice["text"]
    assert BAD in notice["text"]
    clock.now += HOUR_S
    fixed = saturday.image(GOOD)
    saturday.advisories.look()  # reads its bill of materials
    saturday.service.updates.rollouts.start("Contoso", "Kettle", "Production", [fixed], actor="ann")
    hint = drafted(saturday, case_id, "final")
    assert "Images that are known to be repaired" in hint["text"]
    cases = saturday.service.casework.cases
    cases.add(case_id, Said(kind="fix-available"), actor="ann")
    for device in saturday.affected(NAME)[:1]:
        clock.now += HOUR_S
        saturday.runs(device, fixed)
    saturday.service.casework.note(case_id, "TLP:AMBER", field="sensitivity", actor="ann")
    notice = drafted(saturday, case_id, "72h")
    assert [each["says"].split(" in ")[0] for each in notice["gaps"]] == ["1 device"], "whose group takes none"
    groups = saturday.service.registry.groups
    groups.update("Contoso", "Kettle", "Development", actor="t", update_policy="UpdateAll")
    notice = drafted(saturday, case_id, "72h")
    assert notice["gaps"] == []
    assert "TLP:AMBER" in notice["text"]
    assert "roll-out of images for Kettle" in notice["text"]
    assert "50.0 % of those that were affected are repaired" in notice["text"]
    final = drafted(saturday, case_id, "final")
    assert states(final)["fix"] == "present"
    assert states(final)["severity"] == "present"
    assert [each["field"] for each in final["gaps"]] == ["actor"]
    assert final["due_at"] is not None


def test_actions_are_among_the_measures(saturday: AdvisoryFleet) -> None:
    case_id = begun(saturday)
    (device, _) = saturday.affected(NAME)
    wanted = ActionRequest(
        kind="quarantine", catalog="Contoso", target={"devices": [device]}, reason="it is exploited", options={}
    )
    saturday.service.response.actions.run(wanted, actor="ann")
    draft = drafted(saturday, case_id, "72h")
    assert states(draft)["measures-taken"] == "present"
    assert "quarantine, done (1 of 1 device): it is exploited" in draft["text"]


def test_a_stale_feed_is_said_in_the_draft(saturday: AdvisoryFleet, clock: Clock) -> None:
    case_id = begun(saturday)
    clock.now += 400 * 86_400
    draft = drafted(saturday, case_id, "72h")
    assert states(draft)["devices"] == "stale"
    assert "is stale" in draft["text"]
    saturday.service.casework.note(case_id, "we counted by hand: none", field="devices", actor="ann")
    assert states(drafted(saturday, case_id, "72h"))["devices"] == "stale", "a note makes no feed fresh"


def test_a_case_about_nothing_that_is_known_has_gaps_and_no_invention(fleet: AdvisoryFleet) -> None:
    cases = fleet.service.casework.cases
    empty = cases.aware(EXPLOITED, Said(kind="aware"), title="Something", catalog="Contoso", actor="ann").row.case_id
    draft = drafted(fleet, empty, "final")
    assert {each["field"] for each in draft["gaps"]} >= {
        "manufacturer", "contact", "member-states", "vulnerability", "exploitation", "versions", "devices",
        "measures-taken", "severity", "actor", "fix",
    }  # fmt: skip
    for each in draft["fields"]:
        assert each["says"].strip()
        assert each["state"] in ("present", "absent")
    incident = cases.aware(INCIDENT, Said(kind="aware"), title="A break-in", catalog="Contoso", actor="ann").row.case_id
    found = states(drafted(fleet, incident, "24h"))
    assert found["incident"] == "present"
    assert found["unlawful-act"] == "absent"
    fleet.service.casework.note(incident, "The police were told.", field="unlawful-act", actor="ann")
    assert states(drafted(fleet, incident, "24h"))["unlawful-act"] == "present"


def test_a_case_of_a_product_counts_its_devices_only(saturday: AdvisoryFleet) -> None:
    saturday.service.registry.products.create("Contoso", "Toaster", actor="t")
    case_id = begun(saturday, product="Toaster")
    draft = drafted(saturday, case_id, "72h")
    assert "Kettle" not in draft["text"]
    assert "affected" not in {name for each in draft["fields"] if each["field"] == "devices"
                              for name in each["values"]["devices"][NAME]["devices"]}  # fmt: skip


def test_another_catalogs_devices_are_in_no_draft(saturday: AdvisoryFleet) -> None:
    theirs = saturday.image(BAD, catalog="Fabrikam")
    saturday.device(theirs, catalog="Fabrikam")
    case_id = begun(saturday)
    draft = drafted(saturday, case_id, "72h")
    assert "2 devices affected" in draft["text"]
    assert "Fabrikam" not in str(draft)
    assert "Pump" not in str(draft)
    with pytest.raises(NotFoundError):
        saturday.service.casework.drafts.make(case_id, "72h", "Fabrikam")


def test_what_cannot_be_drafted_is_refused(saturday: AdvisoryFleet) -> None:
    case_id = begun(saturday)
    with pytest.raises(InvalidArgumentError, match="24h, 72h, final"):
        drafted(saturday, case_id, "48h")
    with pytest.raises(InvalidArgumentError, match="field"):
        saturday.service.casework.note(case_id, "x", field="colour", actor="ann")
    assert "sensitivity" in fields()
