# SPDX-License-Identifier: Apache-2.0
"""A device with a repository and its director, over real sockets."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID

from tests.device.cut_flash import CutFlash
from tests.device.repository.device_side import Network
from tests.fixtures.static_server import StaticServer
from tests.fixtures.tuf_repository import NOW, TufRepository, private_key, signer

from armillary.device.repository.artifacts import Artifacts
from armillary.device.repository.directives import DirectedOffer, Directives
from armillary.device.repository.repository import DeviceRepository
from armillary.device.state.clock import DeviceClock
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.update.directive import Directive, encode_directive

CATALOG = UUID(int=7)
APP = b"an application package"
KERNEL = b"a kernel package"
DEVICE = "ab" * 64
CHIP = "mt3620"
DIRECTOR = 50


def image(content: bytes, *, number: int, name: str, image_type: int) -> OfferedImage:
    return OfferedImage(
        component_id=UUID(int=100 + number),
        image_id=UUID(int=number),
        image_type=image_type,
        name=name,
        size=len(content),
        sha256=sha256(content).digest(),
    )


APP_IMAGE = image(APP, number=1, name="app", image_type=10)
KERNEL_IMAGE = image(KERNEL, number=2, name="kernel", image_type=12)
OFFER = Offer(offer_id=UUID(int=50), deployment_id=UUID(int=51), images=(KERNEL_IMAGE, APP_IMAGE), os_version="26.11")


def repository() -> TufRepository:
    """With one release, one catalog's image, and a director."""
    made = TufRepository()
    made.delegate("os", ["os/*/*/*"], key=20)
    made.delegate(f"catalog-{CATALOG}", ["catalogs/*/*"], key=21)
    made.delegate("director", ["director/*"], key=DIRECTOR, make=False)
    made.add(f"os/{CHIP}/26.11/kernel", KERNEL, role="os")
    made.add(f"catalogs/{CATALOG}/{APP_IMAGE.image_id}", APP, role=f"catalog-{CATALOG}")
    made.publish("targets", "os", f"catalog-{CATALOG}")
    return made


def directive(*, key: int = DIRECTOR, as_key: int | None = None, **changes: Any) -> bytes:
    """A directive for the device, signed by key number ``key`` under the key id of ``as_key``."""
    wanted = Directive(
        version=1, device_id=DEVICE, hardware=CHIP, offer=OFFER, issued_at=NOW - 60, expires_at=NOW + 86_400
    )
    key_id = signer(key if as_key is None else as_key).public_key.keyid
    return encode_directive(replace(wanted, **changes), private_key(key), key_id)


class DirectedDevice:
    """One device; ``wall`` is what its host's clock shows, ``signed`` what the service said."""

    def __init__(
        self, net: Network, server: StaticServer, *mirrors: StaticServer, wall: float = NOW, signed: int | None = NOW
    ) -> None:
        self.flash = CutFlash()
        self.clock = DeviceClock(self.flash, monotonic=lambda: 0.0, wall=lambda: wall)
        if signed is not None:
            self.clock.set_from_service(signed)
        self.opened = 0
        self._own = net.source("the service", server)
        self._sources = net.sources(self._own, *(net.source(mirror.url, mirror) for mirror in mirrors))
        self.directives = self.started()

    def started(self) -> Directives:
        """What a start of the device makes; the flash stays."""

        def open_repository() -> DeviceRepository:
            self.opened += 1
            artifacts = Artifacts(self.flash, self._sources, lambda: 10**9)
            return DeviceRepository(self.flash, self.clock, own=self._own, sources=self._sources, artifacts=artifacts)

        return Directives(self.flash, self.clock, device_id=DEVICE, hardware=CHIP, open_repository=open_repository)

    async def take(self, data: bytes) -> DirectedOffer:
        return await self.directives.take(data, catalog_id=CATALOG)
