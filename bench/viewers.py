# SPDX-License-Identifier: Apache-2.0
"""What people who look at a live dashboard cost the service, in per cent of one core, against their limit.

``armillary up`` as it is started by anybody; attested devices send four values a second each. The dashboard has twelve
tiles, which show values of all devices. Each viewer does what the console's page does: holds the stream of live values
and asks for all tiles every ten seconds, over TLS. Counted is the service's own CPU time with viewers, less what it
needs for the same devices without.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from armillary.cli.terminal.connection import make_connection
from armillary.cli.terminal.remote import RemoteService
from bench.memory import connected, manufactured
from bench.pipeline import NAME, Sender, give_model
from bench.result import result
from bench.service_process import RunningService, cpu_seconds, running_service

LIMIT_PERCENT = 25.0
VIEWERS, DEVICES = 50, 10
INTERVAL_S = 1.0  # between two messages of a device
REFRESH_S = 10.0  # between two looks of a page at all tiles: static/dashboard.js, REFRESH_MS
SETTLE_S, SECONDS = 5.0, 30.0
DASHBOARD = "/dashboards/bench"
SIGN_IN_FIELD = re.compile(r'name="form_token" value="([0-9a-f]{128})"')


def run() -> list[dict[str, object]]:
    """The service's CPU time with and without viewers."""
    with running_service(check_in_interval_s=3600) as service:
        pem = Path(str(service.ready["root_ca"])).read_text("ascii")
        with RemoteService(make_connection(str(service.ready["api"]), str(service.ready["token"]), pem)) as remote:
            devices = manufactured(remote, service, DEVICES)
            give_model(remote, [each.device_id for each in devices])
            remote.put("/dashboards/bench", {"name": "Bench", "template": NAME, "columns": 12, "tiles": _tiles()})
        senders = [Sender(connected(each, service, pem), each.device_id) for each in devices]
        alone, watched, seen = asyncio.run(_measure(service, pem, senders))
        for sender in senders:
            sender.connection.close()
    if seen < VIEWERS * SECONDS * 0.8:
        raise RuntimeError(f"{VIEWERS} viewers saw {seen} changes in {SECONDS:g} s")
    percent = 100 * (watched - alone) / SECONDS
    about = (
        f"{VIEWERS} viewers of 12 tiles, {DEVICES} devices once a second, {seen / VIEWERS / SECONDS:.1f} changes/s each"
    )
    print(f"  without viewers {100 * alone / SECONDS:.1f} % of a core", file=sys.stderr)
    return [result("viewers", percent, "% of a core", ("limit", LIMIT_PERCENT), about)]


def _tiles() -> list[dict[str, object]]:
    kinds: list[dict[str, object]] = [
        {"kind": "kpi", "value": "temperature"},
        {"kind": "kpi", "value": "humidity", "aggregate": "avg"},
        {"kind": "kpi", "value": "temperature", "aggregate": "max", "sparkline": True},
        {"kind": "kpi", "value": "humidity"},
        {"kind": "gauge", "value": "temperature", "low": 0, "high": 50},
        {"kind": "gauge", "value": "humidity", "low": 0, "high": 100},
        {"kind": "line", "values": ["temperature"], "range_s": 600},
        {"kind": "line", "values": ["humidity"], "range_s": 3600},
        {"kind": "bar", "values": ["temperature"], "by": "device", "range_s": 3600},
        {"kind": "last-values", "values": ["temperature", "humidity", "state"]},
        {"kind": "heatmap", "value": "temperature", "range_s": 3600, "bucket_s": 60},
        {"kind": "alerts"},
    ]
    place = {"w": 3, "h": 3, "source": {"template": NAME}}
    return [
        {"id": f"tile-{at}", "title": f"Tile {at}", "x": 3 * (at % 4), "y": 3 * (at // 4), **place, **each}
        for at, each in enumerate(kinds)
    ]


async def _measure(service: RunningService, pem: str, senders: Sequence[Sender]) -> tuple[float, float, int]:
    """CPU seconds of the service without and with viewers, and how many changes these saw."""
    sending = asyncio.ensure_future(asyncio.to_thread(_send, senders, 2 * (SETTLE_S + SECONDS) + SETTLE_S))
    await asyncio.sleep(SETTLE_S)
    alone = await _spent(service)
    context = ssl.create_default_context(cadata=pem)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    async with aiohttp.ClientSession(str(service.ready["api"]), connector=connector) as session:
        await _sign_in(session, str(service.ready["token"]))
        counts = [0] * VIEWERS
        viewers = [asyncio.ensure_future(_view(session, counts, number)) for number in range(VIEWERS)]
        await asyncio.sleep(SETTLE_S)
        counts[:] = [0] * VIEWERS
        watched = await _spent(service)
        seen = sum(counts)
        for each in viewers:
            each.cancel()
        ended = await asyncio.gather(*viewers, return_exceptions=True)
    problems = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
    if problems:
        raise RuntimeError(f"{len(problems)} viewers ended, the first: {problems[0]!r}")
    await sending
    return alone, watched, seen


async def _spent(service: RunningService) -> float:
    before = cpu_seconds(service.process.pid)
    await asyncio.sleep(SECONDS)
    return cpu_seconds(service.process.pid) - before


def _send(senders: Sequence[Sender], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for sender in senders:
            sender.send(1)
            sender.acknowledged()
            time.sleep(INTERVAL_S / len(senders))


async def _sign_in(session: aiohttp.ClientSession, token: str) -> None:
    async with session.get("/sign-in") as answer:
        found = SIGN_IN_FIELD.search(await answer.text())
    if found is None:
        raise RuntimeError("the sign-in page has no form")
    form = {"form_token": found[1], "token": token, "back": "/fleet"}
    async with session.post("/sign-in", data=form, allow_redirects=False) as answer:
        if answer.status != 303:
            raise RuntimeError(f"sign-in: {answer.status}")


async def _view(session: aiohttp.ClientSession, counts: list[int], number: int) -> None:
    """Be one page: its stream, and all tiles now and then, each viewer at a moment of its own."""
    await asyncio.sleep(number * REFRESH_S / VIEWERS / 2)
    await asyncio.gather(_listen(session, counts, number), _refresh(session))


async def _listen(session: aiohttp.ClientSession, counts: list[int], number: int) -> None:
    async with session.get(f"{DASHBOARD}/live", timeout=aiohttp.ClientTimeout(total=None)) as answer:
        _check(answer)
        async for line in answer.content:
            counts[number] += line.startswith(b"event: values")
    raise RuntimeError("the stream ended")


async def _refresh(session: aiohttp.ClientSession) -> Any:
    while True:
        async with session.get(f"{DASHBOARD}/data") as answer:
            _check(answer)
            await answer.read()
        await asyncio.sleep(REFRESH_S)


def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status != 200:
        raise RuntimeError(f"{answer.url.path}: {answer.status}")
