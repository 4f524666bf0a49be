# SPDX-License-Identifier: Apache-2.0
"""A folder of version 1 becomes one of version 2 in place, at any cut; what it held is found, and sealed afterwards."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

from tests.engines.series.play import DEVICE, START, Play, packet

from armillary.engines.series.database.schema import APPLICATION_ID
from armillary.engines.series.log.blocks import PacketRun, encode_block
from armillary.engines.series.values.chunks import HOUR_MS

ROOT = Path(__file__).parents[3]

# As version 1 made it (2026-11).
VERSION_1 = """
CREATE TABLE device (
    number INTEGER PRIMARY KEY, device_id TEXT NOT NULL UNIQUE, inboxes INTEGER NOT NULL DEFAULT 0,
    last_seen_ms INTEGER NOT NULL DEFAULT 0, fault_count INTEGER NOT NULL DEFAULT 0, fault_ms INTEGER, fault_reason TEXT
) STRICT;
CREATE TABLE block (
    seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, messages INTEGER NOT NULL, data BLOB NOT NULL
) STRICT;
CREATE TABLE series (
    number INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device (number), metric TEXT NOT NULL,
    kind INTEGER NOT NULL, UNIQUE (device, metric, kind)
) STRICT;
CREATE TABLE hour (
    hour_ms INTEGER NOT NULL, series INTEGER NOT NULL, count INTEGER NOT NULL, low REAL, high REAL, total REAL,
    PRIMARY KEY (hour_ms, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE chunk (
    hour_ms INTEGER NOT NULL, series INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (hour_ms, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE latest (series INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, value ANY NOT NULL) STRICT;
CREATE TABLE twin (device_id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE progress (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('sealed', 3);
"""


def old_folder(folder: Path) -> None:
    """Two hours of numbers, a text, a truth value, a twin, one message in the log that was not decoded."""
    folder.mkdir()
    connection = sqlite3.connect(folder / "hub.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(VERSION_1)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("PRAGMA user_version=1")
    connection.execute("INSERT INTO device (number, device_id, inboxes) VALUES (4, ?, 3)", (DEVICE,))
    series = [(1, 4, "t", 0), (2, 4, "s", 2), (3, 4, "b", 1), (900, 4, "far", 0), (901, 4, "s", 0)]
    connection.executemany("INSERT INTO series VALUES (?, ?, ?, ?)", series)

    def numbers(hour: int, number: int, *points: tuple[int, float]) -> None:
        data = b"".join(struct.pack("<dd", at, value) for at, value in points)
        values = [value for _, value in points]
        sums = (len(values), min(values), max(values), sum(values))
        connection.execute("INSERT INTO hour VALUES (?, ?, ?, ?, ?, ?)", (START + hour * HOUR_MS, number, *sums))
        connection.execute("INSERT INTO chunk VALUES (?, ?, ?)", (START + hour * HOUR_MS, number, data))

    numbers(0, 1, (START + 7, 2.5), (START, 1.5))
    numbers(1, 1, (START + HOUR_MS, 9.0))
    numbers(0, 3, (START, 1.0))
    numbers(1, 900, (START + HOUR_MS + 1, -4.0))
    numbers(0, 901, (START + 1, 3.0))
    text = struct.pack("<dI", START + 2, 4) + "zwölf"[:3].encode()
    connection.execute("INSERT INTO hour (hour_ms, series, count) VALUES (?, 2, 1)", (START,))
    connection.execute("INSERT INTO chunk VALUES (?, 2, ?)", (START, text))
    latest = [(1, START + HOUR_MS, 9.0), (2, START + 2, "zwö"), (3, START, 1), (900, START + HOUR_MS + 1, -4.0)]
    connection.executemany("INSERT INTO latest VALUES (?, ?, ?)", [*latest, (901, START + 1, 3.0)])
    connection.execute("INSERT INTO twin VALUES (?, ?)", (DEVICE, '{"tags": {}}'))
    block = encode_block([PacketRun(4, 4, START + HOUR_MS + 2, packet({"t": 10}), 1)])
    connection.execute("INSERT INTO block VALUES (4, ?, 1, ?)", (START + HOUR_MS + 2, block))
    connection.commit()
    connection.close()
    (folder / "made").touch()


def check(play: Play) -> None:
    def raw(metric: str) -> list[tuple[int, object]]:
        return play.store.raw(DEVICE, metric, 0, 2**50, 99)

    play.decode()
    assert raw("t") == [
        (START, 1.5),
        (START + 7, 2.5),
        (START + HOUR_MS, 9.0),
        (START + HOUR_MS + 2, 10.0),
    ]
    assert raw("s") == [(START + 1, 3.0), (START + 2, "zwö")]
    assert raw("b") == [(START, True)]
    assert raw("far") == [(START + HOUR_MS + 1, -4.0)]
    assert {each.metric: each.value for each in play.store.last_values(DEVICE)} == {
        "t": 10.0,
        "s": "zwö",
        "b": True,
        "far": -4.0,
    }
    hours = play.store.query(DEVICE, "t", START, START + 2 * HOUR_MS, 2).buckets
    assert [(each.count, each.low, each.high) for each in hours] == [(2, 1.5, 2.5), (2, 9.0, 10.0)]
    total = [
        (each.count, each.total)
        for each in play.store.fleet.over_time(None, "t", START, START + 2 * HOUR_MS, 2).buckets
    ]
    assert total == [(2, 4.0), (2, 19.0)]
    row = play.store.device(DEVICE)
    assert row is not None
    assert (row.number, play.number, row.inboxes) == (4, 4, 3)


def test_a_folder_of_version_1_is_brought_up_in_place(tmp_path: Path) -> None:
    old_folder(tmp_path / "hub")
    play = Play(tmp_path / "hub")
    check(play)
    play.seal(START + 9 * HOUR_MS)
    assert play.store.read(lambda connection: connection.execute("SELECT count(*) FROM hot").fetchone()) == (0,)
    check(play)
    play.store.close(START)
    again = Play(tmp_path / "hub")
    check(again)
    again.store.close(START)


def test_a_cut_anywhere_in_it_leaves_version_1(tmp_path: Path) -> None:
    """A process that ends before its n-th copying statement: the next one migrates from the beginning."""
    old_folder(tmp_path / "old")
    command = [sys.executable, "-m", "tests.engines.series.cut_runner", "migrate", str(tmp_path / "old"), str(tmp_path)]
    done = subprocess.run([*command, "0"], check=True, stdout=subprocess.PIPE, text=True, timeout=100, cwd=ROOT)
    cuts = int(done.stdout)
    for cut in range(cuts):
        folder = tmp_path / str(cut)
        version = sqlite3.connect(folder / "hub.db").execute("PRAGMA user_version").fetchone()[0]
        assert version == (2 if cut == cuts - 1 else 1)
        play = Play(folder)
        check(play)
        play.store.close(START)
    assert cuts > 31
