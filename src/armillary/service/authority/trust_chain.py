# SPDX-License-Identifier: Apache-2.0
"""Which trust store a device is offered, and what it may not be offered before it has one: decisions without I/O.

The newest store of a kind is packed once for each key by which some device may know the service, so that a device takes
it from whichever store it has, however old that is:

1. *A store that drops nothing* which the device trusts comes first and alone: whatever it runs stays good, and no
   faulty application holds the store up. Nor does a store hold up what the device's keys have signed, if it failed on
   that device, or waits for the signature of the repository's offline keys.
2. *Then what the new keys signed.* Nothing is offered that is signed by a key which the device does not trust.
3. *A store that drops a key* which the device trusts comes in one offer with all that the device should have, operating
   system and applications, each signed by a key of that store: what the dropped key signed is fetched anew, and the
   switch is one. So a device that was off while keys were renewed and dropped is healed in one step.

A device whose keys were never this service's is offered no store, and nothing is kept from it: it decides by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from armillary.engines.records.queries.planning.trust_stores import KEYS, ROOTS
from armillary.engines.records.schema.update_rows import TrustStoreRow
from armillary.service.authority.signing_keys import IMAGES, OS
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.image.section import TRUSTED_KEYSTORE, UPDATE_CERT_STORE
from armillary.wire.update.trust_store import CERTIFICATE_STORE_COMPONENT, KEY_STORE_COMPONENT, STORE_NAMES

# Kind of store -> its component, its image type, and its name in packages.
FORMS: Mapping[str, tuple[UUID, int, str]] = {
    KEYS: (KEY_STORE_COMPONENT, TRUSTED_KEYSTORE, STORE_NAMES[KEYS]),
    ROOTS: (CERTIFICATE_STORE_COMPONENT, UPDATE_CERT_STORE, STORE_NAMES[ROOTS]),
}


class Trusts(NamedTuple):
    """What a device says it trusts: digests of stores; and the packages of stores that it is not offered (now)."""

    keys: bytes
    roots: bytes
    left_out: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class TrustStore:
    """A store as it is offered; ``packages``: serial of the OS signing certificate that signed each."""

    row: TrustStoreRow
    packages: Mapping[str, OfferedImage]

    @property
    def os(self) -> frozenset[str]:
        """Serials of the OS signing certificates that it names."""
        return frozenset(self.row.trusted.get(OS, ()))

    @property
    def images(self) -> frozenset[str]:
        """Serials of the image signing certificates that it names."""
        return frozenset(self.row.trusted.get(IMAGES, ()))

    def keeps(self, other: TrustStore) -> bool:
        """Whether it names every key that another one does."""
        return other.os <= self.os and other.images <= self.images

    def package_for(self, present: TrustStore) -> OfferedImage | None:
        """A package of it that a device with the ``present`` keys takes; None if there is none."""
        return next((image for signer, image in self.packages.items() if signer in present.os), None)


class Signed(NamedTuple):
    """Whose keys signed the complete set that a device should have: serials of certificates."""

    os: str
    images: frozenset[str]


class NextStore(NamedTuple):
    """The store that a device is offered next; ``is_alone``: with nothing else, and nothing that it runs changes."""

    image: OfferedImage
    is_alone: bool


@dataclass(frozen=True, slots=True)
class TrustBook:
    """The stores of both kinds, oldest first."""

    keys: tuple[TrustStore, ...] = ()
    roots: tuple[TrustStore, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether there is any store that devices were not made with."""
        return len(self.keys) > 1 or len(self.roots) > 1

    @property
    def images(self) -> tuple[OfferedImage, ...]:
        """The packages of all stores: a device may fetch each."""
        return tuple(image for one in (*self.keys, *self.roots) for image in one.packages.values())

    def has_newest(self, trusts: Trusts) -> bool:
        """Whether a device has the newest store of each kind."""
        return all(
            not stores or stores[-1].row.digest == digest
            for stores, digest in ((self.keys, trusts.keys), (self.roots, trusts.roots))
        )

    def present(self, digest: bytes) -> TrustStore | None:
        """The newest key store of a digest; None for keys that this service does not know."""
        return next((one for one in reversed(self.keys) if one.row.digest == digest), None)

    def next_store(self, trusts: Trusts, signed: Signed | None) -> NextStore | None:
        """The store that a device is offered next; None where it has what it can have now.

        ``signed`` is of the complete set that it should have; None where that is not known as a whole.
        """
        present = self.present(trusts.keys)
        if present is None:
            return None
        newest = self.keys[-1]
        package = None if newest is present else newest.package_for(present)
        if package is not None and package.image_id not in trusts.left_out:
            if newest.keeps(present):
                return NextStore(package, is_alone=True)
            if signed is not None and signed.os in newest.os and signed.images <= newest.images:
                return NextStore(package, is_alone=False)
        if not self.roots or self.roots[-1].row.digest == trusts.roots:
            return None
        roots = self.roots[-1].package_for(present)
        return None if roots is None or roots.image_id in trusts.left_out else NextStore(roots, is_alone=True)


def book_of(rows: Iterable[TrustStoreRow]) -> TrustBook:
    """The stores of the records as they are offered."""
    stores = [TrustStore(row, _packages(row)) for row in rows]
    return TrustBook(
        keys=tuple(one for one in stores if one.row.kind == KEYS),
        roots=tuple(one for one in stores if one.row.kind == ROOTS),
    )


def takes(signers: Collection[str], known: frozenset[str]) -> bool:
    """Whether all of these signed with keys that are known; empty serials are of what was not signed here."""
    return all(signer in known for signer in signers)


def _packages(row: TrustStoreRow) -> Mapping[str, OfferedImage]:
    component_id, image_type, name = FORMS[row.kind]
    return {
        one.signed_by: OfferedImage(
            component_id=component_id,
            image_id=one.image_id,
            image_type=image_type,
            name=name,
            size=one.size,
            sha256=one.sha256,
        )
        for one in row.packages
    }
