# SPDX-License-Identifier: Apache-2.0
"""Retention: how long points and roll-ups are kept, by patterns of device template and metric, without a cap.

The first rule whose two patterns match a series decides (``*`` is any text, ``?`` any character); if none does, the
service's settings decide. Deletion goes hour by hour in slices. Its progress is stored for each number of days, and
reset once a day, so that late points and devices with a new template are covered too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from armillary.engines.database.port import Connection
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.engines.series.values.rollups import decode_fleet, encode_fleet, fleet_sums
from armillary.errors import InvalidArgumentError, WireError

DAY_MS = 24 * 3600 * 1000

# Rules are looked through for every series; more than a page of them is a mistake.
MAX_RULES = 200
MAX_PATTERN_CHARACTERS = 256
# Beyond, a double does not count milliseconds any more; say for ever instead.
MAX_DAYS = 1_000_000

# Log rows deleted in one go when their time is over: keeps the transaction short.
BLOCKS_PER_PRUNE = 200
PRUNE_SLICE_S = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept when no rule says otherwise."""

    values_days: int = 365  # Values over time
    messages_days: int = 7  # Messages as they came
    rollups_days: int = 1825  # Minutes and hours of values; never less than ``values_days``


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """How long the series that match are kept."""

    template: str = "*"  # Pattern of the device template's id; ``*`` matches devices without a template, too
    metric: str = "*"  # Pattern of its name
    raw_days: int | None  # For points; None is for ever
    rollup_days: int | None  # For minutes and hours; None is for ever


# (days of points, days of roll-ups), None is for ever.
Term = tuple[int | None, int | None]


def check_rules(rules: Sequence[RetentionRule]) -> None:
    """Check rules.

    Raises:
        InvalidArgumentError: one is not valid; the message has its position.
    """
    if len(rules) > MAX_RULES:
        raise InvalidArgumentError(
            f"retention rules: expected at most {MAX_RULES}, got {len(rules)}", remedy="Use patterns for several names."
        )
    for position, rule in enumerate(rules, 1):
        for name, pattern in (("template", rule.template), ("metric", rule.metric)):
            if not 1 <= len(pattern) <= MAX_PATTERN_CHARACTERS:
                raise InvalidArgumentError(
                    f"retention rule {position}: {name}: expected 1 to {MAX_PATTERN_CHARACTERS} characters",
                    remedy="Use * for any.",
                )
        for name, days in (("raw_days", rule.raw_days), ("rollup_days", rule.rollup_days)):
            if days is not None and not 1 <= days <= MAX_DAYS:
                raise InvalidArgumentError(
                    f"retention rule {position}: {name}: expected 1 to {MAX_DAYS} days or none, got {days}",
                    remedy="Leave it out (null) to keep for ever.",
                )
        if rule.rollup_days is not None and (rule.raw_days is None or rule.rollup_days < rule.raw_days):
            raise InvalidArgumentError(
                f"retention rule {position}: roll-ups would be deleted before the points they are of",
                remedy="Keep roll-ups at least as long as points.",
            )


def read_rules(connection: Connection) -> tuple[RetentionRule, ...]:
    """The rules, in order."""
    rows = connection.execute("SELECT template, metric, raw_days, rollup_days FROM retention ORDER BY position")
    return tuple(RetentionRule(template=row[0], metric=row[1], raw_days=row[2], rollup_days=row[3]) for row in rows)


def write_rules(connection: Connection, rules: Sequence[RetentionRule]) -> None:
    """Replace the rules, which :func:`check_rules` has accepted; the caller commits."""
    connection.execute("DELETE FROM retention")
    connection.executemany(
        "INSERT INTO retention (position, template, metric, raw_days, rollup_days) VALUES (?, ?, ?, ?, ?)",
        [(n, rule.template, rule.metric, rule.raw_days, rule.rollup_days) for n, rule in enumerate(rules, 1)],
    )
    forget_progress(connection)


def term_of(rules: Iterable[RetentionRule], default: Retention, template: str, metric: str) -> Term:
    """How long a series is kept; ``template`` is empty for a device that has none."""
    for rule in rules:
        if fnmatchcase(metric, rule.metric) and fnmatchcase(template, rule.template):
            return rule.raw_days, rule.rollup_days
    return default.values_days, max(default.values_days, default.rollups_days)


