# SPDX-License-Identifier: Apache-2.0
"""Attacks with what guardians say of their messages: their place, and that they waited. Each with its control."""

from __future__ import annotations

from typing import Any

import pytest
from tests.hub.running_hub import DEVICE, OTHER, Client, RunningHub, authority, client, running, wait_until
from tests.platform.rules.test_rules import alerts, put

from armillary.engines.series.log import repeated
from armillary.engines.series.log.repeated import MAX_BOOTS
from armillary.wire.equipment.message import MAX_SEQUENCE
from armillary.wire.equipment.seen import MAX_SPANS

__all__ = ["authority", "client", "running"]

BOOT = "0123456789abcdef"
OLD = "historical=true&iothub-creation-time-utc=2026-11-01T00%3A00%3A00Z"


def place(sequence: int, after: int = 0, floor: int = 0, boot: str = BOOT) -> str:
    return f"%24.mid={boot}.{sequence}&guardian-sequence={boot}.{sequence}.{after}.{floor}"


def stored(running: RunningHub, device: str = DEVICE) -> list[int]:
    messages = reversed(running.hub.series.messages(device, 10**6))
    return [int(each.payload.partition(b":")[2].strip(b" }")) for each in messages]


def rows_of(running: RunningHub) -> list[tuple[Any, ...]]:
    return running.hub.series.read(lambda connection: connection.execute("SELECT * FROM guardian_boot").fetchall())


def claim_everything(running: RunningHub) -> None:
    """An attacker with a device of its own says that all messages of its victim's boot have come."""
    attacker = running.client(OTHER).ready()
    attacker.telemetry({"n": 666}, place(MAX_SEQUENCE, 0, MAX_SEQUENCE))


def test_one_device_cannot_make_another_ones_messages_old(running: RunningHub, client: Client) -> None:
    client.telemetry({"n": 1}, place(1, 0, 1))
    claim_everything(running)
    client.telemetry({"n": 2}, place(2, 1, 2))
    assert stored(running) == [1, 2]


def test_control_without_the_identity_in_the_key_the_victim_loses_its_messages(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_new = repeated._SeenNow.is_new
    monkeypatch.setattr(repeated._SeenNow, "is_new", lambda self, _device, each: is_new(self, 0, each))
    client.telemetry({"n": 1}, place(1, 0, 1))
    claim_everything(running)
    client.telemetry({"n": 2}, place(2, 1, 2))
    assert stored(running) == [1]


def test_forged_numbers_harm_their_own_boot_alone_and_take_bounded_room(running: RunningHub, client: Client) -> None:
    client.telemetry({"n": 1}, place(MAX_SEQUENCE, MAX_SEQUENCE - 1, MAX_SEQUENCE))
    client.telemetry({"n": 2}, place(2))  # its own doing
    client.telemetry({"n": 3}, place(2, boot="f" * 16))  # the next start is as ever
    assert stored(running) == [1, 3]
    for number in range(2 * MAX_SPANS):
        client.publish(
            f"devices/{DEVICE}/messages/events/{place(MAX_SEQUENCE - 3 * number, MAX_SEQUENCE - 3 * number - 1, boot='e' * 16)}",
            b"{}",
        )
    for number in range(2 * MAX_BOOTS):
        client.publish(f"devices/{DEVICE}/messages/events/{place(1, boot=f'{number:016x}')}", b"{}")
    client.telemetry({"n": 4}, place(1, boot="d" * 16))
    rows = rows_of(running)
    assert len(rows) == MAX_BOOTS
    assert max(len(str(row)) for row in rows) < MAX_SPANS * 41 + 100


def test_a_device_that_says_no_place_is_served_as_ever(running: RunningHub, client: Client) -> None:
    bag = "%24.mid=the-same&%24.ct=application%2Fjson"
    for _ in range(3):
        client.telemetry({"n": 7}, bag)
    assert stored(running) == [7, 7, 7]
    assert rows_of(running) == []
    assert not running.hub.series._writer.has_placed
    assert running.hub.counters()["messages_repeated"] == 0


def test_values_of_long_ago_fire_no_rule_end_no_alert_and_are_no_last_value(
    running: RunningHub, client: Client
) -> None:
    put(running, "hot")
    client.telemetry({"t": 20})
    client.telemetry({"t": 99}, OLD)
    client.telemetry({"t": 21})
    wait_until(lambda: running.hub.counters()["messages_decoded"] == 3, "three messages are decoded")
    assert alerts(running) == []
    client.telemetry({"t": 31})  # the control: the same, of now
    wait_until(lambda: alerts(running), "an alert")
    client.telemetry({"t": 5}, OLD)
    wait_until(lambda: running.hub.counters()["messages_decoded"] == 5, "five messages are decoded")
    assert alerts(running)[0].over_ms is None
    assert [each.value for each in running.hub.series.last_values(DEVICE)] == [31.0]
    client.telemetry({"t": 5})
    wait_until(lambda: alerts(running)[0].over_ms, "the alert is over")
