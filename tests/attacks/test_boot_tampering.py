# SPDX-License-Identifier: Apache-2.0
"""Attacks on what a device boots and installs: each is refused, and the untouched original is accepted.

The attacker here can write the flash, holds the SDK's public test key and genuine older packages, but no key of the
service.
"""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from tests.fixtures.images import P256, sdk_pair

from armillary import content
from armillary.boot import chain, profile, virtual_chain
from armillary.errors import BootRefusedError, SignatureError, WireError
from armillary.update.install import steps
from armillary.update.install.record import InstallRecord, SlotImage, Trial
from armillary.update.install.starting import raised_minimums
from armillary.wire.image import application as application_package, asxipfs, capability_file, package as image_package
from armillary.wire.image.section import Revocation

CHIP = profile.parse(content.chip_document("mt3620"))
KEY, CERTIFICATE = P256


def release(version: str, security_version: int) -> dict[str, bytes]:
    return dict(
        virtual_chain.build(CHIP, version, built=1, security_version=security_version, key=KEY, certificate=CERTIFICATE)
    )


def boots(packages: dict[str, bytes], minimums: dict[int, int] | None = None) -> chain.BootRecord:
    return chain.boot(CHIP, packages, trusted=[CERTIFICATE], minimum_security_versions=minimums or {})


def test_genuine_release_boots():
    """Positive control of everything below."""
    assert len(boots(release("26.11", 1)).events) == len(CHIP.boot_components)


def test_any_flipped_bit_of_any_component_is_refused_or_only_in_the_unsigned_block():
    """A random bit in every fifth byte of each component, from the first to the last."""
    genuine = release("26.11", 1)
    source = random.Random(1)  # noqa: S311 - repeatable damage
    accepted = 0
    for component in CHIP.boot_components:
        name, data = component.name, genuine[component.name]
        for position in {*range(0, len(data), 5), len(data) - 1}:
            damaged = bytearray(data)
            damaged[position] ^= 1 << source.randrange(8)
            try:
                chain.verify_component(component, bytes(damaged), trusted=[CERTIFICATE], minimum_security_version=0)
            except BootRefusedError:
                continue
            # the 1BL block is outside the signature; the measurement covers it, so attestation sees the change
            assert name == "one-bl"
            assert len(data) - 96 <= position < len(data) - 64
            assert boots({**genuine, name: bytes(damaged)}).log_head != boots(genuine).log_head
            accepted += 1
    assert accepted, "the unsigned block was never reached"


def test_changed_unsigned_block_boots_only_where_the_measurement_shows_it():
    genuine = release("26.11", 1)
    loader = bytearray(genuine["one-bl"])
    loader[-96 + 12] ^= 1  # the chip id of the 1BL block
    record = boots({**genuine, "one-bl": bytes(loader)})
    assert record.log_head != boots(genuine).log_head
    loader[-96 + 28] ^= 1  # its copy of the security version
    with pytest.raises(BootRefusedError, match=r"one-bl, check \(2\).*signed security version"):
        boots({**genuine, "one-bl": bytes(loader)})


def test_component_signed_with_the_public_test_key_does_not_boot():
    key, certificate = sdk_pair()
    packages = release("26.11", 1)
    forged = image_package.resign(image_package.parse(packages["services"]), key=key, certificate=certificate)
    image_package.verify(image_package.parse(forged), [certificate])  # it is a valid package of that key
    with pytest.raises(BootRefusedError, match=r"services, check \(3\)"):
        boots({**packages, "services": forged})


def test_rollback_to_a_vulnerable_release_is_refused_after_the_new_one_was_confirmed():
    old, new = release("26.10", 1), release("26.11", 2)
    booted, events = frozenset({"boot.b/services"}), boots(new).events[-1:]
    services = SlotImage(events[0].component_id, events[0].image_id, 9, "services", "b", 1, events[0].digest)
    trial = InstallRecord(active=(services,), trial=Trial(UUID(int=1), UUID(int=2), (), 2))
    with pytest.raises(BootRefusedError, match="on trial"):
        raised_minimums({}, trial, events, booted)
    assert boots(old), "before the confirmation the old slot is the way back and must boot"
    minimums = dict(raised_minimums({}, steps.confirm(trial, now=0), events, booted))
    assert boots(new, minimums)
    with pytest.raises(BootRefusedError, match=r"services, check \(5\)"):
        boots(old, minimums)


