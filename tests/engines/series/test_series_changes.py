# SPDX-License-Identifier: Apache-2.0
"""Everything else that the hub keeps beside values: messages to devices, uploads, configurations, journal, forgetting."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.engines.series.play import DEVICE, START, Play

from armillary.engines.hub import (
    announcements,
    cloud_messages,
    configurations,
    connectivity,
    devices,
    journals,
    twins,
    uploads,
)
from armillary.engines.hub.forget import forgotten
from armillary.errors import ConflictError, RateLimitedError
from armillary.twin.document.document import patch_desired, patch_tags
from armillary.wire.hub.cloud_message import CloudMessage

pytestmark = pytest.mark.usefixtures("engine")


def do(play: Play, change: Any) -> Any:
    return play.store.commits.submit(change).result()


def message(name: str, **changes: Any) -> CloudMessage:
    found = CloudMessage(message_id=name, body=b"\0hello", ack="full")
    return dataclasses.replace(found, **changes)


def test_messages_wait_in_order_and_are_settled_once(play: Play) -> None:
    first = do(play, cloud_messages.enqueued(DEVICE, message("one"), now_ms=START))
    second = do(play, cloud_messages.enqueued(DEVICE, message("two", lifetime_s=1), now_ms=START))
    assert second.sequence > first.sequence
    sent = do(play, cloud_messages.taken(DEVICE, after=0, now_ms=START, max_count=9, max_bytes=99))
    assert [(each.sequence, each.body) for each in sent] == [
        (first.sequence, b"\0hello"),
        (second.sequence, b"\0hello"),
    ]
    assert do(play, cloud_messages.settled(DEVICE, first.sequence, "success", now_ms=START))
    assert not do(play, cloud_messages.settled(DEVICE, first.sequence, "success", now_ms=START))
    assert do(play, cloud_messages.expired(now_ms=START + 2000)) == 1
    found = play.store.read(lambda connection: cloud_messages.read_messages(connection, DEVICE))
    assert [(each.message_id, each.outcome, each.deliveries) for each in found] == [
        ("two", "expired", 1),
        ("one", "success", 1),
    ]
    for _ in range(cloud_messages.MAX_WAITING):
        do(play, cloud_messages.enqueued(DEVICE, message("m"), now_ms=START))
    with pytest.raises(RateLimitedError):
        do(play, cloud_messages.enqueued(DEVICE, message("m"), now_ms=START))
    assert do(play, cloud_messages.purged(DEVICE, now_ms=START)) == cloud_messages.MAX_WAITING


def upload(number: int) -> uploads.Upload:
    return uploads.Upload(f"u{number}", DEVICE, "a\0b", "open", 0, "", "", "", START + number, START + 50, START)


def test_uploads_are_counted_and_their_time_ends(play: Play) -> None:
    for number in range(uploads.MAX_OPEN):
        assert do(play, uploads.begun(upload(number))) == []
    with pytest.raises(RateLimitedError):
        do(play, uploads.begun(upload(20)))
    assert do(play, uploads.stored("u3", size=7, sha256="ff", content_type="x", now_ms=START))
    assert not do(play, uploads.stored("u3", size=7, sha256="ff", content_type="x", now_ms=START))
    assert do(play, uploads.settled("u3", DEVICE, good=True, status="", now_ms=START)).state == "confirmed"
    assert len(do(play, uploads.begun(upload(60)))) == uploads.MAX_OPEN - 1
    found = play.store.read(lambda connection: uploads.read_uploads(connection, DEVICE))
    assert [(each.upload_id, each.name, each.size) for each in found] == [("u60", "a\0b", 0), ("u3", "a\0b", 7)]


def test_configurations_are_in_order_of_their_bytes_and_guarded(play: Play) -> None:
    for name in ("b", "B", "_", "a", "\u00e9"):
        do(play, configurations.put("c", name, {"x": "\0"}, etag=None, now_ms=START))
    with pytest.raises(ConflictError):
        do(play, configurations.put("c", "a", {}, etag=None, now_ms=START))
    changed = do(play, configurations.put("c", "a", {"y": 1}, etag=1, now_ms=START + 5))
    assert (changed.etag, changed.created_ms, changed.changed_ms) == (2, START, START + 5)
    found = play.store.read(lambda connection: configurations.read_all(connection, "c"))
    assert [each.name for each in found] == ["B", "_", "a", "b", "\u00e9"]
    assert found[0].document == {"x": "\0"}
    assert found[2] == changed
    do(play, configurations.deleted("c", "a", etag=2))
    assert len(play.store.read(lambda connection: configurations.read_all(connection, "c"))) == 4


def test_the_journal_has_every_number_once_also_after_changes_that_failed(play: Play) -> None:
    def failing(connection: Any) -> None:
        twins.changed_twin(DEVICE, lambda twin: patch_tags(twin, {"lost": 1}), now_ms=START)(connection)
        raise ConflictError("no")

    do(play, twins.changed_twin(DEVICE, lambda twin: patch_tags(twin, {"early": 1}), now_ms=START))
    for _ in range(2):
        do(play, twins.journal_wanted)
    for number in range(3):
        with pytest.raises(ConflictError):
            do(play, failing)
        change = twins.changed_twin(
            DEVICE,
            lambda twin, number=number: patch_desired(twin, {"n": number, "s": "a\0\U0001f600"}, now_ms=START),
            now_ms=START + number,
        )
        do(play, change)
    found = play.store.read(lambda connection: twins.read_changes(connection, 0, 9))
    assert [(each.number, each.at_ms, each.properties["n"]) for each in found] == [
        (number + 1, START + number, number) for number in range(3)
    ]
    assert play.store.twin(DEVICE).desired.properties == {"n": 2, "s": "a\0\U0001f600"}
    both = play.store.read(lambda connection: twins.read_twins(connection, [DEVICE, "nobody"]))
    assert list(both) == [DEVICE]


def ends(play: Play, journal: journals.Journal) -> tuple[int, int]:
    """The number before the oldest entry that is kept, and the newest one."""
    read = play.store.read
    return (
        read(lambda connection: journals.number_before_oldest(connection, journal)),
        read(lambda connection: journals.newest_number(connection, journal)),
    )


def test_a_journal_says_where_it_begins_and_ends(play: Play) -> None:
    do(play, twins.journal_wanted)
    assert [ends(play, each) for each in journals.Journal] == [(0, 0)] * 3
    for number in range(1, 4):
        play.keep((START + number, {"n": number}))
        do(play, twins.changed_twin(DEVICE, lambda twin, n=number: patch_tags(twin, {"n": n}), now_ms=START))
        do(play, connectivity.connected(DEVICE, now_ms=START))
    assert [ends(play, each) for each in journals.Journal] == [(0, 3)] * 3
    for statement in (
        "DELETE FROM block WHERE seq < 3",
        "DELETE FROM twin_change WHERE number < 3",
        "DELETE FROM connectivity WHERE number < 3",
    ):
        do(play, lambda connection, statement=statement: connection.execute(statement))
    assert [ends(play, each) for each in journals.Journal] == [(2, 3)] * 3
    play.flush()
    do(play, lambda connection: connection.execute("DELETE FROM block"))
    do(play, lambda connection: connection.execute("DELETE FROM connectivity"))
    assert ends(play, journals.Journal.MESSAGES) == (3, 3), "what was flushed counts, also when its blocks are gone"
    assert ends(play, journals.Journal.CONNECTIONS) == (0, 0)


def test_blocks_of_the_log_are_read_in_order(play: Play) -> None:
    kept = [play.commit((START + each, {"n": each})) for each in range(4)]
    found = play.store.read(lambda connection: journals.read_blocks(connection, kept[0].seq, 2))
    assert found == [(each.seq, each.data) for each in kept[1:3]]


def test_devices_are_found_by_number_and_listed_by_id(play: Play) -> None:
    numbers = {
        name: do(play, devices.enrolled(name, now_ms=START, clean=False)).number for name in ("d2", "d1", "d1/camera")
    }
    read = play.store.read
    assert read(lambda connection: devices.read_ids_of_numbers(connection, {numbers["d1"], 10**6})) == {
        numbers["d1"]: "d1"
    }
    assert read(lambda connection: devices.read_ids_of_numbers(connection, ())) == {}
    assert read(lambda connection: devices.read_device_ids(connection, "", None, 9)) == [
        DEVICE,
        "d1",
        "d1/camera",
        "d2",
    ]
    assert read(lambda connection: devices.read_device_ids(connection, "d1", "d2", 9)) == ["d1/camera", "d2"]
    assert read(lambda connection: devices.read_device_ids(connection, "d1", None, 1)) == ["d1/camera"]


def test_a_device_is_forgotten_with_its_modules_and_nobody_elses(play: Play) -> None:
    for name in (f"{DEVICE}/camera", f"{DEVICE}0", f"{DEVICE}-2"):
        do(play, devices.enrolled(name, now_ms=START, clean=False))
    for name in (DEVICE, f"{DEVICE}/camera", f"{DEVICE}0"):
        do(play, announcements.announced(name, "dtmi:x\0;1", now_ms=START))
        do(play, announcements.announced(name, "dtmi:x\0;2", now_ms=START))
    do(play, uploads.begun(upload(1)))
    do(play, devices.seen([(play.number, START + 5), (play.number, START - 5)]))
    assert play.store.device(DEVICE).last_seen_ms == START + 5  # type: ignore[union-attr]
    assert do(play, forgotten(DEVICE)) == ["u1"]
    assert [each.device_id for each in play.store.devices()] == [
        f"{DEVICE}#{play.number}",
        f"{DEVICE}/camera#{play.number + 1}",
        f"{DEVICE}0",
        f"{DEVICE}-2",
    ]
    found = [
        play.store.read(lambda connection, name=name: announcements.read_model_id(connection, name))
        for name in (DEVICE, f"{DEVICE}/camera", f"{DEVICE}0")
    ]
    assert found == [None, None, "dtmi:x\0;2"]
    assert do(play, devices.enrolled(DEVICE, now_ms=START, clean=False)).number == play.number + 4
