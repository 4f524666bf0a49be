# SPDX-License-Identifier: Apache-2.0
"""After the hub was away, what is so now is said again: what was said meanwhile comes as history."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from armillary.engines.equipment.queue import MessageQueue
from armillary.engines.equipment.queueing.lanes import LIVE_S
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.hub import uplink
from armillary.guardian.hub.certificate import DeviceCertificate
from armillary.guardian.surroundings import Surroundings


def test_alarms_that_stand_are_said_again_after_the_hub_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, said = 1000.0, []
    monkeypatch.setattr(uplink, "time", SimpleNamespace(monotonic=lambda: now))
    machine = SimpleNamespace(
        entry=SimpleNamespace(name="espresso1"), properties=dict, say_standing=lambda: said.append(now)
    )

    async def story() -> None:
        nonlocal now
        queue = MessageQueue(tmp_path)
        around = Surroundings(image=tmp_path, data=tmp_path, device_id="d")
        found = uplink.Uplink(around, DeviceCertificate(None), GuardianClock(), queue, [cast("Any", machine)])
        own, module = found._identities
        for away_s, is_said in ((LIVE_S - 1, False), (LIVE_S + 1, True), (1.0, False), (3600.0, True)):
            now += away_s
            before = len(said)
            own._connected()
            module._connected()
            assert (len(said) > before) is is_said
            now += 7200.0  # however long a connection lasts
            module._disconnected()
        found.threads.shutdown()
        await queue.close()

    asyncio.run(story())
    assert len(said) == 2
