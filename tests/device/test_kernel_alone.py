# SPDX-License-Identifier: Apache-2.0
"""A device of a flashed disk whose kernel is updated alone: it runs from the root file system of the new kernel's slot."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.device.rig import Rig
from tests.device.test_os_disk import flashed, said
from tests.fixtures.waiting import until

from armillary.device.install.installer import Installer
from armillary.engines.flash.file import FileFlash
from armillary.update.install.component import SLOTS, os_region

pytestmark = pytest.mark.anyio


async def test_an_update_of_the_kernel_alone_is_followed_by_a_whole_one(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both slots of the flashed disk have the same root file system, and each kernel takes that of its own slot."""
    packages = {version: rig.service.os_packages("mt3620", version) for version in ("26.11", "26.12", "26.13")}
    packages["26.12"] = {**packages["26.11"], "one-bl": packages["26.12"]["one-bl"]}
    monkeypatch.setattr(rig.service, "os_packages", lambda _chip, version="26.11": packages[version])
    machine = await flashed(rig, tmp_path / "machine", slots=SLOTS)
    slaves = tmp_path / "slaves"
    machine.disk = replace(machine.disk, root_nodes=slaves)

    async def start(slot: str) -> None:
        """What is started from ``slot`` mounts the root file system that is there."""
        shutil.rmtree(slaves, ignore_errors=True)
        slaves.mkdir()
        (slaves / machine.disk.nodes[os_region("root-fs", slot)].name).touch()
        await machine.start()
        assert machine.firmware.started[-1] == slot

    machine.firmware.slots().start_next("a", settled="a")
    await start("a")
    for version, slot in (("26.12", "b"), ("26.13", "a")):
        await until(lambda: rig.status().get("installation") == "idle", "idle")
        rig.service.deploy_os(version)
        rig.device.check_in_now()
        await until(lambda: rig.task is not None and rig.task.done(), "the device ends to start the update")
        before = len(rig.outcomes())
        await start(slot)
        await until(lambda before=before: len(rig.outcomes()) > before, "an outcome")
        assert {found for _, found in rig.outcomes()} == {"confirmed"}
        rig.device.check_in_now()
    assert said(rig) == ["26.11", "26.12", "26.13"]
    record = Installer(machine.disk.flash(FileFlash(rig.folder / "flash")), int).record
    assert record.way_back is not None
    slots = {image.name: (image.slot, record.os_slot(image.name)) for image in record.way_back.images}
    assert slots["root-fs"] == ("b", "a")
    assert rig.events("update-postponed") == []
