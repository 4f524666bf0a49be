# SPDX-License-Identifier: Apache-2.0
"""Takes directives: what the director signed for this device, and only what the repository vouches for as well.

1. The metadata of the repository is brought up to date (``repository.py``): it says which keys are the director's.
2. The directive is verified for this device, this chip, not older than the last one, not over
   (``armillary.update.directive``).
3. Every image of it is in the repository under its own path, with the same length and SHA-256. So whoever holds the
   director's key alone can choose among what was released, and have nothing else installed (Uptane's split); and the
   list of images is closed: nothing comes in beside it.
4. Its version is kept before anything of it is installed: an older one is refused from then on, whatever happens.

From the first directive on a device takes no offer without one: who took over the service's connection could otherwise
leave the signatures away. The ``tuf`` package is loaded with the first directive, not at the start of the device.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from armillary.device.state.clock import DeviceClock
from armillary.engines.flash.port import Flash, replace_region
from armillary.errors import DataFolderError, MismatchError, RepositoryError
from armillary.update.directive import accepted
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.image.section import (
    APPLICATIONS,
    CUSTOMER_BOARD_CONFIG,
    TRUSTED_KEYSTORE,
    UPDATE_CERT_STORE,
)
from armillary.wire.update.directive import parse_directive
from armillary.wire.update.trust_store import TRUST_FOLDER

if TYPE_CHECKING:
    from armillary.device.repository.repository import DeviceRepository
    from armillary.update.repository.client import TrustedRepository
    from armillary.update.repository.targets import VerifiedTarget

_VERSION_REGION: Final = "repository/directive-version"
_VERSION: Final = struct.Struct(">Q")
# Images that a catalog uploads, and those that say what is trusted; every other type is a component of the OS.
_OF_CATALOGS: Final = frozenset({APPLICATIONS, CUSTOMER_BOARD_CONFIG})
_TRUST: Final = frozenset({TRUSTED_KEYSTORE, UPDATE_CERT_STORE})


@dataclass(frozen=True, slots=True)
class DirectedOffer:
    """An offer that a directive made and the repository vouches for; ``fetch`` brings the package of an image."""

    offer: Offer
    _repository: DeviceRepository
    _trusted: TrustedRepository
    _targets: Mapping[UUID, VerifiedTarget]

    def check_room(self, images: tuple[OfferedImage, ...]) -> None:
        """Raise FlashFullError if the flash has no room to fetch ``images``; before anything is fetched."""
        self._repository.check_room(tuple(self._targets[image.image_id] for image in images))

    async def fetch(self, image: OfferedImage) -> bytes:
        """The package of an offered image, checked against what the repository signed.

        Raises:
            RepositoryError: no source gave the right bytes.
        """
        return await self._repository.fetch(self._trusted, self._targets[image.image_id])

    def forget_downloads(self) -> None:
        """Drop what was kept of downloads."""
        self._repository.forget_downloads()


class Directives:
    """Takes the directives of one device; ``open_repository`` is called with the first one."""

    def __init__(
        self,
        flash: Flash,
        clock: DeviceClock,
        *,
        device_id: str,
        hardware: str,
        open_repository: Callable[[], DeviceRepository],
    ) -> None:
        self._flash = flash
        self._clock = clock
        self._device_id = device_id
        self._hardware = hardware
        self._open_repository = open_repository
        self._repository: DeviceRepository | None = None

    @property
    def version(self) -> int:
        """Version of the last directive that was taken; 0 for none.

        Raises:
            RepositoryError: flash has it no longer as it was written.
        """
        data = self._flash.read(_VERSION_REGION)
        if data is None:
            return 0
        if len(data) != _VERSION.size:
            raise RepositoryError(
                f"flash region {_VERSION_REGION}: expected {_VERSION.size} bytes, got {len(data)}",
                remedy="The flash is failing: replace it. No directive is taken meanwhile.",
            )
        version: int = _VERSION.unpack(data)[0]
        return version

    def reported_version(self) -> int:
        """The version for the service's eyes: 0 also where flash has lost it, for a check-in must not fail on that."""
        try:
            return self.version
        except (RepositoryError, DataFolderError):
            return 0

    def check_plain_offer(self) -> None:
        """Raise RepositoryError for an offer without a directive, once the device has taken a directive."""
        if self.version > 0:
            raise RepositoryError(
                "an offer without a directive: expected one, as the service has sent since this device took the first",
                remedy="Look whether the service was replaced by an older one, or its repository is gone.",
            )

    async def take(self, data: bytes, *, catalog_id: UUID) -> DirectedOffer:
        """The offer of a directive, after all checks; its version is kept.

        Raises:
            WireError: it is no directive, or for another device, too old, or over (DirectiveError).
            SignatureError: no key of the director signed it.
            RepositoryError: the repository does not vouch for it, or could not be verified.
        """
        unverified = parse_directive(data)
        if self._repository is None:
            self._repository = self._open_repository()
        trusted = await self._repository.refresh()  # 1
        last = self.version
        directive = accepted(  # 2
            unverified,
            {key.key_id: key.public_key for key in trusted.director_keys()},
            device_id=self._device_id,
            hardware=self._hardware,
            last_version=last,
            now=self._clock.now(),
        )
        targets = {
            image.image_id: await self._vouched_for(trusted, directive.offer, image, catalog_id)  # 3
            for image in directive.offer.images
        }
        if directive.version != last:
            replace_region(self._flash, _VERSION_REGION, _VERSION.pack(directive.version))  # 4
        return DirectedOffer(directive.offer, self._repository, trusted, targets)

    async def _vouched_for(
        self, trusted: TrustedRepository, offer: Offer, image: OfferedImage, catalog_id: UUID
    ) -> VerifiedTarget:
        target = await trusted.target(path_of(image, offer, catalog_id=catalog_id, hardware=self._hardware))
        if (target.length, target.sha256) != (image.size, image.sha256):
            raise MismatchError(
                f"{image.name} ({image.image_id}): expected {target.length} bytes {target.sha256.hex()[:16]}..., "
                f"as in the repository's metadata; the directive has {image.size} bytes {image.sha256.hex()[:16]}..."
            )
        return target


def path_of(image: OfferedImage, offer: Offer, *, catalog_id: UUID, hardware: str) -> str:
    """Path of an image in the repository: of its release if it is a component of the OS, else of its catalog.

    Who may sign is not a catalog's to say: trust stores are beside the OS, under the same role.
    """
    if image.image_type in _OF_CATALOGS:
        return f"catalogs/{catalog_id}/{image.image_id}"
    if image.image_type in _TRUST:
        return f"os/{TRUST_FOLDER}/{image.image_id}/{image.name}"
    return f"os/{hardware}/{offer.os_version}/{image.name}"
