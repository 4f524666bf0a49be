# SPDX-License-Identifier: Apache-2.0
"""Boot entries as another implementation writes them (virt-firmware 25), whole, cut and hostile."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.disk.gpt import Partition
from armillary.wire.disk.load_option import LoadOption, decode_load_option, encode_load_option

SLOT = Partition(1, "unified-kernel-image-a", UUID("aaaaaaaa-0000-0000-0000-000000000001"), 2048, 16384)
FOREIGN = bytes.fromhex(
    "010000005e00410072006d0069006c006c00610072007900200073006c006f00740020006100000004012a000100000000080000"
    "000000000040000000000000aaaaaaaa0000000000000000000000010202040430005c004500460049005c0042004f004f005400"
    "5c0042004f004f0054005800360034002e0045004600490000007fff0400"
)


def test_an_entry_is_written_as_others_write_it() -> None:
    assert encode_load_option("Armillary slot a", SLOT, "\\EFI\\BOOT\\BOOTX64.EFI") == FOREIGN


def test_an_entry_of_others_is_read() -> None:
    assert decode_load_option(FOREIGN + b"data") == LoadOption(
        "Armillary slot a", SLOT.guid, "\\EFI\\BOOT\\BOOTX64.EFI"
    )


def test_the_way_to_the_disk_is_passed_over() -> None:
    node = bytes.fromhex("01010600001f")  # PCI device 1f, function 0
    at = FOREIGN.index(b"\x04\x01\x2a\x00")
    size = int.from_bytes(FOREIGN[4:6], "little") + len(node)
    longer = FOREIGN[:4] + size.to_bytes(2, "little") + FOREIGN[6:at] + node + FOREIGN[at:]
    assert decode_load_option(longer).partition == SLOT.guid


def test_an_entry_for_no_partition_has_none() -> None:
    end = bytes.fromhex("7fff0400")
    assert decode_load_option(bytes.fromhex("01000000 0400 5500 0000") + end) == LoadOption("U", None)


@pytest.mark.parametrize("length", range(len(FOREIGN) - 2))
def test_an_entry_that_was_cut_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        decode_load_option(FOREIGN[:length])


@given(st.binary(max_size=200) | st.binary(max_size=150).map(lambda data: FOREIGN[:60] + data))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        decode_load_option(data)
    except WireError as error:
        assert "boot entry" in error.message  # noqa: PT017 - both ends are right


def test_a_path_whose_nodes_do_not_go_on_is_refused() -> None:
    with pytest.raises(WireError, match="node"):
        decode_load_option(bytes.fromhex("01000000 0400 5500 0000 04010000"))


def test_an_entry_that_is_too_long_is_refused() -> None:
    with pytest.raises(WireError, match="4096"):
        decode_load_option(FOREIGN + bytes(4096))
