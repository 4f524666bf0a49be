# SPDX-License-Identifier: Apache-2.0
"""Hub devices and modules, what catalogs admit, enrolments, registrations, keys of services; keys stay sealed here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, Table, delete, func, insert, select, update

from armillary.engines.records.queries import names as name_rows
from armillary.engines.records.schema import schema

_admission, _identity, _enrolment = schema.hub_admission, schema.hub_identity, schema.hub_enrolment
_certificate = schema.hub_certificate
_registration, _service_key = schema.hub_registration, schema.hub_service_key

# Identities that one query asks for: each is a mark of it.
MAX_SOME = 500

# sas: a symmetric key. selfSigned: one certificate, by its thumbprint. certificateAuthority: any certificate with the
# device's name that the authority of its enrolment group signed. device: a module that shows its device's certificate.
Authentication = Literal["sas", "selfSigned", "certificateAuthority", "device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a catalog lets into the hub beside devices that attest; nothing by default.

    Attributes:
        certificates: Hub devices with certificates of their own.
        symmetric_keys: Hub devices with symmetric keys.
    """

    catalog_id: UUID
    certificates: bool = False
    symmetric_keys: bool = False
    changed_at: int = 0
    changed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubIdentity:
    """A hub device, or a module of any device (``wire/hub/credentials.py``).

    Attributes:
        primary_key: Sealed; so is ``secondary_key``.
        primary_thumbprint: SHA-256 (64) or SHA-1 (40 digits) of a certificate, lower case; empty for none.
        primary_certificate: The certificate itself (DER), which TLS needs to let it in; None when only its
            thumbprint is known.
        etag: Number of changes, from 1.
        generation_id: Another one when the identity was deleted and made again.
        enrolment_id: The enrolment it came by; None when an operator made it.
    """

    identity: str
    catalog_id: UUID
    authentication: Authentication
    primary_key: bytes | None = field(default=None, repr=False)
    secondary_key: bytes | None = field(default=None, repr=False)
    primary_thumbprint: str = ""
    secondary_thumbprint: str = ""
    primary_certificate: bytes | None = field(default=None, repr=False)
    secondary_certificate: bytes | None = field(default=None, repr=False)
    is_enabled: bool = True
    status_reason: str = ""
    etag: int = 1
    generation_id: str
    enrolment_id: UUID | None = None
    created_at: int
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubEnrolment:
    """Who may register: one registration id, or whoever shows what the group's key or authority made.

    Attributes:
        name: The registration id, or the group's name.
        attestation: ``x509`` or ``symmetricKey``.
        primary_key: Sealed; so is ``secondary_key``.
        certificate: The device's certificate, or the group's authority (DER).
        possession_nonce: What the common name of a proof of possession must be; empty where none is needed.
        is_verified: Whether possession of the authority's key was proven.
        device_id: What the device will be called; empty for its registration id.
        initial_twin: JSON, ``{"tags": .., "desired": ..}``.
        returned_payload: JSON that the device gets with its registration; empty for none.
    """

    enrolment_id: UUID
    catalog_id: UUID
    name: str
    is_group: bool
    attestation: Literal["x509", "symmetricKey"]
    primary_key: bytes | None = field(default=None, repr=False)
    secondary_key: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    possession_nonce: str = ""
    is_verified: bool = False
    device_id: str = ""
    initial_twin: str = ""
    returned_payload: str = ""
    is_enabled: bool = True
    created_at: int
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRegistration:
    """What was registered.

    Attributes:
        payload: JSON that the device sent with it; empty for none.
    """

    catalog_id: UUID
    registration_id: str
    enrolment_id: UUID
    device_id: str
    payload: str
    registered_at: int
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubServiceKey:
    """A key by which a service signs its requests.

    Attributes:
        role: What it allows: an operator token's role.
        sealed: The key.
        reveals_keys: Whether its bearer sees the symmetric keys of devices when it reads them.
    """

    catalog_id: UUID
    name: str
    role: str
    sealed: bytes = field(repr=False)
    reveals_keys: bool = False
    created_at: int
    created_by: str


# -- admission --------------------------------------------------------------------------------------------------------


def admission(connection: Connection, catalog_id: UUID) -> Admission:
    """What a catalog admits."""
    row = connection.execute(select(_admission).where(_admission.c.catalog_id == catalog_id)).first()
    return Admission(catalog_id=catalog_id) if row is None else Admission(**_values(row))


def every_admission(connection: Connection) -> tuple[Admission, ...]:
    """What each catalog admits that ever said so."""
    return tuple(Admission(**_values(row)) for row in connection.execute(select(_admission)))


def set_admission(connection: Connection, made: Admission) -> None:
    """Write what a catalog admits."""
    connection.execute(delete(_admission).where(_admission.c.catalog_id == made.catalog_id))
    connection.execute(insert(_admission).values(**dataclasses.asdict(made)))


