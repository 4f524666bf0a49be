# SPDX-License-Identifier: Apache-2.0
"""The install record: every torn copy is noticed, the other copy is used."""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import replace

import pytest
from tests.fixtures.reports import reverted

from armillary.errors import WireError
from armillary.update.install.record import (
    MAX_OUTCOMES,
    MAX_REJECTED,
    ChosenRecord,
    InstallRecord,
    OsVersion,
    SlotImage,
    Trial,
    WayBack,
    choose,
    decode,
    encode,
)
from armillary.wire.device.checkin import MAX_OFFERED, MAX_REASON_BYTES
from armillary.wire.encoding import cbor

A = SlotImage(uuid.UUID(int=1), uuid.UUID(int=11), 10, "app", "a", 100, b"\x01" * 32)
B = replace(A, image_id=uuid.UUID(int=12), slot="b", sha256=b"\x02" * 32)
KERNEL = SlotImage(uuid.UUID(int=3), uuid.UUID(int=13), 7, "normal-world-kernel", "b", 200, b"\x03" * 32)
OLD_KERNEL = replace(KERNEL, image_id=uuid.UUID(int=14), slot="a")
RECORD = InstallRecord(
    active=(KERNEL, B),
    trial=Trial(uuid.UUID(int=5), uuid.UUID(int=6), (A,), 2, OsVersion("26.10", 3), (B.image_id,)),
    outcomes=(reverted(A, offer_id=uuid.UUID(int=4), outcome="confirmed", reason=""),),
    rejected=(uuid.UUID(int=7),),
    os=OsVersion("26.11", 4),
    way_back=WayBack((OLD_KERNEL,), OsVersion("26.9", 3)),
)


def first_version(record: InstallRecord, sequence: int) -> bytes:
    """A copy as version 1 of the format wrote it: applications only."""

    def image(one: SlotImage) -> list[object]:
        ids = [one.component_id.bytes, one.image_id.bytes]
        return [*ids, one.image_type, one.name, one.slot, one.size, one.sha256]

    trial = record.trial
    payload = cbor.encode(
        {
            1: [image(one) for one in record.active],
            2: None
            if trial is None
            else [trial.offer_id.bytes, trial.rejection_key.bytes, [image(i) for i in trial.previous], 2],
            3: [],
            4: [key.bytes for key in record.rejected],
        }
    )
    head = struct.Struct(">4sBQII")
    crc = zlib.crc32(payload, zlib.crc32(head.pack(b"ARMR", 1, sequence, len(payload), 0)))
    return head.pack(b"ARMR", 1, sequence, len(payload), crc) + payload


def test_round_trip() -> None:
    copy = decode(encode(RECORD, 42))
    assert (copy.sequence, copy.record) == (42, RECORD)


def test_a_record_of_the_first_version_is_read_and_its_trial_watches_what_it_brought() -> None:
    old = InstallRecord(active=(A,), rejected=(uuid.UUID(int=7),))
    assert decode(first_version(old, 7)).record == old
    trial = Trial(uuid.UUID(int=5), uuid.UUID(int=6), (A,), 2)
    found = choose([first_version(old, 7), first_version(replace(old, active=(B,), trial=trial), 8)])
    assert found.record.trial == replace(trial, watched=(B.image_id,))
    assert (found.next_copy, found.next_sequence) == (0, 9)
    assert not found.record.system_on_trial


@pytest.mark.parametrize("version", [0, 3])
def test_a_record_of_another_version_is_refused(version: int) -> None:
    data = bytearray(encode(RECORD, 1))
    data[4] = version
    with pytest.raises(WireError, match="version 1 to 2"):
        decode(bytes(data))


def test_the_largest_record_is_read() -> None:
    """As many images as an offer may have, three times, and the longest outcomes: what can be written can be read."""
    longest = [replace(KERNEL, component_id=uuid.UUID(int=n), name="x" * 64) for n in range(MAX_OFFERED)]
    outcome = reverted(A, reason="x" * MAX_REASON_BYTES)
    largest = replace(
        RECORD,
        active=tuple(longest),
        trial=replace(RECORD.trial, previous=tuple(longest), watched=(A.image_id,) * MAX_OFFERED),
        outcomes=(outcome,) * MAX_OUTCOMES,
        rejected=(uuid.UUID(int=7),) * MAX_REJECTED,
        way_back=WayBack(tuple(longest), OsVersion("x" * 64, 2**32)),
    )
    assert decode(encode(largest, 2**63)).record == largest


def test_every_shortened_copy_is_refused() -> None:
    data = encode(RECORD, 1)
    for length in range(len(data)):
        with pytest.raises(WireError):
            decode(data[:length])


def test_every_flipped_bit_is_refused() -> None:
    data = encode(RECORD, 1)
    for index in range(len(data) * 8):
        spoiled = bytearray(data)
        spoiled[index // 8] ^= 1 << index % 8
        with pytest.raises(WireError):
            decode(bytes(spoiled))


def test_an_unknown_slot_is_refused_even_with_a_good_crc() -> None:
    with pytest.raises(WireError, match="slot"):
        decode(encode(InstallRecord(active=(replace(A, slot="c"),)), 1))


def test_the_newer_copy_is_in_force_and_the_older_is_overwritten() -> None:
    old, new = encode(InstallRecord(active=(A,)), 7), encode(RECORD, 8)
    assert choose([old, new]) == ChosenRecord(RECORD, 0, 9)
    assert choose([new, old]) == ChosenRecord(RECORD, 1, 9)


def test_a_torn_copy_leaves_the_other_in_force() -> None:
    old = encode(InstallRecord(active=(A,)), 7)
    torn = encode(RECORD, 8)[:-1]
    assert choose([old, torn]) == ChosenRecord(InstallRecord(active=(A,)), 1, 8, (1,))


def test_a_new_device_and_a_torn_first_record_have_nothing_installed() -> None:
    assert choose([None, None]) == ChosenRecord(InstallRecord(), 0, 1, is_from_copy=False)
    assert choose([b"torn", None]) == ChosenRecord(InstallRecord(), 0, 1, (0,), is_from_copy=False)


def test_two_unreadable_copies_are_an_error() -> None:
    with pytest.raises(WireError):
        choose([b"torn", b"torn"])


def test_slots_in_use_cover_both_sets_of_a_trial() -> None:
    new = "boot.b/normal-world-kernel"
    assert RECORD.regions_in_use == {A.region, B.region, new, "boot/normal-world-kernel"}
    assert replace(RECORD, trial=None, way_back=None).regions_in_use == {B.region, new}


def test_an_os_component_that_no_record_names_starts_from_slot_a() -> None:
    names = ["normal-world-kernel", "root-fs"]
    assert RECORD.system_regions(names) == {"boot.b/normal-world-kernel", "boot/root-fs"}
    assert InstallRecord().system_regions(names) == {"boot/normal-world-kernel", "boot/root-fs"}


def test_a_trust_store_has_its_own_slots() -> None:
    store = replace(A, image_type=19, slot="b")
    assert store.region == f"trust/{A.component_id}/b"
    assert InstallRecord(active=(store,)).system_regions([]) == {store.region}
    assert InstallRecord(active=(store, A)).applications == (A,)
