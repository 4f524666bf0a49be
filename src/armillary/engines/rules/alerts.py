# SPDX-License-Identifier: Apache-2.0
"""Alerts that are looked for: by state, severity, rule, device and time; how many; and acknowledged, one or many.

All of it is by indexes: of a catalog by number, of open alerts by severity. What else a filter asks is looked at row by
row, newest first, and there are at most ``rows.MAX_ALERTS``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import Transactions, writer_change
from armillary.engines.rules.rows import ALERT_COLUMNS, Alert, as_alert, read_alert
from armillary.twin.rule.rule import SEVERITIES

# State -> the rows that are in it. An alert whose conditions are no longer met stays open until it is acknowledged.
STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "open": "acknowledged_ms IS NULL",
        "active": "over_ms IS NULL",
        "cleared": "over_ms IS NOT NULL",
        "acknowledged": "acknowledged_ms IS NOT NULL",
        "all": "1",
    }
)
# Alerts that one request acknowledges: a transaction that others wait for.
MAX_ACKNOWLEDGED: Final = 10_000
# What somebody says about alerts: a sentence or two.
MAX_NOTE_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts; what is None or empty leaves out nothing."""

    catalog: str | None = None  # Of the device when it fired
    state: str = "all"  # A key of STATES
    severities: tuple[str, ...] = ()  # Of ``twin.rule.rule.SEVERITIES``
    rule_id: str | None = None
    device_ids: tuple[str, ...] | None = None  # None: of every device; empty: of none
    since_ms: int | None = None  # Fired at or after, Unix milliseconds
    until_ms: int | None = None  # Fired before
    beyond: int | None = None  # With a higher number
    up_to: int | None = None  # With this number or a lower one: not those that fired since somebody looked

    def of_state(self, state: str) -> AlertFilter:
        """The same, in another state."""
        return replace(self, state=state)

    def where(self) -> tuple[str, tuple[object, ...]]:
        """The condition in SQL, and its values."""
        wanted = {
            "catalog = ?": self.catalog,
            "rule_id = ?": self.rule_id,
            "fired_ms >= ?": self.since_ms,
            "fired_ms < ?": self.until_ms,
            "number > ?": self.beyond,
            "number <= ?": self.up_to,
            "severity IN (SELECT value FROM json_each(?))": json.dumps(self.severities) if self.severities else None,
            "device_id IN (SELECT value FROM json_each(?))": (
                None if self.device_ids is None else json.dumps(self.device_ids)
            ),
        }
        parts = [STATES[self.state], *(part for part, value in wanted.items() if value is not None)]
        return " AND ".join(parts), tuple(value for value in wanted.values() if value is not None)


class Alerts:
    """Alerts of all rules, read."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def one(self, catalog: str | None, number: int) -> Alert | None:
        """One alert (of a catalog)."""
        return self._database.read(lambda connection: read_alert(connection, catalog, number))

    def found(self, wanted: AlertFilter, limit: int, *, rising: bool = False) -> list[Alert]:
        """Alerts, newest first; with ``rising`` oldest first."""
        where, values = wanted.where()
        return self._read(f"{where} ORDER BY number {'ASC' if rising else 'DESC'} LIMIT ?", (*values, limit))

    def after(self, number: int, limit: int) -> list[Alert]:
        """Alerts of all catalogs with higher numbers, in order: for data exports."""
        return self._read("number > ? ORDER BY number LIMIT ?", (number, limit))

    def newest_number(self) -> int:
        """Number of the newest alert; 0 before the first."""
        return int(self._database.row("SELECT coalesce(max(number), 0) FROM alert")[0])

    def count(self, wanted: AlertFilter) -> int:
        """How many there are."""
        where, values = wanted.where()
        return int(self._database.row(f"SELECT count(*) FROM alert WHERE {where}", values)[0])  # noqa: S608 - constants

    def open_by_severity(self, catalog: str | None) -> dict[str, int]:
        """Open alerts (of a catalog) by severity, gravest first; severities of which none is open are left out."""
        where, values = AlertFilter(catalog=catalog, state="open").where()
        query = f"SELECT severity, count(*) FROM alert WHERE {where} GROUP BY severity"  # noqa: S608 - constants
        found = {str(severity): int(count) for severity, count in self._database.rows(query, values)}
        return {each: found[each] for each in reversed(SEVERITIES) if each in found}

    def _read(self, where: str, values: tuple[object, ...]) -> list[Alert]:
        query = f"SELECT {ALERT_COLUMNS} FROM alert WHERE {where}"  # noqa: S608 - this file's own conditions
        return [as_alert(row) for row in self._database.rows(query, values)]


@writer_change
def acknowledged(
    connection: Connection, catalog: str | None, number: int, by: str, now_ms: int, note: str
) -> Alert | None:
    """Store who acknowledged an alert first, and what they said. Returns the alert; None when there is none."""
    connection.execute(
        "UPDATE alert SET acknowledged_ms = ?, acknowledged_by = ?, note = ?"
        " WHERE catalog = coalesce(?, catalog) AND number = ? AND acknowledged_ms IS NULL",
        (now_ms, by, note, catalog, number),
    )
    return read_alert(connection, catalog, number)


@writer_change
def all_acknowledged(
    connection: Connection,
    wanted: AlertFilter,
    numbers: Sequence[int] | None,
    count: int | None,
    by: str,
    now_ms: int,
    note: str,
) -> tuple[int, bool]:
    """Store who acknowledged the open alerts of a filter, of some ``numbers`` only where they are given.

    Returns how many there were, and whether they were acknowledged: nothing is where there are other than ``count``
    (None: as many as there are), or more than MAX_ACKNOWLEDGED.
    """
    where, values = replace(wanted, state="open").where()
    if numbers is not None:
        where += " AND number IN (SELECT value FROM json_each(?))"
        values = (*values, json.dumps(numbers))
    (found,) = connection.execute(f"SELECT count(*) FROM alert WHERE {where}", values).fetchone()  # noqa: S608 - constants
    if found > MAX_ACKNOWLEDGED or count not in (None, found):
        return int(found), False
    connection.execute(
        f"UPDATE alert SET acknowledged_ms = ?, acknowledged_by = ?, note = ? WHERE {where}",  # noqa: S608 - constants
        (now_ms, by, note, *values),
    )
    return int(found), True
