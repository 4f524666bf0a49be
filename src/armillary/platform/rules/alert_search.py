# SPDX-License-Identifier: Apache-2.0
"""Alerts, looked for: by filter, counted, in words, one with what was done about it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.documents.store import DocumentStore
from armillary.engines.rules.alerts import AlertFilter
from armillary.engines.rules.rows import Alert, RuleDelivery
from armillary.engines.rules.store import RuleStore
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.platform.authored.groups import Groups
from armillary.platform.rules import actions
from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.rule.words import reason, summary
from armillary.twin.template.value_names import Naming

# A cursor of alerts and of what their rules could not deliver, newest first.
CURSOR_PATTERN = "^[0-9]{1,16}$"
# Devices of a saved query whose alerts are looked for: their ids go into one statement.
MAX_DEVICES: Final = 10_000
# Fields of a delivery that are not shown: where it goes to is in the rule.
_INTERNAL = ("options", "owner", "rule_id")


@dataclass(eq=False)
class AlertSearch:
    """Looks for alerts. Methods block for the disk: call them from threads."""

    _store: OnDemand[RuleStore]
    _documents: DocumentStore
    _naming: DeviceNaming
    _groups: Groups

    def listed(
        self, wanted: AlertFilter, *, limit: int, before: int | None = None, rising: bool = False
    ) -> dict[str, Any]:
        """Alerts, newest first or with ``rising`` oldest first, each with ``summary``, ``reason``, ``rule_is_deleted``.

        ``before`` is the last number of the page before.
        """
        if not self._store.exists:
            return page_of([], limit)
        if before is not None and rising:
            wanted = dataclasses.replace(wanted, beyond=before)
        elif before is not None:
            wanted = dataclasses.replace(wanted, up_to=min(before - 1, wanted.up_to or before))
        found = self._store.get().alerts.found(wanted, limit + 1, rising=rising)
        named = {each: self._naming.of_devices((each,)) for each in {alert.device_id for alert in found}}
        kept = {each: self._is_kept(each) for each in {alert.rule_id for alert in found}}
        return page_of([_alert(each, named[each.device_id], is_kept=kept[each.rule_id]) for each in found], limit)

    def overview(self, catalog: str | None) -> dict[str, Any]:
        """Open alerts: how many (``open``), how many of each severity, and the newest of the gravest (or None)."""
        counts = self.open_by_severity(catalog)
        gravest = None
        if counts:
            wanted = AlertFilter(catalog=catalog, state="open", severities=(next(iter(counts)),))
            gravest = next(iter(self.listed(wanted, limit=1)["items"]), None)
        return {"open": sum(counts.values()), "severities": counts, "gravest": gravest}

    def open_by_severity(self, catalog: str | None) -> dict[str, int]:
        """How many alerts are open of each severity, gravest first; none of those of which there is none."""
        return self._store.get().alerts.open_by_severity(catalog) if self._store.exists else {}

    @property
    def changes(self) -> int:
        """Rises when alerts may have changed, of whatever catalog: who shows them looks again then."""
        return self._store.get().changes if self._store.exists else -1

    def state_of_alerts(self, catalog: str | None) -> dict[str, Any]:
        """What changes when alerts do: the newest's number, how many are open of each severity, how many are active."""
        if not self._store.exists:
            return {"newest": 0, "severities": {}, "active": 0}
        newest = self.listed(AlertFilter(catalog=catalog), limit=1)["items"]
        active = self.count(AlertFilter(catalog=catalog, state="active"))
        severities = self.open_by_severity(catalog)
        return {"newest": newest[0]["number"] if newest else 0, "severities": severities, "active": active}

    def count(self, wanted: AlertFilter) -> int:
        """How many alerts there are of a filter."""
        return self._store.get().alerts.count(wanted) if self._store.exists else 0

    def filter_of(
        self, catalog: str | None, *, device_id: str | None = None, group_id: str | None = None, **wanted: Any
    ) -> AlertFilter:
        """A filter with the devices of a saved query looked up; ``wanted`` are other fields of AlertFilter.

        Raises as :meth:`devices_of`.
        """
        devices = None if not group_id else self.devices_of(group_id, catalog)
        if device_id is not None:
            devices = tuple(each for each in (device_id,) if devices is None or each in devices)
        return AlertFilter(catalog=catalog, device_ids=devices, **wanted)

    def devices_of(self, group_id: str, catalog: str | None) -> tuple[str, ...]:
        """Devices of a saved query, to look for their alerts.

        Raises:
            NotFoundError: there is none of this id, or it is another catalog's.
            InvalidArgumentError: it has more than MAX_DEVICES.
        """
        found = self._groups.ids(group_id, catalog=catalog)
        if len(found) > MAX_DEVICES:
            raise InvalidArgumentError(
                f"group: expected at most {MAX_DEVICES:,} devices, got {len(found):,}",
                remedy="Filter by rule, severity or time instead.",
            )
        return found

    def show(self, number: int, catalog: str | None) -> dict[str, Any]:
        """An alert, its evaluation in words, and what was done about it.

        Raises:
            NotFoundError: there is none of this number in the catalog.
        """
        store = self._store.get()
        alert = found_alert(store.alerts.one(catalog, number), number)
        return {**self.of(alert), "deliveries": [delivery(each) for each in store.deliveries.of(alert)]}

    def of(self, alert: Alert) -> dict[str, Any]:
        """An alert as it is shown."""
        return _alert(alert, self._naming.of_devices((alert.device_id,)), is_kept=self._is_kept(alert.rule_id))

    def _is_kept(self, rule_id: str) -> bool:
        return self._documents.find("rule", rule_id) is not None


def number_before(cursor: str | None) -> int | None:
    """The number that a page of alerts or deliveries ends before; raises InvalidArgumentError for no such cursor."""
    if cursor is None:
        return None
    if re.fullmatch(CURSOR_PATTERN, cursor) is None:
        raise InvalidArgumentError("after: expected `next` of the page before", remedy="Pass it as it came.")
    return int(cursor)


def _alert(alert: Alert, naming: Naming, *, is_kept: bool) -> dict[str, Any]:
    """An alert with its summary and reason, which say also how often the rule fired again that is only counted."""
    more = f" (fired {alert.more} times more)" if alert.more else ""
    return {
        **dataclasses.asdict(alert),
        "summary": summary(alert.trace, naming) + more,
        "reason": reason(alert.trace, naming) + more,
        "rule_is_deleted": not is_kept,
    }


def found_alert(alert: Alert | None, number: int) -> Alert:
    """The alert of a number. Raises NotFoundError where there is none."""
    if alert is None:
        raise NotFoundError(f"there is no alert {number}", remedy="List them: armillary alert list.")
    return alert


def delivery(each: RuleDelivery) -> dict[str, Any]:
    """A delivery with ``to``: whom it reaches."""
    shown = {name: value for name, value in dataclasses.asdict(each).items() if name not in _INTERNAL}
    return {**shown, "to": _told(each)}


def _told(each: RuleDelivery) -> str:
    """Whom a delivery reaches: addresses, a host, a command of the device, a job; "" where its kind says it."""
    match each.kind:
        case "email":
            return ", ".join(each.options["to"])
        case "command":
            return str(each.options["method"])
        case "job":
            return str(each.options["job"])
        case "quarantine" | actions.CHOSEN:
            return ""
        case _:
            return each.target


def page_of(items: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of rows by number, newest first, of which one more than ``limit`` was read."""
    return {"items": items[:limit], "next": str(items[limit - 1]["number"]) if len(items) > limit else None}
