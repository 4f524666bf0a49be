# SPDX-License-Identifier: Apache-2.0
"""Attacks on what is told to authorities: deadlines put off, entries rewritten, dossiers forged; each with its mutation."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from tests.fixtures.clocks import Clock
from tests.fixtures.images import manifest, package
from tests.service.advisories.conftest import advisory_folder, clock, fleet
from tests.service.advisories.fleet import AdvisoryFleet, bill, osv

from armillary.errors import InconsistentLogError, SignatureError, WireError
from armillary.regulation import case as rules
from armillary.regulation.clocks import EXPLOITED
from armillary.regulation.draft import as_document
from armillary.service.cases import integrity
from armillary.service.cases.cases import Said
from armillary.service.cases.subjects import Subject
from armillary.service.dossier import proofs
from armillary.wire.dossier import archive, dossier as files
from armillary.wire.transparency import note as notes

__all__ = ["advisory_folder", "clock", "fleet"]
DAY_S = 86_400
NAME, BAD = "PYSEC-2026-1", "pkg:pypi/django@3.2.10"


def begun(fleet: AdvisoryFleet) -> UUID:
    cases = fleet.service.casework.cases
    return cases.aware(EXPLOITED, Said(kind="aware"), title="x", catalog="Contoso", actor="ann").row.case_id


# Whoever is late says that they knew later.


def put_off(fleet: AdvisoryFleet, clock: Clock) -> str:
    case_id = begun(fleet)
    clock.now += 2 * DAY_S
    said = Said(kind="correction", at=int(clock.now), text="we only read it today")
    return fleet.service.casework.cases.add(case_id, said, actor="ann").standing.stages[0].state


def test_a_later_awareness_puts_no_deadline_off(fleet: AdvisoryFleet, clock: Clock) -> None:
    assert put_off(fleet, clock) == "overdue"


def test_mutation_without_the_earliest_time(
    fleet: AdvisoryFleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "min", max, raising=False)
    assert put_off(fleet, clock) == "running"


# Whoever has the database writes another time into an entry, or takes one out.

REWRITES = (
    "UPDATE reported_case_entry SET stated_at = stated_at + 86400 WHERE kind = 'aware'",
    "UPDATE reported_case_entry SET text = 'nothing happened' WHERE kind = 'note'",
    "DELETE FROM reported_case_entry WHERE kind = 'note'",
    "UPDATE reported_case_entry SET actor = 'bob'",
)


def rewritten(fleet: AdvisoryFleet, how: str) -> UUID:
    case_id = begun(fleet)
    fleet.service.casework.cases.add(case_id, Said(kind="note", text="it burns"), actor="ann")
    fleet.service.context.records.write(lambda c: c.execute(text(how)))
    return case_id


@pytest.mark.parametrize("how", REWRITES)
def test_an_entry_that_was_rewritten_is_found_out(fleet: AdvisoryFleet, how: str) -> None:
    case_id = rewritten(fleet, how)
    for look in (
        lambda: fleet.service.casework.cases.get(case_id),
        lambda: fleet.service.casework.drafts.make(case_id, "24h"),
        lambda: fleet.service.dossiers.create("Contoso", actor="ann"),
    ):
        with pytest.raises(InconsistentLogError, match="behind the service's back"):
            look()


def test_mutation_without_the_comparison_with_the_audit_log(
    fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "check", lambda *_: None)
    case_id = rewritten(fleet, REWRITES[0])
    assert fleet.service.casework.cases.get(case_id).standing.aware_at == int(fleet.clock()) + DAY_S


# Whoever has no dossier key writes a better dossier, and signs it with a key of their own.


def forged(fleet: AdvisoryFleet) -> bytes:
    dossiers = fleet.service.dossiers
    parts = archive.parse(dossiers.file(dossiers.create("Contoso", actor="ann").dossier_id))
    document = json.loads(parts["dossier.json"])
    for each in files.statements_of(document):
        each.update(state="out-of-scope", says="Nothing to see.")
    parts["dossier.json"] = files.text_of(document)
    rest = {name: part for name, part in parts.items() if name not in (files.MANIFEST, files.INDEX)}
    key, name = Ed25519PrivateKey.from_private_bytes(b"e" * 32), dossiers.key.name
    dossier_id, at = UUID(document["dossier_id"]), document["made_at"]
    return files.seal(dossier_id, at, rest, lambda said: notes.sign(said, name, key))


def test_a_forged_dossier_is_refused(fleet: AdvisoryFleet) -> None:
    with pytest.raises(SignatureError):
        files.verify(files.parse(forged(fleet)), fleet.service.dossiers.key)


def test_mutation_without_the_signature_of_a_dossier(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "verify", lambda note, keys: notes.SignedText(note.text, tuple(keys), (None,)))
    found = files.verify(files.parse(forged(fleet)), fleet.service.dossiers.key)
    assert found.counts()["absent"] == 0


# Whoever carries a dossier exchanges one piece of evidence.


def exchanged(fleet: AdvisoryFleet) -> bytes:
    dossiers = fleet.service.dossiers
    parts: dict[str, Any] = archive.parse(dossiers.file(dossiers.create("Contoso", actor="ann").dossier_id))
    parts["evidence/facts/monitoring.json"] = b"{}\n"
    return archive.encode(parts)


def test_exchanged_evidence_is_refused(fleet: AdvisoryFleet) -> None:
    with pytest.raises(WireError, match="the parts that were signed"):
        files.verify(files.parse(exchanged(fleet)), fleet.service.dossiers.key)


def test_mutation_without_the_digests_of_parts(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = files.parse(exchanged(fleet))
    monkeypatch.setattr(files, "index_of", lambda _: changed.parts[files.INDEX])
    with pytest.raises(WireError, match="a part of another digest"):
        files.verify(changed, fleet.service.dossiers.key)  # the digest beside each statement is a second check


# A draft about one catalog's devices must not count another's, whatever its case refers to.


def counted(fleet: AdvisoryFleet) -> str:
    for catalog in ("Contoso", "Fabrikam"):
        fleet.device(fleet.image(BAD, catalog=catalog), catalog=catalog)
    fleet.feed(osv(NAME))
    said = Said(kind="aware", subject=Subject("advisory", NAME))
    case_id = fleet.service.casework.cases.aware(EXPLOITED, said, catalog="Contoso", actor="ann").row.case_id
    return str(as_document(fleet.service.casework.drafts.make(case_id, "72h", "Contoso")))


def test_a_draft_counts_devices_of_its_catalog(fleet: AdvisoryFleet) -> None:
    assert "1 device affected" in counted(fleet)


def test_mutation_without_the_catalog_of_a_draft(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = type(fleet.service.advisories.answers)
    show = answers.show
    monkeypatch.setattr(answers, "show", lambda self, name, _catalog=None, **how: show(self, name, None, **how))
    assert "2 devices affected" in counted(fleet)


# Two catalogs have an image of one id: what is in the logs about the other's must be in nobody's dossier but theirs.


def of_one_image(fleet: AdvisoryFleet) -> bytes:
    service, image_id = fleet.service, uuid4()
    packed = package(manifest("tap", fleet.component), image_id=image_id)
    for catalog in ("Contoso", "Fabrikam"):
        service.updates.images.upload(catalog, packed, actor="anna")
        service.updates.bills.put_of_image(catalog, image_id, bill(BAD), actor="anna")
    fleet.device(image_id)
    row = service.dossiers.create("Contoso", actor="ann")
    parts = archive.parse(service.dossiers.file(row.dossier_id))
    return parts[files.PROOFS["audit"]] + parts[files.PROOFS["releases"]]


def test_log_entries_about_anothers_image_of_the_same_id_are_not_shown(fleet: AdvisoryFleet) -> None:
    shown = of_one_image(fleet)
    other = str(fleet.service.registry.catalogs.get("Fabrikam").catalog_id)
    assert b"Contoso" in shown
    assert b"Fabrikam" not in shown
    assert other.encode() not in shown


def test_mutation_without_the_owner_of_log_entries(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs._Own, "has", lambda *_: True)
    assert b"Fabrikam" in of_one_image(fleet)
