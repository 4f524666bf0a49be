# SPDX-License-Identifier: Apache-2.0
"""Attacks on the installation of a bundle: by whoever cuts the power, and by whoever can write the flash.

In each test stand the attack, the honest case beside it, and the attack again with the one check taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.attacks.test_boot_tampering import CERTIFICATE, CHIP, release
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.device.install.offers import boot, made, offer, os_package

from armillary.boot import chain
from armillary.device.boot import startup
from armillary.device.install.installer import Installer
from armillary.device.install.os_components import check_os
from armillary.errors import ArmillaryError, BootRefusedError, InstallError
from armillary.update.install import plan as plans
from armillary.update.install.component import OsPlace, os_region
from armillary.update.install.record import InstallRecord
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.image import package as image_package

OLD, NEW = offer(1, (0, 1), os=2), offer(2, (0, 2), os=4)


def booted_after_cuts() -> Iterator[tuple[bytes, bytes] | None]:
    """What boots after a cut at each operation while a bundle is installed: kernel and root-fs, None for nothing."""
    start = CutFlash(made())
    boot(start).install(OLD)
    settled = boot(start).installer
    settled.confirm()
    settled.acknowledge(settled.record.outcomes)
    whole = CutFlash(start.durable)
    boot(whole).install(NEW)
    for cut_at in range(1, whole.operations + 1):
        flash = CutFlash(start.durable, cut_at=cut_at, seed=cut_at)
        with pytest.raises(PowerCutError):
            boot(flash).install(NEW)
        try:
            yield boot(CutFlash(flash.durable)).system
        except BootRefusedError:
            yield None


def test_partial_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Component k of n is cut off, for every k: stopped by writing beside what runs and switching once."""
    legal = {(os_package("kernel", v), os_package("root-fs", v)) for v in (2, 4)}
    assert set(booted_after_cuts()) == legal, "the old OS or the new one, and both occur"
    monkeypatch.setattr(plans, "other_slot", lambda slot: slot)  # the slot that is in use
    monkeypatch.setattr(Installer, "_check_free", lambda *_: None)
    assert not set(booted_after_cuts()) <= legal, "without it some cut leaves a mixture, or nothing that boots"


def os_offer(packages: dict[str, bytes]) -> Offer:
    images = []
    for name, data in packages.items():
        package = image_package.parse(data)
        images.append(
            OfferedImage(
                component_id=package.component_id,
                image_id=package.image_id,
                image_type=package.image_type,
                name=name,
                size=len(data),
                sha256=package.digest,
            )
        )
    return replace(offer(3), images=tuple(images), os_version="26.10")


def places(packages: dict[str, bytes]) -> list[OsPlace]:
    return [
        OsPlace(
            component_id=component.component_id,
            image_type=component.image_type,
            name=component.name,
            size_limit_bytes=component.size_limit_bytes,
            digest=image_package.parse(packages[component.name]).digest,
        )
        for component in CHIP.boot_components
    ]


def install(genuine_but_old: dict[str, bytes], runs: dict[str, bytes], minimums: dict[int, int]) -> None:
    flash = CutFlash({os_region(name, "a"): data for name, data in runs.items()})
    plan = plans.plan_install(InstallRecord(), os_offer(genuine_but_old), places(runs))
    assert plan is not None
    fetched = {image_package.parse(data).image_id: data for data in genuine_but_old.values()}
    check_os(plan, fetched, chip=CHIP, flash=flash, signers=[CERTIFICATE], minimums=minimums)


def test_rollback_below_the_counter() -> None:
    """A genuine release with a known hole, signed and complete: stopped by the device's own security versions."""
    old, new = release("26.10", 1), release("26.11", 2)
    counted = {component.image_type: 2 for component in CHIP.boot_components}
    with pytest.raises(InstallError, match=r"check \(5\): expected security version 2"):
        install(old, new, counted)
    install(release("26.12", 2), new, counted)
    install(old, new, {})  # without the counter


def test_rollback_written_into_the_flash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same release is put into the slot that boots: stopped at every start, whatever the record says."""
    old, new = release("26.10", 1), release("26.11", 2)
    counted = {component.image_type: 2 for component in CHIP.boot_components}
    flash = CutFlash({os_region(name, "a"): data for name, data in old.items()})
    monkeypatch.setattr(startup, "load_minimums", lambda _: counted)
    monkeypatch.setattr(startup, "configuration_in_force", lambda _flash, _record, given: given)

    def start(flash: CutFlash) -> Any:
        return startup.start_up(flash, Configured(), Rooted({}), chain.boot, Installer(flash, lambda: 0))

    with pytest.raises(ArmillaryError, match=r"one-bl, check \(5\)"):
        start(flash)
    start(CutFlash({os_region(name, "a"): data for name, data in new.items()}))
    monkeypatch.setattr(startup, "load_minimums", lambda _: {})
    start(flash)  # without the counter


def test_an_old_copy_of_the_whole_flash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old OS, old record and old minimums, as they once were: what the TPM kept stops them, before any service is asked."""
    monkeypatch.setattr(startup, "configuration_in_force", lambda _flash, _record, given: given)
    old = {os_region(name, "a"): data for name, data in release("26.10", 1).items()}

    def start(kept: dict[int, int]) -> Any:
        flash = CutFlash(old)
        return startup.start_up(flash, Configured(), Rooted(kept), chain.boot, Installer(flash, lambda: 0))

    with pytest.raises(ArmillaryError, match=r"one-bl, check \(5\)"):
        start({component.image_type: 2 for component in CHIP.boot_components})
    start({})  # without the TPM's


def test_minimums_are_kept_in_the_root_of_trust_before_the_flash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "configuration_in_force", lambda _flash, _record, given: given)
    flash = CutFlash({os_region(name, "a"): data for name, data in release("26.11", 2).items()})
    root = Rooted({})
    installer = Installer(flash, lambda: 0)
    booted = startup.start_up(flash, Configured(), root, chain.boot, installer)
    flash.cut_at = flash.operations + 2  # after the present minimums are read
    with pytest.raises(PowerCutError):
        startup.confirm_boot(flash, booted, installer)
    assert set(root.kept.values()) == {2}
    flash = CutFlash(flash.durable)
    startup.start_up(flash, Configured(), root, chain.boot, Installer(flash, lambda: 0))
    assert set(startup.load_minimums(flash).values()) == {2}


class Configured:
    """As much of a configuration as a start asks for."""

    chip = CHIP.name
    os_version = "26.11"
    os_signers = (CERTIFICATE,)
    accepted_stores = ()


class Rooted:
    """A root of trust that counts nothing, and keeps minimums as a TPM does."""

    def __init__(self, kept: dict[int, int]) -> None:
        self.kept = kept

    def begin_boot(self, events: Any) -> Any:
        return events

    def minimums(self) -> dict[int, int]:
        return self.kept

    def keep_minimums(self, minimums: Any) -> None:
        self.kept = dict(minimums)
