# SPDX-License-Identifier: Apache-2.0
"""Messages of guardians that are sent again are in the log once; what waited is told apart from what is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from tests.engines.series.play import DEVICE, START, Play, packet

from armillary.engines.hub.devices import enrolled
from armillary.engines.hub.forget import forgotten
from armillary.engines.series.log.blocks import Block, PacketRun, PlacedRun
from armillary.engines.series.log.repeated import MAX_BOOTS, _said
from armillary.errors import DiskReserveError, WireError
from armillary.wire.equipment.message import MAX_SEQUENCE
from armillary.wire.hub.topics import parse_bag

pytestmark = pytest.mark.usefixtures("engine")

BOOT = "0123456789abcdef"


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    playing = Play(tmp_path / "hub")
    playing.store.expect_placed()
    yield playing
    playing.store.close(START)


def placed(sequence: int, after: int = 0, floor: int = 0, *, boot: str = BOOT) -> bytes:
    bag = f"%24.mid={boot}.{sequence}&guardian-sequence={boot}.{sequence}.{after}.{floor}"
    return packet({"n": sequence}, bag)


def keep(play: Play, packets: Iterable[bytes], *, device: int | None = None, run: type[PacketRun] = PlacedRun) -> None:
    several = list(packets)
    number = play.number if device is None else device
    block = play.store.commits.submit(run(4, number, START, b"".join(several), len(several))).result()
    if block is not None:
        play.store.decoder.add(block)


def stored(play: Play, device: str = DEVICE) -> list[int]:
    """The numbers of the messages in the log, in their order."""
    return [int(each.payload[6:-1]) for each in reversed(play.store.messages(device, 10**6))]


def test_what_is_sent_again_is_stored_once_in_its_order(play: Play) -> None:
    keep(play, [placed(1), placed(2, 1), placed(2, 1), placed(5, 2)])
    keep(play, [placed(2, 1), placed(1), placed(7, 5), placed(6, 5), placed(7, 5)])
    assert stored(play) == [1, 2, 5, 7]  # 6 is not between 5 and 7, by what 7 said
    assert play.store.repeated == 5
    play.decode()
    assert [telemetry.values["n"] for _, telemetry in play.heard] == [1, 2, 5, 7]
    play.seal()
    assert sum(bucket.count for bucket in play.store.query(DEVICE, "n", START, START + 10, 9).buckets) == 4


def test_what_came_is_remembered_over_a_restart(play: Play, tmp_path: Path) -> None:
    keep(play, [placed(1), placed(2, 1)])
    play.store.close(START)
    again = Play(tmp_path / "hub")
    again.store.expect_placed()
    try:
        keep(again, [placed(2, 1), placed(3, 2)])
        assert stored(again) == [1, 2, 3]
    finally:
        again.store.close(START)
    play.store = Play(tmp_path / "other").store  # for the fixture to close


def test_a_batch_of_nothing_new_writes_no_row(play: Play) -> None:
    keep(play, [placed(1)])
    outcome = play.store.commits.submit(PlacedRun(4, play.number, START, placed(1), 1)).result()
    assert outcome is None
    assert stored(play) == [1]
    keep(play, [placed(2, 1)])  # the number of the block that was not written is used
    play.decode()
    assert len(play.heard) == 2


def test_one_identity_says_nothing_about_another(play: Play) -> None:
    other = play.store.commits.submit(enrolled("other", now_ms=START, clean=False)).result().number
    keep(play, [placed(MAX_SEQUENCE, MAX_SEQUENCE - 1, MAX_SEQUENCE)], device=other)
    keep(play, [placed(1), placed(2, 1)])
    assert stored(play) == [1, 2]


def test_a_new_boot_begins_anew_and_the_oldest_are_forgotten(play: Play) -> None:
    boots = [f"{number:016x}" for number in range(MAX_BOOTS + 3)]
    for boot in boots:
        keep(play, [placed(1, boot=boot)])
    keep(play, [placed(1, boot=boots[-1])])
    assert len(stored(play)) == len(boots)
    rows = play.store.read(lambda connection: connection.execute("SELECT boot FROM guardian_boot").fetchall())
    assert sorted(row[0] for row in rows) == boots[3:]


@pytest.mark.parametrize(
    "bag", ["", "guardian-sequence=7", "guardian-sequence=", "guardian-sequence=%ff", "historical=true"]
)
def test_a_message_without_a_place_is_stored_as_it_comes(play: Play, bag: str) -> None:
    keep(play, [packet({"n": 1}, bag), placed(1), packet({"n": 1}, bag)])
    assert stored(play) == [1, 1, 1]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ("guardian-sequence=", "guardian-sequence", "%2D", "%", "&", "/", "=", "0.1", "x", "/messages/events/")
        ),
        max_size=12,
    )
)
def test_the_quick_look_at_a_topic_says_what_the_bags_reader_says(parts: list[str]) -> None:
    bag = "".join(parts)
    try:
        expected = dict(parse_bag(bag)).get("guardian-sequence")
    except WireError:
        return  # a message that cannot be decoded either
    assert _said(f"devices/d/messages/events/{bag}") == expected


def test_runs_of_other_devices_are_not_looked_at(play: Play) -> None:
    keep(play, [placed(1), placed(1)], run=PacketRun)
    assert stored(play) == [1, 1]
    assert play.store.repeated == 0


def test_what_the_disk_refused_has_not_come(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:

        def refuse() -> None:
            raise DiskReserveError("full")

        full.setattr(play.store._writer, "check_room", refuse)
        with pytest.raises(DiskReserveError):
            keep(play, [placed(1)])
    keep(play, [placed(1)])
    assert stored(play) == [1]


def test_what_came_is_written_with_the_message_or_not_at_all(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = play.store._writer._commit.__globals__["encode_block"]

    def cut(runs: list[PacketRun]) -> bytes:
        encode(runs)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setitem(play.store._writer._commit.__globals__, "encode_block", cut)
        with pytest.raises(OSError, match="No space"):
            keep(play, [placed(1)])
    keep(play, [placed(1), placed(2, 1)])
    assert stored(play) == [1, 2]


def test_the_next_owner_of_a_name_begins_anew(play: Play) -> None:
    keep(play, [placed(1)])
    play.store.commits.submit(forgotten(DEVICE)).result()
    assert play.store.read(lambda connection: connection.execute("SELECT * FROM guardian_boot").fetchall()) == []


def waited(values: object, at: str = "2026-11-24T09:00:00.000Z") -> bytes:
    return packet(values, f"historical=true&iothub-creation-time-utc={at.replace(':', '%3A')}")


def test_what_waited_is_stored_at_its_time_and_moves_no_last_value_back(play: Play) -> None:
    keep(play, [packet({"t": 20}), waited({"t": 5, "other": 1})])
    play.decode()
    latest = {each.metric: each.value for each in play.store.last_values(DEVICE)}
    assert latest == {"t": 20.0, "other": 1.0}
    assert [telemetry.values for _, telemetry in play.heard] == [{"t": 20.0}]  # rules and live readers hear of no other
    assert play.store.decoder.historical == 1
    play.seal()
    then = 1_795_510_800_000
    assert play.means("t", then, then + 10) == [(then, 5.0)]
    assert {each.metric: each.value for each in play.store.last_values(DEVICE)} == latest


def test_what_waited_and_does_not_say_when_gives_no_values(play: Play) -> None:
    keep(play, [packet({"t": 5}, "historical=true"), packet({"t": 6}, "historical=false")])
    play.decode()
    assert [telemetry.values for _, telemetry in play.heard] == [{"t": 6.0}]
    found = play.store.device(DEVICE)
    assert found is not None
    assert "iothub-creation-time-utc with historical" in str(found.fault_reason)


def test_a_block_that_was_shortened_is_a_block(play: Play) -> None:
    keep(play, [placed(1)])
    outcome = play.store.commits.submit(PlacedRun(4, play.number, START, placed(1) + placed(2, 1), 2)).result()
    assert isinstance(outcome, Block)
    assert outcome.data.endswith(placed(2, 1))
    assert placed(1) not in outcome.data
