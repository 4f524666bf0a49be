# SPDX-License-Identifier: Apache-2.0
"""Reports from strangers: kept sealed, read with a trace, answered in time, given to whom they concern."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fixtures.clocks import Clock

from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.queries.security import disclosure as rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, QuotaExceededError
from armillary.regulation.vulnerability_report import DAY_S
from armillary.service.disclosure import intake, reports as reports_module
from armillary.service.disclosure.due_findings import DueFindings
from armillary.service.disclosure.reports import VulnerabilityReports
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.device.finding import Finding
from armillary.wire.disclosure.submission import Submission

SECRET = "the pump obeys anybody who says please"
GIVEN = Submission(title="Pump", description=SECRET, contact="finder@example.com")


@pytest.fixture
def reports(host: ServiceHost) -> VulnerabilityReports:
    host.service.disclosure.policies.set({"is_open": True}, actor="ann")
    return host.service.disclosure.reports


def living(host: ServiceHost, kind: str) -> list[Finding]:
    return list(host.service.watch.list(kind=kind, status="living").items)


def look(host: ServiceHost) -> int:
    """As a service that was just started."""
    return DueFindings(host.service.context, host.service.disclosure.policies).look()


def test_a_report_is_kept_read_and_worked_through(
    host: ServiceHost, reports: VulnerabilityReports, clock: Clock
) -> None:
    reference = reports.receive(GIVEN, address="192.0.2.1").reference
    assert len(reference) == 17
    (listed,) = reports.list(state="open").items
    assert (listed.row.state, listed.catalog) == ("new", "")
    assert listed.due is not None
    assert (listed.due.action, listed.due.due_at) == ("acknowledge", int(clock()) + 5 * DAY_S)
    assert reports.read(reference.lower(), actor="ann").submission == GIVEN
    clock.now += DAY_S
    for action, state in (
        ("acknowledge", "acknowledged"), ("work", "in-work"), ("tell", "in-work"), ("fix", "fixed"),
    ):  # fmt: skip
        assert reports.act(reference, action, note=f"we {action}", actor="ben").row.state == state
    with pytest.raises(InvalidArgumentError, match="why"):
        reports.act(reference, "close", actor="ben")
    assert reports.act(reference, "close", note="patched in 3.2", actor="ben").due is None
    with pytest.raises(ConflictError, match="closed"):
        reports.act(reference, "acknowledge", actor="ben")
    assert reports.act(reference, "reopen", actor="ben").row.closed_at is None
    found = reports.read(reference, actor="cid")
    assert [(each.action, each.text) for each in found.notes] == [
        ("acknowledge", "we acknowledge"), ("work", "we work"), ("tell", "we tell"), ("fix", "we fix"),
        ("close", "patched in 3.2"), ("reopen", ""),
    ]  # fmt: skip
    lines = host.service.audit.list(target=reference).items
    assert [(each.actor, each.operation.partition(".")[2]) for each in reversed(lines)] == [
        ("stranger", "receive"), ("ann", "read"), ("ben", "acknowledge"), ("ben", "work"), ("ben", "tell"),
        ("ben", "fix"), ("ben", "close"), ("ben", "reopen"), ("cid", "read"),
    ]  # fmt: skip
    assert all("patched" not in str(each.detail) for each in lines), "notes are not in the log, which others read"


def test_what_is_no_report_is_not_found(reports: VulnerabilityReports) -> None:
    for reference in ("VR-AAAA-BBBB-CCCC", "", "' OR 1=1", "VR-" + "A" * 500):
        with pytest.raises(NotFoundError):
            reports.read(reference, actor="ann")
    with pytest.raises(InvalidArgumentError):
        reports.list(state="unread")


def test_where_nobody_said_so_no_report_is_taken(host: ServiceHost) -> None:
    reports, policies = host.service.disclosure.reports, host.service.disclosure.policies
    with pytest.raises(NotFoundError):
        reports.receive(GIVEN, address="192.0.2.1")
    policies.set({"is_open": True}, actor="ann")
    reference = reports.receive(GIVEN, address="192.0.2.1").reference
    policies.clear(actor="ann")
    with pytest.raises(NotFoundError):
        reports.receive(GIVEN, address="192.0.2.1")
    assert reports.read(reference, actor="ann").submission == GIVEN, "those that came stay"


def test_that_one_came_is_a_finding_until_somebody_acts(host: ServiceHost, reports: VulnerabilityReports) -> None:
    first = reports.receive(GIVEN, address="192.0.2.1").reference
    worse = Submission(title="x", description="y", exploited="yes")
    second = reports.receive(worse, address="192.0.2.1").reference
    found = {each.severity: each for each in living(host, "vulnerability-reported")}
    assert set(found) == {"high", "critical"}
    assert first in found["high"].title
    assert second in found["critical"].title
    reports.act(first, "acknowledge", actor="ann")
    assert [each.severity for each in living(host, "vulnerability-reported")] == ["critical"]


def test_who_waits_too_long_is_a_finding_once_until_there_was_a_word(
    host: ServiceHost, reports: VulnerabilityReports, clock: Clock
) -> None:
    reference = reports.receive(GIVEN, address="192.0.2.1").reference
    assert look(host) == 0
    clock.now += 4 * DAY_S
    assert [look(host), look(host)] == [1, 0]
    clock.now += DAY_S
    assert [look(host), look(host)] == [1, 0]
    assert {each.severity for each in living(host, "clock")} == {"medium", "high"}
    reports.act(reference, "acknowledge", actor="ann")
    assert living(host, "clock") == []
    clock.now += 30 * DAY_S
    assert look(host) == 1
    reports.act(reference, "tell", actor="ann")
    assert living(host, "clock") == []
    clock.now += 30 * DAY_S
    assert look(host) == 1, "the next time, too"
    reports.act(reference, "close", note="no fault", actor="ann")
    assert living(host, "clock") == []
    clock.now += 365 * DAY_S
    assert look(host) == 0


def test_the_loop_of_the_service_looks_for_who_waits(
    host: ServiceHost, reports: VulnerabilityReports, clock: Clock
) -> None:
    reports.receive(GIVEN, address="192.0.2.1")
    host.service._look_at_clocks()
    assert living(host, "clock") == []
    clock.now += 6 * DAY_S
    host.service._look_at_clocks()
    assert len(living(host, "clock")) == 1


def test_a_report_is_given_to_the_catalog_that_it_concerns(
    host: ServiceHost, reports: VulnerabilityReports, clock: Clock
) -> None:
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    reference = reports.receive(GIVEN, address="192.0.2.1").reference
    for call in (
        lambda: reports.read(reference, "Contoso", actor="x"),
        lambda: reports.act(reference, "acknowledge", catalog="Contoso", actor="x"),
    ):
        with pytest.raises(NotFoundError):
            call()
    assert reports.list("Contoso").items == ()
    with pytest.raises(NotFoundError):
        reports.assign(reference, "Contoso", "Teapot", actor="ann")
    made = reports.assign(reference, "contoso", "kettle", actor="ann")
    assert (made.catalog, made.product) == ("Contoso", "Kettle")
    assert [each.row.reference for each in reports.list("Contoso").items] == [reference]
    assert reports.read(reference, "Contoso", actor="x").submission == GIVEN
    with pytest.raises(NotFoundError):
        reports.read(reference, "Fabrikam", actor="x")
    clock.now += 10 * DAY_S
    look(host)
    assert [each.catalog_id for each in living(host, "clock")] == [made.row.catalog_id]
    host.service.registry.catalogs.delete("Fabrikam", actor="t")


def test_one_address_and_all_together_hand_in_so_many_and_no_more(reports: VulnerabilityReports, clock: Clock) -> None:
    for _ in range(intake.BURST_OF_ADDRESS):
        reports.receive(GIVEN, address="2001:db8::1")
    with pytest.raises(QuotaExceededError) as refused:
        reports.receive(GIVEN, address="2001:db8::2")  # the same household
    assert refused.value.retry_after_s == intake.SECONDS_OF_ADDRESS
    for number in range(intake.BURST - intake.BURST_OF_ADDRESS):
        reports.receive(GIVEN, address=f"192.0.2.{number}")
    with pytest.raises(QuotaExceededError):
        reports.receive(GIVEN, address="198.51.100.1")
    assert reports.rate.refused == 2
    clock.now += intake.SECONDS
    reports.receive(GIVEN, address="198.51.100.1")
    with pytest.raises(QuotaExceededError):
        reports.receive(GIVEN, address="198.51.100.2")


def test_a_clock_that_goes_back_lets_nobody_hand_in_more(reports: VulnerabilityReports, clock: Clock) -> None:
    for _ in range(intake.BURST_OF_ADDRESS):
        reports.receive(GIVEN, address="192.0.2.1")
    clock.now -= 10**6
    with pytest.raises(QuotaExceededError):
        reports.receive(GIVEN, address="192.0.2.1")


def test_a_report_with_as_many_entries_as_it_may_have_can_be_closed(
    reports: VulnerabilityReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "MAX_ENTRIES", 1)
    reference = reports.receive(GIVEN, address="192.0.2.1").reference
    reports.act(reference, "acknowledge", actor="ann")
    with pytest.raises(ConflictError, match="1 entries"):
        reports.act(reference, "tell", actor="ann")
    assert reports.act(reference, "close", note="patched", actor="ann").row.state == "closed"
    with pytest.raises(ConflictError, match="1 entries"):
        reports.act(reference, "reopen", actor="ann")


def test_no_more_are_taken_than_are_read(reports: VulnerabilityReports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_module, "MAX_NEW", 2)
    first = reports.receive(GIVEN, address="192.0.2.1").reference
    reports.receive(GIVEN, address="192.0.2.1")
    with pytest.raises(QuotaExceededError, match="wait to be acknowledged"):
        reports.receive(GIVEN, address="192.0.2.1")
    reports.act(first, "acknowledge", actor="ann")
    reports.receive(GIVEN, address="192.0.2.1")


@pytest.mark.parametrize("place", ["report", "finding", "audit"])
def test_a_report_that_is_cut_while_it_is_kept_is_not_there(
    host: ServiceHost, reports: VulnerabilityReports, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """After each of its writes: all of it is in one commit, so that a reference is given out for what is kept."""

    class CutError(Exception):
        pass

    def cut(*_: Any, **__: Any) -> None:
        raise CutError

    before = host.service.audit.list(limit=1).items
    with monkeypatch.context() as patched:
        where: dict[str, tuple[Any, str]] = {
            "report": (reports_module.due_findings, "received"),
            "finding": (audit_rows, "append"),
            "audit": (rows, "add"),
        }
        whole, name = where[place]
        done = getattr(whole, name)

        def after(*given: Any, **named: Any) -> None:
            done(*given, **named)
            cut()

        patched.setattr(whole, name, cut if place != "audit" else after)
        with pytest.raises(CutError):
            reports.receive(GIVEN, address="192.0.2.1")
    assert reports.list().items == ()
    assert living(host, "vulnerability-reported") == []
    assert host.service.audit.list(limit=1).items == before
    reports.receive(GIVEN, address="192.0.2.1")
