# SPDX-License-Identifier: Apache-2.0
"""The partition table as sfdisk (util-linux) writes it, whole, damaged and hostile."""

from __future__ import annotations

import base64
import struct
import zlib
from binascii import crc32
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.disk.gpt import HEADER_LBA, SECTOR_BYTES, Partition, parse_entries, parse_header

SECTORS = 131_072  # of the 64 MiB file
# The first 34 and the last 33 sectors of a file that sfdisk 2.41 partitioned.
START = zlib.decompress(
    base64.b64decode(
        "eNrt0T9Lw0AYx/FfomLBQfoKlE4idOqoFYRqFBcRu7lY20rxH7R1cBBEBZ18Dc5dFEc3B/90dXJycu6qW3y0V7EdWoyLwvcTLpe7y92P"
        "J5Hwn/lqhGHo2VPz/jPZ2szs/Oji9NKy5GnFZm6vLhsfK62zvk6NNbtnN46bRCKVymSyn3z3/oFrk4drQ/ydv2+sMn4z8vYYv17QeX2q"
        "PlEz35a91n8Pg/Z9u9pWSUVrBeWV1Ib1ZZsraNNGJW1pVes2SlrfzUX6bvjouByc7aVLT8H+S0e+rzmXf9K+r6wdu6p2flGVnimR6+/T"
        "qcu/j1p/7jf19+vB5Q96XevPRay/R/6AYs3c8LU9P2/1VSN/dQAAAAAAAAAAAAAAAAAAAAAAAAAAAABAp3e4X2r4"
    )
)
END = zlib.decompress(
    base64.b64decode(
        "eNrt3L1KA0EUhuEv/mDAQnIFSqogpEqpEYToKjYi2lloTCKLf7CJhYUiKmjlNaS2sRcbGzWtlZU23oN261l3UDZgArGxeJ9lmJ0Dsx9n"
        "+tlcffxu9OMpc7OgZmuqNXFl9COldPwSekrY16581WxUVVFeWzYHVqtq21a+drSuTVvlbe7kung/cnoWeJcHRf/ZO3xry+/TnMs/T+4L"
        "tGdPw75fU71ryu9ynfvv14XLf+i1//Jf+h/Qo8sfSnXsv9xj/13yB5WOc8P3ZH7F+mv0fOoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgHYz"
        "s/Nji9NLy9FV/9WocHS7Fk1hGN/3/r717f4D8OLqGZPNFgql0sqXV1c/dmPyZGOY0/3/PgEtLmRu"
    )
)


def sectors(first: int, count: int) -> bytes:
    """Sectors of the file; what is between the two tables is zero."""
    start, end = START[: 34 * SECTOR_BYTES], END[-33 * SECTOR_BYTES :]
    at = first * SECTOR_BYTES
    whole = start if first < 34 else end
    offset = at if first < 34 else at - (SECTORS - 33) * SECTOR_BYTES
    return whole[offset : offset + count * SECTOR_BYTES]


def partitions(lba: int) -> tuple[Partition, ...]:
    header = parse_header(sectors(lba, 1), lba)
    return parse_entries(header, sectors(header.entries_lba, header.entries_bytes // SECTOR_BYTES))


def test_both_copies_say_what_sfdisk_wrote() -> None:
    expected = tuple(
        Partition(number, name, UUID(int=0xAAAAAAAA << 96 | number), first, count)
        for number, (name, first, count) in enumerate(
            (
                ("unified-kernel-image-a", 2048, 16384),
                ("root-fs-a", 18432, 16384),
                ("unified-kernel-image-b", 34816, 16384),
                ("root-fs-b", 51200, 16384),
                ("data", 67584, 61440),
            ),
            start=1,
        )
    )
    assert partitions(HEADER_LBA) == expected
    assert partitions(SECTORS - 1) == expected


@given(st.integers(0, 91), st.integers(1, 255))
def test_a_header_with_a_changed_byte_is_refused(at: int, change: int) -> None:
    sector = bytearray(sectors(HEADER_LBA, 1))
    sector[at] ^= change
    with pytest.raises(WireError):
        parse_header(bytes(sector), HEADER_LBA)


@given(st.integers(0, 128 * 128 - 1), st.integers(1, 255))
def test_entries_with_a_changed_byte_are_refused(at: int, change: int) -> None:
    header = parse_header(sectors(HEADER_LBA, 1), HEADER_LBA)
    data = bytearray(sectors(2, 32))
    data[at] ^= change
    with pytest.raises(WireError, match="entries"):
        parse_entries(header, bytes(data))


def test_a_header_is_no_header_elsewhere() -> None:
    with pytest.raises(WireError, match="at sector 5"):
        parse_header(sectors(HEADER_LBA, 1), 5)


@pytest.mark.parametrize(("offset", "value"), [(80, 0), (80, 129), (80, 0xFFFFFFFF), (84, 64), (12, 10_000), (12, 8)])
def test_a_header_that_asks_for_too_much_is_refused(offset: int, value: int) -> None:
    sector = bytearray(sectors(HEADER_LBA, 1))
    struct.pack_into("<I", sector, offset, value)
    struct.pack_into("<I", sector, 16, 0)
    size = struct.unpack_from("<I", sector, 12)[0]
    struct.pack_into("<I", sector, 16, crc32(sector[:size]))
    with pytest.raises(WireError):
        parse_header(bytes(sector), HEADER_LBA)


def test_a_partition_that_ends_before_it_begins_is_refused() -> None:
    header = parse_header(sectors(HEADER_LBA, 1), HEADER_LBA)
    data = bytearray(sectors(2, 32))
    struct.pack_into("<QQ", data, 32, 100, 99)
    made = type(header)(header.entries_lba, header.entries_bytes, crc32(data))
    with pytest.raises(WireError, match="partition 1 to end"):
        parse_entries(made, bytes(data))


@given(st.binary(max_size=600))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_header(data, HEADER_LBA)
