# SPDX-License-Identifier: Apache-2.0
"""Rows of the rules' database, and the statements that write and read them in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change
from armillary.engines.rules.shares import Room
from armillary.errors import InvalidArgumentError
from armillary.twin.rule import state as rule_state
from armillary.twin.rule.state import State

_log = structlog.get_logger(__name__)

# Alerts kept, with their deliveries: three years at a hundred a day. Beyond, the oldest alerts of the catalog with the
# most are deleted: a catalog whose rules fire often loses only its own.
MAX_ALERTS: Final = 100_000
# Most alerts deleted in one transaction.
PRUNE_SLICE: Final = 500
MAX_ERROR_CHARACTERS: Final = 300

Change = Callable[[Connection], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One firing of a rule for a device."""

    number: int = 0  # Rises with each alert; 0 before it is stored
    id: str  # Made of rule, version, device and firing
    catalog: str  # The device's
    rule_id: str
    rule_name: str  # As when it fired; so is ``severity``
    severity: str
    device_id: str
    fired_ms: int  # When it fired, Unix milliseconds; ``at_ms`` is the time of the measurement
    at_ms: int
    trace: Mapping[str, Any]  # The evaluation that fired, in words (``twin.rule.trace.explain``)
    over_ms: int | None = None  # When its conditions were no longer met; None while they are
    acknowledged_ms: int | None = None  # When a person acknowledged it; None until then
    acknowledged_by: str | None = None
    more: int = 0  # Later firings for the device that were too frequent for alerts of their own
    note: str = ""  # What who acknowledged it said about it


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDelivery:
    """One action of a firing."""

    number: int = 0
    id: str  # Made of the alert's id and the action's name
    catalog: str
    action: str  # Name of the action in the rule; ``kind`` and ``options`` as they were when it fired
    kind: str
    target: str  # The receiver (a host, an address, a device), for people and to limit deliveries by receiver
    options: Mapping[str, Any]
    state: str = "waiting"  # ``waiting``, ``done`` or ``dead``
    due_ms: int  # Time of the next attempt; ``changed_ms`` is that of the last
    attempts: int = 0
    changed_ms: int = 0
    error: str = ""  # Why the last attempt failed
    owner: str = ""  # Whose share of the queue it takes (``shares.owner_of``)
    rule_id: str = ""


@dataclass(frozen=True, slots=True)
class DeviceStates:
    """States of all rules for one device, of the log up to ``seq``: ``(rule id, rule version, state)`` each."""

    device_id: str
    seq: int
    states: Sequence[tuple[str, int, State]]


@dataclass(frozen=True, slots=True)
class Fired:
    """A new alert and its deliveries."""

    alert: Alert
    deliveries: Sequence[RuleDelivery]


@dataclass(frozen=True, slots=True)
class Over:
    """A rule's conditions are no longer met for a device."""

    rule_id: str
    device_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class More:
    """Firings that are counted on an earlier alert; ``over_ms`` is None while the last one's conditions are met."""

    alert_id: str
    count: int
    over_ms: int | None


News = Fired | Over | More


ALERT_COLUMNS = (
    "number, id, catalog, rule_id, rule_name, severity, device_id, fired_ms, at_ms, trace, over_ms, acknowledged_ms,"
    " acknowledged_by, more, note"
)


def keep(devices: Iterable[DeviceStates], news: Iterable[News], evaluated: int | None) -> Change:
    """The change that stores states and their consequences; returns how many deliveries became dead letters at once.

    ``news`` are in order. Every block up to the seq ``evaluated`` is in the states; None leaves the stored number.
    """
    devices, news = tuple(devices), tuple(news)

    def apply(connection: Connection) -> int:
        connection.executemany(
            "INSERT INTO device_state (device_id, seq, states) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (device_id) DO UPDATE SET seq = ?2, states = ?3",
            [(each.device_id, each.seq, _states_text(each.states)) for each in devices],
        )
        died = 0
        room = Room(connection)
        for each in news:
            if isinstance(each, Over):
                connection.execute(
                    "UPDATE alert SET over_ms = ? WHERE rule_id = ? AND device_id = ? AND over_ms IS NULL",
                    (each.at_ms, each.rule_id, each.device_id),
                )
            elif isinstance(each, More):
                connection.execute(
                    "UPDATE alert SET more = more + ?, over_ms = ? WHERE id = ?",
                    (each.count, each.over_ms, each.alert_id),
                )
            else:
                died += _keep_firing(connection, each, room)
        if evaluated is not None:
            connection.execute("UPDATE progress SET value = ? WHERE name = 'evaluated'", (evaluated,))
        return died

    return apply


def _keep_firing(connection: Connection, fired: Fired, room: Room) -> int:
    alert = fired.alert
    row = connection.execute(
        "INSERT INTO alert (id, catalog, rule_id, rule_name, severity, device_id, fired_ms, at_ms, trace)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING number",
        (
            alert.id, alert.catalog, alert.rule_id, alert.rule_name, alert.severity, alert.device_id, alert.fired_ms,
            alert.at_ms, json.dumps(alert.trace, ensure_ascii=True),
        ),
    ).fetchone()  # fmt: skip
    if row is None:  # stored before, with its deliveries
        return 0
    died = 0
    for each in fired.deliveries:
        error = room.take(each.owner, each.rule_id)
        died += bool(error)
        state = "dead" if error else "waiting"
        connection.execute(
            "INSERT INTO delivery (id, alert, catalog, action, kind, target, options, state, due_ms, changed_ms, error,"
            " owner, rule_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                each.id, row[0], each.catalog, each.action, each.kind, each.target, json.dumps(each.options), state,
                each.due_ms, alert.fired_ms, error, each.owner, each.rule_id,
            ),
        )  # fmt: skip
    return died