# -- identities -------------------------------------------------------------------------------------------------------


def identity(connection: Connection, name: str) -> HubIdentity | None:
    """A hub device or module."""
    row = connection.execute(select(_identity).where(_identity.c.identity == name)).first()
    return None if row is None else _as_identity(row)


def identities(
    connection: Connection,
    catalog_id: UUID | None,
    *,
    after: str = "",
    limit: int,
    device: str | None = None,
    prefix: str = "",
    modules: bool = False,
) -> tuple[HubIdentity, ...]:
    """Hub devices by name, without modules; with ``device`` its modules; with ``prefix`` those that begin so.

    With ``modules`` the modules of all devices instead.
    """
    query = select(_identity).where(_identity.c.identity > after).order_by(_identity.c.identity).limit(limit)
    if prefix:  # "~" is above every character that a name may have
        query = query.where(_identity.c.identity >= prefix, _identity.c.identity < f"{prefix}~")
    if catalog_id is not None:
        query = query.where(_identity.c.catalog_id == catalog_id)
    if device is None:
        is_module = _identity.c.identity.contains("/")
        query = query.where(is_module if modules else ~is_module)
    else:  # "0" is the character after "/"
        query = query.where(_identity.c.identity > f"{device}/", _identity.c.identity < f"{device}0")
    return tuple(_as_identity(row) for row in connection.execute(query))


def some_identities(connection: Connection, names: Sequence[str]) -> tuple[HubIdentity, ...]:
    """Those of at most :data:`MAX_SOME` identities that there are: each is a mark of one query."""
    query = select(_identity).where(_identity.c.identity.in_(names))
    return tuple(_as_identity(row) for row in connection.execute(query))


def count_identities(connection: Connection, catalog_id: UUID) -> tuple[int, int]:
    """How many hub devices a catalog has, modules left out, and how many of them are enabled."""
    mine = (_identity.c.catalog_id == catalog_id) & ~_identity.c.identity.contains("/")
    total = connection.execute(select(func.count()).select_from(_identity).where(mine)).scalar_one()
    enabled = connection.execute(select(func.count()).select_from(_identity).where(mine, _identity.c.is_enabled))
    return total, enabled.scalar_one()


def put_identity(connection: Connection, made: HubIdentity, *, is_new: bool) -> None:
    """Write a hub device or module; the database refuses a second one of the same name."""
    _put(connection, _identity, made, is_new=is_new, key="identity")


def remove_identity(connection: Connection, name: str) -> None:
    """Delete a hub device with its modules and name, or a module."""
    name_rows.remove(connection, name)
    connection.execute(delete(_identity).where(_identity.c.identity == name))
    connection.execute(delete(_identity).where(_identity.c.identity > f"{name}/", _identity.c.identity < f"{name}0"))


def certificates(connection: Connection) -> tuple[bytes, ...]:
    """Every certificate of hub devices and enrolments, in catalogs that admit them: what TLS must not turn away."""
    admits = select(_admission.c.catalog_id).where(_admission.c.certificates)
    own = select(_identity.c.primary_certificate, _identity.c.secondary_certificate).where(
        _identity.c.catalog_id.in_(admits), _identity.c.is_enabled
    )
    enrolled = select(_enrolment.c.certificate).where(_enrolment.c.catalog_id.in_(admits), _enrolment.c.is_enabled)
    found = [der for row in connection.execute(own) for der in row]
    found += [row[0] for row in connection.execute(enrolled)]
    return tuple(der for der in found if der is not None)


@dataclass(frozen=True, slots=True)
class TrustedName:
    """A certificate by what OpenSSL looks for: the hash of its subject, and of its public key."""

    fingerprint: bytes
    subject_hash: bytes
    key_hash: bytes


def claim_names(connection: Connection, owner: str, names: tuple[TrustedName, ...]) -> bool:
    """Have an identity or enrolment own these certificates and no other; False when another key has one's name."""
    connection.execute(delete(_certificate).where(_certificate.c.owner == owner))
    for each in names:
        other = (_certificate.c.subject_hash == each.subject_hash) & (_certificate.c.key_hash != each.key_hash)
        if connection.execute(select(_certificate.c.owner).where(other)).first() is not None:
            return False
        connection.execute(insert(_certificate).values(owner=owner, **dataclasses.asdict(each)))
    return True


def release_names(connection: Connection, owner: str) -> None:
    """An identity, with its modules, or an enrolment is gone."""
    modules = (_certificate.c.owner > f"{owner}/") & (_certificate.c.owner < f"{owner}0")
    connection.execute(delete(_certificate).where((_certificate.c.owner == owner) | modules))


# -- enrolments -------------------------------------------------------------------------------------------------------


