# SPDX-License-Identifier: Apache-2.0
"""The series store: log, decoder, tail, seals, queries, retention, what a crash leaves, what a disk refuses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.engines.series.play import DEVICE, START, Play, packet

from armillary.engines.database.port import Connection
from armillary.engines.series.database.schema import SCHEMA_VERSION
from armillary.engines.series.log.blocks import Block, PacketRun, encode_block, iterate_block
from armillary.engines.series.log.decoder import MAX_BACKLOG_BYTES
from armillary.engines.series.log.index import MAX_SERIES_PER_DEVICE
from armillary.engines.series.retention import DAY_MS, Retention
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.engines.series.values.query import bucket_width
from armillary.errors import (
    ConflictError,
    DataFolderError,
    DataFolderInUseError,
    InvalidArgumentError,
    NotFoundError,
    WireError,
)
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.packet import Publish

pytestmark = pytest.mark.usefixtures("engine")


def test_a_value_is_found_in_the_tail_in_chunks_and_in_both(play: Play) -> None:
    play.keep((START, {"t": 1}), (START + 1000, {"t": 2}))
    play.decode()
    assert play.means("t") == [(START, 1.0), (START + 1000, 2.0)]
    play.seal()
    assert play.means("t") == [(START, 1.0), (START + 1000, 2.0)]
    play.keep((START + 500, {"t": 9}))
    play.decode()
    assert play.means("t") == [(START, 1.0), (START + 500, 9.0), (START + 1000, 2.0)]
    play.seal()
    assert play.means("t") == [(START, 1.0), (START + 500, 9.0), (START + 1000, 2.0)]
    assert [telemetry.values for _, telemetry in play.heard] == [{"t": 1.0}, {"t": 2.0}, {"t": 9.0}]


def test_a_value_is_seen_once_while_a_seal_is_under_way(play: Play) -> None:
    play.keep((START, {"t": 1}))
    play.decode()
    change = play.store.begin_flush(START)
    assert play.means("t") == [(START, 1.0)]
    play.keep((START + 1, {"t": 2}))
    play.decode()
    assert play.means("t") == [(START, 1.0), (START + 1, 2.0)]
    play.store.commits.submit(change).result()  # in the database now, and in the tail still
    assert play.means("t") == [(START, 1.0), (START + 1, 2.0)]
    assert [each.value for each in play.store.last_values(DEVICE)] == [2.0]
    play.store.end_flush(kept=True)
    assert play.means("t") == [(START, 1.0), (START + 1, 2.0)]


def test_a_seal_that_fails_is_tried_again_with_everything(play: Play) -> None:
    play.keep((START, {"t": 1, "s": "a"}), (START, b"{"))
    play.decode()
    play.store.begin_flush(START)
    play.keep((START + 1, {"t": 2, "s": "b", "new": True}), (START + 1, b"{"))
    play.decode()
    play.store.end_flush(kept=False)
    play.seal()
    assert play.means("t") == [(START, 1.0), (START + 1, 2.0)]
    assert play.store.texts(DEVICE, "s", START, START + 10, 9) == [(START, "a"), (START + 1, "b")]
    assert play.store.device(DEVICE).fault_count == 2  # type: ignore[union-attr]
    assert {each.metric: each.value for each in play.store.last_values(DEVICE)} == {"t": 2.0, "s": "b", "new": True}


def test_latest_is_by_time_of_measurement_not_of_arrival(play: Play) -> None:
    play.keep((START + 5000, {"t": 5}))
    play.seal()
    play.keep((START, {"t": 1}))
    play.decode()
    assert [(each.at_ms, each.value) for each in play.store.last_values(DEVICE)] == [(START + 5000, 5.0)]
    play.seal()
    assert [(each.at_ms, each.value) for each in play.store.last_values(DEVICE)] == [(START + 5000, 5.0)]


def test_a_metric_that_changes_its_kind_keeps_both(play: Play) -> None:
    play.keep((START, {"x": 1}), (START + 1, {"x": "off"}), (START + 2, {"x": True}))
    play.seal()
    assert [(each.name, each.kind) for each in play.store.metrics(DEVICE)] == [
        ("x", "number"),
        ("x", "boolean"),
        ("x", "text"),
    ]
    assert [each.value for each in play.store.last_values(DEVICE)] == [True]
    assert play.means("x") == [(START, 1.0)]
    assert play.store.texts(DEVICE, "x", START, START + 9, 5) == [(START + 1, "off")]


def test_many_points_become_round_buckets_with_low_high_and_mean(play: Play) -> None:
    play.keep(*((START + second * 1000, {"t": second}) for second in range(600)))
    play.decode()
    for _ in range(2):  # from the tail, then from chunks
        found = play.store.query(DEVICE, "t", START, START + 600_000, 100)
        assert found.bucket_ms == 10_000
        assert [(b.start_ms, b.count, b.low, b.high, b.mean) for b in found.buckets] == [
            (START + n * 10_000, 10, n * 10.0, n * 10.0 + 9, n * 10.0 + 4.5) for n in range(60)
        ]
        play.seal()


def test_days_are_answered_from_hours_alone(play: Play) -> None:
    play.keep(*((START + n * 600_000, {"t": n}) for n in range(6 * 48)))
    play.seal(START + 2 * DAY_MS)
    play.store.commits.submit(lambda connection: connection.execute("DELETE FROM chunk")).result()
    found = play.store.query(DEVICE, "t", START, START + 2 * DAY_MS, 50)
    assert found.bucket_ms == HOUR_MS
    assert [(b.start_ms, b.count, b.low, b.high, b.mean) for b in found.buckets] == [
        (START + n * HOUR_MS, 6, n * 6.0, n * 6.0 + 5, n * 6.0 + 2.5) for n in range(48)
    ]


@pytest.mark.parametrize("points", [1, 2, 7, 100, 333])
@pytest.mark.parametrize("span", [1, 1000, 59_000, HOUR_MS, 25 * HOUR_MS, 40 * DAY_MS, 20_000 * DAY_MS])
def test_there_are_never_more_buckets_than_asked_for(points: int, span: int) -> None:
    start = START + 123_457
    width = bucket_width(start, start + span, points)
    assert -(-(start + span) // width) - start // width <= max(points, 1)


def test_never_more_points_than_asked_for_whatever_the_data(play: Play) -> None:
    play.keep(*((START + n * 38_885, {"t": n}) for n in range(400)))
    play.decode()
    for points in (1, 3, 50, 399):
        found = play.store.query(DEVICE, "t", START + 5, START + 5 * HOUR_MS, points)
        assert 0 < len(found.buckets) <= points
        assert sum(bucket.count for bucket in found.buckets) >= 399 - 1


def test_refused_queries(play: Play) -> None:
    play.keep((START, {"t": 1, "s": "x"}))
    play.decode()
    for start, end, points in ((5, 5, 10), (-1, 5, 10), (0, 5, 0), (0, 5, 10**9), (0, 2**60, 10)):
        with pytest.raises(InvalidArgumentError):
            play.store.query(DEVICE, "t", start, end, points)
    for device, metric in (("cd" * 64, "t"), (DEVICE, "nothing"), (DEVICE, "s")):
        with pytest.raises(NotFoundError):
            play.store.query(device, metric, START, START + 1, 10)
    with pytest.raises(NotFoundError):
        play.store.texts(DEVICE, "t", START, START + 1, 10)
    assert play.store.last_values("cd" * 64) == []
    assert play.store.metrics("cd" * 64) == []
    assert play.store.messages("cd" * 64, 5) == []


def test_messages_come_back_byte_for_byte_newest_first(play: Play) -> None:
    play.keep(*((START + n, {"n": n}) for n in range(5)))
    play.keep((START + 9, packet(b"\0\xff", "$.ct=application/octet-stream")))
    play.decode()
    found = play.store.messages(DEVICE, 3)
    assert [(each.received_ms, each.payload) for each in found] == [
        (START + 9, b"\0\xff"),
        (START + 4, b'{"n": 4}'),
        (START + 3, b'{"n": 3}'),
    ]
    assert play.store.decoder.opaque == 1


def test_mqtt_5_properties_are_message_properties(play: Play) -> None:
    modern = encode_packet(
        Publish(
            topic=f"devices/{DEVICE}/messages/events/",
            payload=b'{"rpm":1}',
            properties=((Property.USER_PROPERTY, ("$.sub", "pump")), (Property.CONTENT_TYPE, "application/json")),
        ),
        level=5,
    )
    play.store.decoder.add(play.store.commits.submit(PacketRun(5, play.number, START, modern, 1)).result())
    play.decode()
    assert play.means("pump.rpm") == [(START, 1.0)]


def test_a_device_cannot_make_up_names_without_end(play: Play) -> None:
    for start in range(0, MAX_SERIES_PER_DEVICE + 100, 100):
        play.keep((START, {f"n{start + n}": n for n in range(100)}))
    play.decode()
    assert len(play.store.metrics(DEVICE)) == MAX_SERIES_PER_DEVICE
    row = play.store.device(DEVICE)
    assert row is not None
    assert row.fault_count == 1
    assert f"at most {MAX_SERIES_PER_DEVICE} names" in (row.fault_reason or "")


def test_what_was_not_sealed_is_decoded_again_after_a_crash(tmp_path: Path) -> None:
    first = Play(tmp_path / "hub")
    first.keep((START, {"t": 1}))
    first.seal()
    first.keep((START + 1, {"t": 2}))
    first.decode()
    first.commit((START + 2, {"t": 3}))  # in the log, never decoded
    first.store.commits.close()  # as a crash leaves it: no seal
    first.store._database.release()

    second = Play(tmp_path / "hub")
    second.decode()
    assert second.means("t") == [(START, 1.0), (START + 1, 2.0), (START + 2, 3.0)]
    second.store.close(START)
    third = Play(tmp_path / "hub")
    assert third.store.decoder.backlog == 0
    assert third.means("t") == [(START, 1.0), (START + 1, 2.0), (START + 2, 3.0)]
    third.store.close(START)


def test_a_backlog_beyond_memory_is_read_back_from_the_log(play: Play) -> None:
    big = {"pad": "x" * 1000, "n": 1}
    batch = [(START, big)] * 500
    while play.store.decoder.backlog_bytes < MAX_BACKLOG_BYTES * 2:
        play.keep(*batch)
    kept = sum(len(data) for _, _, data in play.store.decoder._backlog if data is not None)
    assert kept <= MAX_BACKLOG_BYTES
    count = play.store.decoder.backlog * 500
    play.decode()
    assert play.store.decoder.messages == count
    assert play.store.decoder.backlog_bytes == 0


def test_retention_deletes_old_values_and_sealed_messages_only(tmp_path: Path) -> None:
    play = Play(tmp_path / "hub", values_days=30, messages_days=7, rollups_days=30)
    play.keep((START, {"t": 1}))
    play.keep((START + 20 * DAY_MS, {"t": 2}))
    play.seal(START + 20 * DAY_MS)
    play.seal(START + 20 * DAY_MS + 1)
    assert [each.received_ms for each in play.store.messages(DEVICE, 9)] == [START + 20 * DAY_MS]
    assert len(play.means("t", START, START + 40 * DAY_MS)) == 2
    play.keep((START + 31 * DAY_MS, {"t": 3}))
    play.seal(START + 31 * DAY_MS)
    assert len(play.means("t", START, START + 40 * DAY_MS)) == 2
    play.keep((START + 32 * DAY_MS, {"t": 4}))
    play.seal(START + 60 * DAY_MS)
    assert play.store.messages(DEVICE, 9) == []
    block = play.keep((START + 61 * DAY_MS, {"t": 5}))
    assert block.seq == 5  # numbers are not used again, though the log is empty
    play.store.close(START + 61 * DAY_MS)


def test_a_change_that_fails_undoes_only_itself(play: Play) -> None:
    def bad(connection: Connection) -> None:
        connection.execute("UPDATE device SET inboxes = 99")
        raise ConflictError("no")

    block = play.store.commits.submit(PacketRun(4, play.number, START, packet({"t": 1}), 1))
    refused = play.store.commits.submit(bad)
    with pytest.raises(ConflictError):
        refused.result()
    assert block.result().seq == 1
    assert play.store.device(DEVICE).inboxes == 0  # type: ignore[union-attr]


@pytest.mark.usefixtures("sqlite_only")
def test_a_disk_that_refuses_keeps_nothing_of_the_batch(play: Play) -> None:
    play.store.commits.submit(lambda connection: connection.execute("PRAGMA max_page_count=1")).result()
    with pytest.raises(DataFolderError, match=r"cannot be written .*full"):
        play.store.commits.submit(PacketRun(4, play.number, START, packet({"t": "x" * 1000}) * 500, 500)).result()
    play.store.commits.submit(lambda connection: connection.execute("PRAGMA max_page_count=1000000")).result()
    assert play.store.commits.submit(PacketRun(4, play.number, START, packet({"t": 1}), 1)).result().seq == 1
    assert len(play.store.messages(DEVICE, 9)) == 1


def test_a_damaged_log_row_is_counted_and_passed_over(play: Play) -> None:
    play.store.decoder.add(Block(1, b"\4\0\0"))
    play.keep((START, {"t": 1}))
    play.decode()
    assert play.store.decoder.damaged_blocks == 1
    assert play.means("t") == [(START, 1.0)]


def test_blocks_survive_and_damage_is_an_error() -> None:
    data = encode_block(
        [
            PacketRun(4, 7, START, packet({"a": 1}) + packet({"b": 2}, "k=v"), 2),
            PacketRun(4, 8, START + 1, packet({"c": 3}), 1),
        ]
    )
    assert [(each.device, each.received_ms, each.payload) for each in iterate_block(data)] == [
        (7, START, b'{"a": 1}'),
        (7, START, b'{"b": 2}'),
        (8, START + 1, b'{"c": 3}'),
    ]
    for cut in (1, 16, 30, len(data) - 1):
        with pytest.raises(WireError):
            list(iterate_block(data[:cut]))


def test_one_process_holds_the_folder(play: Play, tmp_path: Path) -> None:
    with pytest.raises(DataFolderInUseError):
        SeriesStore(tmp_path / "hub", retention=Retention(), listener=lambda *_: None)


@pytest.mark.usefixtures("sqlite_only")
def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    def opened(folder: Path) -> SeriesStore:
        return SeriesStore(folder, retention=Retention(), listener=lambda *_: None)

    (tmp_path / "file").write_text("x")
    with pytest.raises(DataFolderError):
        opened(tmp_path / "file" / "hub")
    (tmp_path / "garbage").mkdir()
    (tmp_path / "garbage" / "hub.db").write_bytes(b"no database" * 500)
    with pytest.raises(DataFolderError, match="damaged"):
        opened(tmp_path / "garbage")
    (tmp_path / "foreign").mkdir()
    sqlite3.connect(tmp_path / "foreign" / "hub.db").execute("CREATE TABLE x (y)")
    with pytest.raises(DataFolderError, match="another program"):
        opened(tmp_path / "foreign")
    newer = opened(tmp_path / "newer")
    newer.commits.submit(lambda _: None).result()
    newer.close(START)
    connection = sqlite3.connect(tmp_path / "newer" / "hub.db")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(DataFolderError, match=f"expected schema version {SCHEMA_VERSION}"):
        opened(tmp_path / "newer")


@pytest.mark.usefixtures("sqlite_only")
def test_a_folder_that_lost_its_database_is_not_begun_anew(tmp_path: Path) -> None:
    def opened() -> SeriesStore:
        return SeriesStore(tmp_path / "hub", retention=Retention(), listener=lambda *_: None)

    opened().close(START)
    opened().close(START)
    for file in (tmp_path / "hub").glob("hub.db*"):
        file.unlink()
    with pytest.raises(DataFolderError, match="is missing, though it was made here before"):
        opened()
    assert not (tmp_path / "hub" / "hub.db").exists()
    (tmp_path / "hub" / "made").unlink()  # as the error says
    opened().close(START)


@pytest.mark.parametrize("flush_between", [False, True])
def test_of_equal_times_the_latest_is_what_came_last_whatever_its_kind(play: Play, flush_between: bool) -> None:
    for value in (1, "a", 2, True, "b"):
        play.keep((START, {"x": value}))
        play.keep((START - 1, {"x": 99}))  # older: never the latest
        if flush_between:
            play.flush()
        else:
            play.decode()
        assert [(each.at_ms, each.value) for each in play.store.last_values(DEVICE)] == [(START, value)]
        assert play.store.fleet.latest(None, "x", 9) == [(DEVICE, START, value)]
    play.flush()
    assert [each.value for each in play.store.last_values(DEVICE)] == ["b"]
