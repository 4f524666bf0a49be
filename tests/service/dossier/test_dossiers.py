# SPDX-License-Identifier: Apache-2.0
"""Dossiers over a real fleet: every statement rests on evidence in the file, gaps are named, and nothing is of others."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.source_code import SOURCE
from tests.service.advisories.fleet import HOUR_S, AdvisoryFleet, osv
from tests.service.cases.test_drafts import BAD, FACTS, GOOD, NAME

from armillary import content
from armillary.engines.records.queries.security import dossiers as rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, WireError
from armillary.regulation.clocks import EXPLOITED
from armillary.service.cases.cases import Said
from armillary.service.cases.subjects import Subject as CaseSubject
from armillary.service.context.blobs import Blobs
from armillary.service.context.named_blobs import collect
from armillary.service.dossier import dossiers as module, field_facts
from armillary.service.dossier.building import TABLES, tables
from armillary.service.dossier.dossiers import Dossiers
from armillary.service.dossier.vex_export import export
from armillary.wire.advisory.vex_document import read_vex
from armillary.wire.dossier import dossier as files
from armillary.wire.dossier.dossier import VerifiedDossier

JUDGING = re.compile(r"(?i)complian|complies|\bconform|certified as")


@pytest.fixture
def known(fleet: AdvisoryFleet) -> AdvisoryFleet:
    """Contoso has a device with a vulnerable image, Fabrikam one of its own."""
    fleet.release_bill("pkg:pypi/flask@2.0")
    fleet.device(fleet.image(BAD))
    fleet.device(fleet.image(BAD, catalog="Fabrikam"), catalog="Fabrikam")
    fleet.feed(osv(NAME, aliases=["CVE-2026-7777"]))
    fleet.exploited("CVE-2026-7777")
    fleet.service.registry.products.declare("Contoso", "Kettle", FACTS, actor="t")
    fleet.service.registry.products.declare("Fabrikam", "Pump", {"manufacturer": "Fabrikam SE"}, actor="t")
    return fleet


def made(fleet: AdvisoryFleet, catalog: str | None = "Contoso", product: str | None = None) -> VerifiedDossier:
    dossiers: Dossiers = fleet.service.dossiers
    row = dossiers.create(catalog, product, actor="ann")
    found = files.verify(files.parse(dossiers.file(row.dossier_id)), dossiers.key)
    assert found.counts() == dict(row.states)
    return found


def facts(found: VerifiedDossier) -> dict[str, str]:
    return {name: each["state"] for name, each in found.document["facts"].items()}


def test_every_table_is_answered_and_every_statement_rests_on_evidence(known: AdvisoryFleet) -> None:
    found = made(known)
    assert [each["id"] for each in found.document["standards"]] == list(TABLES)
    statements = files.statements_of(found.document)
    assert len(statements) == sum(len(each.requirements) for each in tables())
    for each in statements:
        assert each["says"].strip()
        if each["state"] in ("present", "stale"):
            assert each["evidence"], each
    asked = {name for table in tables() for each in table.requirements for name in each.facts}
    assert asked <= set(found.document["facts"]), "facts that tables name and nobody gathers"
    assert not set(found.document["facts"]) - asked - {"member-states"}, "facts that nobody asks for"


def test_what_it_says_is_what_the_fleet_is(known: AdvisoryFleet, clock: Clock) -> None:
    before = made(known)
    assert facts(before)["exploited-in-field"] == "absent", "exploited, in the field, and nobody is aware"
    assert facts(before)["bill-of-materials"] == "present"
    assert facts(before)["support-period"] == "present"
    assert facts(before)["devices-attested"] == "present"
    assert facts(before)["log-witnesses"] == "absent"
    assert facts(before)["vulnerability-disclosure"] == "absent"
    known.service.disclosure.policies.set({"contacts": ["mailto:psirt@contoso.example"]}, actor="t")
    said = Said(kind="aware", subject=CaseSubject("advisory", NAME))
    known.service.casework.cases.aware(EXPLOITED, said, catalog="Contoso", actor="ann")
    clock.now += HOUR_S
    after = made(known)
    assert facts(after)["exploited-in-field"] == "present"
    assert facts(after)["vulnerability-disclosure"] == "present"
    assert facts(after)["incident-reporting"] == "present"
    clock.now += 30 * HOUR_S
    assert facts(made(known))["incident-reporting"] == "absent", "a report is overdue"
    clock.now += 400 * 24 * HOUR_S
    late = facts(made(known))
    assert late["components-assessed"] == "stale"
    assert late["vulnerabilities-in-field"] == "stale"
    assert late["vex"] == "stale"


OF_VULNERABILITIES = ("vulnerabilities-in-field", "exploited-in-field", "patch-curves", "vex", "components-assessed")


def unfed(fleet: AdvisoryFleet) -> str:
    fleet.device(fleet.image(BAD))
    return "absent"


def fed_with_others(fleet: AdvisoryFleet) -> str:
    """There are fresh feeds, but none of the packages that are in the field."""
    fleet.feed(osv("GO-1", "x", ecosystem="Go"), ecosystems=("Go",))
    fleet.exploited("CVE-2026-0001")
    return unfed(fleet)


def without_bill(fleet: AdvisoryFleet) -> str:
    fleet.feed(osv(NAME))
    fleet.exploited("CVE-2026-0001")
    fleet.device(fleet.image())
    return "absent"


def unattested(fleet: AdvisoryFleet) -> str:
    good = well_known(fleet)
    fleet.runs(fleet.device(good), good, verdict="update-only")
    return "absent"


def well_known(fleet: AdvisoryFleet) -> UUID:
    fleet.release_bill("pkg:pypi/flask@2.0")
    good = fleet.image(GOOD)
    fleet.feed(osv(NAME))
    fleet.exploited("CVE-2026-0001")
    fleet.device(good)
    return good


@pytest.mark.parametrize("how", [unfed, fed_with_others, without_bill, unattested])
def test_what_is_not_known_is_never_shown_as_good(fleet: AdvisoryFleet, how: Callable[[AdvisoryFleet], str]) -> None:
    state, found = how(fleet), facts(made(fleet))
    left = OF_VULNERABILITIES[:-1] if how is unattested else OF_VULNERABILITIES
    assert {name: found[name] for name in left} == dict.fromkeys(left, state)


def test_what_is_known_is_shown(fleet: AdvisoryFleet) -> None:
    """The control: with fresh feeds, bills and attested devices all of it is present."""
    well_known(fleet)
    found = facts(made(fleet))
    assert {name: found[name] for name in OF_VULNERABILITIES} == dict.fromkeys(OF_VULNERABILITIES, "present")


def test_a_device_that_is_repaired_is_seen_in_the_curve(known: AdvisoryFleet, clock: Clock) -> None:
    (device,) = known.affected(NAME)
    clock.now += HOUR_S
    known.runs(device, known.image(GOOD))
    found = made(known)
    curve = json.loads(found.parts["evidence/facts/patch-curves.json"])["advisories"][0]
    assert curve["patched_percent"] == 100.0
    assert json.loads(found.parts["evidence/facts/vulnerabilities-in-field.json"])["advisories"] == []


def test_bills_vex_and_log_proofs_are_in_the_file(known: AdvisoryFleet) -> None:
    said = Said(kind="aware", subject=CaseSubject("advisory", NAME))
    case_id = known.service.casework.cases.aware(EXPLOITED, said, catalog="Contoso", actor="ann").row.case_id
    found = made(known)
    bills = [json.loads(part) for name, part in found.parts.items() if name.startswith("evidence/sbom/")]
    assert {each["components"][0]["purl"] for each in bills} == {BAD, "pkg:pypi/flask@2.0"}
    for form in ("openvex", "cyclonedx", "csaf"):
        (said_of,) = {each.status for each in read_vex(found.parts[f"evidence/vex/{form}.json"])}
        assert said_of == "affected"
    assert {each.target for each in found.proofs["audit"].entries} >= {str(case_id), "Contoso/Kettle"}
    assert {each.operation for each in found.proofs["releases"].entries} >= {"image.uploaded"} or found.proofs[
        "releases"
    ].entries
    assert found.document["logs"]["audit"] == known.service.transparency.logs.key("audit").text


def test_nothing_of_another_catalog_is_in_it(known: AdvisoryFleet) -> None:
    whole, mine = made(known, None), made(known)
    theirs = known.service.registry.catalogs.get("Fabrikam").catalog_id
    devices = known.affected(NAME, "Fabrikam")
    marks = [b"Fabrikam", b"Pump", str(theirs).encode(), devices[0].encode()]
    text = b"".join(mine.parts.values())
    assert [each for each in marks if each in text] == []
    assert b"Fabrikam SE" in b"".join(whole.parts.values()), "the control: it is there to be seen"
    for each in mine.proofs.values():
        assert all("Fabrikam" not in str(entry) for entry in each.entries)
    row = known.service.dossiers.list("Contoso").items[0]
    with pytest.raises(NotFoundError):
        known.service.dossiers.get(row.dossier_id, "Fabrikam")


def test_no_word_judges(known: AdvisoryFleet) -> None:
    found = made(known, None)
    for name, part in found.parts.items():
        if not name.startswith(("evidence/sbom/", "evidence/audit", "evidence/release")):
            assert not JUDGING.search(part.decode()), name
    assert JUDGING.search("The product is compliant."), "the control"
    rooms = [SOURCE / each for each in ("regulation", "service/dossier", "service/cases", "wire/dossier")]
    assert [file for room in rooms for file in room.glob("*.py") if JUDGING.search(file.read_text())] == []
    assert all(not JUDGING.search(text) for text in content.standard_files().values())


def test_a_flipped_byte_of_a_real_dossier_is_refused(known: AdvisoryFleet) -> None:
    dossiers = known.service.dossiers
    file = bytearray(dossiers.file(dossiers.create("Contoso", actor="ann").dossier_id))
    for place in range(0, len(file), len(file) // 97):
        file[place] ^= 0x10
        with pytest.raises(WireError):
            files.verify(files.parse(bytes(file)), dossiers.key)
        file[place] ^= 0x10
    files.verify(files.parse(bytes(file)), dossiers.key)


def test_a_dossier_of_a_product_is_about_its_devices(known: AdvisoryFleet) -> None:
    known.service.registry.products.create("Contoso", "Toaster", actor="t")
    empty = made(known, "Contoso", "Toaster")
    assert empty.document["product"] == "Toaster"
    assert facts(empty)["versions-in-field"] == "absent"
    assert b"Kettle" not in b"".join(empty.parts.values())
    assert facts(made(known, "Contoso", "Kettle"))["versions-in-field"] == "present"


def test_dossiers_are_kept_listed_and_bounded(known: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    dossiers = known.service.dossiers
    first, _, third = (dossiers.create("Contoso", actor="ann") for _ in range(3))
    assert dossiers.list("Contoso").items[0] == third
    assert len(dossiers.list("Contoso").items) == 2
    with pytest.raises(NotFoundError):
        dossiers.file(first.dossier_id)
    assert not known.service.context.folder.blobs.joinpath(first.sha256.hex()[:2], first.sha256.hex()).exists()
    (line,) = known.service.audit.list(target=str(third.dossier_id)).items
    assert line.detail["sha256"] == third.sha256.hex()
    for wrong, said in ((("Nobody", None), "does not exist"), (("Contoso", "None"), "does not exist")):
        with pytest.raises(NotFoundError, match=said):
            dossiers.create(*wrong, actor="ann")
    with pytest.raises(InvalidArgumentError, match="its catalog"):
        dossiers.create(None, "Kettle", actor="ann")
    with pytest.raises(NotFoundError):
        dossiers.get(uuid4())


def test_one_of_a_catalog_is_made_at_a_time(known: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    dossiers, real = known.service.dossiers, module.build
    refused: list[str] = []

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(module, "build", real)
        with pytest.raises(ConflictError, match="is being made") as caught:
            dossiers.create("Contoso", actor="bob")
        refused.append(caught.value.message)
        assert dossiers.create("Fabrikam", actor="bob").catalog_id is not None
        return real(*arguments)

    monkeypatch.setattr(module, "build", meanwhile)
    dossiers.create("Contoso", actor="ann")
    assert len(refused) == 1
    dossiers.create("Contoso", actor="ann")


def test_a_dossier_that_is_not_recorded_leaves_no_file_and_one_that_is_is_not_collected(
    known: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, context = known.service.context.folder.blobs, known.service.context
    blobs = Blobs(folder)
    before = blobs.written_before(time.time() + 60)
    made = known.service.dossiers.create("Contoso", actor="ann")

    def refuses(*_: object) -> None:
        raise ConflictError("the disk is full", remedy="x")

    monkeypatch.setattr(rows, "add", refuses)
    with pytest.raises(ConflictError):
        known.service.dossiers.create("Contoso", actor="ann")
    assert blobs.written_before(time.time() + 60) - before == {made.sha256}
    collect(context.records, blobs, time.time() + 48 * HOUR_S)
    assert known.service.dossiers.file(made.dossier_id)


def test_bills_that_have_no_room_are_named_by_their_digest(
    known: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_facts, "MAX_BILL_BYTES", 10)
    found = made(known)
    assert not [name for name in found.parts if name.startswith("evidence/sbom/")]
    bills = json.loads(found.parts["evidence/facts/bill-of-materials.json"])["bills"]
    assert {each["part"] for each in bills} == {None}
    assert all(len(each["sha256"]) == 64 for each in bills)
    assert "too large" in found.document["facts"]["bill-of-materials"]["says"]


def test_vex_for_customers_says_what_we_know(known: AdvisoryFleet, fleet: AdvisoryFleet) -> None:
    service = known.service
    for form in ("openvex", "cyclonedx", "csaf"):
        document: dict[str, Any] = export(service.context, service.advisories, form, "Contoso")
        statements = [each for each in read_vex(json.dumps(document).encode()) if each.status == "affected"]
        (statement,) = statements
        assert statement.author == "Contoso AG"
        assert set(statement.names) == {NAME, "CVE-2026-7777"}
        assert "3.2.13" in json.dumps(document)
    with pytest.raises(InvalidArgumentError, match="openvex"):
        export(service.context, service.advisories, "pdf", "Contoso")
    with pytest.raises(NotFoundError):
        export(service.context, service.advisories, "csaf", "Contoso", "CVE-1999-0001")


def test_an_empty_service_has_gaps_and_no_vex(fleet: AdvisoryFleet) -> None:
    found = made(fleet)
    assert found.counts()["present"] < found.counts()["absent"]
    assert facts(found)["vulnerabilities-in-field"] == "absent"
    service = fleet.service
    with pytest.raises(ConflictError, match="no advisory"):
        export(service.context, service.advisories, "csaf", "Contoso")
    assert UUID(found.document["dossier_id"]) == found.dossier_id
