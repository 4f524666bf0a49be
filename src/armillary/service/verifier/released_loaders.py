# SPDX-License-Identifier: Apache-2.0
"""What a firmware measures of the OS that releases bring, calculated of their first package.

UEFI's firmware measures the program in it; after U-Boot, PCR 4 holds one of two values, by the slot that was started.
Either is in the first component of a device image's release (``device_image/packages.py``); releases of other chips,
and those that were imported without packages, have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from armillary.attest.firmware_reference import EVENT, FINAL
from armillary.attest.reference import FOREVER
from armillary.attest.started_systems import Loader
from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import DataFolderError, WireError
from armillary.service.context.blobs import Blobs
from armillary.service.verifier.releases import Releases
from armillary.wire.device_image.authenticode import authenticode_digest
from armillary.wire.device_image.boot_partition import started_program
from armillary.wire.device_image.flattened_tree import MAGIC
from armillary.wire.device_image.uboot_measurements import slot_values
from armillary.wire.image import package as image_package

FIT: Final = MAGIC.to_bytes(4, "big")


class ReleasedLoaders:
    """The loaders of published releases; each package is read once."""

    def __init__(self, releases: Releases, blobs: Blobs) -> None:
        self._releases = releases
        self._blobs = blobs
        self._known: dict[bytes, tuple[Loader, ...]] = {}  # digest of a package -> what is measured of it

    def of(self, chips: Iterable[str]) -> Mapping[str, Mapping[Loader, int]]:
        """Chip -> loader -> Unix seconds UTC until which a release that brings it is good; 0 where none is any more.

        A release that is withdrawn, or that has a component below a security floor, is good no more.
        """
        wanted = set(chips)
        found: dict[str, dict[Loader, int]] = {}
        for release in self._releases.list() if wanted else ():
            if release.chip not in wanted:
                continue
            until = FOREVER if release.expires_at is None else release.expires_at
            if release.withdrawn_at is not None or self._is_below_floor(release):
                until = 0
            for loader in self._loaders(release):
                of_chip = found.setdefault(release.chip, {})
                of_chip[loader] = max(until, of_chip.get(loader, 0))
        return found

    def by_package(self) -> Mapping[bytes, tuple[Loader, ...]]:
        """SHA-256 of the first package of each published release, in force or not, to what is measured of it."""
        return {one.components[0].digest: self._loaders(one) for one in self._releases.list()}

    def _is_below_floor(self, release: OsRelease) -> bool:
        least = self._releases.reference.minimum_security_version
        return any(each.security_version < least(release.chip, each.image_type) for each in release.components)

    def _loaders(self, release: OsRelease) -> tuple[Loader, ...]:
        package = release.components[0].digest
        if package not in self._known:
            try:
                content = self._blobs.read(package)
            except DataFolderError:  # no package here: looked for again at the next change
                return ()
            self._known[package] = _started_by(content)
        return self._known[package]


def _started_by(package: bytes) -> tuple[Loader, ...]:
    """What is measured of a package: the program in it, or what PCR 4 holds; nothing of one that no firmware starts."""
    try:
        payload = image_package.parse(package).payload
        if payload.startswith(FIT):
            return tuple((FINAL, value) for value in slot_values(payload).values())
        return ((EVENT, authenticode_digest(started_program(payload))),)
    except WireError:
        return ()
