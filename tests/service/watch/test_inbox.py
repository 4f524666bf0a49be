# SPDX-License-Identifier: Apache-2.0
"""The inbox: kinds with their counts; what was seen is acknowledged together, each finding once and with its line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.service.watch.test_watch import SEEN

from armillary.engines.records.queries import findings as finding_rows
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.watch import inbox as inbox_module
from armillary.service.watch.inbox import Inbox
from armillary.sim.device.service_host import ServiceHost


def observe(host: ServiceHost, number: int, **changes: Any) -> Any:
    catalog_id = host.service.registry.catalogs.get("Contoso").catalog_id
    return host.service.watch.observe(replace(SEEN, key=(str(number),), catalog_id=catalog_id, **changes))


def lines(host: ServiceHost) -> list[str]:
    found = host.service.audit.list(limit=100).items
    return [each.target for each in found if each.operation == "finding.acknowledged"]


def test_kinds_are_counted_by_severity_of_a_catalog_or_all(host: ServiceHost) -> None:
    inbox = Inbox(host.service.context)
    assert inbox.kinds() == ()
    for number, severity in enumerate(("low", "low", "high")):
        observe(host, number, severity=severity, at=100 + number, count=2)
    host.service.watch.observe(replace(SEEN, kind="proof-replayed", at=50))  # of no catalog
    counts = [(each.kind, each.severity, each.findings, each.observations) for each in inbox.kinds()]
    assert counts == [("hub-anomaly", "high", 1, 2), ("hub-anomaly", "low", 2, 4), ("proof-replayed", "low", 1, 1)]
    (high,) = inbox.kinds(severity="high", catalog="Contoso")
    assert (high.first_seen, high.last_seen) == (102, 102)
    assert [each.kind for each in inbox.kinds(catalog="Contoso")] == ["hub-anomaly", "hub-anomaly"]
    assert inbox.kinds(status="closed") == ()
    with pytest.raises(InvalidArgumentError, match="severity: expected"):
        inbox.kinds(severity="odd")
    with pytest.raises(NotFoundError):
        inbox.kinds(catalog="Nobody")


def test_what_was_seen_is_acknowledged_and_what_came_since_is_not(host: ServiceHost) -> None:
    inbox = Inbox(host.service.context)
    first, second = observe(host, 1), observe(host, 2, severity="high")
    other = host.service.watch.observe(replace(SEEN, key=("other",)))  # of no catalog
    seen = max(each.newest for each in inbox.kinds(catalog="Contoso"))
    later = observe(host, 3)
    assert inbox.acknowledge_kind("hub-anomaly", up_to=seen, severity="high", catalog="Contoso", actor="anna") == 1
    assert inbox.acknowledge_kind("hub-anomaly", up_to=seen, catalog="Contoso", actor="anna") == 1
    assert lines(host) == [str(first.finding_id), str(second.finding_id)]
    status = {each.finding_id: each.status for each in host.service.watch.list().items}
    assert [status[each.finding_id] for each in (first, second, later, other)] == ["acknowledged"] * 2 + ["open"] * 2
    with pytest.raises(InvalidArgumentError, match="kind: expected"):
        inbox.acknowledge_kind("odd", up_to=seen, actor="anna")


def test_a_cut_between_two_commits_leaves_each_finding_open_or_acknowledged_with_its_line(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "STEP", 2)
    inbox, many = Inbox(host.service.context), [observe(host, number) for number in range(5)]
    up_to = inbox.kinds()[0].newest
    calls, whole = [0], finding_rows.set_status

    def cut(*given: Any) -> None:
        calls[0] += 1
        if calls[0] == 4:  # in the second commit, after its first finding
            raise OSError("no room")
        whole(*given)

    with monkeypatch.context() as cutting:
        cutting.setattr(finding_rows, "set_status", cut)
        with pytest.raises(OSError, match="no room"):
            inbox.acknowledge_kind("hub-anomaly", up_to=up_to, actor="anna")
    assert len(lines(host)) == 2
    assert len(host.service.watch.list(status="acknowledged").items) == 2
    assert inbox.acknowledge_kind("hub-anomaly", up_to=up_to, actor="anna") == 3
    assert sorted(lines(host)) == sorted(str(each.finding_id) for each in many)
