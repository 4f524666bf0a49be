# SPDX-License-Identifier: Apache-2.0
"""What a ClientHello offers, read before TLS begins (RFC 8446 §4.1.2): nothing here is verified, TLS does that.

Not here: any decision about who the client is. Whatever is not understood counts as not offered.
"""

from __future__ import annotations

from collections.abc import Iterator

HEADER_BYTES = 5  # Of a TLS record: type, version, length (RFC 8446 §5.1)
MAX_RECORD_BYTES = 16 * 1024
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_VERSION_AND_RANDOM_BYTES = 2 + 32
_SUPPORTED_VERSIONS, _KEY_SHARE = 43, 51  # extensions, RFC 8446 §4.2
_TLS_1_3 = b"\x03\x04"
_X25519 = 0x001D  # named group, RFC 8446 §4.2.7


def is_whole(data: bytes) -> bool:
    """Whether the first record is there to its end, or is none that a ClientHello could begin with."""
    if data[:1] != bytes([_HANDSHAKE]):
        return bool(data)
    size = int.from_bytes(data[3:HEADER_BYTES])
    return size > MAX_RECORD_BYTES or (len(data) >= HEADER_BYTES and len(data) >= HEADER_BYTES + size)


def has_x25519_share(data: bytes) -> bool:
    """Whether this begins with a ClientHello in one record that offers TLS 1.3 with a key of its own on X25519."""
    try:
        extensions = dict(_extensions(data))
        versions, _ = _vector(extensions.get(_SUPPORTED_VERSIONS, b""), 0, 1)
        shares, _ = _vector(extensions.get(_KEY_SHARE, b""), 0, 2)
        groups = [group for group, _ in _tagged(shares)]
    except ValueError:
        return False
    return _X25519 in groups and _TLS_1_3 in (versions[at : at + 2] for at in range(0, len(versions), 2))


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    record, _ = _vector(data, 3, 2)
    if data[0] != _HANDSHAKE or record[:1] != bytes([_CLIENT_HELLO]):
        raise ValueError("no ClientHello")
    hello, _ = _vector(record, 1, 3)
    at = _VERSION_AND_RANDOM_BYTES
    for size_bytes in (1, 2, 1):  # session id, cipher suites, compression methods
        _, at = _vector(hello, at, size_bytes)
    return _tagged(_vector(hello, at, 2)[0])


def _tagged(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Pairs of a number of 2 bytes and a vector with a length of 2."""
    at = 0
    while at < len(data):
        tag = int.from_bytes(data[at : at + 2])
        content, at = _vector(data, at + 2, 2)
        yield tag, content


def _vector(data: bytes, start: int, size_bytes: int) -> tuple[bytes, int]:
    """The bytes behind a length of so many bytes at ``start``, and where they end; ValueError if they are cut short."""
    begin = start + size_bytes
    end = begin + int.from_bytes(data[start:begin])
    if end > len(data):
        raise ValueError("cut short")
    return data[begin:end], end
