# SPDX-License-Identifier: Apache-2.0
"""How controllers of a catalog may authenticate: nothing unless an administrator of the catalog allows it.

The tenant is what controllers call the catalog in their paths. It is the catalog's name; another one, for devices that
say ``DEFAULT``, may be set by who speaks for the whole service, because tenants are unique in it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID
from sqlalchemy import Connection

from armillary.engines.records.bridge import devices as bridge_rows
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.bridge_rows import BridgeAdmission, BridgeAuthority
from armillary.engines.records.schema.rows import Catalog
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.service.bridge.tokens import TokenHashes, checked_token
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.names import catalog_or_raise, group_or_raise
from armillary.wire.hawkbit.controller import tenant_key
from armillary.wire.hawkbit.documents import MAX_POLLING_S

# Each is trusted by TLS of the bridge's port, for all catalogs together.
MAX_AUTHORITIES: Final = 20
# Polls of a device a minute at most: a fleet of ten thousand is then 170 requests a second.
MIN_POLLING_S: Final = 10
MAX_PEM_CHARS: Final = 16 << 10
_NOBODY: Final = UUID(int=0)  # until the catalog is read, in the transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionChange:
    """A change of what a catalog admits; what is None stays.

    Attributes:
        gateway_token: A token that the fleet has; ``new`` makes one, ``off`` ends it.
        registers_into: ``PRODUCT/GROUP`` of controllers that register themselves; ``off`` for none.
    """

    tenant: str | None = None
    target_tokens: bool | None = None
    certificates: bool | None = None
    gateway_token: str | None = None
    registers_into: str | None = None
    polling_s: int | None = None


class BridgeAdmissions:
    """Stores what catalogs admit. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, notices: Notices, hashes: TokenHashes) -> None:
        self._context = context
        self._notices = notices
        self._hashes = hashes

    def get(self, catalog: str) -> BridgeAdmission:
        """What a catalog admits."""
        return self._context.records.read(lambda c: _admission_of(c, catalog_or_raise(c, catalog)))

    def change(self, actor: Operator, catalog: str, change: AdmissionChange) -> tuple[BridgeAdmission, str | None]:
        """Set what a catalog admits; a new gateway token is returned this once.

        Raises:
            InvalidArgumentError: a value that cannot be.
            NotFoundError: no such product or group.
            PermissionDeniedError: a tenant other than the catalog's name, by who speaks for one catalog only.
            ConflictError: another catalog has the tenant.
        """
        made_token = secrets.token_hex(32) if change.gateway_token == "new" else None  # noqa: S105 - a word, no token
        if change.polling_s is not None and not MIN_POLLING_S <= change.polling_s <= MAX_POLLING_S:
            raise InvalidArgumentError(
                f"polling_s: expected {MIN_POLLING_S} to {MAX_POLLING_S}, got {change.polling_s}",
                remedy="Use seconds between two polls of a device.",
            )

        def write(connection: Connection) -> BridgeAdmission:
            owner = catalog_or_raise(connection, catalog)
            before = _admission_of(connection, owner)
            tenant = before.tenant if change.tenant is None else tenant_key(change.tenant)
            self._check_tenant(connection, actor, owner, tenant)
            into = before.registers_into
            if change.registers_into is not None:
                product, _, group = change.registers_into.partition("/")
                off = change.registers_into == "off"
                into = None if off else group_or_raise(connection, owner.name, product, group).group_id
            made = replace(
                before,
                tenant=tenant,
                target_tokens=before.target_tokens if change.target_tokens is None else change.target_tokens,
                certificates=before.certificates if change.certificates is None else change.certificates,
                gateway_token_hash=self._gateway_hash(before, change.gateway_token, made_token),
                registers_into=into,
                polling_s=before.polling_s if change.polling_s is None else change.polling_s,
                changed_at=self._context.now(),
                changed_by=actor.name,
            )
            bridge_rows.set_admission(connection, made)
            self._context.audit(connection, actor.name, "catalog.bridge-admission", owner.name, _detail(made))
            return made

        made = self._context.records.write(write)
        self._notices.bridge_trust_changed()
        return made, made_token

    def authorities(self, catalog: str) -> tuple[BridgeAuthority, ...]:
        """The authorities of a catalog's controllers."""
        return self._context.records.read(lambda c: bridge_rows.authorities(c, catalog_or_raise(c, catalog).catalog_id))

    def add_authority(self, actor: Operator, catalog: str, pem: str) -> BridgeAuthority:
        """Admit client certificates of an authority; its certificate is PEM.

        Raises:
            InvalidArgumentError: no certificate of an authority, or one that has ended.
            ConflictError: there are as many as there may be; or another one has its name and another key. TLS finds an
                issuer by its name, so the other one's devices could not connect any more.
        """
        found = _authority_of(pem, self._context.now())

        def write(connection: Connection) -> BridgeAuthority:
            owner = catalog_or_raise(connection, catalog)
            made = replace(found, catalog_id=owner.catalog_id)
            _check_subject(connection, made)
            others = [each.fingerprint for each in bridge_rows.authorities(connection, owner.catalog_id)]
            if made.fingerprint not in others and len(others) >= MAX_AUTHORITIES:
                raise ConflictError(f"the catalog has {MAX_AUTHORITIES} authorities, which is all there may be")
            bridge_rows.add_authority(connection, made)
            detail = {"catalog": owner.name, "subject": made.subject}
            self._context.audit(connection, actor.name, "bridge-authority.add", made.fingerprint.hex(), detail)
            return made

        made = self._context.records.write(write)
        self._notices.bridge_trust_changed()
        return made

    def remove_authority(self, actor: Operator, catalog: str, fingerprint: str) -> None:
        """Admit its certificates no more; NotFoundError if the catalog has none of this SHA-256 (hex digits)."""

        def write(connection: Connection) -> None:
            owner = catalog_or_raise(connection, catalog)
            if not bridge_rows.remove_authority(connection, owner.catalog_id, _digest(fingerprint)):
                raise NotFoundError("the catalog has no such authority", remedy="List them: bridge authority list.")
            self._context.audit(
                connection, actor.name, "bridge-authority.remove", fingerprint[:64], {"catalog": owner.name}
            )

        self._context.records.write(write)
        self._notices.bridge_trust_changed()

    def trusted(self) -> tuple[bytes, ...]:
        """The authorities (DER) that TLS of the bridge's port has to trust."""
        return tuple(dict.fromkeys(each.der for each in self._context.records.read(_every_authority)))

    def _gateway_hash(self, before: BridgeAdmission, asked: str | None, made: str | None) -> bytes | None:
        if asked is None:
            return before.gateway_token_hash
        return None if asked == "off" else self._hashes.of(made or checked_token(asked))

    def _check_tenant(self, connection: Connection, actor: Operator, owner: Catalog, tenant: str) -> None:
        if tenant == owner.name.lower():
            named = None
        elif actor.catalog is not None:
            raise PermissionDeniedError(
                "tenants other than the catalog's name are set by who speaks for the whole service",
                remedy="Ask the operator of the service, or let the devices use the catalog's name.",
            )
        else:
            named = catalog_rows.catalog_named(connection, tenant)
        other = bridge_rows.admission_of_tenant(connection, tenant)
        if named is not None or (other is not None and other.catalog_id != owner.catalog_id):
            raise ConflictError(f"the tenant {tenant!r} is taken", remedy="Choose another one.")


