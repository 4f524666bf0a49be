# SPDX-License-Identifier: Apache-2.0
"""Attacks by name: what is listed of each, and which of them a text chooses."""

from __future__ import annotations

import pytest

from armillary.device_image.architecture.table import ARCHITECTURES, ARM64, ARMHF, IMX8MP, X86_64, Architecture
from armillary.device_image.attacks import ATTACKS, UBOOT_ATTACKS
from armillary.device_image.tampering.attacks import attacks_on_device
from armillary.device_image.tampering.listing import every_attack
from armillary.device_image.tampering.older_os import SLOTS_ALONE, WHOLE
from armillary.errors import InvalidArgumentError


@pytest.mark.parametrize("target", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_each_attack_is_listed_once_with_what_it_changes_and_what_has_to_come(target: Architecture) -> None:
    listed = every_attack(target, 1).listed()
    assert len({each.name for each in listed}) == len(listed)
    for each in listed:
        machine, _, changed = each.changes.partition(": ")
        assert machine in {"fresh disk", "device"}
        assert changed
        assert each.expected


def test_an_image_that_u_boot_starts_has_none_on_a_device() -> None:
    for target in (IMX8MP, ARMHF):
        found = every_attack(target, 1)
        assert (found.on_slots, found.on_device, found.by_older_os) == (UBOOT_ATTACKS, (), ())
    found = every_attack(X86_64, 1)
    assert found.on_slots == ATTACKS
    assert [each.name for each in found.on_device] == [each.name for each in attacks_on_device(X86_64, 1)]
    assert found.by_older_os == (WHOLE, SLOTS_ALONE)


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("both slots: one bit of each kernel", "fresh disk: the signed file in both slots", "nothing comes up"),
        ("root: bits of the leaves of the tree", "fresh disk: the root file system in slot A", "slot b comes up"),
        ("variables: bits of PK", "device: the firmware's variables", "runs, not attested"),
        (
            "variables: a stranger's keys, a kernel signed by them",
            "device: the firmware's variables, the partition table, a partition that is added",
            "runs, not attested",
        ),
        (WHOLE, "device: the OS in its slots", "does not start"),
    ],
)
def test_what_is_listed_of_one(name: str, changes: str, expected: str) -> None:
    (found,) = every_attack(X86_64, 1).chosen([name]).listed()
    assert (found.name, found.changes, found.expected) == (name, changes, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("store's", ["does not start", "runs, not attested"]),
        ("bits of the boot entries", ["attested", "does not start"]),
    ],
)
def test_what_is_expected_of_damaged_variables_is_what_the_firmware_of_the_architecture_does(
    name: str, expected: list[str]
) -> None:
    assert [every_attack(target, 1).chosen([name]).listed()[0].expected for target in (X86_64, ARM64)] == expected


def test_the_environment_of_u_boot_is_listed_as_changed() -> None:
    (found,) = every_attack(IMX8MP, 1).chosen(["both copies"]).listed()
    assert (found.changes, found.expected) == ("fresh disk: U-Boot's environment", "slot a comes up")


def test_texts_choose_every_attack_whose_name_has_one_of_them() -> None:
    every = every_attack(X86_64, 1)
    assert every.chosen([]) == every
    chosen = every.chosen(["truncated", "DBX", "older os"])
    assert [each.name for each in chosen.listed()] == [
        "signed file: truncated",
        "variables: bits of dbx",
        WHOLE,
        SLOTS_ALONE,
    ]
    assert [each.name for each in every.chosen(["of db"]).on_device] == [
        "variables: bits of db",
        "variables: bits of dbx",
    ]


@pytest.mark.parametrize("text", ["nonsense", "", " "])
def test_a_text_that_names_no_attack_is_refused_with_the_names(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"--only '{text}': expected a part of an attack's name") as caught:
        every_attack(X86_64, 1).chosen(["PK", text])
    for each in every_attack(X86_64, 1).listed():
        assert each.name in caught.value.remedy
