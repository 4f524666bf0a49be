# SPDX-License-Identifier: Apache-2.0
"""Telemetry that an application hands to its device: what is taken, bounded and said of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.device.interface.asking import Asked, Host, application, parts

from armillary.device.interface import telemetry
from armillary.device.interface.methods import DeviceParts, method_table
from armillary.device.state.clock import DeviceClock
from armillary.device.telemetry.waiting import MESSAGE_LIMIT_BYTES, Message
from armillary.engines.flash.file import FileFlash

pytestmark = pytest.mark.anyio
OWNER = str(uuid.UUID(int=9))


@asynccontextmanager
async def asked(folder: Path, *, granted: bool = True, **changed: Any) -> AsyncIterator[tuple[Asked, DeviceParts]]:
    given = parts(folder, **changed)
    host = Host(folder, lambda _: [each for each in method_table(given).rows if each.name != "interface.describe"])
    app = application(**({"DeviceAuthentication": OWNER} if granted else {}))
    async with given.telemetry, host.open(app) as opened:
        yield opened, given


def taken(given: DeviceParts) -> list[Message]:
    return given.telemetry._waiting.take(1000)


async def test_readings_wait_with_what_is_known_of_them(tmp_path: Path) -> None:
    async with asked(tmp_path) as (one, given):
        client = one.client()
        counts = {"waiting": 1, "sent": 0, "dropped": 0}
        assert await client.ask("telemetry.send", values={"t": 21.5, "door": "öffen"}, component="hall") == counts
        assert await client.ask("telemetry.status") == {**counts, "problem": given.telemetry.refusal}
        (message,) = taken(given)
        assert json.loads(message.body) == {"t": 21.5, "door": "öffen"}
        properties = dict(message.properties)
        assert (properties["$.ct"], properties["$.ce"]) == ("application/json", "utf-8")
        assert (properties["application"], properties["$.sub"]) == ("app1", "hall")
        assert "iothub-creation-time-utc" not in properties, "the device's time is not signed"


async def test_a_signed_time_goes_with_them(tmp_path: Path) -> None:
    clock = DeviceClock(FileFlash(tmp_path / "flash"), monotonic=lambda: 0.0, wall=lambda: 1_800_000_000.0)
    clock.set_from_service(1_800_000_000)
    async with asked(tmp_path, clock=clock) as (one, given):
        await one.client().ask("telemetry.send", values={"t": 1})
        (message,) = taken(given)
        assert dict(message.properties)["iothub-creation-time-utc"] == "2027-01-15T08:00:00.000Z"


async def test_without_the_capability_it_is_refused_and_reported(tmp_path: Path) -> None:
    async with asked(tmp_path, granted=False) as (one, given):
        for method in ("telemetry.send", "telemetry.status"):
            assert (await one.client().ask(method, values={"t": 1}))["name"] == "EACCES"
        assert taken(given) == []
        assert len(one.events) == 2


@pytest.mark.parametrize(
    ("given", "name", "says"),
    [
        ({"values": {}}, "EINVAL", "at least one"),
        ({"values": [1]}, "EINVAL", "expected a JSON object"),
        ({}, "EINVAL", "values"),
        ({"values": {"t": 1}, "component": "a b"}, "EINVAL", "DTDL"),
        ({"values": {"t": 1}, "topic": "x"}, "EINVAL", "no other fields"),
        ({"values": {"": 1}}, "EINVAL", "printable names of 1 to 128 characters"),
        ({"values": {"a b\n": 1}}, "EINVAL", "printable names of 1 to 128 characters"),
        ({"values": {"in": {"x" * 126: 1}}}, "EINVAL", "printable names of 1 to 128 characters"),
        ({"values": {"t": "x" * 1025}}, "EINVAL", "at most 1024 characters"),
        ({"values": {"t": 10**400}}, "EINVAL", "within a double"),
        ({"values": {"a.b": 1, "a": {"b": 2}}}, "EINVAL", "each name once"),
        ({"values": {"t": "x" * MESSAGE_LIMIT_BYTES}}, "EMSGSIZE", f"at most {MESSAGE_LIMIT_BYTES} bytes"),
    ],
)
async def test_bad_input_is_one_clear_error(tmp_path: Path, given: dict[str, Any], name: str, says: str) -> None:
    async with asked(tmp_path) as (one, parts_):
        refused = await one.client().ask("telemetry.send", **given)
        assert refused["name"] == name
        assert says in refused["message"]
        assert taken(parts_) == []


async def test_an_application_that_sends_too_fast_is_told_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "BURST", 2)
    monkeypatch.setattr(telemetry, "PER_SECOND", 1e-6)
    async with asked(tmp_path) as (one, given):
        client = one.client()
        for _ in range(2):
            assert "waiting" in await client.ask("telemetry.send", values={"t": 1})
        refused = await client.ask("telemetry.send", values={"t": 1})
        assert refused["name"] == "EAGAIN"
        assert len(taken(given)) == 2
