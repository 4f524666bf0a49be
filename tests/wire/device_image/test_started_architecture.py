# SPDX-License-Identifier: Apache-2.0
"""What is started from a slot says which processors it is for; anything else is refused as what it is not."""

from __future__ import annotations

import random

import pytest
from tests.fixtures.boot_partitions import boot_partition, pe_program
from tests.wire.device_image.test_uboot_measurements import flattened

from armillary.errors import WireError
from armillary.wire.device_image.started_architecture import started_architecture


def fit(arch: bytes) -> bytes:
    return flattened({"images": {"kernel": {"arch": arch, "data": b"kernel"}}})


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (boot_partition(pe_program(machine=0x8664)), "x86_64"),
        (boot_partition(pe_program(machine=0xAA64)), "aarch64"),
        (boot_partition(pe_program(machine=0x01C2)), "armv7"),
        (boot_partition(pe_program(machine=0x014C)), ""),
        (fit(b"arm64\0"), "aarch64"),
        (fit(b"arm\0"), "armv7"),
        (fit(b"riscv\0") + bytes(4096), ""),
    ],
)
def test_it_says_its_processors(payload: bytes, found: str) -> None:
    assert started_architecture(payload) == found


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"Armillary virtual boot component",
        boot_partition(b""),
        boot_partition(b"MZ" + bytes(100)),
        boot_partition(b"MZ".ljust(60, b"\0") + b"\xff\xff\xff\xff"),
        flattened({"images": {"kernel": {"data": b"kernel"}}}),
        fit(b"arm64\0")[:40],
    ],
)
def test_what_does_not_say_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        started_architecture(payload)


@pytest.mark.parametrize("whole", [boot_partition(pe_program()), fit(b"arm64\0")])
def test_damage_gives_an_answer_or_a_refusal(whole: bytes) -> None:
    source = random.Random(1)  # noqa: S311 - repeatable damage
    refused = 0
    for _ in range(2000):
        damaged = bytearray(whole[: source.randrange(len(whole) + 1)] if source.random() < 0.2 else whole)
        for _ in range(source.randrange(4)):
            if damaged:
                damaged[source.randrange(min(len(damaged), 1200))] = source.randrange(256)
        try:
            started_architecture(bytes(damaged))
        except WireError:
            refused += 1
    assert refused, "the damage was never reached"