def enrolment(connection: Connection, enrolment_id: UUID) -> HubEnrolment | None:
    """An enrolment."""
    row = connection.execute(select(_enrolment).where(_enrolment.c.enrolment_id == enrolment_id)).first()
    return None if row is None else HubEnrolment(**_values(row))


def enrolments(connection: Connection, catalog_id: UUID) -> tuple[HubEnrolment, ...]:
    """A catalog's enrolments by name."""
    query = select(_enrolment).where(_enrolment.c.catalog_id == catalog_id).order_by(_enrolment.c.name)
    return tuple(HubEnrolment(**_values(row)) for row in connection.execute(query))


def enrolments_for(connection: Connection, catalog_id: UUID, registration_id: str) -> tuple[HubEnrolment, ...]:
    """What may let a registration id register: its own enrolment, and the catalog's groups."""
    mine = _enrolment.c.is_group | (_enrolment.c.name == registration_id)
    query = select(_enrolment).where(_enrolment.c.catalog_id == catalog_id, mine).order_by(_enrolment.c.name)
    return tuple(HubEnrolment(**_values(row)) for row in connection.execute(query))


def put_enrolment(connection: Connection, made: HubEnrolment, *, is_new: bool) -> None:
    """Write an enrolment; the database refuses a second one of the same name and kind in a catalog."""
    _put(connection, _enrolment, made, is_new=is_new, key="enrolment_id")


def remove_enrolment(connection: Connection, enrolment_id: UUID) -> None:
    """Delete an enrolment; what registered by it stays."""
    connection.execute(delete(_enrolment).where(_enrolment.c.enrolment_id == enrolment_id))


def registration(connection: Connection, catalog_id: UUID, registration_id: str) -> HubRegistration | None:
    """What a registration id became."""
    here = (_registration.c.catalog_id == catalog_id) & (_registration.c.registration_id == registration_id)
    row = connection.execute(select(_registration).where(here)).first()
    return None if row is None else HubRegistration(**_values(row))


def registrations(connection: Connection, enrolment_id: UUID, *, limit: int) -> tuple[HubRegistration, ...]:
    """What registered by an enrolment, newest first."""
    query = (
        select(_registration)
        .where(_registration.c.enrolment_id == enrolment_id)
        .order_by(_registration.c.changed_at.desc())
        .limit(limit)
    )
    return tuple(HubRegistration(**_values(row)) for row in connection.execute(query))


def put_registration(connection: Connection, made: HubRegistration) -> None:
    """Write a registration in place of an earlier one."""
    remove_registration(connection, made.catalog_id, made.registration_id)
    connection.execute(insert(_registration).values(**dataclasses.asdict(made)))


def remove_registration(connection: Connection, catalog_id: UUID, registration_id: str) -> None:
    """Forget a registration."""
    here = (_registration.c.catalog_id == catalog_id) & (_registration.c.registration_id == registration_id)
    connection.execute(delete(_registration).where(here))


# -- keys of services -------------------------------------------------------------------------------------------------


def service_keys(connection: Connection, catalog_id: UUID | None, name: str | None = None) -> tuple[HubServiceKey, ...]:
    """Keys of services, of one catalog or all, with one name or any."""
    query = select(_service_key).order_by(_service_key.c.name)
    if catalog_id is not None:
        query = query.where(_service_key.c.catalog_id == catalog_id)
    if name is not None:
        query = query.where(_service_key.c.name == name)
    return tuple(HubServiceKey(**_values(row)) for row in connection.execute(query))


def add_service_key(connection: Connection, made: HubServiceKey) -> None:
    """Record a key; the database refuses a second one of the same name in a catalog."""
    connection.execute(insert(_service_key).values(**dataclasses.asdict(made)))


def remove_service_key(connection: Connection, catalog_id: UUID, name: str) -> bool:
    """Delete a key; False when there is none."""
    here = (_service_key.c.catalog_id == catalog_id) & (_service_key.c.name == name)
    return connection.execute(delete(_service_key).where(here)).rowcount == 1


def remove_catalog(connection: Connection, catalog_id: UUID) -> None:
    """Delete what a catalog admits, its enrolments, registrations and keys; hub devices keep it from going."""
    for each in enrolments(connection, catalog_id):
        release_names(connection, str(each.enrolment_id))
    for table in (_admission, _enrolment, _registration, _service_key):
        connection.execute(delete(table).where(table.c.catalog_id == catalog_id))


def _put(connection: Connection, table: Table, made: Any, *, is_new: bool, key: str) -> None:
    values = dataclasses.asdict(made)
    if is_new:
        connection.execute(insert(table).values(**values))
    else:
        connection.execute(update(table).where(table.c[key] == values.pop(key)).values(**values))


def _values(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it


def _as_identity(row: Row[Any]) -> HubIdentity:
    return HubIdentity(**_values(row))
