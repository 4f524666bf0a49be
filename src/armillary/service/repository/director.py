# SPDX-License-Identifier: Apache-2.0
"""The director: signs for each device what it should install, when there is something to install.

A directive is signed in the process that answers the device, by an online key of the role ``director``, which is found
in the metadata in force, and only for images that this metadata names: a device refuses any other, and would not ask
again before its next check-in. Its version is one above the last that the records know for the device and the last that
the device has taken; it is recorded in the transaction of the check-in, so that a version is never used for two sets.
While nothing changes the same directive is given again; one whose key the role has no longer is made anew, as no device
would take it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.store import Records
from armillary.service.authority.key_store import KeyStore
from armillary.service.repository.files import RepositoryFiles
from armillary.service.repository.published import Published
from armillary.service.repository.roles import (
    DIRECTIVE_LIFE_S,
    DIRECTIVE_RENEW_S,
    DIRECTOR,
    TARGETS,
)
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.update.directive import Directive, encode_directive

KEY_PREFIX = f"tuf-{DIRECTOR}-"


class Issued(NamedTuple):
    """A signed directive for one device."""

    offer: Offer
    version: int
    data: bytes
    expires_at: int
    key_id: str  # of the key that signed it


class Director:
    """Makes directives; belongs to one event loop. For a device that has all, nothing is read."""

    def __init__(self, records: Records, store: KeyStore, files: RepositoryFiles) -> None:
        self._records = records
        self._store = store
        self._published = Published(files)
        self._key: tuple[str, ec.EllipticCurvePrivateKey] | None = None
        self._edition = b""  # in which the key was found

    def issue(
        self,
        known: Issued | None,
        offer: Offer,
        *,
        device_number: int,
        device_id: str,
        catalog_id: UUID,
        hardware: str,
        reported: int,
        now: int,
    ) -> Issued | None:
        """The directive for an offer: ``known`` again while it fits, else a new one, to be recorded before it is sent.

        ``reported`` is the version that the device says it has taken. None while the repository is not made, or does
        not name every image: it is about to be published, or waits for the signatures of offline keys.

        Raises:
            DataFolderError: metadata or key cannot be read.
        """
        signing = self._signing_key()
        if signing is None:
            return None
        key_id, key = signing
        fits = known is not None and known.offer == offer and known.version >= reported and known.key_id == key_id
        if fits and known is not None and known.expires_at - now > DIRECTIVE_RENEW_S:
            return known
        if not self._published.names((image.sha256 for image in offer.images), catalog_id):
            return None
        last = self._records.read(lambda c: device_rows.directive_version(c, device_number))
        directive = Directive(
            version=max(last, reported) + 1,
            device_id=device_id,
            hardware=hardware,
            offer=offer,
            issued_at=now,
            expires_at=now + DIRECTIVE_LIFE_S,
        )
        data = encode_directive(directive, key, key_id)
        return Issued(offer, directive.version, data, directive.expires_at, key_id)

    def unnamed(self, images: Iterable[OfferedImage]) -> frozenset[UUID]:
        """Ids of those of these trust stores that no device is directed to install yet; DataFolderError as above."""
        return self._published.unnamed(images)

    def _signing_key(self) -> tuple[str, ec.EllipticCurvePrivateKey] | None:
        """The key in force with its TUF key id; read again when there is a new edition."""
        edition = self._published.edition()
        if not edition:
            return None
        if edition != self._edition or self._key is None:
            self._key = self._find_key()
            self._edition = edition
        return self._key

    def _find_key(self) -> tuple[str, ec.EllipticCurvePrivateKey] | None:
        """As the metadata in force have it; the device verifies what comes of it."""
        delegations = self._published.signed(TARGETS)["delegations"]
        role = next(one for one in delegations["roles"] if one["name"] == DIRECTOR)
        wanted = {delegations["keys"][key_id]["keyval"]["public"].strip(): key_id for key_id in role["keyids"]}
        for name in reversed(self._store.names(KEY_PREFIX)):
            key = self._store.load(name)
            public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()
            if public in wanted:
                return wanted[public], key
        return None
