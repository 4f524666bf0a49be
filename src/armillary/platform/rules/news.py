# SPDX-License-Identifier: Apache-2.0
"""What evaluations have to say to the world: a firing with what is to be done about it, or that one is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from armillary.engines.rules.rows import Alert, Fired, More, News, Over
from armillary.engines.rules.shares import owner_of
from armillary.platform.rules.actions import deliveries_of
from armillary.platform.rules.plans import Running
from armillary.twin.rule.table import Entry, RuleOutcome
from armillary.twin.rule.trace import explain

# Catalog, severity -> whether a notification channel chose such alerts.
Heard = Callable[[str, str], bool]

_NEWS: Final = (RuleOutcome.FIRED, RuleOutcome.CLEARED)


def news_of(each: Running, firings: int, entries: Sequence[Entry], is_heard: Heard) -> list[News]:
    """The news in evaluations of one rule for one device, in order; ``firings`` counts all so far, these included."""
    news: list[News] = []
    for entry in entries:
        if entry.outcome in _NEWS:
            break
    else:
        return news  # as nearly always
    allowance = each.plan.allowance(each.loaded)
    firing = firings - sum(entry.outcome is RuleOutcome.FIRED for entry in entries)
    for entry in entries:
        if entry.outcome is RuleOutcome.FIRED:
            firing += 1
            news.append(
                _fired(each, entry, firing, is_heard)
                if allowance.take(entry.now_ms)
                else More(allowance.alert_id, 1, None)
            )
        elif entry.outcome is RuleOutcome.CLEARED and allowance.is_counting:
            news.append(More(allowance.alert_id, 0, entry.now_ms))
        elif entry.outcome is RuleOutcome.CLEARED:
            news.append(Over(each.loaded.id, each.plan.device_id, entry.now_ms))
    return news


def _fired(each: Running, entry: Entry, firing: int, is_heard: Heard) -> Fired:
    """A firing; its id is the same whenever the same messages are evaluated again."""
    loaded, plan = each.loaded, each.plan
    made_of = (loaded.id, str(loaded.version), plan.device_id, str(firing), str(entry.now_ms))
    alert = Alert(
        id=sha256("\0".join(made_of).encode()).hexdigest()[:32],
        catalog=plan.catalog,
        rule_id=loaded.id,
        rule_name=loaded.rule.name,
        severity=loaded.rule.severity,
        device_id=plan.device_id,
        fired_ms=entry.now_ms,
        at_ms=entry.at_ms,
        trace=explain(loaded.rule, entry),
    )
    plan.allowance(loaded).alert_id = alert.id
    owner = owner_of(loaded.catalog, plan.catalog)
    is_chosen = is_heard(alert.catalog, alert.severity)
    is_of_all = loaded.catalog is None
    return Fired(alert, deliveries_of(loaded.rule, alert, owner, is_of_all=is_of_all, is_chosen=is_chosen))
