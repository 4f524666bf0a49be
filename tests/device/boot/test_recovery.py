# SPDX-License-Identifier: Apache-2.0
"""Recovery by hand on a real device's files: decided it is carried out by whatever comes next, undecided it never was."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.rig import FAST, Rig, provisioned
from tests.fixtures.waiting import until

from armillary.device.boot import recovery
from armillary.device.boot.provision import boot_region
from armillary.device.boot.recovery_regions import DECIDED, STORED
from armillary.device.boot.startup import chip_profile
from armillary.device.process import Device
from armillary.device.state.clock import DeviceClock
from armillary.device.state.configuration import load_configuration, store_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import replace_region
from armillary.errors import BootRefusedError, DataFolderError
from armillary.wire.encoding import cbor

pytestmark = pytest.mark.anyio
DAMAGED = "security-monitor"
TIME = "device/time"


class PowerCutError(BaseException):
    """The power went."""


class Cut(FileFlash):
    """Files of a device whose power goes when it is about to rename a region to ``at``."""

    at = ""

    def rename(self, source: str, target: str) -> None:
        if target == self.at:
            raise PowerCutError
        super().rename(source, target)


@pytest.fixture
async def rig(tiny_service: Any, fake_sandbox: Any, tmp_path: Path) -> AsyncIterator[Rig]:
    async with provisioned(tiny_service, fake_sandbox, tmp_path / "d") as made:
        flash = FileFlash(made.folder / "flash")
        package = flash.read(boot_region(DAMAGED)) or b""
        flash.write(boot_region(DAMAGED), package[:500] + b"!" + package[501:])
        yield made


def content_of(folder: Path) -> dict[str, bytes | None]:
    flash = FileFlash(folder / "flash")
    return {region: flash.read(region) for region in flash.regions("")}


def cut_short(rig: Rig, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    monkeypatch.setattr(Cut, "at", at)
    with monkeypatch.context() as during:
        during.setattr(recovery, "FileFlash", Cut)
        with pytest.raises(PowerCutError):
            recovered(rig)


def recovered(rig: Rig) -> tuple[str, ...]:
    return recovery.recover(DeviceFolder(rig.folder), rig.service.factory, now=int(time.time()))


async def test_a_decided_recovery_is_carried_out_by_the_next_start(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_short(rig, monkeypatch, boot_region(DAMAGED))
    flash = FileFlash(rig.folder / "flash")
    assert flash.read(DECIDED) is not None
    assert flash.regions(STORED) == (STORED + DAMAGED,)
    await rig.start()
    await until(lambda: rig.service.checks, "check-in after recovery")
    assert rig.service.checks[0][1].verdict == "attested"
    assert flash.read(DECIDED) is None
    assert flash.regions(STORED) == ()


async def test_a_recovered_device_accepts_no_trust_store_that_it_had(rig: Rig) -> None:
    """Also one of a version of before, which kept none and obeyed what its record named."""
    flash = FileFlash(rig.folder / "flash")
    for accepted in (("a store",), None):
        before = replace(load_configuration(flash), trust_stores=("another",), accepted_stores=accepted)
        store_configuration(flash, before)
        recovered(rig)
        found = load_configuration(flash)
        assert (found.trust_stores, found.accepted_stores) == ((), ())


async def test_a_recovery_that_was_not_decided_changes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_of(rig.folder)
    cut_short(rig, monkeypatch, DECIDED)
    with pytest.raises(BootRefusedError, match=DAMAGED):
        await Device(rig.folder, settings=FAST, sandbox=rig.sandbox).run()
    kept = {region: data for region, data in content_of(rig.folder).items() if region in before}
    assert kept == before
    assert FileFlash(rig.folder / "flash").regions(STORED) == (), "what was stored for it goes"


async def test_what_a_factory_says_of_another_device_is_refused_before_anything_is_written(rig: Rig) -> None:
    before = content_of(rig.folder)

    def factory(csr: str, chip: str) -> dict[str, Any]:
        return {**rig.service.factory(csr, chip), "device_id": "ab" * 64}

    with pytest.raises(DataFolderError, match="for another device"):
        recovery.recover(DeviceFolder(rig.folder), factory, now=int(time.time()))
    assert content_of(rig.folder) == before


async def test_a_release_that_would_not_boot_here_is_refused_before_anything_is_written(rig: Rig) -> None:
    flash = FileFlash(rig.folder / "flash")
    types = [component.image_type for component in chip_profile("mt3620").boot_components]
    replace_region(flash, "device/minimums", cbor.encode({types[-1]: 30}))
    before = content_of(rig.folder)
    with pytest.raises(BootRefusedError, match=r"would not boot here, and nothing was changed: .*check \(5\)"):
        recovered(rig)
    assert content_of(rig.folder) == before


async def test_a_time_from_the_future_gives_way_whenever_the_recovery_is_carried_out(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    flash, now, factory = FileFlash(rig.folder / "flash"), int(time.time()), rig.service.factory
    replace_region(flash, TIME, (now + 10**7).to_bytes(8, "big"))
    monkeypatch.setattr(rig.service, "factory", lambda csr, chip: {**factory(csr, chip), "time": now})
    cut_short(rig, monkeypatch, TIME)
    assert DeviceClock(flash, wall=lambda: 0.0).now() == now + 10**7, "positive control: cut before it"
    assert recovery.finish_recovery(flash, lambda: now)
    assert DeviceClock(flash, wall=lambda: 0.0).now() == now
    recovered(rig)
    assert DeviceClock(flash, wall=lambda: 0.0).now() == now
    replace_region(flash, TIME, (now - 5).to_bytes(8, "big"))
    recovered(rig)
    assert DeviceClock(flash, wall=lambda: 0.0).now() == now - 5, "nobody is set forward: the next check-in does that"
