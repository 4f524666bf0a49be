# SPDX-License-Identifier: Apache-2.0
"""The releases that a machine with a flashed disk may be of, without their payloads.

Such a machine has payloads in its slots and does not know of which release they are. It gets what follows each payload
in its package, metadata and signature, and verifies them over what it has before it asks to be made a device: an
enrolment token is not spent for an OS that nobody here has released.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.engines.records.schema.rows import OS_FEEDS, OsRelease
from armillary.errors import DataFolderError
from armillary.service.authority.authority import Authority
from armillary.service.authority.signing_keys import OS
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.verifier.releases import Releases
from armillary.wire.image import package as image_package


@dataclass(frozen=True, slots=True)
class PackageEnd:
    """What follows a payload of ``payload_bytes`` in a boot component's package."""

    payload_bytes: int
    tail: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FlashedSystem:
    """A release without its payloads, its components by name in boot order."""

    version: str
    components: Mapping[str, PackageEnd]


class FlashedSystems:
    """Releases in force of everybody's feed; each package is read once."""

    def __init__(self, authority: Authority, releases: Releases, blobs: Blobs, chips: Chips) -> None:
        self._authority = authority
        self._releases = releases
        self._blobs = blobs
        self._chips = chips
        self._known: dict[bytes, PackageEnd] = {}  # by the digest of a package: some hundred bytes each

    def of(self, chip: str) -> tuple[FlashedSystem, ...]:
        """A chip's releases, newest first; NotFoundError if there is no such chip."""
        self._chips.get(chip)
        found = (self._without_payloads(each) for each in self._releases.list(chip=chip, given=OS_FEEDS[0]))
        return tuple(each for each in found if each is not None)[::-1]

    def signers(self) -> tuple[bytes, ...]:
        """Certificates of those who sign boot components, DER."""
        return tuple(one.der for one in self._authority.signing.trusted(OS))

    def ends(self, release: OsRelease) -> Mapping[str, PackageEnd]:
        """What follows the payload of each component of a release, by name in boot order.

        DataFolderError if a package is not here.
        """
        return {each.name: self._end(each.digest) for each in release.components}

    def _without_payloads(self, release: OsRelease) -> FlashedSystem | None:
        try:
            return FlashedSystem(release.version, self.ends(release))
        except DataFolderError:  # nobody can be made a device of this release
            return None

    def _end(self, digest: bytes) -> PackageEnd:
        if digest not in self._known:
            package = image_package.parse(self._blobs.read(digest))
            self._known[digest] = PackageEnd(package.payload_bytes, package.data[package.payload_bytes :])
        return self._known[digest]
