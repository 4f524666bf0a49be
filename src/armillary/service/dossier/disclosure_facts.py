# SPDX-License-Identifier: Apache-2.0
"""Facts of disclosure: whether strangers are told where to report, and whether those who did were answered in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from armillary.engines.records.queries.security import disclosure as rows
from armillary.regulation.statement import Fact, absent, present
from armillary.regulation.vulnerability_report import OVERDUE, due
from armillary.service.disclosure.policies import Policies, Policy
from armillary.service.dossier.held import Held, Sources, Subject

NAME: Final = "vulnerability-disclosure"
MAX_REPORTS: Final = 1000  # of which times are looked at, the newest


def gather(sources: Sources, subject: Subject) -> Iterator[Held]:
    """The one of them."""
    policy = Policies(sources.context).current
    if policy is None:
        says = "Nobody is told where to report a vulnerability: armillary disclosure set publishes security.txt."
        yield Held(absent(NAME, says))
        return
    yield Held(_answered(sources, subject, policy))


def _answered(sources: Sources, subject: Subject, policy: Policy) -> Fact:
    catalog_id = subject.scope.catalog_id
    page = sources.context.records.read(lambda c: rows.page(c, catalog_id, state=None, limit=MAX_REPORTS, before=None))
    mine = [each for each in page.items if subject.scope.product_id in (None, each.product_id)]
    waits = [
        due(each.state, received_at=each.received_at, told_at=each.told_at, promise=policy.promise, now=subject.now)
        for each in mine
    ]
    overdue = sum(1 for each in waits if each is not None and each.state == OVERDUE)
    value = {
        "contacts": list(policy.contacts),
        "policy": list(policy.policy),
        "intake_is_open": policy.is_open,
        "acknowledge_days": policy.acknowledge_days,
        "status_days": policy.status_days,
        "reports": dict(Counter(each.state for each in mine)),
        "overdue": overdue,
    }
    says = (
        f"security.txt is published; receipt is promised within {policy.acknowledge_days} days, news every "
        f"{policy.status_days}. {len(mine)} reports came"
    )
    if overdue:
        return absent(
            NAME, f"{says}; in {overdue} a promised time is over: armillary vulnerability-report list.", value
        )
    return present(NAME, f"{says}; no promised time is over.", value, "policy of disclosure", "vulnerability reports")
