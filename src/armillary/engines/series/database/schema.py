# SPDX-License-Identifier: Apache-2.0
"""The tables of the series store, as SQLite takes them; ``postgresql/dialect.py`` makes PostgreSQL's of them."""

from __future__ import annotations

from armillary.engines.database.outbox import TABLE as OUTBOX
from armillary.engines.hub import announcements, cloud_messages, configurations, connectivity, twins, uploads
from armillary.engines.series.log import repeated

# "ArmH": tells this database from any other.
APPLICATION_ID = 0x41726D48

# 1 (2026-11): first. 2 (2026-11): hot segments, sealed hours with roll-ups (migrate.py brings 1 to 2).
SCHEMA_VERSION = 2

SCHEMA = """
-- The hub's row of a device. inboxes: wire.hub.topics.Inbox bits of its persistent session.
CREATE TABLE device (
    number INTEGER PRIMARY KEY,
    device_id TEXT NOT NULL UNIQUE,
    inboxes INTEGER NOT NULL DEFAULT 0,
    last_seen_ms INTEGER NOT NULL DEFAULT 0,
    fault_count INTEGER NOT NULL DEFAULT 0,
    fault_ms INTEGER,
    fault_reason TEXT
) STRICT;
-- The log: one row a committed batch; data is framed as in blocks.py.
CREATE TABLE block (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
-- Everything from here to twin is described in seal.py. kind: 0 number, 1 truth value, 2 text.
CREATE TABLE metric (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE series (
    number INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device (number),
    metric INTEGER NOT NULL REFERENCES metric (number),
    kind INTEGER NOT NULL,
    UNIQUE (device, metric, kind)
) STRICT;
-- Hot: flushed points, one row for each flush, hour and shard of series (segments.py). Points have no key.
CREATE TABLE hot (
    hour_ms INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    number INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (hour_ms, shard, number)
) STRICT, WITHOUT ROWID;
-- Sums of the points in hot by series and hour, updated with each flush, so that a dashboard does not read hot.
CREATE TABLE hot_hour (
    metric INTEGER NOT NULL,
    hour_ms INTEGER NOT NULL,
    series INTEGER NOT NULL,
    count INTEGER NOT NULL,
    low REAL,
    high REAL,
    total REAL,
    PRIMARY KEY (metric, hour_ms, series)
) STRICT, WITHOUT ROWID;
-- Sealed, keyed by time first: new hours are appended, old ones are deleted from the front.
CREATE TABLE chunk (
    hour_ms INTEGER NOT NULL,
    series INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (hour_ms, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup (
    hour_ms INTEGER NOT NULL,
    series INTEGER NOT NULL,
    count INTEGER NOT NULL,
    low REAL,
    high REAL,
    total REAL,
    first REAL,
    last REAL,
    minutes BLOB NOT NULL,
    PRIMARY KEY (hour_ms, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE fleet (
    metric INTEGER NOT NULL,
    hour_ms INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    count INTEGER NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    total REAL,
    data BLOB NOT NULL,
    PRIMARY KEY (metric, hour_ms, shard)
) STRICT, WITHOUT ROWID;
-- Rows of hot and chunk that failed their checksum when they were sealed, unchanged.
CREATE TABLE damaged (
    number INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    hour_ms INTEGER NOT NULL,
    place INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE latest (
    metric INTEGER NOT NULL,
    device INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    value ANY NOT NULL,
    PRIMARY KEY (metric, device)
) STRICT, WITHOUT ROWID;
-- Rules of retention in order: the first whose patterns match decides; no number of days is for ever.
CREATE TABLE retention (
    position INTEGER PRIMARY KEY,
    template TEXT NOT NULL,
    metric TEXT NOT NULL,
    raw_days INTEGER,
    rollup_days INTEGER
) STRICT;
CREATE TABLE twin (
    device_id TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- flushed: every block up to this seq is in hot and latest. segments: the number of the last row of hot.
-- late, duplicates: points that came after their hour was sealed, or were there before.
CREATE TABLE progress (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('flushed', 0), ('segments', 0), ('late', 0), ('duplicates', 0);
"""

# Tables that came later and that nothing older reads: made where they are missing, without a new version.
ADDITIONS = (
    cloud_messages.TABLES
    + announcements.TABLES
    + uploads.TABLES
    + twins.TABLES
    + configurations.TABLES
    + connectivity.TABLES
    + repeated.TABLES
    + OUTBOX
)
