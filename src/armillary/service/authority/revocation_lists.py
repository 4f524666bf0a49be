# SPDX-License-Identifier: Apache-2.0
"""Revocation lists for servers elsewhere that trust a catalog's authorities and do not ask this service.

Every authority has a list (nginx and ``openssl verify -crl_check_all`` ask for one at each step of a chain). An issuing
authority lists the client certificates of revoked and held devices until they have ended; the authorities above list
revoked authorities, mostly none. A list is made on request when its content has changed or half of its life is over; it
is recorded before it is sent, so that its number rises over restarts and clocks that were set back.

Our own hub and device endpoint do not read these lists: they check the records at every request.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple
from uuid import UUID

from cryptography import x509
from sqlalchemy import Connection

from armillary.engines.records.queries import certificates as certificate_rows, revocations as revocation_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.queries.revocations import RevokedClient, StoredList
from armillary.service.authority.catalog_authority import CatalogAuthorities
from armillary.service.authority.issued import IssuedCertificates
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.life import DAY_S, signed_by
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.wire.certificates.crl import ON_HOLD, Revoked, build_revocation_list, revoked_in

# How long a list is valid: as long as the certificates that it lists, and longer where a root may be kept offline.
LIFE_S: Final = {"issuing": DAY_S}
AUTHORITY_LIFE_S: Final = 7 * DAY_S
# A list that was just made is given out again for this long without asking the records; a device that is revoked in
# this process is listed at once all the same.
TRUSTED_S: Final = 60


class _Known(NamedTuple):
    stored: StoredList
    looked_at: int
    changes: int


class RevocationLists:
    """Makes and caches the lists. Thread-safe. An unknown catalog raises NotFoundError."""

    def __init__(
        self,
        context: Context,
        keys: KeyStore,
        issued: IssuedCertificates,
        catalogs: CatalogAuthorities,
        notices: Notices,
    ) -> None:
        self._context = context
        self._keys = keys
        self._issued = issued
        self._catalogs = catalogs
        self._known: dict[str, _Known] = {}
        self._changes = 0
        self._lock = threading.Lock()
        notices.on_device.append(self._changed)
        notices.on_held.append(self._changed)

    def current(self, serial: str) -> bytes:
        """The list of the authority whose certificate has this serial (hex), DER.

        Raises:
            NotFoundError: no valid authority has it.
            DataFolderError: a new list could not be recorded, so none is given out.
        """
        now = self._context.now()
        known = self._trusted(serial, now)
        if known is None:
            authority = self._issued.authority(serial)
            with self._lock:  # who waited for another's look takes what that found
                known = self._trusted(serial, now) or self._look(authority, now)
        return known.stored.der

    def of_catalog(self, catalog_id: UUID) -> tuple[bytes, ...]:
        """DER lists of a catalog's authorities; DataFolderError if a new one could not be recorded."""
        return tuple(self.current(one.serial) for one in self._catalogs.valid(catalog_id))

    def chain_of_catalog(self, catalog_id: UUID) -> tuple[bytes, ...]:
        """Those authorities themselves, DER, leaves first."""
        return tuple(one.der for one in self._catalogs.valid(catalog_id))

    def _trusted(self, serial: str, now: int) -> _Known | None:
        """The cached list, if it was checked within a minute and nothing has changed since."""
        known = self._known.get(serial.upper())
        if known is None or known.changes != self._changes or not 0 <= now - known.looked_at < TRUSTED_S:
            return None
        return known

    def _changed(self, _: str) -> None:
        self._changes += 1

    def _look(self, authority: CertificateRecord, now: int) -> _Known:
        changes = self._changes  # before the records are read: a change meanwhile makes what is read old
        life = LIFE_S.get(authority.kind, AUTHORITY_LIFE_S)

        def query(connection: Connection) -> tuple[StoredList | None, list[Revoked]]:
            last = revocation_rows.newest(connection, authority.serial)
            return last, self._revoked(connection, authority, ends_after=now - life)

        last, revoked = self._context.records.read(query)
        fresh = last is not None and last.this_update <= now < last.this_update + life // 2
        if last is None or not fresh or revoked_in(last.der) != frozenset(revoked):
            number = 1 if last is None else last.number + 1
            der = build_revocation_list(
                x509.load_der_x509_certificate(authority.der),
                self._keys.load_authority(authority.kind, authority.der),
                number=number,
                this_update=now,
                next_update=now + life,
                revoked=revoked,
            )
            made = last = StoredList(
                issuer_serial=authority.serial, number=number, this_update=now, next_update=now + life, der=der
            )
            self._context.records.write(lambda c: revocation_rows.keep(c, made))
        known = self._known[authority.serial] = _Known(last, now, changes)
        return known

    @staticmethod
    def _revoked(connection: Connection, authority: CertificateRecord, *, ends_after: int) -> list[Revoked]:
        """The entries of an authority's list.

        An entry stays in one more list after the certificate has ended (RFC 5280 §3.3): ``ends_after`` is that long
        ago.
        """
        if authority.kind == "issuing" and authority.catalog_id is not None:
            clients = revocation_rows.revoked_clients(connection, authority.catalog_id, ends_after=ends_after)
            # Which issuing authority signed is not recorded: each that was there lists it, serials being random.
            return [
                Revoked(int(one.serial, 16), one.revoked_at, _reason(one))
                for one in clients
                if authority.issued_at <= one.issued_at
            ]
        return [
            Revoked(int(one.serial, 16), one.revoked_at or 0, x509.ReasonFlags.cessation_of_operation)
            for one in certificate_rows.revoked(connection, ends_after=ends_after)
            if signed_by(x509.load_der_x509_certificate(one.der), authority.der)
        ]


def _reason(client: RevokedClient) -> x509.ReasonFlags:
    if client.moved:
        return x509.ReasonFlags.affiliation_changed
    return x509.ReasonFlags.cessation_of_operation if client.decommissioned else ON_HOLD
