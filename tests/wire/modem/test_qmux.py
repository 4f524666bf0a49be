# SPDX-License-Identifier: Apache-2.0
"""QMI frames: read back as they were written, found between garbage, bounded; any bytes are messages or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.modem.qmux import (
    CONTROL,
    MAX_FRAME_BYTES,
    FrameReader,
    Kind,
    QmiMessage,
    encode_frame,
    parse_frame,
)

MESSAGES = st.integers(0, 255).flatmap(
    lambda service: st.builds(
        QmiMessage,
        service=st.just(service),
        client=st.integers(0, 255),
        kind=st.sampled_from(Kind),
        transaction=st.integers(0, 255 if service == CONTROL else 65535),
        number=st.integers(0, 65535),
        fields=st.dictionaries(st.integers(0, 255), st.binary(max_size=40), max_size=8),
    )
)


@given(MESSAGES)
def test_round_trip(message: QmiMessage) -> None:
    assert parse_frame(encode_frame(message)) == message


@given(st.lists(MESSAGES, max_size=4), st.integers(1, 50))
def test_frames_come_in_pieces(messages: list[QmiMessage], size: int) -> None:
    data, reader = b"".join(map(encode_frame, messages)), FrameReader()
    found = [each for place in range(0, len(data), size) for each in reader.feed(data[place : place + size])]
    assert (found, reader.dropped) == (messages, 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_messages_or_nothing(data: bytes) -> None:
    reader = FrameReader()
    for message in reader.feed(data):
        assert parse_frame(encode_frame(message)) == message
    assert len(reader._bytes) <= MAX_FRAME_BYTES


def test_a_frame_is_found_behind_garbage() -> None:
    message = QmiMessage(service=3, client=1, kind=Kind.INDICATION, transaction=0, number=0x24, fields={1: b"\x01"})
    reader = FrameReader()
    assert reader.feed(b"\x02\xff~garbage\x01" + encode_frame(message) + b"\r\nAT\r\n") == [message]
    assert reader.dropped > 0


def test_a_frame_of_the_public_description() -> None:
    """As libqmi writes it: a client number of the service DMS is asked for."""
    data = bytes.fromhex("01 0f00 00 00 00 00 03 2200 0400 01 0100 02")
    assert parse_frame(data) == QmiMessage(
        service=CONTROL, client=0, kind=Kind.REQUEST, transaction=3, number=0x22, fields={1: b"\x02"}
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x05\x00\x00\x00\x00",
        bytes.fromhex("02 0f00 00 00 00 00 03 2200 0400 01 0100 02"),
        bytes.fromhex("01 1000 00 00 00 00 03 2200 0400 01 0100 02"),
        bytes.fromhex("01 0f00 00 00 00 07 03 2200 0400 01 0100 02"),
        bytes.fromhex("01 0f00 00 00 00 00 03 2200 0400 01 0200 02"),
        bytes.fromhex("01 0f00 00 00 00 00 03 2200 0500 01 0100 02"),
        bytes.fromhex("01 1300 00 00 00 00 03 2200 0800 01 0100 02 01 0100 02"),
    ],
)
def test_other_bytes_are_no_frame(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_frame(data)
    assert FrameReader().feed(data) == []


def test_a_message_that_is_too_large_is_refused_and_no_secret_is_shown() -> None:
    message = QmiMessage(service=1, client=1, kind=Kind.REQUEST, transaction=1, number=1, fields={1: b"7391"})
    assert "7391" not in repr(message)
    with pytest.raises(WireError):
        encode_frame(replace(message, fields={1: bytes(MAX_FRAME_BYTES)}))
