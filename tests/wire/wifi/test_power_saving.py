# SPDX-License-Identifier: Apache-2.0
"""Messages of generic netlink: the kernel of this host answers ours, and broken ones are refused."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.wifi import power_saving
from armillary.wire.wifi.power_saving import (
    ask_family,
    ask_power_saving,
    parse_done,
    parse_family,
    parse_power_saving,
    set_power_saving,
)


def message(kind: int, body: bytes, sequence: int = 5) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def test_the_kernel_answers_a_question_of_this_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_saving, "FAMILY", "nlctrl")  # which every kernel has: nl80211 needs one with Wi-Fi
    with contextlib.closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)) as kernel:
        kernel.settimeout(5)
        kernel.send(ask_family(9))
        assert parse_family(kernel.recv(65536), 9) == 0x10
        monkeypatch.setattr(power_saving, "FAMILY", "nosuchfamily")
        kernel.send(ask_family(10))
        with pytest.raises(OSError, match="refuses") as refused:
            parse_family(kernel.recv(65536), 10)
        assert refused.value.errno == errno.ENOENT


def test_what_is_asked_has_the_numbers_of_the_headers() -> None:
    assert set_power_saving(28, 3, saves=True, sequence=5) == struct.pack(
        "=IHHIIBBxxHHIHHI", 36, 28, 5, 5, 0, 61, 1, 8, 3, 3, 8, 93, 1
    )
    assert ask_power_saving(28, 3, sequence=5) == struct.pack("=IHHIIBBxxHHI", 28, 28, 1, 5, 0, 62, 1, 8, 3, 3)


def test_answers_are_read() -> None:
    head = struct.pack("=BBxx", 1, 1)
    assert parse_family(message(16, head + attribute(2, b"nl80211\0") + attribute(1, b"\x1c\0")), 5) == 28
    assert parse_power_saving(message(28, head + attribute(93, struct.pack("=I", 1))), 5) is True
    assert parse_power_saving(message(28, head + attribute(93, struct.pack("=I", 0))), 5) is False
    parse_done(message(2, struct.pack("=i", 0) + bytes(16)), 5)
    with pytest.raises(OSError, match="95"):
        parse_done(message(2, struct.pack("=i", -errno.EOPNOTSUPP) + bytes(16)), 5)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\x10",
        message(28, bytes(4), sequence=6),
        struct.pack("=IHHII", 4, 2, 0, 5, 0),
        struct.pack("=IHHII", 64, 2, 0, 5, 0),
        message(2, b""),
        message(28, bytes(4) + struct.pack("=HH", 3, 93)),
    ],
)
def test_a_broken_answer_is_refused(wrong: bytes) -> None:
    with pytest.raises(WireError, match="netlink"):
        parse_power_saving(wrong, 5)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for reader in (parse_family, parse_done, parse_power_saving):
        for answer in (data, message(28, bytes(4) + data), message(2, data)):
            with contextlib.suppress(WireError, OSError):
                reader(answer, 5)
