# SPDX-License-Identifier: Apache-2.0
"""What a ClientHello offers: as real clients send it, cut, and made up."""

from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given, strategies as st

from armillary.hub.link.hello import MAX_RECORD_BYTES, has_x25519_share, is_whole


def hello(*, group: str | None = None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL begins with."""
    context = ssl.create_default_context()
    context.maximum_version = newest
    if group is not None:
        context.set_ecdh_curve(group)
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


HELLO = hello(group="X25519")


def test_real_clients() -> None:
    assert has_x25519_share(HELLO)
    assert has_x25519_share(hello())
    assert not has_x25519_share(hello(group="prime256v1"))
    assert not has_x25519_share(hello(newest=ssl.TLSVersion.TLSv1_2))


def test_a_hello_cut_anywhere_is_not_whole_and_offers_nothing() -> None:
    for end in range(len(HELLO)):
        assert not is_whole(HELLO[:end])
        assert not has_x25519_share(HELLO[:end])
    assert is_whole(HELLO)
    assert is_whole(HELLO + b"more")


def test_what_is_offered_in_another_place_does_not_count() -> None:
    share = b"\x00\x1d\x00\x20"
    assert HELLO.count(share) == 1
    assert not has_x25519_share(HELLO.replace(share, b"\x00\x17\x00\x20"))
    assert not has_x25519_share(HELLO.replace(b"\x00\x2b", b"\x00\x2a"))  # no supported_versions
    assert not has_x25519_share(b"\x17" + HELLO[1:])
    assert not has_x25519_share(HELLO[:5] + b"\x02" + HELLO[6:])


@pytest.mark.parametrize("data", [b"GET ", b"\x10", b"\x16\x03\x01" + (MAX_RECORD_BYTES + 1).to_bytes(2)])
def test_nobody_waits_for_the_end_of_what_is_no_hello(data: bytes) -> None:
    assert is_whole(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    is_whole(data)
    has_x25519_share(data)


@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
def test_a_hello_with_any_byte_changed_is_answered(at: int, value: int) -> None:
    changed = HELLO[:at] + bytes([value]) + HELLO[at + 1 :]
    assert has_x25519_share(changed) in (True, False)
    is_whole(changed)
