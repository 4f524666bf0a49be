# SPDX-License-Identifier: Apache-2.0
"""Operations on firings of rules: list and acknowledge alerts, replay dead letters."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.store import DocumentStore
from armillary.engines.rules import rows
from armillary.engines.rules.rows import Alert, RuleDelivery
from armillary.engines.rules.store import RuleStore
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.identity.operator import Operator
from armillary.platform.rules.actions import RuleActions
from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.rule.words import summary
from armillary.twin.template.value_names import Naming

# A cursor of alerts and of what their rules could not deliver, newest first.
CURSOR_PATTERN = "^[0-9]{1,16}$"
# Fields of a delivery that are not shown: where it goes to is in the rule.
_INTERNAL = ("options", "owner", "rule_id")


@dataclass(eq=False)
class AlertOperations:
    """Operations on alerts and deliveries. Methods block for the disk: call them from threads."""

    _store: OnDemand[RuleStore]
    _documents: DocumentStore
    _naming: DeviceNaming
    _actions: RuleActions
    _clock: Callable[[], float]  # Unix time, seconds

    def listed(
        self,
        catalog: str | None,
        *,
        rule_id: str | None,
        device_id: str | None,
        is_open: bool | None,
        before: int | None,
        limit: int,
    ) -> dict[str, Any]:
        """Alerts, newest first, each with ``summary`` and ``rule_is_deleted``; None leaves a filter out.

        ``is_open``: only alerts that nobody has acknowledged, or only acknowledged ones. ``before``: with lower
        numbers.
        """
        found = self._store.get().alerts(
            catalog, rule_id=rule_id, device_id=device_id, is_open=is_open, before=before, limit=limit + 1
        )
        named = {each: self._naming.of_devices((each,)) for each in {alert.device_id for alert in found}}
        kept = {each: self._is_kept(each) for each in {alert.rule_id for alert in found}}
        return _page([_alert(each, named[each.device_id], is_kept=kept[each.rule_id]) for each in found], limit)

    def show(self, number: int, catalog: str | None) -> dict[str, Any]:
        """An alert, its evaluation in words, and what was done about it.

        Raises:
            NotFoundError: there is none of this number in the catalog.
        """
        store = self._store.get()
        alert = _found(store.alert(catalog, number), number)
        return {**self._shown(alert), "deliveries": [_delivery(each) for each in store.deliveries.of(alert)]}

    def acknowledge(self, actor: Operator, number: int, catalog: str | None) -> dict[str, Any]:
        """Note that somebody has taken notice of a firing. Raises as :meth:`show`."""
        store = self._store.get()
        device_id = _found(store.alert(catalog, number), number).device_id
        change = rows.acknowledged(catalog, number, actor.name, self._now_ms())
        entry = AuditEntry(actor.name, "alert.acknowledge", device_id, lambda made: made and {"alert": number})
        return self._shown(_found(store.outbox.commit(change, entry), number))

    def dead_letters(self, catalog: str | None, before: int | None, limit: int) -> dict[str, Any]:
        """Deliveries that were given up, newest first, each with why."""
        found = self._store.get().deliveries.dead(catalog, before=before, limit=limit + 1)
        return _page([_delivery(each) for each in found], limit)

    def replay(self, actor: Operator, numbers: Sequence[int], catalog: str | None) -> int:
        """Try dead letters again; how many there were of these numbers."""
        entry = AuditEntry(actor.name, "rule-action.replay", catalog or "", lambda count: {"replayed": count})
        count: int = self._store.get().outbox.commit(rows.replayed(catalog, numbers, self._now_ms()), entry)
        self._actions.wake_soon()
        return count

    def _shown(self, alert: Alert) -> dict[str, Any]:
        return _alert(alert, self._naming.of_devices((alert.device_id,)), is_kept=self._is_kept(alert.rule_id))

    def _is_kept(self, rule_id: str) -> bool:
        return self._documents.find("rule", rule_id) is not None

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def number_before(cursor: str | None) -> int | None:
    """The number that a page of alerts or deliveries ends before; raises InvalidArgumentError for no such cursor."""
    if cursor is None:
        return None
    if re.fullmatch(CURSOR_PATTERN, cursor) is None:
        raise InvalidArgumentError("after: expected `next` of the page before", remedy="Pass it as it came.")
    return int(cursor)


def _alert(alert: Alert, naming: Naming, *, is_kept: bool) -> dict[str, Any]:
    """An alert with its summary, which says also how often the rule fired again that is only counted."""
    said = summary(alert.trace, naming) + (f" (fired {alert.more} times more)" if alert.more else "")
    return {**dataclasses.asdict(alert), "summary": said, "rule_is_deleted": not is_kept}


def _delivery(each: RuleDelivery) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(each).items() if name not in _INTERNAL}


def _found(alert: Alert | None, number: int) -> Alert:
    if alert is None:
        raise NotFoundError(f"there is no alert {number}", remedy="List them: armillary rule alerts.")
    return alert


def _page(items: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    return {"items": items[:limit], "next": str(items[limit - 1]["number"]) if len(items) > limit else None}
