# SPDX-License-Identifier: Apache-2.0
"""Power profiles that applications set: one at a time, as long as they run, and an answer that says what holds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device.interface.asking import Host, application, events, parts
from tests.engines.host_sysfs import Sysfs

from armillary.device.interface.methods import method_table
from armillary.device.interface.power import PowerProfiles
from armillary.device.state.journal import Journal
from armillary.engines.host.power_profile import HostPower

pytestmark = pytest.mark.anyio
MAY = {"PowerControls": ["SetPowerProfile"]}
BEFORE, SAVING = {"policy0/scaling_governor": "ondemand"}, {"policy0/scaling_governor": "powersave"}


class Powered:
    """A device on a pretended host."""

    def __init__(self, folder: Path) -> None:
        self.sysfs = Sysfs(folder / "sys")
        self.host = Host(folder, self._rows)

    def _rows(self, journal: Journal) -> list[object]:
        folder = self.sysfs.root.parent
        self.profiles = PowerProfiles(HostPower(folder / "power.json", sysfs=self.sysfs.root), journal)
        table = method_table(parts(folder, power_profiles=self.profiles))
        return [row for row in table.rows if row.name != "interface.describe"]


async def test_the_host_works_by_it_while_the_application_runs(tmp_path: Path) -> None:
    device = Powered(tmp_path)
    device.sysfs.policy(0, governors="ondemand powersave performance", governor="ondemand")
    async with device.host.open(application(1, **MAY)) as first, device.host.open(application(2, **MAY)) as second:
        held = {"profile": "power-saver", "held_by": "processors' governor"}
        assert await first.client().ask("power.profile", profile="power-saver") == held
        assert device.sysfs.state() == SAVING
        shown = device.profiles.status()
        assert shown == {**held, "component_id": str(first.application.component_id)}
        assert (await second.client().ask("power.profile", profile="balanced"))["name"] == "EBUSY"
        assert device.sysfs.state() == SAVING
    assert device.sysfs.state() == BEFORE
    assert device.profiles.status() is None
    assert [each["event"] for each in device.host.entries if "power" in each["event"]] == [
        "power-profile",
        "power-profile-ended",
    ]
    async with device.host.open(application(2, **MAY)) as second:
        assert "held_by" in await second.client().ask("power.profile", profile="power-saver")
    assert device.sysfs.state() == BEFORE


async def test_without_the_control_nothing_is_set(tmp_path: Path) -> None:
    device = Powered(tmp_path)
    device.sysfs.policy(0, governors="ondemand powersave performance", governor="ondemand")
    async with device.host.open(application(1, PowerControls=["ForceReboot"])) as asked:
        refused = await asked.client().ask("power.profile", profile="power-saver")
        assert (refused["name"], refused["error_id"]) == ("EACCES", 2 << 20 | 48)
    assert device.sysfs.state() == BEFORE


async def test_a_host_that_has_none_or_does_not_let_the_device_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Powered(tmp_path)
    async with device.host.open(application(1, **MAY)) as asked:
        client = asked.client()
        recorded = {"profile": "balanced", "recorded": "this host has no power profiles"}
        assert await client.ask("power.profile", profile="balanced") == recorded
        shown = device.profiles.status()
        assert shown is not None
        assert (shown["profile"], shown["recorded"]) == ("balanced", recorded["recorded"])
        device.sysfs.policy(0, governors="ondemand powersave", governor="ondemand")
        device.sysfs.refuses(monkeypatch, "scaling_governor")
        found = await client.ask("power.profile", profile="power-saver")
        assert found["recorded"] == "this device may not set the power profile of its host: refused"
        (_, last) = events(device.host, "power-profile")
        assert last["recorded"] == found["recorded"]
    assert device.sysfs.state() == BEFORE
