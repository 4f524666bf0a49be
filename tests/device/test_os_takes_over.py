# SPDX-License-Identifier: Apache-2.0
"""An OS that takes the place of one that did not come up: it is on trial, whatever runs on it, and the service knows."""

from __future__ import annotations

import pytest
from tests.device.rig import Rig
from tests.device.test_os_disk import Machine, checked_in, machine, outcome, proved
from tests.fixtures.pretended_uefi import Start
from tests.fixtures.waiting import until

from armillary.device.boot.slot_choice import TRIES
from armillary.device.install.installer import Installer
from armillary.engines.flash.file import FileFlash

__all__ = ["machine"]  # the fixture

pytestmark = pytest.mark.anyio


async def test_an_os_that_takes_over_is_confirmed_by_its_check_in_though_an_application_needs_the_newer_one(
    rig: Rig, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the application was made for is what was given up: that is no fault of the OS that runs instead."""
    await machine.start()
    rig.service.deploy_os("26.12", rig.service.application(needs_os=(4,)), abi=4)
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "confirmed")
    await checked_in(rig)
    await rig.stop()
    rig.service.offer = None
    machine.firmware.started.clear()
    cuts = iter([Start.INIT_STOPS, Start.RUNS] * (TRIES + 1))
    start = machine.firmware.start
    monkeypatch.setattr(machine.firmware, "start", lambda _outcome: start(lambda _slot: next(cuts, Start.RUNS)))
    confirmed, told = len(rig.events("update-confirmed")), rig.outcomes()
    await machine.start()
    await until(lambda: len(rig.events("update-confirmed")) > confirmed, "its check-in confirms it")
    await until(lambda: rig.status().get("installation") == "idle", "the next update can come")
    assert proved(rig, machine) == ("a", "26.11", "attested")
    assert machine.firmware.started == ["b", "a"] * (TRIES + 1)
    assert rig.sandbox.alive == []
    assert rig.outcomes() == told, "no offer brought it"
    record = Installer(FileFlash(rig.folder / "flash"), int).record
    assert record.trial is None
    assert record.way_back is not None
    assert record.way_back.os.version == "26.12"
