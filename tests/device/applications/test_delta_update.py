# SPDX-License-Identifier: Apache-2.0
"""A device process that is given its next version as a delta: it installs what was signed, whatever the delta is."""

from __future__ import annotations

import pytest
from tests.device.rig import Rig
from tests.fixtures.waiting import until
from tests.update.delta.pairs import delta, edited, noise

pytestmark = pytest.mark.anyio

SCRIPT = b"#!/bin/sh\nexec sleep 600\n" + noise(1, 50_000)


@pytest.mark.parametrize("spoil", [False, True])
async def test_the_next_version_comes_as_a_delta(rig: Rig, spoil: bool) -> None:
    service = rig.service
    old = service.application(SCRIPT)
    service.deploy(old)
    await rig.start()
    await until(lambda: rig.outcomes() == [(old.image_id, "confirmed")], "the first version")
    assert rig.events("delta-used") == [], "a device that has nothing starts from nothing"
    new = service.application(SCRIPT[:100] + edited(SCRIPT[100:], 2, 2))
    made = delta(service.images[str(old.image_id)], service.images[str(new.image_id)])
    assert len(made) < new.size / 4
    service.deltas[old.sha256.hex(), new.sha256.hex()] = made[:-1] + bytes([made[-1] ^ spoil])
    service.deploy(new)
    rig.device.check_in_now()
    await until(lambda: rig.outcomes()[-1] == (new.image_id, "confirmed"), "the second version")
    used, refused = rig.events("delta-used"), rig.events("delta-refused")
    assert [len(used), len(refused)] == ([0, 1] if spoil else [1, 0])
    assert spoil or (used[0]["bytes"], used[0]["of"]) == (len(made), new.size)
