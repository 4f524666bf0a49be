# SPDX-License-Identifier: Apache-2.0
"""Work that one application has its device do takes no thread and no flash from another."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.device.interface.asking import Host, application
from tests.fixtures.waiting import until

from armillary.device.interface import work
from armillary.device.interface.method import Call, Method

pytestmark = pytest.mark.anyio


async def test_one_that_asks_for_much_holds_one_thread(tmp_path: Path) -> None:
    gate, inside, most = threading.Event(), [0], [0]

    def slow() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        gate.wait(60)
        inside[0] -= 1

    async def hold(call: Call) -> None:
        await call.session.work.do(slow)

    async def quick(call: Call) -> Mapping[str, Any]:
        return {"name": await call.session.work.do(lambda: threading.current_thread().name)}

    host = Host(tmp_path, lambda _: (Method("hold", None, hold), Method("quick", None, quick)))
    async with host.open(application(1)) as greedy, host.open(application(2)) as other:
        clients = [greedy.client() for _ in range(3)]
        for client in clients:
            for number in range(10):
                await client.send({"id": number, "method": "hold"})
        await until(lambda: inside[0], "work")
        for _ in range(5):
            assert (await other.client().ask("quick"))["name"].startswith("interface")
        assert (inside[0], most[0]) == (1, 1)
        gate.set()
        for client in clients:
            for _ in range(10):
                assert (await client.take() or {})["result"] == {}
        assert most[0] == 1


async def test_changes_have_a_rate(tmp_path: Path) -> None:
    async def change(call: Call) -> None:
        call.session.work.begin_change()

    host = Host(tmp_path, lambda _: (Method("change", None, change),))
    async with host.open(application(1)) as writing, host.open(application(2)) as other:
        client = writing.client()
        for _ in range(work.CHANGE_BURST):
            assert await client.ask("change") == {}
        refused = await client.ask("change")
        assert (refused["name"], "again in" in refused["message"]) == ("EAGAIN", True)
        assert await other.client().ask("change") == {}