def prune_messages(connection: Connection, before_ms: int, flushed: int) -> None:
    """Delete messages past their retention whose values are flushed; the caller commits."""
    oldest = connection.execute("SELECT seq, at_ms FROM block ORDER BY seq LIMIT ?", (BLOCKS_PER_PRUNE,)).fetchall()
    last = 0
    for seq, at_ms in oldest:
        if at_ms >= before_ms or seq > flushed:
            break
        last = seq
    if last:
        connection.execute("DELETE FROM block WHERE seq <= ?", (last,))


def forget_progress(connection: Connection) -> None:
    """Reset the progress, so that the next passes check every hour again; the caller commits."""
    connection.execute("DELETE FROM progress WHERE name LIKE 'pruned-%'")


def prune_some(connection: Connection, terms: Mapping[int, Term], now_ms: int, budget_s: float = PRUNE_SLICE_S) -> bool:
    """Delete points and roll-ups past their retention for about ``budget_s``; True when there are more.

    ``terms`` are by series number. The caller commits.
    """
    deadline = time.perf_counter() + budget_s
    for what, column in (("raw", 0), ("rollup", 1)):
        by_days: dict[int, set[int]] = {}
        for series, term in terms.items():
            days = term[column]
            if days is not None:
                by_days.setdefault(days, set()).add(series)
        for days, series_of in by_days.items():
            everything = len(series_of) == len(terms)
            if _prune(connection, what, days, None if everything else series_of, now_ms, deadline):
                return True
    return False


# Tables that go with points and with roll-ups.
_TABLES: Final = {"raw": "chunk", "rollup": "rollup"}


def _prune(connection: Connection, what: str, days: int, chosen: set[int] | None, now_ms: int, deadline: float) -> bool:
    """One kind of data and one number of days; True when the time budget ended it."""
    name, table = f"pruned-{what}-{days}", _TABLES[what]
    row = connection.execute("SELECT value FROM progress WHERE name = ?", (name,)).fetchone()
    at, before_ms = (-1 if row is None else row[0]), now_ms - days * DAY_MS - HOUR_MS
    while True:
        (hour_ms,) = connection.execute(f"SELECT min(hour_ms) FROM {table} WHERE hour_ms > ?", (at,)).fetchone()  # noqa: S608
        if hour_ms is None or hour_ms >= before_ms:
            return False
        if chosen is None:
            connection.execute(f"DELETE FROM {table} WHERE hour_ms = ?", (hour_ms,))  # noqa: S608
        else:
            found = connection.execute(f"SELECT series FROM {table} WHERE hour_ms = ?", (hour_ms,)).fetchall()  # noqa: S608
            gone = [(hour_ms, series) for (series,) in found if series in chosen]
            connection.executemany(f"DELETE FROM {table} WHERE hour_ms = ? AND series = ?", gone)  # noqa: S608
        if what == "rollup":
            _prune_fleet(connection, hour_ms, chosen)
        at = hour_ms
        connection.execute(
            "INSERT INTO progress VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2", (name, at)
        )
        if time.perf_counter() >= deadline:
            return True


def _prune_fleet(connection: Connection, hour_ms: int, chosen: set[int] | None) -> None:
    metrics = [number for (number,) in connection.execute("SELECT number FROM metric")]
    for metric in metrics:
        place = (metric, hour_ms)
        if chosen is None:
            connection.execute("DELETE FROM fleet WHERE metric = ? AND hour_ms = ?", place)
            continue
        rows = connection.execute("SELECT shard, data FROM fleet WHERE metric = ? AND hour_ms = ?", place).fetchall()
        for shard, data in rows:
            try:
                series, *columns = decode_fleet(data)
            except WireError:
                continue  # stays for a reader to stumble over: it is not known whose it is
            each = zip(series, zip(*columns, strict=True), strict=True)
            left = {number: sums for number, sums in each if number not in chosen}
            if not left:
                connection.execute("DELETE FROM fleet WHERE metric = ? AND hour_ms = ? AND shard = ?", (*place, shard))
            elif len(left) < len(series):
                connection.execute(
                    "UPDATE fleet SET count = ?, low = ?, high = ?, total = ?, data = ?"
                    " WHERE metric = ? AND hour_ms = ? AND shard = ?",
                    (*fleet_sums(left), encode_fleet(left), *place, shard),
                )
