# SPDX-License-Identifier: Apache-2.0
"""The boot chain: what boots, what is refused at which check, and what is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.images import pair

from armillary import content
from armillary.boot import chain, profile, virtual_chain
from armillary.errors import BootRefusedError
from armillary.wire.attestation import event_log
from armillary.wire.image import package as image_package

OS, STRANGER = pair(ec.SECP256R1(), 7), pair(ec.SECP256R1(), 8)
CHIPS = {name: profile.parse(content.chip_document(name)) for name in content.chip_names()}
MT3620 = CHIPS["mt3620"]


def packages(
    chip: profile.ChipProfile = MT3620, version: str = "26.11", security_version: int = 2, signer: tuple = OS
) -> dict[str, bytes]:
    return dict(
        virtual_chain.build(
            chip, version, built=1, security_version=security_version, key=signer[0], certificate=signer[1]
        )
    )


def boot(found: dict[str, bytes], *, minimums: dict[int, int] | None = None, enforce: bool = True) -> chain.BootRecord:
    return chain.boot(MT3620, found, trusted=[OS[1]], minimum_security_versions=minimums or {}, enforce=enforce)


@pytest.mark.parametrize("name", CHIPS)
def test_every_chip_boots_its_virtual_chain(name: str):
    chip = CHIPS[name]
    found = packages(chip)
    record = chain.boot(chip, found, trusted=[OS[1]], minimum_security_versions={})
    assert [event.component for event in record.events] == [component.name for component in chip.boot_components]
    assert record.violations == ()
    for event, component in zip(record.events, chip.boot_components, strict=True):
        assert event.digest == hashlib.sha256(found[component.name]).digest()
        assert (event.image_type, event.component_id) == (component.image_type, component.component_id)
        assert event.security_version == 2
    assert record.log_head == event_log.log_head(record.events)
    assert event_log.parse_log(event_log.encode_log(record.events)).events == record.events


def test_versions_measure_differently_and_repeat_exactly():
    first, again, other = (boot(packages(version=version)) for version in ("26.11", "26.11", "26.12"))
    assert first == again
    assert not {event.digest for event in first.events} & {event.digest for event in other.events}


NAMES = [component.name for component in MT3620.boot_components]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda found, name: found.pop(name), 1),
        (lambda found, name: found.update({name: b""}), 1),
        (lambda found, name: found.update({name: bytes(32 * 1024 * 1024)}), 1),
        (lambda found, name: found.update({name: b"garbage"}), 2),
        (lambda found, name: found.update({name: found[name][:-1]}), 2),
        (lambda found, name: found.update({name: b"\1" + found[name][1:]}), 3),
        (lambda found, name: found.update({name: packages(signer=STRANGER)[name]}), 3),
    ],
    ids=["missing", "empty", "too large", "garbage", "truncated", "one bit changed", "signed by a stranger"],
)
def test_refused_stage_is_named_with_its_check(name: str, change: Callable, check: int):
    found = packages()
    change(found, name)
    with pytest.raises(BootRefusedError, match=rf"at {name}, check \({check}\)") as caught:
        boot(found)
    assert name in caught.value.remedy


@pytest.mark.parametrize("index", range(1, len(NAMES) - 1))
def test_genuine_component_in_another_place_is_refused(index: int):
    found = packages()
    here, there = NAMES[index], NAMES[index + 1]
    found[here] = found[there]
    with pytest.raises(BootRefusedError, match=rf"at {here}, check \(4\)"):
        boot(found)


def test_component_of_another_chip_is_refused():
    found = packages()
    found["services"] = packages(CHIPS["imx8mp"])["services"]
    with pytest.raises(BootRefusedError, match=r"at services, check \(4\)"):
        boot(found)


def test_older_security_version_is_refused_and_an_equal_one_boots():
    found = packages(security_version=2)
    assert boot(found, minimums={7: 2, 8: 1})
    with pytest.raises(BootRefusedError, match=r"at normal-world-kernel, check \(5\).*version 3"):
        boot(found, minimums={7: 3})


def test_additional_packages_are_not_looked_at():
    assert boot(packages() | {"extra": b"anything"}) == boot(packages())


def test_nothing_behind_a_refused_stage_is_looked_at():
    class Guarded(dict[str, bytes]):
        def get(self, key: str, default: bytes = b"") -> bytes:
            assert key != "services", "looked behind the refused stage"
            return super().get(key, default)

    found = Guarded(packages())
    found["root-fs"] = b"garbage"
    with pytest.raises(BootRefusedError, match="root-fs"):
        boot(found)


def test_without_trusted_keys_nothing_boots():
    with pytest.raises(BootRefusedError, match=r"one-bl, check \(3\)"):
        chain.boot(MT3620, packages(), trusted=[], minimum_security_versions={})


# -- a chip that does not verify -----------------------------------------------------------------------------------


def test_defeated_chip_starts_everything_and_measures_it_truthfully():
    found = packages()
    tampered = image_package.resign(
        image_package.parse(packages(version="evil")["services"]), key=STRANGER[0], certificate=STRANGER[1]
    )
    found["services"] = tampered
    found["root-fs"] = b"garbage"
    del found["wifi-firmware"]
    record = boot(found, enforce=False)
    by_name = {event.component: event for event in record.events}
    assert len(record.events) == len(NAMES)
    assert by_name["services"].digest == hashlib.sha256(tampered).digest()
    assert by_name["root-fs"].digest == hashlib.sha256(b"garbage").digest()
    assert by_name["root-fs"].image_id == UUID(int=0)
    assert by_name["wifi-firmware"].digest == hashlib.sha256(b"").digest()
    assert [text.split(",")[0] for text in record.violations] == [
        "boot stopped at wifi-firmware",
        "boot stopped at root-fs",
        "boot stopped at services",
    ]
    assert record.log_head != boot(packages()).log_head


def test_defeated_chip_with_a_genuine_chain_measures_as_an_enforcing_one():
    assert boot(packages(), enforce=False) == boot(packages())
