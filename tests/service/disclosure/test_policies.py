# SPDX-License-Identifier: Apache-2.0
"""What is published: security.txt is fresh at every request, and says nothing that leads nowhere."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.fixtures.clocks import Clock
from tests.wire.disclosure.test_security_txt import SIGNED

from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.regulation.vulnerability_report import DAY_S
from armillary.service.disclosure.due_findings import DueFindings
from armillary.service.disclosure.policies import Policies
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.disclosure.security_txt import parse

HERE = "https://here.example:8443"
CONTACT = "mailto:security@example.com"


@pytest.fixture
def policies(host: ServiceHost) -> Policies:
    return host.service.disclosure.policies


def test_nothing_is_published_until_somebody_says_so(policies: Policies) -> None:
    assert policies.current is None
    with pytest.raises(NotFoundError):
        policies.file(HERE)


def test_the_file_says_what_was_set_and_ends_in_half_a_year(policies: Policies, clock: Clock) -> None:
    policies.set({"contacts": [CONTACT], "languages": ["en"], "policy": ["https://example.com/p"]}, actor="ann")
    found = parse(policies.file(HERE))
    assert (found.contacts, found.languages, found.policy) == ((CONTACT,), ("en",), ("https://example.com/p",))
    assert found.canonical == (f"{HERE}/.well-known/security.txt",)
    assert 179 * DAY_S <= found.expires - clock() <= 180 * DAY_S
    clock.now += 100 * DAY_S
    assert parse(policies.file(HERE)).expires == found.expires + 100 * DAY_S, "kept fresh"
    policies.set({"is_open": True, "base_url": "https://example.com"}, actor="ann")
    again = parse(policies.file(HERE))
    assert again.contacts == (CONTACT, "https://example.com/vulnerability-report")
    assert again.canonical == ("https://example.com/.well-known/security.txt",)


def test_two_who_change_it_at_once_undo_nothing_of_each_other(
    host: ServiceHost, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies.set({"contacts": [CONTACT]}, actor="t")
    records = host.service.context.records
    write = records.write
    other = threading.Thread(target=lambda: policies.set({"languages": ["de"]}, actor="ben"))

    def overtaken(change: Any) -> Any:
        monkeypatch.setattr(records, "write", write)
        other.start()
        other.join(0.2)  # it ends only where nothing keeps it from overtaking
        return write(change)

    monkeypatch.setattr(records, "write", overtaken)
    policies.set({"acknowledge_days": 3}, actor="anna")
    other.join()
    now = policies.current
    assert now is not None
    assert (now.languages, now.acknowledge_days) == (("de",), 3)


def test_it_is_kept_over_a_restart_and_in_the_audit_log(host: ServiceHost, policies: Policies) -> None:
    made = policies.set({"contacts": [CONTACT], "acknowledge_days": 3}, actor="ann")
    assert Policies(host.service.context).current == made
    (line,) = host.service.audit.list(limit=1).items
    assert (line.actor, line.operation, dict(line.detail)) == (
        "ann",
        "disclosure.set",
        {"contacts": [CONTACT], "acknowledge_days": 3},
    )
    policies.clear(actor="ann")
    assert Policies(host.service.context).current is None


WRONG: tuple[dict[str, Any], ...] = (
    {"contact": [CONTACT]},
    {"contacts": []},
    {"contacts": ["security@example.com"]},
    {"contacts": ["mailto:a@example.com\r\nBcc: b@example.com"]},
    {"contacts": [CONTACT], "languages": ["english please"]},
    {"contacts": [CONTACT], "acknowledge_days": 0},
    {"contacts": [CONTACT], "status_days": 91},
    {"contacts": [CONTACT], "base_url": "http://example.com"},
    {"contacts": [CONTACT], "base_url": "https://example.com/path"},
    {"contacts": [CONTACT], "base_url": "https://a@example.com"},
    {"signed_file": "Contact: mailto:a@example.com\n"},
    {"signed_file": "Contact: mailto:a@example.com\nExpires: 2020-01-01T00:00:00Z\n"},
)


def test_what_leads_nowhere_is_refused_and_changes_nothing(policies: Policies) -> None:
    for wrong in WRONG:
        with pytest.raises(InvalidArgumentError) as refused:
            policies.set(wrong, actor="ann")
        assert refused.value.remedy, wrong
    assert policies.current is None


def test_a_file_of_ones_own_is_served_until_it_expires(host: ServiceHost, policies: Policies, clock: Clock) -> None:
    expires = parse(SIGNED).expires
    policies.set({"contacts": [CONTACT], "signed_file": SIGNED.decode()}, actor="ann")
    assert policies.file(HERE) == SIGNED
    looks = DueFindings(host.service.context, policies)

    def said() -> list[str]:
        looks.look()
        clock.now += 60
        return [each.severity for each in host.service.watch.list(kind="clock", status="living").items]

    clock.now = expires - 31 * DAY_S
    assert said() == []
    clock.now = expires - 30 * DAY_S
    assert said() == ["medium"]
    clock.now = expires
    assert said() == ["high", "medium"]
    assert said() == ["high", "medium"]
    assert parse(policies.file(HERE)).contacts == (CONTACT,), "an unsigned one that is fresh"
