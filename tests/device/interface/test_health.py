# SPDX-License-Identifier: Apache-2.0
"""The watchdog: who asked to be watched and is quiet is ended; who beats, and who did not ask, is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device.interface.asking import Host, application
from tests.fixtures.waiting import until

from armillary.device.interface import health
from armillary.device.interface.health import TICKS, Health

pytestmark = pytest.mark.anyio


async def test_one_that_is_quiet_is_ended_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_S", 0)
    host = Host(tmp_path, lambda _: Health().methods)
    async with host.open(application(1)) as quiet, host.open(application(2)) as unwatched:
        assert await unwatched.client().ask("health.unwatch") == {}
        assert await quiet.client().ask("health.watch", within_s=0) == {"within_s": 0}
        await until(lambda: quiet.ends, "the watchdog")
        assert quiet.ends == ["no heartbeat within 0 s"]
        assert unwatched.ends == []


async def test_beats_keep_it_alive_and_so_does_giving_up_the_watch(tmp_path: Path) -> None:
    row = Health()
    host = Host(tmp_path, lambda _: row.methods)
    async with host.open(application()) as asked:
        client = asked.client()
        assert (await client.ask("health.beat"))["name"] == "ENOENT"
        assert (await client.ask("health.watch", within_s=1))["name"] == "EINVAL"
        assert await client.ask("health.watch", within_s=3600) == {"within_s": 3600}
        [watch] = row._watches.values()
        for _ in range(3):
            assert [watch.tick() for _ in range(TICKS)] == [False] * TICKS
            assert await client.ask("health.beat") == {}
        assert [watch.tick() for _ in range(TICKS + 1)] == [False] * TICKS + [True]
        assert await client.ask("health.unwatch") == {}
        assert (await client.ask("health.beat"))["name"] == "ENOENT"
    assert asked.ends == []
