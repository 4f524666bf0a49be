# SPDX-License-Identifier: Apache-2.0
"""Hub devices and modules, what catalogs admit, enrolments, registrations, keys of services; all keys are sealed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, Integer, Table, and_, cast, delete, func, insert, or_, select, update

from armillary.engines.records import ordered
from armillary.engines.records.queries import names as name_rows
from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Page, from_row

_admission, _identity, _enrolment = schema.hub_admission, schema.hub_identity, schema.hub_enrolment
_name = schema.device_name
_certificate = schema.hub_certificate
_registration, _service_key = schema.hub_registration, schema.hub_service_key

# Identities of one query: each is a parameter of it.
MAX_SOME = 500

# sas: a symmetric key. selfSigned: one certificate, by its thumbprint. certificateAuthority: any certificate with the
# device's name that the authority of its enrolment group signed. device: a module that uses its device's certificate.
Authentication = Literal["sas", "selfSigned", "certificateAuthority", "device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Which devices that do not attest a catalog admits to the hub; none by default."""

    catalog_id: UUID
    certificates: bool = False  # Hub devices with certificates of their own
    symmetric_keys: bool = False  # Hub devices with symmetric keys
    changed_at: int = 0
    changed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubIdentity:
    """A hub device, or a module of any device (``wire/hub/credentials.py``)."""

    identity: str
    catalog_id: UUID
    authentication: Authentication
    primary_key: bytes | None = field(default=None, repr=False)  # Sealed; so is ``secondary_key``
    secondary_key: bytes | None = field(default=None, repr=False)
    primary_thumbprint: str = ""  # SHA-256 (64) or SHA-1 (40 digits) of a certificate, lower case; empty for none
    secondary_thumbprint: str = ""
    # DER, which TLS needs to accept it; None when only the thumbprint is known
    primary_certificate: bytes | None = field(default=None, repr=False)
    secondary_certificate: bytes | None = field(default=None, repr=False)
    is_enabled: bool = True
    status_reason: str = ""
    etag: int = 1  # Number of changes, from 1
    generation_id: str  # Differs after the identity was deleted and made again
    enrolment_id: UUID | None = None  # The enrolment that registered it; None when an operator made it
    created_at: int
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubEnrolment:
    """Who may register: one registration id, or all devices with a key or certificate derived from the group's."""

    enrolment_id: UUID
    catalog_id: UUID
    name: str  # The registration id, or the group's name
    is_group: bool
    attestation: Literal["x509", "symmetricKey"]
    primary_key: bytes | None = field(default=None, repr=False)  # Sealed; so is ``secondary_key``
    secondary_key: bytes | None = field(default=None, repr=False)
    # The device's certificate, or the group's authority (DER)
    certificate: bytes | None = field(default=None, repr=False)
    possession_nonce: str = ""  # Common name that a proof of possession must have; empty when none is needed
    is_verified: bool = False  # Whether possession of the authority's key was proven
    device_id: str = ""  # Id that the device gets; empty for its registration id
    initial_twin: str = ""  # JSON, ``{"tags": .., "desired": ..}``
    returned_payload: str = ""  # JSON that the device gets with its registration; empty for none
    is_enabled: bool = True
    created_at: int
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRegistration:
    """A completed registration; ``payload`` is JSON that the device sent with it, empty for none."""

    catalog_id: UUID
    registration_id: str
    enrolment_id: UUID
    device_id: str
    payload: str
    registered_at: int
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubServiceKey:
    """A key with which a service signs its requests."""

    catalog_id: UUID
    name: str
    role: str  # As of an operator token
    sealed: bytes = field(repr=False)
    reveals_keys: bool = False  # Whether responses to its holder contain the symmetric keys of devices
    created_at: int
    created_by: str


_as_admission, _as_identity = partial(from_row, Admission), partial(from_row, HubIdentity)
_as_enrolment, _as_registration = partial(from_row, HubEnrolment), partial(from_row, HubRegistration)

# Word of an order -> what hub devices are sorted by (``order_words.HUB_DEVICES``).
ORDERS: Final[Mapping[str, ordered.Order]] = MappingProxyType(
    {
        "name": ordered.by_text(func.coalesce(_name.c.name, _identity.c.identity)),
        "device_id": ordered.by_text(_identity.c.identity),
        "authentication": ordered.by_text(_identity.c.authentication),
        "enabled": ordered.by_number(cast(_identity.c.is_enabled, Integer)),
        "created_at": ordered.by_number(_identity.c.created_at),
    }
)

# -- admission --------------------------------------------------------------------------------------------------------


def admission(connection: Connection, catalog_id: UUID) -> Admission:
    """What a catalog admits."""
    found = first(connection, select(_admission).where(_admission.c.catalog_id == catalog_id), _as_admission)
    return found or Admission(catalog_id=catalog_id)


