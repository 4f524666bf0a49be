# SPDX-License-Identifier: Apache-2.0
"""A C program crashes on a real device in a real sandbox: the service has its group by name, and its dump, until it is off.

Real TLS, real consent, real encryption; a device with the chip profile of a gateway with this machine's processor.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.attacks.test_device_time import make
from tests.device.rig import FAST
from tests.e2e.test_directed_update import GROUP, events
from tests.fixtures.images import manifest, package
from tests.fixtures.native_program import NO_TRACER, SECRET, native_chip, native_program
from tests.fixtures.waiting import until

from armillary.device.process import Device
from armillary.engines.sandbox.crash.ptrace import can_trace
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import SandboxUnavailableError
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image import elf_symbols, symbol_list

DEADLINE_S = 60.0

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not can_trace(os.uname().machine),
        reason=NO_TRACER,
    ),
]


def run_until(folder: Path, *stages: tuple[Callable[[Device], bool], Callable[[], object]]) -> Device:
    """Be the device in its sandbox; when each thing is so, do the next."""
    try:
        sandbox = open_sandbox("linux")
    except SandboxUnavailableError as error:
        pytest.skip(f"this host contains no application: {error.message}; to enable: sudo apt-get install bubblewrap")

    async def play() -> Device:
        device = Device(folder, settings=FAST, sandbox=sandbox)
        running = asyncio.create_task(device.run())
        try:
            for condition, then in stages:
                await until(lambda condition=condition: condition(device) or running.done(), "the device", DEADLINE_S)
                await asyncio.to_thread(then)
                device.check_in_now()
        finally:
            device.stop()
            await running
        return device

    return asyncio.run(play())


def test_a_native_crash_from_the_device_to_its_name_and_its_end(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "service", planner_interval_s=3600.0, check_in_jitter=0.0) as host:
        host.catalog()
        make(host, tmp_path / "device", wall=time.time(), chip=native_chip())
        service, dumps = host.service, host.service.crash_dumps
        symbols = symbol_list.encode(elf_symbols.read_elf(native_program()))
        service.watch.symbols.put("Contoso", symbols, actor="t")
        dumps.collect(*GROUP, actor="t", is_on=True, stacks="full")

        def deploy() -> None:
            image = service.updates.images.upload("Contoso", package(manifest("pump"), native_program()), actor="t")
            service.updates.deployments.create(*GROUP, [image.image_id], actor="t")

        def take_back() -> None:
            dumps.collect(*GROUP, actor="t", is_on=False)

        device = run_until(
            tmp_path / "device",
            (lambda one: bool(events(one, "check-in")), deploy),
            (lambda one: bool(events(one, "crash-dump-sent")), take_back),
            (lambda one: one._flash.read("device/crash-dumps")[:3] == b"\xa3\x01\x00", lambda: None),
        )
        kept = events(device, "crash-dump-sent")
        row = dumps.list("Contoso").items[-1]
        assert str(row.dump_id) in {one["dump_id"] for one in kept}
        _, data = dumps.read(row.dump_id, catalog="Contoso", actor="t")
        assert SECRET in data
        assert SECRET not in service.context.folder.database.read_bytes()
        service.watch.run_once()
        (group,) = [one for one in service.watch.crashes.list("Contoso").items if one.basis == "function"]
        assert (group.cause, group.places[:3]) == ("SIGSEGV", ("pump", "valve", "main"))
        assert dumps.erase(*GROUP, actor="t") == len({one["dump_id"] for one in kept})
        assert dumps.list("Contoso").items == ()
