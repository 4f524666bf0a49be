# SPDX-License-Identifier: Apache-2.0
"""Strangers that attack by what they report, and owners that would read what is not theirs; each with its control."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from armillary.engines.signer.sealed import Sealer
from armillary.errors import DataFolderError, QuotaExceededError
from armillary.service.disclosure import due_findings, intake, reports as reports_module
from armillary.service.disclosure.intake import IntakeRate
from armillary.service.disclosure.reports import VulnerabilityReports
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.device.finding import to_json
from armillary.wire.disclosure.submission import Submission, read_fields
from armillary.wire.text.given_text import unseen

MARK = "zqx-mark"
HOSTILE = {
    "title": f"{MARK}\r\nBcc: everybody@example.com\r\n\r\n<script>alert('{MARK}')</script>",
    "description": f"{MARK} \x1b]0;owned\x07 \u202e {{{{7*7}}}} ${{jndi:ldap://{MARK}}} '; DROP TABLE product; --",
    "contact": f"{MARK}@example.com\nX-Header: {MARK}",
    "product": f"=HYPERLINK('{MARK}')",
}


@pytest.fixture
def reports(host: ServiceHost) -> Iterator[VulnerabilityReports]:
    host.service.disclosure.policies.set({"is_open": True}, actor="test")
    yield host.service.disclosure.reports
    host.service.disclosure.policies.clear(actor="test")


def findings(host: ServiceHost) -> str:
    every = host.service.watch.list(limit=200).items
    return json.dumps([to_json(each) for each in every])


def test_nothing_that_a_stranger_wrote_gets_into_findings_or_the_audit_log(
    host: ServiceHost, reports: VulnerabilityReports
) -> None:
    """Findings become e-mails, webhooks and log lines: no header, link or formula of a stranger gets there."""
    reference = reports.receive(read_fields(HOSTILE), address="192.0.2.1").reference
    assert reference in findings(host)
    lines = [f"{each.target} {dict(each.detail)}" for each in host.service.audit.list(target=reference).items]
    assert MARK not in findings(host) + "".join(lines)
    said = reports.read(reference, actor="ann").submission
    assert MARK in said.title
    assert not unseen(said.title + said.contact + said.product)
    assert not unseen(said.description, lines=True), "no terminal obeys it"


def test_with_the_title_in_the_finding_it_would_get_there(
    host: ServiceHost, reports: VulnerabilityReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    whole = due_findings.received

    def telling(connection: Any, row: Any, **named: Any) -> None:
        whole(connection, replace(row, reference=HOSTILE["title"][:32]), **named)

    monkeypatch.setattr(due_findings, "received", telling)
    reports.receive(read_fields(HOSTILE), address="192.0.2.1")
    assert MARK in findings(host)


def folder_text(host: ServiceHost) -> bytes:
    """All bytes of the database's files."""
    database = Path(host.service.context.folder.database)
    return b"".join(each.read_bytes() for each in sorted(database.parent.glob(database.name + "*")))


def test_a_copy_of_the_database_reveals_nothing_of_a_report(
    host: ServiceHost, reports: VulnerabilityReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = reports.receive(Submission(title=MARK, description=MARK), address="192.0.2.1").reference
    reports.act(reference, "acknowledge", note=MARK, actor="ann")
    content = folder_text(host)
    assert reference.encode() in content
    assert MARK.encode() not in content
    # The control: without the seal it would be there.
    monkeypatch.setattr(Sealer, "seal", lambda _self, plain, _purpose: plain)
    reports.receive(Submission(title=MARK, description=MARK), address="192.0.2.1")
    assert MARK.encode() in folder_text(host)


def test_what_is_sealed_in_one_report_does_not_open_in_another(
    host: ServiceHost, reports: VulnerabilityReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can write the database, and has no key, cannot have one report pass for another."""
    first = reports.receive(Submission(title="good", description="x"), address="192.0.2.1").reference
    second = reports.receive(Submission(title="bad", description="x"), address="192.0.2.1").reference
    move = text(
        "UPDATE vulnerability_report SET sealed = (SELECT sealed FROM vulnerability_report WHERE reference = :a)"
    )
    host.service.context.records.write(lambda c: c.execute(move, {"a": second}))
    with pytest.raises(DataFolderError):
        reports.read(first, actor="ann")
    assert reports.read(second, actor="ann").submission.title == "bad"
    # The control: sealed for nothing in particular, it opens everywhere.
    seal, unseal = Sealer.seal, Sealer.open
    monkeypatch.setattr(Sealer, "seal", lambda self, plain, _purpose: seal(self, plain, ""))
    monkeypatch.setattr(Sealer, "open", lambda self, sealed, _purpose: unseal(self, sealed, ""))
    third = reports.receive(Submission(title="third", description="x"), address="192.0.2.1").reference
    host.service.context.records.write(lambda c: c.execute(move, {"a": third}))
    assert reports.read(first, actor="ann").submission.title == "third"


def flood(reports: VulnerabilityReports, *, address: str, times: int = 50) -> int:
    """How many of so many reports were taken."""
    taken = 0
    for _ in range(times):
        try:
            reports.receive(Submission(title="x", description="x"), address=address)
            taken += 1
        except QuotaExceededError:
            pass
    return taken


def test_a_flood_from_one_address_keeps_nobody_else_out(
    host: ServiceHost, reports: VulnerabilityReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flood(reports, address="192.0.2.66") == intake.BURST_OF_ADDRESS
    assert flood(reports, address="192.0.2.1", times=1) == 1
    assert reports.rate.refused == 50 - intake.BURST_OF_ADDRESS, "each is counted"
    # The control: without a limit of each address, the others are kept out.
    monkeypatch.setattr(intake, "BURST_OF_ADDRESS", 10**6)
    reports.rate = IntakeRate(host.service.context.clock)
    assert flood(reports, address="192.0.2.66") == intake.BURST
    assert flood(reports, address="192.0.2.1", times=1) == 0


def test_a_flood_from_many_addresses_is_bounded_in_memory_and_on_the_disk(
    host: ServiceHost, reports: VulnerabilityReports
) -> None:
    """At no time are more than the burst kept, and an address that was refused is not remembered."""
    taken = sum(flood(reports, address=f"2001:db8:0:{number:x}::1", times=1) for number in range(2000))
    assert taken == intake.BURST
    with closing(sqlite3.connect(host.service.context.folder.database)) as database:
        assert database.execute("SELECT count(*) FROM vulnerability_report").fetchone() == (taken,)
    assert reports.rate.refused == 2000 - taken
    assert reports.rate.remembered == taken


def test_who_guesses_references_finds_none(reports: VulnerabilityReports) -> None:
    """60 bits of chance: no two in a thousand share even their first half."""
    made = {reports_module.new_reference() for _ in range(1000)}
    assert len({each[:9] for each in made}) > 990
