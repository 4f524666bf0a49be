# SPDX-License-Identifier: Apache-2.0
"""A guardian whose way to the hub breaks again and again: each value that it kept is in the hub once, and only once."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh
from tests.fixtures.certificates import private_pem
from tests.fixtures.waiting import until
from tests.guardian.guardian_stage import NAME, Stage, signed_profile, staged

from armillary.content import equipment as profiles
from armillary.engines.equipment.queueing import lanes as queue_lanes
from armillary.guardian.hub import connection as hub_connection
from armillary.guardian.hub.certificate import DeviceCertificate
from armillary.guardian.hub.uplink import Uplink
from armillary.wire.equipment.message import Lane, Outgoing
from armillary.wire.equipment.profile_reader import profile_document

CUTS = 4
PIECES_BEFORE_A_CUT = 12  # Of what the guardian sends: in the middle of its messages


class Cuttable:
    """A way to the hub: what goes over it is passed on until it is cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.pieces = 0

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def cut(self) -> None:
        """End every connection, and take none."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        ends = {writer, back}
        self._open |= ends
        await asyncio.gather(self._pass(reader, back, counts=True), self._pass(there, writer, counts=False))
        for each in ends:
            each.close()
        self._open -= ends

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                self.pieces += counts
                writer.write(data)
                await writer.drain()
        writer.close()


def certificate_folder(service: RunningService, device: Any, folder: Path) -> Path:
    """The folder that a device gives to an application with DeviceAuthentication."""
    reply = device.check_in()
    folder.mkdir()
    chain = [ssl.DER_cert_to_PEM_cert(der) for der in reply.certificate_chain]
    (folder / "certificate.pem").write_text("".join(chain))
    (folder / "key.pem").write_bytes(private_pem(device.client_key))
    (folder / "ca.pem").write_bytes(service.root.read_bytes())
    return folder


async def settled(stage: Stage, kept: list[float]) -> int:
    """Wait for what is being put into the queue; how much was kept then."""
    await stage.means.queue.flush()
    return len(kept)


@contextlib.asynccontextmanager
async def connected(stage: Stage, device_id: str, port: int, certificate: Path) -> AsyncIterator[Uplink]:
    means = stage.means
    around = replace(means.around, device_id=device_id, hub_host="localhost", hub_port=port, authentication=certificate)
    uplink = Uplink(around, DeviceCertificate(certificate), means.clock, means.queue, [stage.equipment])
    run = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


def test_nothing_is_lost_and_nothing_comes_twice_however_often_the_way_breaks(
    service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(queue_lanes, "LIVE_S", 0.5)  # What waits longer is historical: an outage of seconds is one
    monkeypatch.setattr(hub_connection, "RETRY_S", (0.1, 0.3))
    catalog = service.make_catalog(fresh("G"), product="Coffee")
    device = service.claimed(catalog)
    made = service.call("POST", f"/api/v1/hub-devices/{device.device_id}/modules", {"module_id": NAME})
    assert made.status in (200, 201)
    certificate = certificate_folder(service, device, tmp_path / "daa")
    profile = profile_document(profiles.load("coffee"))
    profile["points"]["brewTemp"]["report"] = {"max_s": 0.1}
    envelope = signed_profile(groups={"fast": 0.1, "slow": 30}, points=profile["points"])
    kept: list[float] = []

    async def play() -> None:
        async with staged(tmp_path, envelope=envelope) as stage:
            begin_put = stage.means.queue.begin_put

            def recorded(messages: list[Outgoing]) -> asyncio.Future[None]:
                found = [each.at for each in messages if b'"brewTemp":' in each.body.partition(b'"quality"')[0]]

                def ended(put: asyncio.Future[None]) -> None:
                    if not put.cancelled() and put.exception() is None:
                        kept.extend(found)

                put = begin_put(messages)
                put.add_done_callback(ended)
                return put

            await stage.settled()
            await stage.means.queue.flush()
            first = await stage.means.queue.take(Lane.LIVE, 100)
            kept.extend(each.at for each in first if b'"brewTemp":' in each.body)
            stage.means.queue.release()
            monkeypatch.setattr(stage.means.queue, "begin_put", recorded)
            way = Cuttable(service.hub_port)
            port = await way.start()
            async with connected(stage, device.device_id, port, certificate):
                for _ in range(CUTS):
                    way.pieces = 0
                    await until(lambda: way.pieces > PIECES_BEFORE_A_CUT, "messages on their way")
                    await way.cut()
                    begun = len(kept)
                    await until(lambda begun=begun: len(kept) > begun + 20, "values that wait")  # type: ignore[misc]
                    await way.start(port)
                await stage.server.close()
                await until(lambda: stage.equipment.status(1)["link"] == "down", "the last value")
                quiet = await settled(stage, kept)
                await until(lambda: stage.means.queue.counters.messages == 0, "all to be sent")
                assert len(kept) == quiet
            await way.cut()

    asyncio.run(play())
    query = f"module={NAME}&metric=brewTemp&start_ms=0&end_ms=10000000000000&limit=10000"
    found = service.call("GET", f"/api/v1/devices/{device.device_id}/telemetry/raw?{query}").body["items"]
    times = [at_ms for at_ms, _ in found]
    assert len(kept) > CUTS * 20
    expected = sorted(int(at * 1000) for at in kept)
    assert len(times) == len(expected), (
        f"more: {Counter(times) - Counter(expected)}; lost: {Counter(expected) - Counter(times)}"
    )
    assert all(abs(one - other) <= 1 for one, other in zip(sorted(times), expected, strict=True))
