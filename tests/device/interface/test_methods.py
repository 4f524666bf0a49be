# SPDX-License-Identifier: Apache-2.0
"""What the methods of a device answer, each as the application that may ask sees it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from tests.device.interface.asking import Host, Restarts, application, parts
from tests.fixtures.clocks import Clock

from armillary.device.interface import power
from armillary.device.interface.methods import method_table
from armillary.device.state.clock import DeviceClock
from armillary.engines.flash.file import FileFlash
from armillary.engines.sandbox.port import Usage

pytestmark = pytest.mark.anyio


def host(folder: Path, **changed: object) -> Host:
    """The interface of a whole device."""
    table = method_table(parts(folder, **changed))
    return Host(folder, lambda _: [row for row in table.rows if row.name != "interface.describe"])


async def test_storage_says_what_is_used(tmp_path: Path) -> None:
    async with host(tmp_path).open(application(MutableStorage={"SizeKB": 8})) as asked:
        client = asked.client()
        assert (await client.ask("storage.usage"))["name"] == "ENOENT"
        folder = tmp_path / str(asked.application.component_id)
        (folder / "deep").mkdir(parents=True)
        (folder / "deep/state").write_bytes(b"x" * 5000)
        (folder / "link").symlink_to("/usr")
        found = await client.ask("storage.usage")
        assert (found["quota_bytes"], found["files"]) == (8192, 2)
        assert 4096 <= found["used_bytes"] <= 16384


async def test_memory_of_its_own_processes(tmp_path: Path) -> None:
    program = (
        "import os, sys; os.fork(); data = bytearray(64 << 20); data[::4096] = b'x' * (len(data) // 4096); del data; "
        "os.write(1, b'ready '); sys.stdin.read()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with host(tmp_path).open(application(HeapMemStats=True, ResetMemoryWatermarks=True)) as asked:
        client = asked.client()
        assert (await client.ask("memory.statistics"))["name"] == "EAGAIN"
        asked.pid = process.pid
        assert await process.stdout.readexactly(12) == b"ready ready "
        before = await client.ask("memory.statistics")
        assert before["processes"] == 2
        assert before["peak_bytes"] - before["used_bytes"] > 100 << 20
        assert await client.ask("memory.reset-peak") == {}
        after = await client.ask("memory.statistics")
        assert after["peak_bytes"] - after["used_bytes"] < 32 << 20
        process.stdin.close()
        await process.wait()
        assert (await client.ask("memory.statistics"))["name"] == "ESRCH"


async def test_memory_is_what_the_control_group_counts_where_there_is_one(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "input()", stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    async with host(tmp_path).open(application(HeapMemStats=True, ResetMemoryWatermarks=True)) as asked:
        client = asked.client()
        asked.pid = process.pid
        summed = await client.ask("memory.statistics")
        assert (summed["counted_by"], summed["limit_bytes"]) == ("processes", None)
        assert 0 < summed["own_bytes"] < summed["used_bytes"] <= summed["peak_bytes"]
        asked.usage = Usage(memory_bytes=7, memory_own_bytes=5, memory_peak_bytes=9, processes=40)
        limit = asked.application.grant.limits.memory_bytes
        counted = {"counted_by": "control-group", "limit_bytes": limit, "processes": 1, "used_bytes": 7, "own_bytes": 5}
        assert await client.ask("memory.statistics") == {**counted, "peak_bytes": 9}
        asked.peak_restarts = True
        assert await client.ask("memory.reset-peak") == {}
        assert await client.ask("memory.statistics") == {**counted, "peak_bytes": 9}, "the kernel's, from then on"
        asked.peak_restarts = False
        assert await client.ask("memory.reset-peak") == {}
        stayed = await client.ask("memory.statistics")
        assert stayed == {**counted, "peak_bytes": stayed["peak_bytes"]}
        assert stayed["peak_bytes"] > 9, "of the processes, where the group's peak cannot start over"
        process.stdin.close()
        await process.wait()


async def test_the_time_is_set_forward_and_only_until_the_service_gives_it(tmp_path: Path) -> None:
    clock = DeviceClock(FileFlash(tmp_path / "flash"), monotonic=lambda: 0.0, wall=lambda: 1_000_000.0)
    async with host(tmp_path, clock=clock).open(application(SystemTime=True)) as asked:
        client = asked.client()
        assert await client.ask("time.get") == {"unix_s": 1_000_000, "signed": False}
        assert await client.ask("time.set", unix_s=1_800_000_000) == {"unix_s": 1_800_000_000}
        assert (await client.ask("time.set", unix_s=1_700_000_000))["name"] == "EPERM"
        assert (await client.ask("time.set", unix_s=2**40))["name"] == "EINVAL"
        clock.set_from_service(1_750_000_000)
        assert await client.ask("time.get") == {"unix_s": 1_750_000_000, "signed": True}
        assert (await client.ask("time.set", unix_s=1_900_000_000))["name"] == "EPERM"
        assert clock.now() == 1_750_000_000


async def test_the_time_is_fetched_at_most_once_in_a_minute(tmp_path: Path) -> None:
    now, asked_for = Clock(), []
    clock = DeviceClock(FileFlash(tmp_path / "flash"), monotonic=lambda: now.now, wall=lambda: 0.0)
    made = host(tmp_path, clock=clock, check_in_now=lambda: asked_for.append(1))
    async with made.open(application(TimeSyncConfig=True)) as asked:
        client = asked.client()
        assert await client.ask("time.source") == {"source": "service", "enabled": True, "signed": False}
        assert await client.ask("time.synchronize") == {}
        for _ in range(5):
            assert (await client.ask("time.synchronize"))["name"] == "EAGAIN"
        now.now += 60
        assert await client.ask("time.synchronize") == {}
        assert len(asked_for) == 2


async def test_power_is_asked_for_and_not_before_the_device_has_run_a_while(tmp_path: Path) -> None:
    now, restarts = Clock(), Restarts()
    clock = DeviceClock(FileFlash(tmp_path / "flash"), monotonic=lambda: now.now, wall=lambda: 0.0)
    made = host(tmp_path, clock=clock, power=restarts)
    async with made.open(application(PowerControls=["ForceReboot", "ForcePowerDown", "SetPowerProfile"])) as asked:
        client = asked.client()
        assert (await client.ask("power.restart"))["name"] == "EAGAIN"
        now.now += power.LEAST_UPTIME_S
        assert await client.ask("power.restart") == {"host": "stays on"}
        assert await client.ask("power.rest", seconds=5) == {"host": "stays on"}
        assert (await client.ask("power.rest", seconds=0))["name"] == "EINVAL"
        recorded = {"profile": "balanced", "recorded": "this host has no power profiles"}
        assert await client.ask("power.profile", profile="balanced") == recorded
        assert (await client.ask("power.profile", profile="fast"))["name"] == "EINVAL"
    assert restarts.asked == [0, 5]
    async with made.open(application(PowerControls=["ForceReboot"])) as asked:
        client = asked.client()
        assert await client.ask("power.restart") == {"host": "stays on"}
        assert (await client.ask("power.rest", seconds=5))["error_id"] == 2 << 20 | 48
    assert restarts.asked == [0, 5, 0]


async def test_the_certificate_and_the_proxy(tmp_path: Path) -> None:
    catalog = "2f074b0f-d99d-4692-82d9-ef93a7d6463c"
    made = host(tmp_path)
    async with made.open(application(DeviceAuthentication=catalog, ReadNetworkProxyConfig=True)) as asked:
        client = asked.client()
        assert await client.ask("authentication.status") == {"ready": False, "expires_at": None}
        assert await client.ask("network.proxy") == {"enabled": False}


async def test_without_a_capability_nothing_but_the_open_methods_is_answered(tmp_path: Path) -> None:
    made = host(tmp_path)
    async with made.open(application()) as asked:
        client = asked.client()
        refused = [row for row in made.table.rows if row.capability is not None]
        for row in refused:
            assert (await client.ask(row.name))["name"] == "EACCES", row.name
        assert len(refused) >= 12