def every_admission(connection: Connection) -> tuple[Admission, ...]:
    """The admissions of all catalogs that have ever set one."""
    return every(connection, select(_admission), _as_admission)


def set_admission(connection: Connection, admitted: Admission) -> None:
    """Store what a catalog admits."""
    connection.execute(delete(_admission).where(_admission.c.catalog_id == admitted.catalog_id))
    connection.execute(insert(_admission).values(**dataclasses.asdict(admitted)))


# -- identities -------------------------------------------------------------------------------------------------------


def identity(connection: Connection, name: str) -> HubIdentity | None:
    """The hub device or module of a name."""
    return first(connection, select(_identity).where(_identity.c.identity == name), _as_identity)


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
    """Hub devices by name: with ``device`` its modules, with ``modules`` those of all devices, else without modules.

    Only names after ``after`` that begin with ``prefix``.
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
    return every(connection, query, _as_identity)


def sorted_identities(
    connection: Connection,
    catalog_id: UUID | None,
    order: str,
    *,
    limit: int,
    after: str | None,
    prefix: str = "",
    named: Sequence[str] | None = None,
) -> Page[HubIdentity]:
    """Hub devices without modules in an order of ``ORDERS`` (``ordered.py``), whose ids begin with ``prefix``.

    With ``named`` only these, and those whose ids begin with a ``prefix`` that is not empty.
    """
    query = select(_identity).outerjoin(_name, _name.c.identity == _identity.c.identity)
    query = query.where(~_identity.c.identity.contains("/"))
    if catalog_id is not None:
        query = query.where(_identity.c.catalog_id == catalog_id)
    begins = and_(_identity.c.identity >= prefix, _identity.c.identity < f"{prefix}~")
    if named is not None:
        is_named = _identity.c.identity.in_(named)
        query = query.where(or_(is_named, begins) if prefix else is_named)
    elif prefix:
        query = query.where(begins)
    key = ordered.Key(_identity.c.identity, str)
    return ordered.page(
        connection, query, order, ORDERS, key, _as_identity, limit=limit, after=after, what="hub devices"
    )


def some_identities(connection: Connection, names: Sequence[str]) -> tuple[HubIdentity, ...]:
    """The hub devices and modules of at most :data:`MAX_SOME` names; unknown names are left out."""
    return every(connection, select(_identity).where(_identity.c.identity.in_(names)), _as_identity)


def count_identities(connection: Connection, catalog_id: UUID) -> tuple[int, int]:
    """How many hub devices a catalog has (without modules), and how many of them are enabled."""
    mine = (_identity.c.catalog_id == catalog_id) & ~_identity.c.identity.contains("/")
    total = connection.execute(select(func.count()).select_from(_identity).where(mine)).scalar_one()
    enabled = connection.execute(select(func.count()).select_from(_identity).where(mine, _identity.c.is_enabled))
    return total, enabled.scalar_one()


def put_identity(connection: Connection, device: HubIdentity, *, is_new: bool) -> None:
    """Store a hub device or module; the database refuses a second one of the same name."""
    _put(connection, _identity, device, is_new=is_new, key="identity")


def remove_identity(connection: Connection, name: str) -> None:
    """Delete a hub device with its modules and name, or a module."""
    name_rows.remove(connection, name)
    connection.execute(delete(_identity).where(_identity.c.identity == name))
    connection.execute(delete(_identity).where(_identity.c.identity > f"{name}/", _identity.c.identity < f"{name}0"))


def certificates(connection: Connection) -> tuple[bytes, ...]:
    """Every certificate of hub devices and enrolments in catalogs that admit them: what TLS has to accept."""
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
    """A certificate as OpenSSL identifies it: the hashes of its subject and of its public key."""

    fingerprint: bytes
    subject_hash: bytes
    key_hash: bytes


def claim_names(connection: Connection, owner: str, names: tuple[TrustedName, ...]) -> bool:
    """Set the certificates of an identity or enrolment; False when another key already has one of their subjects."""
    connection.execute(delete(_certificate).where(_certificate.c.owner == owner))
    for each in names:
        other = (_certificate.c.subject_hash == each.subject_hash) & (_certificate.c.key_hash != each.key_hash)
        if connection.execute(select(_certificate.c.owner).where(other)).first() is not None:
            return False
        connection.execute(insert(_certificate).values(owner=owner, **dataclasses.asdict(each)))
    return True


def release_names(connection: Connection, owner: str) -> None:
    """Delete the certificates of an identity with its modules, or of an enrolment."""
    modules = (_certificate.c.owner > f"{owner}/") & (_certificate.c.owner < f"{owner}0")
    connection.execute(delete(_certificate).where((_certificate.c.owner == owner) | modules))


# -- enrolments -------------------------------------------------------------------------------------------------------


def enrolment(connection: Connection, enrolment_id: UUID) -> HubEnrolment | None:
    """The enrolment of an id."""
    return first(connection, select(_enrolment).where(_enrolment.c.enrolment_id == enrolment_id), _as_enrolment)


def enrolments(connection: Connection, catalog_id: UUID) -> tuple[HubEnrolment, ...]:
    """A catalog's enrolments by name."""
    query = select(_enrolment).where(_enrolment.c.catalog_id == catalog_id).order_by(_enrolment.c.name)
    return every(connection, query, _as_enrolment)


