# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.cbor_items import items_of

from armillary.errors import WireError
from armillary.sim.device.prover import release
from armillary.wire.attestation import event_log as log
from armillary.wire.encoding import cbor

EVENTS = tuple(component.event for component in release(1))


def fields(**changes: Any):
    values = {
        "component": "Stage1",
        "type": 1,
        "component_id": bytes(16),
        "image_id": bytes(16),
        "digest": bytes(32),
        "version": 0,
    } | changes
    return list(values.values())


def test_round_trip():
    data = log.encode_log(EVENTS)
    assert log.parse_log(data).events == EVENTS
    assert cbor.encode(cbor.decode(data, what="t", limit=10_000)) == data


def test_head_is_the_documented_chain():
    head = bytes(32)
    for event in EVENTS:
        head = sha256(head + sha256(log.encode_event(event)).digest()).digest()
    assert log.log_head(EVENTS) == head
    assert log.log_head(()) == log.EMPTY_HEAD


def test_head_known_answer():
    """Fixes the format: another implementation must come to the same head."""
    event = log.BootEvent("SecurityMonitor", 4, UUID(int=1), UUID(int=2), b"\x11" * 32, 3)
    assert log.encode_event(event).hex() == (
        "866f53656375726974794d6f6e69746f7204"
        "50" + "00" * 15 + "01" + "50" + "00" * 15 + "02" + "5820" + "11" * 32 + "03"
    )
    assert log.log_head([event]).hex() == KNOWN_HEAD


KNOWN_HEAD = "0e4d1e944d4977b969640188993f86f5d20e242e34dccaaf9efe6e30a1034d51"


@pytest.mark.parametrize(
    "change",
    [
        {"component": "Other"},
        {"image_type": 2},
        {"component_id": UUID(int=77)},
        {"image_id": UUID(int=78)},
        {"digest": b"d" * 32},
        {"security_version": 7},
    ],
)
def test_every_field_is_in_the_head(change: Any):
    edited = (dataclasses.replace(EVENTS[0], **change), *EVENTS[1:])
    assert log.log_head(edited) != log.log_head(EVENTS)


@pytest.mark.parametrize(
    "value",
    [
        [],
        [fields()] * (log.MAX_EVENTS + 1),
        {},
        "text",
        [fields()[:5]],
        [[*fields(), 1]],
        ["event"],
        [fields(component="")],
        [fields(component="x" * 65)],
        [fields(component="\u00fc" * 33)],
        [fields(component="a\0b")],
        [fields(component=b"Stage1")],
        [fields(type=-1)],
        [fields(type=0x10000)],
        [fields(type=True)],
        [fields(component_id=bytes(15))],
        [fields(image_id=bytes(17))],
        [fields(image_id=None)],
        [fields(digest=bytes(31))],
        [fields(digest="x" * 32)],
        [fields(version=-1)],
        [fields(version=2**32)],
    ],
)
def test_other_values_are_refused(value: Any):
    with pytest.raises(WireError):
        log.parse_log(cbor.encode(value))


def test_limits_hold_on_both_sides():
    assert len(log.parse_log(cbor.encode([fields()] * log.MAX_EVENTS)).events) == log.MAX_EVENTS
    largest = fields(component="x" * 64, type=0xFFFF, version=2**32 - 1)
    assert len(cbor.encode([largest] * log.MAX_EVENTS)) <= log.MAX_LOG_BYTES
    assert items_of([largest] * log.MAX_EVENTS) == 449 <= log.MAX_LOG_ITEMS
    with pytest.raises(WireError, match="at most 1024 items"):
        log.parse_log(cbor.encode([[]] * 16_000))
    with pytest.raises(WireError):
        log.encode_log(EVENTS * 20)
    with pytest.raises(WireError):
        log.encode_log(())
    with pytest.raises(WireError):
        log.encode_log([dataclasses.replace(EVENTS[0], digest=b"short")])
    with pytest.raises(WireError, match="at most"):
        log.parse_log(bytes(1024 * 1024))
