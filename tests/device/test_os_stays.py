# SPDX-License-Identifier: Apache-2.0
"""An OS that fails its trial while the one before it is damaged: the device goes on with it, says so, and is updated."""

from __future__ import annotations

import pytest
from tests.device.rig import Rig
from tests.device.test_os_disk import Machine, checked_in, damage, machine, outcome, proved, said
from tests.device.test_os_update import holds
from tests.fixtures.waiting import until

from armillary.device.state.reports import FAULT

__all__ = ["machine"]  # the fixture

pytestmark = pytest.mark.anyio


async def test_an_os_that_is_not_attested_stays_where_the_one_before_may_not_boot_and_the_next_one_is_taken(
    rig: Rig, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await machine.start()
    await checked_in(rig)
    rig.service.deploy_os("26.12", rig.service.application())
    rig.device.check_in_now()
    await until(lambda: rig.task is not None and rig.task.done(), "it ends to start the update")
    damage(machine, "services", "a")
    hold = holds(rig, monkeypatch, only="26.12")
    hold.append(17)
    machine.firmware.started.clear()
    await machine.start()
    await outcome(rig, "failed")
    [reason] = {o.reason for request, _ in rig.service.checks for o in request.outcomes if o.outcome == "failed"}
    assert "does not attest the new OS: step (17)" in reason
    assert "it stays, since what was before it does not verify: boot stopped at services" in reason
    seen = rig.service.reports_seen
    await until(lambda: FAULT in {each.event_type for each in seen.values()}, "it is reported")
    assert machine.firmware.started == ["b"]
    assert rig.events("update-reverted") == []
    rig.service.deploy_os("26.13", rig.service.application())
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "confirmed")
    assert said(rig) == ["26.11", "26.12", "26.13"]
    assert proved(rig, machine) == ("a", "26.13", "attested")
