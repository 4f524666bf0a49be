# SPDX-License-Identifier: Apache-2.0
"""One piece of equipment as a guardian serves it, without a hub: its messages are in the queue."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.waiting import until

from armillary.content import equipment as profiles
from armillary.engines.equipment.queue import MessageQueue
from armillary.engines.equipment.trusted_key import trusted_key
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.configuration import EquipmentEntry
from armillary.guardian.equipment import Equipment, Means
from armillary.guardian.profiles import ProfileStore
from armillary.guardian.surroundings import Surroundings
from armillary.sim.equipment.coffee import CoffeeMachine
from armillary.sim.equipment.life import Life
from armillary.sim.equipment.modbus_server import ModbusMachine, TcpServer
from armillary.wire.equipment.files.signing import PrivateKey, public_key, sign
from armillary.wire.equipment.message import Lane
from armillary.wire.equipment.profile_reader import canonical, profile_document
from armillary.wire.equipment.signed_file import PROFILE, TrustedKey

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = "espresso1"


def trusted(key: PrivateKey) -> TrustedKey:
    """A key as a guardian has it."""
    return trusted_key(public_key(key).pem.decode())


def signed_profile(name: str = "coffee", **changes: Any) -> bytes:
    """A shipped profile, signed by the test's key, with other members."""
    return sign(PROFILE, canonical({**profile_document(profiles.load(name)), **changes}), KEY)


def fresh(value: object = None, *, seconds: float = 60.0) -> dict[str, object]:
    """The payload of a command that is given now."""
    expires = dt.datetime.fromtimestamp(time.time() + seconds, dt.UTC).isoformat(timespec="milliseconds")
    payload = {"nonce": secrets.token_urlsafe(16), "expires": expires.replace("+00:00", "Z")}
    return payload if value is None else {**payload, "value": value}


@dataclass
class Stage:
    """A coffee machine, and a guardian that serves it."""

    life: Life
    server: TcpServer
    equipment: Equipment
    means: Means

    async def sent(self) -> list[dict[str, Any]]:
        """All messages that are in the queue, oldest first; takes them."""
        return [json.loads(each.body) for each in await self.means.queue.take(Lane.LIVE, 1000)]

    async def attempts(self) -> list[dict[str, Any]]:
        """The attempts among them."""
        return [each["attempt"] for each in await self.sent() if "attempt" in each]

    async def settled(self) -> None:
        """Wait until every point was read."""
        served = self.equipment.served
        points = 0 if served is None else len(served.compiled.profile.all_points)
        await until(lambda: served is not None and len(served.poller.latest) == points, "every point")


def prepare(folder: Path, envelope: bytes) -> Surroundings:
    """The folders of a guardian, with one profile in its image."""
    image, data = folder / "image", folder / "data"
    (image / "profiles").mkdir(parents=True, exist_ok=True)
    (image / "profiles" / "coffee.dsse").write_bytes(envelope)
    (data / "consent").mkdir(parents=True, exist_ok=True)
    (data / "queue").mkdir(exist_ok=True)
    return Surroundings(image=image, data=data, device_id="d")


@contextlib.asynccontextmanager
async def staged(
    folder: Path, *, envelope: bytes | None = None, life: Life | None = None, link: Mapping[str, object] | None = None
) -> AsyncIterator[Stage]:
    """A guardian of a simulated coffee machine over Modbus TCP; its clock knows the time."""
    around = prepare(folder, envelope or signed_profile())
    life = life or Life(profiles.load("coffee"), CoffeeMachine(7))
    server = TcpServer(ModbusMachine(life, unit=1))
    port = await server.start("127.0.0.1", 0)
    clock = GuardianClock()
    clock.told(time.time())
    queue = MessageQueue(around.data / "queue")
    store = ProfileStore(around.image, around.data, [trusted(KEY)])
    means = Means(around=around, clock=clock, queue=queue, profiles=store)
    settings = link or {"protocol": "modbus-tcp", "host": "127.0.0.1", "port": port}
    entry = EquipmentEntry(name=NAME, profile="profiles/coffee.dsse", link=settings)
    equipment = Equipment(entry, means)
    run = asyncio.create_task(equipment.run())
    try:
        await until(lambda: equipment.served is not None or equipment.problem, "it is served")
        assert not equipment.problem
        yield Stage(life, server, equipment, means)
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await server.close()
        await queue.close()
