# SPDX-License-Identifier: Apache-2.0
"""A device with a radio of its own: it is where the records say from the boot on, and follows an application at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.device.interface.asking import Client
from tests.device.rig import FAST, Rig
from tests.device.wifi.test_wifi import RecordedRadio, added
from tests.fixtures.waiting import until

from armillary.engines.flash.file import FileFlash

pytestmark = pytest.mark.anyio


class ClosedRadio(RecordedRadio):
    """A radio that keeps whether it was ended."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


async def test_its_radio_follows_the_records_and_an_application_and_is_ended(rig: Rig) -> None:
    radio = ClosedRadio()
    opening: Callable[[], RecordedRadio] = lambda: radio  # noqa: E731 - a function of no argument
    added(FileFlash(rig.folder / "flash"), ssid="known before")
    rig.service.deploy(rig.service.application(WifiConfig=True))
    await rig.start(replace(FAST, radio=opening))
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "the application runs")
    assert [each.ssid for each in radio.networks] == ["known before"]
    client = Client(rig.sandbox.runs[-1].launch.interface)
    found = await client.ask("wifi.add", ssid="home", security="psk", passphrase="a long secret")
    await client.ask("wifi.enable", id=found["id"])
    assert [each.ssid for each in radio.networks] == ["known before", "home"]
    await client.ask("wifi.forget", id=found["id"])
    assert [each.ssid for each in radio.networks] == ["known before"]
    client.close()
    await rig.stop()
    assert radio.is_closed
