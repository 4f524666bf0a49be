# SPDX-License-Identifier: Apache-2.0
"""DNS queries from inside a sandbox, byte by byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.capability.network import allowed_hosts
from armillary.engines.sandbox.network.name_lookup import look_up

HOSTS = allowed_hosts(["hub.example.com"])
A, AAAA, TXT, ANY = 1, 28, 16, 255


def query(name: str, kind: int = A, *, flags: int = 0x0100, questions: int = 1, tail: bytes = b"") -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode("latin-1") for part in name.split(".") if part)
    return struct.pack("!6H", 0x1234, flags, questions, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1) + tail


def test_a_declared_name_gets_its_stand_in() -> None:
    found = look_up(query("HUB.example.COM"), HOSTS)
    assert found is not None
    assert (found.name, found.allowed) == ("hub.example.com", True)
    identity, flags, questions, answers, *_ = struct.unpack_from("!6H", found.answer)
    assert (identity, flags & 0x800F, questions, answers) == (0x1234, 0x8000, 1, 1)
    assert found.answer.endswith(struct.pack("!H", 4) + HOSTS.stand_ins["hub.example.com"].packed)


def test_who_asks_for_ipv6_gets_the_stand_in_in_that_form() -> None:
    found = look_up(query("hub.example.com", AAAA), HOSTS)
    assert found is not None
    assert struct.unpack_from("!6H", found.answer)[2:4] == (1, 1)
    mapped = bytes(10) + b"\xff\xff" + HOSTS.stand_ins["hub.example.com"].packed
    assert found.answer.endswith(struct.pack("!H", 16) + mapped)


@pytest.mark.parametrize("kind", [TXT, ANY, 65])
def test_other_records_of_a_declared_name_are_empty(kind: int) -> None:
    found = look_up(query("hub.example.com", kind), HOSTS)
    assert found is not None
    assert found.allowed
    assert struct.unpack_from("!6H", found.answer)[1:4] == (0x8580, 1, 0)


@pytest.mark.parametrize(
    "name", ["x.hub.example.com", "example.com", "evil.example", "", "hub.example.com.evil.net", "hub\xff.example"]
)
def test_every_other_name_does_not_exist(name: str) -> None:
    found = look_up(query(name, tail=b"\0\0\x29\x04\xd0\0\0\0\0\0\0"), HOSTS)
    assert found is not None
    assert not found.allowed
    assert struct.unpack_from("!6H", found.answer)[1] & 0xF == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        query("hub.example.com")[:12],
        query("hub.example.com")[:20],
        query("hub.example.com")[:-1],
        query("hub.example.com", flags=0x8100),  # an answer
        query("hub.example.com", flags=0x2800),  # an update
        query("hub.example.com", questions=0),
        query("hub.example.com", questions=2),
        struct.pack("!6H", 1, 0x100, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack("!2H", 1, 1),  # points at itself
        struct.pack("!6H", 1, 0x100, 1, 0, 0, 0) + b"\x3fabc",
        query(".".join(["a" * 60] * 6)),
        query("hub.example.com", tail=bytes(1300)),
    ],
)
def test_what_is_no_query_is_dropped(data: bytes) -> None:
    assert look_up(data, HOSTS) is None


@settings(max_examples=examples(200))
@given(st.binary(max_size=600))
def test_any_bytes_are_answered_or_dropped(data: bytes) -> None:
    found = look_up(data, HOSTS)
    if found is not None:
        assert found.answer[:2] == data[:2]
        assert found.answer[2] & 0x80
        assert found.allowed == (found.name == "hub.example.com")


@settings(max_examples=examples(100))
@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1, max_size=63),
        max_size=4,
    )
)
def test_a_name_is_read_as_it_is_spelt(labels: list[str]) -> None:
    found = look_up(query(".".join(labels)), HOSTS)
    assert found is not None
    assert found.name == (".".join(labels).lower() or ".")
