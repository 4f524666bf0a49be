# SPDX-License-Identifier: Apache-2.0
"""The OS of a device is updated over the air, by the device's own loop against a service that appraises for real."""

from __future__ import annotations

import functools
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.device.rig import FAST, Rig
from tests.fixtures.waiting import until

from armillary.boot import chain
from armillary.device.boot.provision import boot_region
from armillary.device.boot.startup import load_minimums
from armillary.device.install.installer import Installer
from armillary.device.state.configuration import load_configuration
from armillary.device.state.permission import select_capability
from armillary.engines.flash.file import FileFlash
from armillary.engines.sandbox.port import ExitStatus
from armillary.sim.device.attacker import tamper
from armillary.update.install.component import os_region
from armillary.update.install.record import OsVersion
from armillary.update.install.steps import TRIAL_STARTS
from armillary.wire.certificates import certificate
from armillary.wire.device.checkin import Offer
from armillary.wire.device.problem import Problem
from armillary.wire.image import capability_file, package as image_package
from armillary.wire.image.section import OS_RUNTIME, AbiDepends
from armillary.wire.update.trust_store import KeyStore, encode_key_store, trusted_digest

pytestmark = pytest.mark.anyio


def flash_of(rig: Rig) -> FileFlash:
    return FileFlash(rig.folder / "flash")


def boot_counts(rig: Rig) -> list[int]:
    return sorted({judged.evidence.boot_count for _, judged in rig.service.checks})


def os_versions(rig: Rig) -> list[str]:
    """What the device said it runs, in order, each once in a row."""
    said = [judged.evidence.os_version for _, judged in rig.service.checks]
    return [version for number, version in enumerate(said) if number == 0 or said[number - 1] != version]


async def settled(rig: Rig, outcome: str, count: int) -> None:
    await until(lambda: [found for _, found in rig.outcomes()].count(outcome) >= count, f"{count} {outcome}")


async def test_os_and_applications_are_installed_as_one_with_a_restart(rig: Rig) -> None:
    image = rig.service.application()
    rig.service.security_version = 2
    rig.service.deploy_os("26.12", image, abi=3)
    await rig.start()
    await settled(rig, "confirmed", 10)
    assert os_versions(rig) == ["26.11", "26.12"]
    assert boot_counts(rig) == [1, 2], "the OS changed: the device started again, measured anew"
    assert rig.sandbox.alive == ["app1"]
    await until(lambda: rig.status().get("installation") == "idle", "idle")
    status = rig.status()
    assert status["os_version"] == "26.12"
    assert status["os"] == {
        "version": "26.12",
        "abi": 3,
        "on_trial": False,
        "slots": dict.fromkeys(status["os"]["slots"], "b"),
    }
    assert [application["name"] for application in status["applications"]] == ["app1"]
    assert {i.image_type for request, _ in rig.service.checks for i in request.installed} == {10}, "measured, not told"
    assert set(load_minimums(flash_of(rig)).values()) == {2}


async def test_minimums_do_not_rise_before_the_confirmation(rig: Rig) -> None:
    rig.service.security_version = 2
    rig.service.good = []
    rig.service.deploy_os("26.12", rig.service.application(DeviceAuthentication=str(uuid.uuid4())))
    rig.sandbox.behaviour = lambda run: run.end(ExitStatus(11, None))
    await rig.start()
    await settled(rig, "reverted", 10)
    attested = [judged.evidence.os_version for _, judged in rig.service.checks if judged.verdict == "attested"]
    assert "26.12" in attested, "positive control: the new OS was attested on trial"
    assert load_minimums(flash_of(rig)) == {}, "the way back has version 1"
    await until(lambda: rig.service.checks[-1][1].evidence.os_version == "26.11", "the OS before boots again")