def test_one_old_component_among_new_ones_is_refused():
    minimums = {component.image_type: 2 for component in CHIP.boot_components}
    mixed = {**release("26.11", 2), "wifi-firmware": release("26.10", 1)["wifi-firmware"]}
    with pytest.raises(BootRefusedError, match=r"wifi-firmware, check \(5\)"):
        boots(mixed, minimums)


def test_security_version_cannot_be_raised_without_the_key():
    data = bytearray(release("26.10", 1)["services"])
    package = image_package.parse(bytes(data))
    at = bytes(data).index(Revocation(1).pack() + data[package.signed_length - 4 : package.signed_length])
    data[at] = 2
    assert image_package.parse(bytes(data)).security_version == 2
    with pytest.raises(BootRefusedError, match=r"services, check \(3\)"):
        boots({**release("26.11", 2), "services": bytes(data)}, {9: 2})


APPLICATION = application_package.pack(
    {
        "app_manifest.json": b'{"SchemaVersion":1,"Name":"x","ComponentId":"2f074b0f-d99d-4692-82d9-ef93a7d6463c",'
        b'"EntryPoint":"/bin/app","Capabilities":{}}',
        "bin/app": b"#!/bin/sh\n",
    },
    image_id=virtual_chain.image_id(CHIP.boot_components[0], "1"),
    built=0,
    key=KEY,
    certificate=CERTIFICATE,
)


def test_manifest_of_a_signed_application_cannot_be_widened():
    assert application_package.open_application(image_package.verify(image_package.parse(APPLICATION), [CERTIFICATE]))
    package = image_package.parse(APPLICATION)
    files = {path: file.content for path, file in asxipfs.read(package.payload).files.items()}
    wider = files["app_manifest.json"].replace(b'"Capabilities":{}', b'"Capabilities":{"WifiConfig":true}')
    payload = asxipfs.build({**files, "app_manifest.json": wider}, {"bin/app"})
    forged = payload + APPLICATION[package.payload_bytes :]
    assert image_package.parse(forged).payload == payload
    with pytest.raises(SignatureError):
        image_package.verify(image_package.parse(forged), [CERTIFICATE])


def test_application_cannot_be_passed_off_as_a_boot_component():
    with pytest.raises(BootRefusedError, match=r"services, check \(4\)"):
        boots({**release("26.11", 1), "services": APPLICATION})


def test_capability_made_with_the_public_test_key_is_refused():
    key, certificate = sdk_pair()
    device = "ab" * 64
    image_id = virtual_chain.image_id(CHIP.boot_components[0], "2")
    forged = capability_file.build(device, [0xB], image_id=image_id, built=0, key=key, certificate=certificate)
    genuine = capability_file.build(device, [0xB], image_id=image_id, built=0, key=KEY, certificate=CERTIFICATE)
    assert capability_file.verify(capability_file.parse(genuine), [CERTIFICATE], device_id=device)
    with pytest.raises(SignatureError):
        capability_file.verify(capability_file.parse(forged), [CERTIFICATE], device_id=device)


def test_capability_of_another_device_is_refused():
    image_id = virtual_chain.image_id(CHIP.boot_components[0], "3")
    genuine = capability_file.build("ab" * 64, [0xB], image_id=image_id, built=0, key=KEY, certificate=CERTIFICATE)
    with pytest.raises(SignatureError, match="a file for device"):
        capability_file.verify(capability_file.parse(genuine), [CERTIFICATE], device_id="cd" * 64)


def test_metadata_that_names_billions_of_sections_is_refused_at_once():
    """The published attack on Azure Sphere's metadata parser: a count that the parser believes."""
    package = image_package.parse(APPLICATION)
    data = bytearray(APPLICATION)
    data[package.payload_bytes + 4 : package.payload_bytes + 8] = b"\xff" * 4
    with pytest.raises(WireError, match="sections"):
        image_package.parse(bytes(data))
