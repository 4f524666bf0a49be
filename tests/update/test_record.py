# SPDX-License-Identifier: Apache-2.0
"""The install record: every torn copy is noticed, the other copy is used."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from tests.fixtures.reports import reverted

from armillary.errors import WireError
from armillary.update.record import ChosenRecord, InstallRecord, SlotImage, Trial, choose, decode, encode

A = SlotImage(uuid.UUID(int=1), uuid.UUID(int=11), 10, "app", "a", 100, b"\x01" * 32)
B = replace(A, image_id=uuid.UUID(int=12), slot="b", sha256=b"\x02" * 32)
RECORD = InstallRecord(
    active=(B,),
    trial=Trial(uuid.UUID(int=5), uuid.UUID(int=6), (A,), 2),
    outcomes=(reverted(A, offer_id=uuid.UUID(int=4), outcome="confirmed", reason=""),),
    rejected=(uuid.UUID(int=7),),
)


def test_round_trip() -> None:
    copy = decode(encode(RECORD, 42))
    assert (copy.sequence, copy.record) == (42, RECORD)


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
    assert choose([None, None]) == ChosenRecord(InstallRecord(), 0, 1)
    assert choose([b"torn", None]) == ChosenRecord(InstallRecord(), 0, 1, (0,))


def test_two_unreadable_copies_are_an_error() -> None:
    with pytest.raises(WireError):
        choose([b"torn", b"torn"])


def test_slots_in_use_cover_both_sets_of_a_trial() -> None:
    assert RECORD.regions_in_use == {A.region, B.region}
    assert replace(RECORD, trial=None).regions_in_use == {B.region}