async def test_an_os_is_not_taken_back_for_what_its_device_is_held_for_before_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be barred here for good; once somebody has looked the device runs it, attested."""
    hold = holds(rig, monkeypatch)
    await rig.start()
    hold.append(17)
    await checked_in(rig)
    rig.service.deploy_os("26.12")
    rig.device.check_in_now()
    await settled(rig, "confirmed", 1)
    hold.clear()
    await checked_in(rig)
    assert (rig.service.checks[-1][1].verdict, os_versions(rig)[-1]) == ("attested", "26.12")


async def test_an_os_that_its_device_is_held_for_since_it_runs_is_taken_back_and_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = holds(rig, monkeypatch, only="26.12")
    hold.append(17)
    await rig.start()
    await checked_in(rig)
    rig.service.deploy_os("26.12")
    rig.device.check_in_now()
    await settled(rig, "reverted", 1)
    [reason] = {o.reason for request, _ in rig.service.checks for o in request.outcomes if o.outcome == "reverted"}
    assert "does not attest the new OS: step (17)" in reason
    hold.clear()
    rig.device.check_in_now()
    await settled(rig, "confirmed", 1)
    assert os_versions(rig)[-1] == "26.12"


def holds(rig: Rig, monkeypatch: pytest.MonkeyPatch, only: str = "") -> list[int]:
    """Numbers of steps that fail from now on, of every check-in or of ``only`` an OS."""
    numbers: list[int] = []
    appraise = rig.service._appraise

    def held(*arguments: Any) -> Any:
        found = appraise(*arguments)
        if not numbers or only not in ("", found.evidence.os_version):
            return found
        steps = [replace(step, result="fail") if step.number in numbers else step for step in found.steps]
        return found._replace(verdict="update-only", steps=tuple(steps))

    monkeypatch.setattr(rig.service, "_appraise", held)
    return numbers


async def checked_in(rig: Rig) -> None:
    """Wait for a check-in that begins from now on."""
    assert rig.device is not None
    await until(lambda: rig.service.checks, "the first check-in")
    count = len(rig.service.checks)
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > count, "another check-in")


async def test_an_os_that_the_service_does_not_attest_is_taken_back_with_its_applications(rig: Rig) -> None:
    first = rig.service.application()
    rig.service.deploy(first)
    await rig.start()
    await settled(rig, "confirmed", 1)
    rig.service.deploy_os("26.12", rig.service.application(), good=False)
    rig.device.check_in_now()
    await settled(rig, "reverted", 10)
    await until(lambda: rig.sandbox.alive == ["app1"], "the application before")
    assert str(first.image_id) in str(rig.sandbox.runs[-1].launch.image_root)
    assert os_versions(rig) == ["26.11", "26.12", "26.11"]
    [reason] = {o.reason for request, _ in rig.service.checks for o in request.outcomes if o.outcome == "reverted"}
    assert "does not attest the new OS: step (13)" in reason
    checks = len(rig.service.checks)
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > checks, "another check-in")
    assert len(rig.events("update-started")) == 2, "what failed is not tried again"


async def test_an_os_under_which_an_application_of_before_no_longer_runs_is_taken_back(rig: Rig) -> None:
    """The OS comes alone; that the application ran before it is what counts."""
    rig.service.deploy(rig.service.application())
    await rig.start()
    await settled(rig, "confirmed", 1)
    offer = rig.service.deploy_os("26.12")
    rig.service.offer = replace(offer, deployment_id=None)
    rig.sandbox.behaviour = lambda run: run.end(ExitStatus(11, None))
    rig.device.check_in_now()
    await settled(rig, "reverted", 9)
    rig.sandbox.behaviour = lambda _: None
    await until(lambda: rig.sandbox.alive == ["app1"], "it runs under the OS before")
    assert "app1 ended" in rig.events("update-reverted")[0]["reason"]
    assert os_versions(rig)[-1] == "26.11"


async def test_an_os_that_finds_no_service_is_taken_back_and_until_then_not_confirmed(rig: Rig) -> None:
    """It may be what keeps the device from its service: no check-in of before it counts, and it is not waited for ever."""

    class Fetched(dict[str, bytes]):
        """From the first image that is fetched on, the service answers no check-in."""

        def get(self, *arguments: Any) -> Any:
            rig.service.refuse = (503, Problem("device.try-later", "down", "Wait.", 1))
            return super().get(*arguments)

    trial = replace(FAST.trial, healthy_s=0.01, contact_s=0.5)
    await rig.start(replace(FAST, trial=trial))
    await until(lambda: rig.service.checks, "the first boot")
    rig.service.deploy_os("26.12")
    rig.service.images = Fetched(rig.service.images)
    rig.device.check_in_now()
    await until(lambda: rig.events("update-reverted"), "it is taken back")
    assert "no attested check-in within" in rig.events("update-reverted")[0]["reason"]
    assert rig.events("update-confirmed") == []
    rig.service.refuse = None
    await settled(rig, "reverted", 9)
    assert os_versions(rig)[-1] == "26.11"


async def test_an_os_that_does_not_boot_is_taken_back_at_once_and_reported(rig: Rig) -> None:
    """It passes every check of the installation and is damaged between switch and start."""
    rig.service.deploy_os("26.12")
    seen = {"boots": 0}

    def boot_rom(*arguments: Any, **options: Any) -> chain.BootRecord:
        seen["boots"] += 1
        if seen["boots"] == 2:
            region = os_region("root-fs", "b")
            data = flash_of(rig).read(region)
            flash_of(rig).write(region, data[:40] + bytes([data[40] ^ 1]) + data[41:])
            arguments = (arguments[0], {**arguments[1], "root-fs": flash_of(rig).read(region)})
        return chain.boot(*arguments, **options)

    await rig.start(boot_rom=boot_rom)
    await settled(rig, "reverted", 9)
    assert seen["boots"] == 4, "refused, also when it is read again, and the OS before in the same start"
    assert boot_counts(rig) == [1, 2]
    assert os_versions(rig) == ["26.11"]
    [left] = rig.events("os-left")
    assert "root-fs, check (3)" in left["reason"]
    assert any("OS 26.11 boots instead" in report.description for report in rig.service.reports_seen.values())


class HungError(Exception):
    """The new OS hangs in its boot chain: the device is switched off and on."""


async def test_an_os_that_hangs_in_its_boot_chain_uses_up_its_starts(rig: Rig) -> None:
    rig.service.deploy_os("26.12")

    def boot_rom(profile: Any, packages: Any, **options: Any) -> chain.BootRecord:
        record = chain.boot(profile, packages, **options)
        in_force = Installer(flash_of(rig), lambda: 0).record
        region = os_region("services", in_force.os_slot("services"))
        if in_force.system_on_trial and packages["services"] == flash_of(rig).read(region):
            raise HungError
        return record

    for _ in range(TRIAL_STARTS):
        await rig.start(boot_rom=boot_rom)
        with pytest.raises(HungError):
            await rig.task
    rig.task = None
    await rig.start(boot_rom=boot_rom)
    await settled(rig, "reverted", 9)
    assert os_versions(rig) == ["26.11"]
    assert boot_counts(rig) == [1, 2]


async def test_a_damaged_os_gives_way_to_the_one_before_and_comes_back_over_the_air(rig: Rig) -> None:
    rig.service.deploy_os("26.12")
    await rig.start()
    await settled(rig, "confirmed", 9)
    await rig.stop()
    tamper(rig.folder, "security-monitor")
    await rig.start()
    await until(lambda: os_versions(rig)[-2:] == ["26.11", "26.12"], "the OS before, then the new one again")
    await settled(rig, "confirmed", 18)
    assert rig.service.checks[-1][1].verdict == "attested"
    record = Installer(flash_of(rig), lambda: 0).record
    assert record.os == OsVersion("26.12", 0)


async def test_a_tampered_device_that_is_held_at_update_only_heals_itself(rig: Rig) -> None:
    """Its boot ROM verifies nothing, so it boots what was tampered with; the service holds it and offers the OS."""
    await rig.start()
    await until(lambda: rig.service.checks, "the genuine device checks in")
    await rig.stop()
    tamper(rig.folder, "security-monitor")
    rig.service.deploy_os("26.11")
    await rig.start(boot_rom=functools.partial(chain.boot, enforce=False))
    await settled(rig, "confirmed", 1)
    verdicts = [judged.verdict for _, judged in rig.service.checks]
    assert verdicts[:2] == ["attested", "update-only"]
    assert verdicts[-1] == "attested"
    [update] = rig.events("update-started")
    assert update["images"] == ["security-monitor"], "only what was measured otherwise was fetched"
    assert Installer(flash_of(rig), lambda: 0).record.os_slot("security-monitor") == "b"


def resigned(rig: Rig, name: str, *, key: Any = None, version: str = "26.12") -> bytes:
    package = image_package.parse(rig.service.os_packages("mt3620", version)[name])
    other = certificate.build_signing_certificate(
        rig.service.root, rig.service.root_key, key.public_key(), name="Other", serial=9, **rig.service.life
    )
    return image_package.resign(package, key=key, certificate=other)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("signer", "security-monitor, check (3)"),
        ("floor", "check (5): expected security version 2"),
        ("chip", "is no boot component of this chip"),
        ("part", "lacks boot components of this chip: one-bl"),
        ("abi", "works on OS ABI 5 or later: this OS has 4"),
        ("bytes", "other bytes than it offered"),
    ],
)
async def test_a_bundle_that_does_not_fit_is_refused_whole_and_nothing_is_written(
    rig: Rig, spoil: str, reason: str
) -> None:
    service, images = rig.service, []
    if spoil == "floor":
        service.security_version = 2
        for name, package in service.os_packages("mt3620").items():
            flash_of(rig).write(boot_region(name), package)
    await rig.start()
    await until(lambda: service.checks, "the first boot is attested")
    changed = {"security_monitor": resigned(rig, "security-monitor", key=ec.generate_private_key(ec.SECP256R1()))}
    if spoil == "floor":
        service.security_version = 1
    if spoil == "abi":
        images = [service.application(needs_os=(5,))]
    offer = service.deploy_os("26.12", *images, abi=4, **(changed if spoil == "signer" else {}), good=False)
    service.security_version = 2 if spoil == "floor" else 1
    first = next(image for image in offer.images if image.name == "one-bl")
    others = tuple(image for image in offer.images if image is not first)
    if spoil == "part":
        service.offer = replace(offer, images=others)
    elif spoil == "chip":
        service.offer = replace(offer, images=(*others, replace(first, component_id=uuid.uuid4())))
    elif spoil == "bytes":
        data = service.images[str(first.image_id)]
        service.images[str(first.image_id)] = data[:9] + bytes([data[9] ^ 1]) + data[10:]
    before = {region: flash_of(rig).read(region) for region in flash_of(rig).regions("boot")}
    rig.device.check_in_now()
    await settled(rig, "failed", 1)
    [refused] = rig.events("update-refused")
    assert reason in refused["reason"]
    assert {region: flash_of(rig).read(region) for region in flash_of(rig).regions("boot")} == before
    assert flash_of(rig).regions("applications/") == ()
    assert boot_counts(rig) == [1]


async def test_a_bundle_brings_the_keys_that_sign_it_and_they_stay(rig: Rig) -> None:
    """Signing keys are renewed over the air: the store is signed by the old key, the OS of the bundle by the new one."""
    await rig.start()
    await until(lambda: rig.service.checks, "the first boot")
    old_key, new_key = rig.service.os_key, ec.generate_private_key(ec.SECP256R1())
    new = certificate.build_signing_certificate(
        rig.service.root, rig.service.root_key, new_key.public_key(), name="Next OS", serial=9, **rig.service.life
    )
    stores = {
        "whole": KeyStore(os_signers=(new,), image_signers=(rig.service.image_certificate,)),
        "forged": KeyStore(os_signers=(new,), image_signers=(new,)),
    }
    signers = {"whole": (old_key, rig.service.os_certificate), "forged": (new_key, new)}
    for name, outcome in (("forged", "failed"), ("whole", "confirmed")):
        store = rig.service.trust_store(encode_key_store(stores[name]), signers[name])
        rig.service.good, rig.service.os_key, rig.service.os_certificate = ["26.12"], new_key, new
        rig.service.deploy_os("26.12", store)
        rig.device.check_in_now()
        await settled(rig, outcome, 10)
    [refused] = rig.events("update-refused")
    assert "no trust store that this device takes" in refused["reason"]
    signer = new.public_bytes(serialization.Encoding.PEM).decode()
    await until(
        lambda: load_configuration(flash_of(rig)).trusted_os_certificates == (signer,), "kept after the confirmation"
    )
    rig.service.deploy_os("26.13")
    rig.device.check_in_now()
    await settled(rig, "confirmed", 19)


async def test_applications_by_a_new_key_run_with_its_store_and_the_next_store_is_signed_by_this_one(rig: Rig) -> None:
    """In one process: each boot goes by what the bundles before it have brought."""
    await rig.start()
    await until(lambda: rig.service.checks, "the first boot")
    service, keys = rig.service, [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    first, second, images = (
        certificate.build_signing_certificate(
            service.root, service.root_key, key.public_key(), name=f"Key {number}", serial=20 + number, **service.life
        )
        for number, key in enumerate(keys)
    )
    old = service.os_key, service.os_certificate
    service.os_key, service.os_certificate = keys[0], first
    service.image_key, service.image_certificate = keys[2], images
    application = service.application()
    store = service.trust_store(encode_key_store(KeyStore(os_signers=(first,), image_signers=(images,))), old)
    service.deploy_os("26.12", store, application)
    rig.device.check_in_now()
    await settled(rig, "confirmed", 11)
    service.os_key, service.os_certificate = keys[1], second
    store = service.trust_store(
        encode_key_store(KeyStore(os_signers=(second,), image_signers=(images,))), (keys[0], first)
    )
    service.deploy_os("26.13", store, application)
    rig.device.check_in_now()
    await settled(rig, "confirmed", 21)
    assert os_versions(rig) == ["26.11", "26.12", "26.13"]
    assert [one["state"] for one in rig.status()["applications"]] == ["running"]


async def test_a_device_that_is_held_takes_a_trust_store_and_no_os_that_is_not_attested(rig: Rig) -> None:
    """The store is not what the service attests; without it a device that was long away could not be healed."""
    rig.service.good = []  # no release of this service: every boot is update-only
    await rig.start()
    await until(lambda: rig.service.checks, "the first boot")
    content = KeyStore(
        os_signers=(rig.service.os_certificate,),
        image_signers=(rig.service.image_certificate, rig.service.os_certificate),
    )
    store = rig.service.trust_store(encode_key_store(content), (rig.service.os_key, rig.service.os_certificate))
    rig.service.offer = Offer(offer_id=store.image_id, deployment_id=None, images=(store,))
    rig.device.check_in_now()
    await settled(rig, "confirmed", 1)
    assert {judged.verdict for _, judged in rig.service.checks} == {"update-only"}, "positive control"
    assert rig.service.checks[-1][0].update_status.trusted_keys == trusted_digest(content)
    await until(lambda: len(load_configuration(flash_of(rig)).trusted_image_certificates) == 2, "kept")
    rig.service.deploy_os("26.12", good=False)
    rig.device.check_in_now()
    await settled(rig, "reverted", 1)


@pytest.mark.parametrize("dropped", [True, False])
async def test_what_a_dropped_signing_key_signs_is_refused(rig: Rig, dropped: bool) -> None:
    """Its thief has the director and the repository as well: only the store that dropped it is in the way."""
    await rig.start()
    await until(lambda: rig.service.checks, "the first boot")
    stolen = (rig.service.os_key, rig.service.os_certificate)
    new_key = ec.generate_private_key(ec.SECP256R1())
    new = certificate.build_signing_certificate(
        rig.service.root, rig.service.root_key, new_key.public_key(), name="Next OS", serial=9, **rig.service.life
    )
    kept = (new,) if dropped else (new, rig.service.os_certificate)
    content = KeyStore(os_signers=kept, image_signers=(rig.service.image_certificate,))
    store = rig.service.trust_store(encode_key_store(content), stolen)
    rig.service.os_key, rig.service.os_certificate = new_key, new
    rig.service.deploy_os("26.12", store)
    rig.device.check_in_now()
    await settled(rig, "confirmed", 10)
    rig.service.os_key, rig.service.os_certificate = stolen
    rig.service.deploy_os("26.13")
    rig.device.check_in_now()
    await settled(rig, "failed" if dropped else "confirmed", 9 if dropped else 19)
    assert os_versions(rig) == (["26.11", "26.12"] if dropped else ["26.11", "26.12", "26.13"])


async def test_a_device_that_is_open_for_development_takes_the_os_and_keeps_its_applications(rig: Rig) -> None:
    rig.service.deploy(rig.service.application())
    await rig.start()
    await settled(rig, "confirmed", 1)
    signed = capability_file.build(
        rig.device.device_id,
        [capability_file.APP_DEVELOPMENT],
        image_id=uuid.uuid4(),
        built=int(time.time()),
        key=rig.service.os_key,
        certificate=rig.service.os_certificate,
    )
    select_capability(flash_of(rig), load_configuration(flash_of(rig)), signed, now=int(time.time()))
    rig.service.deploy_os("26.12", rig.service.application(component=2))
    rig.device.check_in_now()
    await settled(rig, "confirmed", 10)
    assert os_versions(rig) == ["26.11", "26.12"]
    assert rig.sandbox.alive == ["app1"]


async def test_an_older_service_is_told_no_update_status(rig: Rig) -> None:
    rig.service.speaks_status = False
    rig.service.deploy(rig.service.application())
    await rig.start()
    await settled(rig, "confirmed", 1)
    assert {request.protocol_version for request, _ in rig.service.checks} <= {1, 3}
    assert rig.events("check-in-failed") == []


async def test_a_device_says_that_it_takes_an_os(rig: Rig) -> None:
    await rig.start()
    await until(lambda: rig.service.checks, "check-in")
    assert "os" in rig.service.checks[0][0].update_status.abilities


def test_the_range_of_an_application_is_in_its_package(tiny_service: Any) -> None:
    image = tiny_service.application(needs_os=(5, 7))
    package = image_package.parse(tiny_service.images[str(image.image_id)])
    assert [abi.version for abi in package.section(AbiDepends).abis if abi.kind == OS_RUNTIME] == [5, 7]


async def test_a_device_says_that_its_os_is_on_trial_until_it_has_confirmed_it(rig: Rig) -> None:
    rig.service.deploy_os("26.12")
    await rig.start()
    await settled(rig, "confirmed", 1)
    said = [asked.update_status.reason for asked, judged in rig.service.checks if judged.evidence.os_version == "26.12"]
    assert "trial" in said
    await until(lambda: rig.service.checks[-1][0].update_status.reason != "trial", "a check-in after the trial")
