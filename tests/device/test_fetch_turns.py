# SPDX-License-Identifier: Apache-2.0
"""A download that takes long lets the device check in, and goes on with what it has."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device import installation
from armillary.device.checkin.fetch import ArtifactFetch
from armillary.device.installation import FETCH_TURN_S, FetchTurns

pytestmark = pytest.mark.anyio
OFFER, ANOTHER = uuid.UUID(int=1), uuid.UUID(int=2)


def test_a_turn_is_limited_as_long_as_each_brings_the_download_further() -> None:
    turns = FetchTurns()
    limits = [turns.limit_s(OFFER, kept) for kept in ((0, 0), (0, 3), (0, 3), (0, 4), (1, 0), (0, 9))]
    assert limits == [FETCH_TURN_S, FETCH_TURN_S, None, FETCH_TURN_S, FETCH_TURN_S, None]
    assert turns.limit_s(ANOTHER, (0, 0)) == FETCH_TURN_S


async def test_a_slow_download_keeps_no_device_from_checking_in(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = ArtifactFetch.fetch
    turns: list[int] = []
    kept_before: list[tuple[int, int]] = []

    async def slow(self: ArtifactFetch, *arguments: Any) -> bytes:
        turns.append(len(rig.service.checks))
        if len(turns) == 2:
            await asyncio.Event().wait()  # it would go on for hours
        return await fetch(self, *arguments)

    def limit_s(self: FetchTurns, offer_id: uuid.UUID, kept: tuple[int, int]) -> float | None:
        kept_before.append(kept)
        if len(kept_before) == 1:
            (folder := rig.folder / "flash/downloads/1234").mkdir(parents=True)
            (folder / "0").write_bytes(b"a piece")
        return limit(self, offer_id, kept)

    limit = FetchTurns.limit_s
    monkeypatch.setattr(FetchTurns, "limit_s", limit_s)
    monkeypatch.setattr(ArtifactFetch, "fetch", slow)
    monkeypatch.setattr(installation, "FETCH_TURN_S", 0.2)
    rig.service.deploy(rig.service.application(), rig.service.application(component=2))
    await rig.start()
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "it goes on after a check-in")
    assert turns[0] == turns[1] < turns[2]
    assert len(rig.events("update-offered")) == 2
    assert rig.events("update-postponed") == []
    assert kept_before == [(0, 0), (1, 1)], "a package that is whole, and a piece of the next one"