@writer_change
def tried(
    connection: Connection, delivery: RuleDelivery, *, state: str, due_ms: int, now_ms: int, error: str = ""
) -> None:
    """Store the outcome of an attempt."""
    connection.execute(
        "UPDATE delivery SET state = ?, due_ms = ?, attempts = attempts + 1, changed_ms = ?, error = ?"
        " WHERE id = ? AND state = 'waiting'",
        (state, due_ms, now_ms, error[:MAX_ERROR_CHARACTERS], delivery.id),
    )


@writer_change
def replayed(connection: Connection, catalog: str | None, numbers: Sequence[int], now_ms: int) -> int:
    """Queue dead letters (of a catalog) again, as if never tried; returns how many.

    A letter stays dead when its owner's share of the queue is full.
    """
    done, room = 0, Room(connection)
    for number in dict.fromkeys(numbers):
        row = connection.execute(
            "SELECT owner, rule_id FROM delivery"
            " WHERE catalog = coalesce(?, catalog) AND number = ? AND state = 'dead'",
            (catalog, number),
        ).fetchone()
        if row is None or room.take(*row):
            continue
        done += connection.execute(
            "UPDATE delivery SET state = 'waiting', due_ms = ?, attempts = 0, changed_ms = ? WHERE number = ?",
            (now_ms, now_ms, number),
        ).rowcount
    return done


@writer_change
def secrets_changed(
    connection: Connection, rule_id: str, secrets: Mapping[str, str], keep_names: Collection[str]
) -> None:
    """Store secrets of a rule's actions, and delete those of actions that are not in ``keep_names``."""
    for (action,) in connection.execute("SELECT action FROM secret WHERE rule_id = ?", (rule_id,)).fetchall():
        if action not in keep_names:
            connection.execute("DELETE FROM secret WHERE rule_id = ? AND action = ?", (rule_id, action))
    connection.executemany(
        "INSERT INTO secret (rule_id, action, secret) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (rule_id, action) DO UPDATE SET secret = ?3",
        [(rule_id, action, secret) for action, secret in secrets.items()],
    )


def pruned(connection: Connection) -> int:
    """Delete some alerts above MAX_ALERTS with their deliveries; returns how many alerts."""
    owners = connection.execute("SELECT count(*), catalog FROM alert GROUP BY catalog ORDER BY 1 DESC").fetchall()
    count = min(sum(each for each, _ in owners) - MAX_ALERTS, PRUNE_SLICE)
    if count <= 0:
        return 0
    oldest = "SELECT number FROM alert WHERE catalog = ? ORDER BY number LIMIT ?"
    values = (owners[0][1], count)
    connection.execute(f"DELETE FROM delivery WHERE alert IN ({oldest})", values)  # noqa: S608 - a constant
    return int(connection.execute(f"DELETE FROM alert WHERE number IN ({oldest})", values).rowcount)  # noqa: S608


def begun_anew(rule_ids: Iterable[str], now_ms: int) -> Change:
    """The change that ends the alerts of rules that were changed: their states are gone."""
    values = [(now_ms, each) for each in rule_ids]
    query = "UPDATE alert SET over_ms = ? WHERE rule_id = ? AND over_ms IS NULL"
    return lambda connection: connection.executemany(query, values)


def withdrawn(rule_ids: Iterable[str], now_ms: int) -> Change:
    """The change that makes the waiting deliveries of deleted rules dead letters."""
    values = [(now_ms, each) for each in rule_ids]
    query = (
        "UPDATE delivery SET state = 'dead', changed_ms = ?, error = 'the rule was deleted before this was done'"
        " WHERE rule_id = ? AND state = 'waiting'"
    )
    return lambda connection: connection.executemany(query, values)


def forgotten(device_ids: Iterable[str]) -> Change:
    """The change that deletes the states of devices."""
    rows = [(each,) for each in device_ids]
    return lambda connection: connection.executemany("DELETE FROM device_state WHERE device_id = ?", rows)


# Reading ----------------------------------------------------------------------------------------------------


def read_states(connection: Connection) -> list[DeviceStates]:
    """Every device's states; damaged ones are left out, and their rules begin anew for the device."""
    return [
        DeviceStates(device_id, seq, list(_states(text)))
        for device_id, seq, text in connection.execute("SELECT device_id, seq, states FROM device_state")
    ]


def _states(text: str) -> Iterator[tuple[str, int, State]]:
    try:
        for rule_id, version, state in json.loads(text):
            yield str(rule_id), int(version), rule_state.from_json(state)
    except (InvalidArgumentError, ValueError, TypeError) as error:
        _log.error("hub.rule-state-damaged", why=str(error))


def read_alert(connection: Connection, catalog: str | None, number: int) -> Alert | None:
    """One alert (of a catalog)."""
    query = f"SELECT {ALERT_COLUMNS} FROM alert WHERE catalog = coalesce(?, catalog) AND number = ?"  # noqa: S608 - a constant
    row = connection.execute(query, (catalog, number)).fetchone()
    return None if row is None else as_alert(row)


def _states_text(states: Sequence[tuple[str, int, State]]) -> str:
    rows = [(rule, version, rule_state.to_json(state)) for rule, version, state in states]
    return json.dumps(rows, ensure_ascii=True, separators=(",", ":"))


def as_alert(row: Sequence[Any]) -> Alert:
    """An alert from its row of ALERT_COLUMNS."""
    names = ALERT_COLUMNS.split(", ")
    return Alert(**{**dict(zip(names, row, strict=True)), "trace": json.loads(row[9])})