def enrolments_for(connection: Connection, catalog_id: UUID, registration_id: str) -> tuple[HubEnrolment, ...]:
    """The enrolments that may admit a registration id: its own, and the catalog's groups."""
    mine = _enrolment.c.is_group | (_enrolment.c.name == registration_id)
    query = select(_enrolment).where(_enrolment.c.catalog_id == catalog_id, mine).order_by(_enrolment.c.name)
    return every(connection, query, _as_enrolment)


def put_enrolment(connection: Connection, enrolment: HubEnrolment, *, is_new: bool) -> None:
    """Store an enrolment; the database refuses a second one of the same name and kind in a catalog."""
    _put(connection, _enrolment, enrolment, is_new=is_new, key="enrolment_id")


def remove_enrolment(connection: Connection, enrolment_id: UUID) -> None:
    """Delete an enrolment; its registrations stay."""
    connection.execute(delete(_enrolment).where(_enrolment.c.enrolment_id == enrolment_id))


def registration(connection: Connection, catalog_id: UUID, registration_id: str) -> HubRegistration | None:
    """The registration of an id in a catalog."""
    here = (_registration.c.catalog_id == catalog_id) & (_registration.c.registration_id == registration_id)
    return first(connection, select(_registration).where(here), _as_registration)


def registrations(connection: Connection, enrolment_id: UUID, *, limit: int) -> tuple[HubRegistration, ...]:
    """The registrations by an enrolment, newest first."""
    query = select(_registration).where(_registration.c.enrolment_id == enrolment_id)
    return every(connection, query.order_by(_registration.c.changed_at.desc()).limit(limit), _as_registration)


def put_registration(connection: Connection, registered: HubRegistration) -> None:
    """Store a registration in place of an earlier one."""
    remove_registration(connection, registered.catalog_id, registered.registration_id)
    connection.execute(insert(_registration).values(**dataclasses.asdict(registered)))


def remove_registration(connection: Connection, catalog_id: UUID, registration_id: str) -> None:
    """Delete a registration."""
    here = (_registration.c.catalog_id == catalog_id) & (_registration.c.registration_id == registration_id)
    connection.execute(delete(_registration).where(here))


# -- keys of services -------------------------------------------------------------------------------------------------


def service_keys(connection: Connection, catalog_id: UUID | None, name: str | None = None) -> tuple[HubServiceKey, ...]:
    """Keys of services, of one catalog or (None) all, with this name or (None) any."""
    query = select(_service_key).order_by(_service_key.c.name)
    if catalog_id is not None:
        query = query.where(_service_key.c.catalog_id == catalog_id)
    if name is not None:
        query = query.where(_service_key.c.name == name)
    return every(connection, query, partial(from_row, HubServiceKey))


def add_service_key(connection: Connection, key: HubServiceKey) -> None:
    """Record a key; the database refuses a second one of the same name in a catalog."""
    connection.execute(insert(_service_key).values(**dataclasses.asdict(key)))


def remove_service_key(connection: Connection, catalog_id: UUID, name: str) -> bool:
    """Delete a key; False when there is none."""
    here = (_service_key.c.catalog_id == catalog_id) & (_service_key.c.name == name)
    return connection.execute(delete(_service_key).where(here)).rowcount == 1


def remove_catalog(connection: Connection, catalog_id: UUID) -> None:
    """Delete a catalog's admission, enrolments, registrations and keys; not its hub devices, which must be gone."""
    for each in enrolments(connection, catalog_id):
        release_names(connection, str(each.enrolment_id))
    for table in (_admission, _enrolment, _registration, _service_key):
        connection.execute(delete(table).where(table.c.catalog_id == catalog_id))


def _put(connection: Connection, table: Table, value: Any, *, is_new: bool, key: str) -> None:
    values = dataclasses.asdict(value)
    if is_new:
        connection.execute(insert(table).values(**values))
    else:
        connection.execute(update(table).where(table.c[key] == values.pop(key)).values(**values))
