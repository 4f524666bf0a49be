# SPDX-License-Identifier: Apache-2.0
"""A device's log is read back as it was written, and everything else is refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device import device_log as dl
from armillary.wire.encoding import cbor

LINES = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200), max_size=9)


@given(st.uuids(), st.integers(0, 2**33), st.integers(0, dl.MAX_LEFT_OUT), LINES.map(tuple))
def test_round_trip(request_id: UUID, at: int, left_out: int, lines: tuple[str, ...]) -> None:
    log = dl.DeviceLog(request_id=request_id, at=at, left_out=left_out, lines=lines)
    assert dl.parse_log(dl.encode_log(log)) == log


def test_receipt_round_trip() -> None:
    assert dl.parse_log_receipt(dl.encode_log_receipt(UUID(int=7))) == UUID(int=7)


GOOD: list[Any] = [1, bytes(16), 1_790_000_000, 0, ["a line"]]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 2),
        (0, True),
        (1, bytes(15)),
        (1, "id"),
        (2, -1),
        (3, -1),
        (3, dl.MAX_LEFT_OUT + 1),
        (4, "a line"),
        (4, [b"bytes"]),
        (4, ["with\0nul"]),
        (4, ["x" * (dl.MAX_LINE_BYTES + 1)]),
        (4, [""] * (dl.MAX_LINES + 1)),
    ],
)
def test_other_logs_are_refused(at: int, value: Any) -> None:
    dl.parse_log(cbor.encode(GOOD))
    with pytest.raises(WireError):
        dl.parse_log(cbor.encode([*GOOD[:at], value, *GOOD[at + 1 :]]))


def test_more_items_than_any_log_has_are_refused_before_they_are_made() -> None:
    lines = [""] * dl.MAX_LINES
    assert dl.parse_log(cbor.encode([*GOOD[:4], lines])).lines == tuple(lines)
    with pytest.raises(WireError, match="at most 1030 items"):
        dl.parse_log(cbor.encode([[]] * 60_000))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", cbor.encode(GOOD[:4]), cbor.encode([*GOOD, 1]), cbor.encode(GOOD) + b"x"]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        dl.parse_log(data)


def test_a_log_above_its_size_is_refused_by_who_writes_and_by_who_reads() -> None:
    lines = ("x" * dl.MAX_LINE_BYTES,) * 30
    with pytest.raises(WireError):
        dl.encode_log(dl.DeviceLog(request_id=UUID(int=1), at=0, left_out=0, lines=lines))
    with pytest.raises(WireError):
        dl.parse_log(cbor.encode([1, bytes(16), 0, 0, list(lines)]))


@pytest.mark.parametrize("data", [b"", cbor.encode([]), cbor.encode([b"short"]), cbor.encode([bytes(16), 1])])
def test_other_receipts_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        dl.parse_log_receipt(data)
