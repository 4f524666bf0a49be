# SPDX-License-Identifier: Apache-2.0
"""Facts of operation: what is watched, what devices report, the logs with their witnesses, and cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.queries.security import evidence as rows
from armillary.regulation.case import DUE_SOON, OVERDUE
from armillary.regulation.statement import Fact, absent, present
from armillary.service.dossier.held import Held, Sources, Subject
from armillary.wire.device.finding import KINDS
from armillary.wire.transparency.entry import LOGS


def gather(sources: Sources, subject: Subject) -> Iterator[Held]:
    """All of them."""
    yield Held(_watched(sources, subject))
    yield Held(_reports(sources, subject))
    yield Held(_logs(sources))
    yield Held(_witnesses(sources))
    yield Held(_cases(sources, subject))


def _watched(sources: Sources, subject: Subject) -> Fact:
    found = sources.context.records.read(lambda c: finding_rows.headlines(c, subject.scope.catalog_id))
    living = Counter(each.severity for each in found)
    value = {"kinds": sorted(KINDS), "living": dict(living), "by_kind": dict(Counter(each.kind for each in found))}
    says = f"The service watches for {len(KINDS)} kinds of findings; {len(found)} are not closed."
    return present("monitoring", says, value, "findings")


def _reports(sources: Sources, subject: Subject) -> Fact:
    ids = [each.group_id for each in subject.scope.groups]
    found = sources.context.records.read(lambda c: rows.error_reports(c, ids))
    if not subject.scope.device_count:
        return absent("error-reports", "There is no device that could report anything.")
    says = f"Devices reported {sum(found.values())} events of {len(found)} types in the last 90 days."
    return present("error-reports", says, {"events": found}, "error reports")


def _logs(sources: Sources) -> Fact:
    value = []
    for log in LOGS:
        found = sources.logs.checkpoint(log)
        value.append({"log": log, "size": found.row.size, "root": found.row.root.hex(), "note": found.note})
    says = "Operations and releases are in append-only logs: " + ", ".join(
        f"{each['log']} with {each['size']} entries" for each in value
    )
    return present("audit-log", says + ".", {"logs": value}, "signed checkpoints of the logs")


def _witnesses(sources: Sources) -> Fact:
    found = {log: sorted(sources.logs.checkpoint(log).cosignatures) for log in LOGS}
    if not all(found.values()):
        todo = "armillary audit witness add, then armillary audit cosign"
        says = f"No witness has cosigned the checkpoints of now, so that the logs rest on the service alone: {todo}."
        return absent("log-witnesses", says, {"cosigned_by": found})
    return present(
        "log-witnesses", "Witnesses have cosigned the checkpoints of now.", {"cosigned_by": found}, "cosignatures"
    )


def _cases(sources: Sources, subject: Subject) -> Fact:
    cases = sources.cases.list(subject.catalog, limit=1000).items
    chosen = [each.row.case_id for each in cases if subject.scope.product_id in (None, each.row.product_id)]
    mine = [sources.cases.get(each) for each in chosen]  # one by one: held against the audit log
    value = [
        {
            "case_id": str(each.row.case_id),
            "kind": each.row.kind,
            "title": each.row.title,
            "aware_at": each.standing.aware_at,
            "closed_at": each.standing.closed_at,
            "stages": [
                {"stage": one.stage, "state": one.state, "due_at": one.due_at, "submitted_at": one.submitted_at}
                for one in each.standing.stages
            ],
        }
        for each in mine
    ]
    overdue = [each for each in mine if any(one.state == OVERDUE for one in each.standing.stages)]
    soon = [each for each in mine if any(one.state == DUE_SOON for one in each.standing.stages)]
    if overdue:
        says = f"Reports are overdue in {len(overdue)} of {len(mine)} cases: armillary case list."
        return absent("incident-reporting", says, {"cases": value}, "cases")
    says = f"{len(mine)} cases, none of them with a report that is overdue; due soon in {len(soon)}."
    return present("incident-reporting", says, {"cases": value}, "cases and the audit log")
