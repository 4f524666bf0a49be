# SPDX-License-Identifier: Apache-2.0
"""Trust stores: what is written is read, and nothing else is."""

from __future__ import annotations

import struct

import pytest
from tests.fixtures.images import P256, P384

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.update.trust_store import (
    MAX_ROOTS,
    MAX_SIGNERS,
    CertificateStore,
    KeyStore,
    encode_certificate_store,
    encode_key_store,
    parse_certificate_store,
    parse_key_store,
)

STORE = KeyStore(os_signers=(P256[1], P384[1]), image_signers=(P384[1],))


def test_round_trip_with_the_padding_of_a_package() -> None:
    for padding in range(4):
        assert parse_key_store(encode_key_store(STORE) + bytes(padding)) == STORE
    roots = CertificateStore((P384[1],))
    assert parse_certificate_store(encode_certificate_store(roots) + bytes(3)) == roots


@pytest.mark.parametrize("tail", [bytes(4), b"\1", b"\0\1"])
def test_what_stands_behind_it_is_refused(tail: bytes) -> None:
    with pytest.raises(WireError, match="fewer than 4 zeros"):
        parse_key_store(encode_key_store(STORE) + tail)


def test_every_shortened_store_is_refused() -> None:
    data = encode_key_store(STORE)
    for length in range(0, len(data), 7):
        with pytest.raises(WireError):
            parse_key_store(data[:length])


def test_one_store_is_not_taken_for_the_other() -> None:
    with pytest.raises(WireError, match="magic ACS1"):
        parse_certificate_store(encode_key_store(STORE))


@pytest.mark.parametrize(
    "value",
    [{1: [], 2: [b"x"]}, {1: [b"no certificate"], 2: [b"x"]}, {1: [b"x"]}, [b"x"], {1: [b"x"], 2: [b"x"], 3: [b"x"]}],
)
def test_a_store_without_certificates_is_refused(value: object) -> None:
    content = cbor.encode(value)
    with pytest.raises(WireError):
        parse_key_store(struct.pack("<4sI", b"AKS1", len(content)) + content)


def test_limits_hold_when_it_is_written() -> None:
    with pytest.raises(WireError):
        encode_key_store(KeyStore(os_signers=(P256[1],) * (MAX_SIGNERS + 1), image_signers=(P256[1],)))
    with pytest.raises(WireError):
        encode_certificate_store(CertificateStore((P256[1],) * (MAX_ROOTS + 1)))