def _admission_of(connection: Connection, owner: Catalog) -> BridgeAdmission:
    found = bridge_rows.admission(connection, owner.catalog_id)
    return found or BridgeAdmission(catalog_id=owner.catalog_id, tenant=owner.name.lower())


def _every_authority(connection: Connection) -> tuple[BridgeAuthority, ...]:
    return bridge_rows.authorities(connection, None)


def _detail(made: BridgeAdmission) -> dict[str, object]:
    return {
        "tenant": made.tenant,
        "target_tokens": made.target_tokens,
        "certificates": made.certificates,
        "gateway_token": made.gateway_token_hash is not None,
        "registers": made.registers_into is not None,
        "polling_s": made.polling_s,
    }


def _check_subject(connection: Connection, made: BridgeAuthority) -> None:
    key = _key_of(made.der)
    for each in bridge_rows.authorities_named(connection, made.subject):
        if _key_of(each.der) != key:
            raise ConflictError(
                f"another authority is named {made.subject!a:.80}", remedy="Make one with a name of its own."
            )


def _key_of(der: bytes) -> bytes:
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _authority_of(pem: str, now: int) -> BridgeAuthority:
    """An authority, of no catalog yet."""
    remedy = "Give the certificate that signed the devices' client certificates, in PEM."
    try:
        certificate = x509.load_pem_x509_certificate(pem[:MAX_PEM_CHARS].encode())
        basic = certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
        subject, ends = certificate.subject.rfc4514_string(), int(certificate.not_valid_after_utc.timestamp())
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise InvalidArgumentError(
            f"certificate: expected an authority's in PEM, got {error!s:.80}", remedy=remedy
        ) from error
    if not isinstance(basic, x509.BasicConstraints) or not basic.ca:
        raise InvalidArgumentError("certificate: expected an authority's (CA: true), got another", remedy=remedy)
    if ends <= now:
        raise InvalidArgumentError("certificate: it has ended", remedy=remedy)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return BridgeAuthority(
        catalog_id=_NOBODY, fingerprint=sha256(der).digest(), subject=subject, not_after=ends, der=der, added_at=now
    )
