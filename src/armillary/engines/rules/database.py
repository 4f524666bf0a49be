# SPDX-License-Identifier: Apache-2.0
"""The rules' database file: its schema, its version, how it is opened.

::

    FOLDER/rules.db   (and -wal, -shm); made with the first rule. The folder's lock is held by the series store.
"""

from __future__ import annotations

from armillary.engines.database.outbox import TABLE as OUTBOX
from armillary.engines.database.sqlite_file import Layout

FILE_NAME = "rules.db"

_SCHEMA = """
-- States of all rules for one device: [[rule id, rule version, state], ...]. They are of the log up to seq.
CREATE TABLE device_state (
    device_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    states TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- One row a firing. id is made of rule, version, device and firing: the same firing has the same id, always.
CREATE TABLE alert (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    catalog TEXT NOT NULL COLLATE NOCASE,
    rule_id TEXT NOT NULL,
    rule_name TEXT NOT NULL,
    severity TEXT NOT NULL,
    device_id TEXT NOT NULL,
    fired_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    trace TEXT NOT NULL,
    over_ms INTEGER,
    acknowledged_ms INTEGER,
    acknowledged_by TEXT
) STRICT;
CREATE INDEX alert_of_catalog ON alert (catalog, number);
CREATE INDEX alert_under_way ON alert (rule_id, device_id) WHERE over_ms IS NULL;
-- One row an action of a firing. state: waiting, done, dead.
CREATE TABLE delivery (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    alert INTEGER NOT NULL REFERENCES alert (number),
    catalog TEXT NOT NULL COLLATE NOCASE,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    changed_ms INTEGER NOT NULL,
    error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX delivery_due ON delivery (due_ms) WHERE state = 'waiting';
CREATE INDEX delivery_dead ON delivery (catalog, number) WHERE state = 'dead';
CREATE INDEX delivery_of_alert ON delivery (alert);
CREATE TABLE secret (
    rule_id TEXT NOT NULL,
    action TEXT NOT NULL,
    secret TEXT NOT NULL,
    PRIMARY KEY (rule_id, action)
) STRICT, WITHOUT ROWID;
-- evaluated: every block of the log up to this seq is in the states; -1 when no rule was evaluated.
CREATE TABLE progress (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('evaluated', -1);
"""

# Whose a delivery is; how many of each owner and rule wait or are dead, kept by triggers: never counted row by row; and
# how often the rule of an alert fired again without an alert.
_SECOND = """
ALTER TABLE alert ADD COLUMN more INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE delivery ADD COLUMN rule_id TEXT NOT NULL DEFAULT '';
UPDATE delivery
    SET owner = lower(catalog), rule_id = coalesce((SELECT rule_id FROM alert WHERE number = delivery.alert), '');
CREATE INDEX delivery_of_rule ON delivery (rule_id) WHERE state = 'waiting';
CREATE TABLE delivery_count (
    owner TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (owner, rule_id, state)
) STRICT, WITHOUT ROWID;
INSERT INTO delivery_count
    SELECT owner, rule_id, state, count(*) FROM delivery WHERE state != 'done' GROUP BY owner, rule_id, state;
CREATE TRIGGER delivery_made AFTER INSERT ON delivery WHEN new.state != 'done' BEGIN
    INSERT INTO delivery_count VALUES (new.owner, new.rule_id, new.state, 1)
        ON CONFLICT (owner, rule_id, state) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER delivery_left AFTER UPDATE OF state ON delivery WHEN old.state != new.state BEGIN
    UPDATE delivery_count SET count = count - 1
        WHERE owner = old.owner AND rule_id = old.rule_id AND state = old.state;
    DELETE FROM delivery_count
        WHERE owner = old.owner AND rule_id = old.rule_id AND state = old.state AND count <= 0;
    INSERT INTO delivery_count SELECT new.owner, new.rule_id, new.state, 1 WHERE new.state != 'done'
        ON CONFLICT (owner, rule_id, state) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER delivery_gone AFTER DELETE ON delivery WHEN old.state != 'done' BEGIN
    UPDATE delivery_count SET count = count - 1
        WHERE owner = old.owner AND rule_id = old.rule_id AND state = old.state;
    DELETE FROM delivery_count
        WHERE owner = old.owner AND rule_id = old.rule_id AND state = old.state AND count <= 0;
END;
"""

# Open alerts by severity without reading the others; what who acknowledged one said about it.
_THIRD = """
ALTER TABLE alert ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE INDEX alert_open ON alert (catalog, severity, number) WHERE acknowledged_ms IS NULL;
"""

# "ArmR"; 1 (2026-11): first; 2 (2026-11): owners and counts of deliveries, firings that are counted only;
# 3 (2026-11): notes, open alerts by severity
LAYOUT = Layout(
    application_id=0x41726D52,
    version=3,
    schema=_SCHEMA + _SECOND + _THIRD,
    upgrades={1: _SECOND, 2: _THIRD},
    additions=OUTBOX,
)
