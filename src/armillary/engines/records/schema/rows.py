# SPDX-License-Identifier: Apache-2.0
"""The values that come out of the records: one frozen dataclass per noun, no behaviour but derived facts.

All times are integer Unix seconds UTC. Device ids are 128 lower-case hex digits. Names of catalogs, products
and device groups compare without case, as in Azure Sphere, and keep the case they were made with.
A finding is defined in :mod:`armillary.wire.device.finding`; roll-outs are in ``rollout_rows.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from uuid import UUID

from armillary.engines.records.schema.update_rows import DeviceUpdateStatus
from armillary.wire.device.checkin import AppraisalStep, InstalledImage

if TYPE_CHECKING:
    from sqlalchemy import Row, Table

T = TypeVar("T")

# Product and group of a claimed device until it is assigned (Azure Sphere's names).
DEFAULT_PRODUCT = ".default"
UNASSIGNED_GROUP = ".unassigned"

# The feeds that are always there; operators make others (service/registry/os_feeds.py).
OS_FEEDS = ("Retail", "RetailEval")
UPDATE_POLICIES = ("UpdateAll", "No3rdPartyAppUpdates")
CRASH_DUMP_COLLECTION = ("Disabled", "Enabled")
CRASH_DUMP_STACKS = ("scrubbed", "full")
REGIONAL_DATA_BOUNDARIES = ("None", "EU")
ROLES = ("Administrator", "Contributor", "Reader")  # what each may do: service/registry/tokens.py

# How a device is doing, as one word. "unknown is never drawn as good": never and silent are not attested.
# Of devices that attest nothing and are heard of, "unattested"; of those that a simulator plays, "simulated" until one
# checks in.
HEALTHS = (
    "attested", "update-only", "unattested", "silent", "refused",
    "never", "simulated", "held", "quarantined", "revoked",
)  # fmt: skip
SIMULATED_TIER = "simulated"  # The trust tier of devices that a simulator plays


def from_row(kind: type[T], row: Row[Any], **values: object) -> T:
    """A value of a dataclass from a row: a field that is not in ``values`` is the column of its name."""
    columns = row._mapping  # noqa: SLF001 - SQLAlchemy's documented name: a row is a tuple, with a tuple's methods
    return kind(**{name: columns[name] for name in _field_names(cast("Any", kind)) if name not in values}, **values)


def to_row(table: Table, value: object, **values: object) -> dict[str, object]:
    """The columns of a new row for a value, the other way of :func:`from_row`.

    A column that is neither in ``values`` nor a field of ``value`` gets the database's default.
    """
    names = _field_names(cast("Any", type(value)))
    return {name: getattr(value, name) for name in names if name in table.columns} | values


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    next_cursor: str | None = None  # Pass it as ``after`` to get the next page; None at the end
    is_cut: bool = False  # More names match the search than were read: narrow it


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """An owner of devices (Azure Sphere's catalog, formerly tenant)."""

    catalog_id: UUID  # Azure's tenantId
    name: str
    resource_group: str  # kept for the management API's paths; "default" if none was given
    tags: Mapping[str, str]
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of a catalog.

    Attributes:
        support_ends: Unix seconds until which it gets security updates; None: not declared.
        placed_on_market: Unix seconds since which it is sold; None: not said.
        manufacturer: Who makes it, as reports and statements name it; empty: not said, as with what follows.
        contact: Where its maker is reached about its security: an e-mail address, a web address or a number.
        intended_use: What it is made for.
    """

    product_id: UUID
    catalog_id: UUID
    catalog: str
    name: str
    description: str
    created_at: int
    support_ends: int | None = None
    placed_on_market: int | None = None
    manufacturer: str = ""
    contact: str = ""
    intended_use: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGroup:
    """Devices of one product that get the same images and the same OS feed."""

    group_id: UUID
    product_id: UUID
    catalog_id: UUID
    catalog: str
    product: str
    name: str
    description: str
    os_feed: str  # ``Retail``, ``RetailEval`` or one that an operator made
    update_policy: str  # ``UpdateAll`` or ``No3rdPartyAppUpdates`` (OS updates only)
    allow_crash_dumps: str  # ``Disabled`` or ``Enabled``
    regional_data_boundary: str  # ``None`` or ``EU``
    deployment_id: UUID | None  # The one in force
    created_at: int
    country: str = ""  # Where its devices are, ISO 3166-1 alpha-2; empty: not said
    crash_dump_stacks: str = "scrubbed"  # ``scrubbed`` or ``full``: what stacks of crash dumps hold
    crash_dump_days: int = 29  # How long crash dumps are kept

    @property
    def has_deployment(self) -> bool:
        """Whether a deployment is in force."""
        return self.deployment_id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device as the service knows it; the device itself reports only ``installed`` and ``os_version``."""

    device_id: str
    chip: str  # Name of its profile, e.g. ``mt3620``
    chip_sku: str  # The profile's, e.g. ``MT3620AN``
    trust_tier: str  # ``simulated``, ``software``, ``tpm`` or ``silicon``; from the enrolment record
    manufacturing_state: str  # ``Blank``, ``Module1Complete``, ``DeviceComplete``
    enrolled_at: int
    catalog_id: UUID | None  # None until claimed; then ``catalog``, ``product``, ``group`` and ``group_id`` are set too
    catalog: str | None
    product: str | None
    group: str | None
    group_id: UUID | None
    claimed_at: int | None
    revoked_at: int | None
    revoked_reason: str
    health: str  # One of :data:`HEALTHS`, computed at reading time
    verdict: str | None  # Of the last accepted check-in: ``attested``, ``update-only`` or None
    last_check_in_at: int | None  # Accepted ones only
    last_refused_at: int | None  # ``last_refusal`` is its error code
    last_refusal: str
    boot_count: int  # Highest boot count accepted so far
    os_version: str  # OS release the last evidence was matched to, "" before the first
    sandbox: str
    installed: tuple[InstalledImage, ...]  # Applications, as reported at its last check-in
    enforcement: tuple[tuple[str, str], ...]  # (mechanism, ``enforced`` or ``missing: why``) pairs of the last evidence
    certificate_serial: str  # Serial number (upper-case hex) of the last client certificate, "" before the first
    certificate_not_after: int | None  # When it ends
    offered_deployment_id: UUID | None
    last_update_at: int | None
    last_attested_at: int | None = None  # Time of the last check-in that was attested, as far as history is kept
    # Since when it gets no client certificate, because two machines seem to have its identity
    held_at: int | None = None
    decommissioned_at: int | None = None  # Taken out of service then: revoked, and without an owner
    # Until when it may come back through an enrolment; of a device that has come back: when it did
    reprovision_until: int | None = None
    name: str = ""  # Given by a person, else made of its product and id
    is_named: bool = False  # Whether a person gave it ``name``
    update_status: DeviceUpdateStatus | None = None  # What it says itself; None for a device that says nothing
    check_now_at: int | None = None  # When somebody asked it to check in at once
    # Since when it gets update certificates only, by an operator's or a playbook's decision; until when (None: until
    # somebody releases it), and why
    quarantined_at: int | None = None
    quarantined_until: int | None = None
    quarantine_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Which devices a list shows; None means any. Names compare without case."""

    catalog: str | None = None
    product: str | None = None
    group: str | None = None
    health: str | None = None
    chip: str | None = None
    trust_tier: str | None = None
    verdict: str | None = None  # of the last accepted check-in
    os_version: str | None = None
    device_id_prefix: str | None = None
    image_id: UUID | None = None  # devices that report this image
    claimed: bool | None = None
    search: str | None = None  # the beginning of a word of its name, or of its id
    support: str | None = None  # ``undeclared``, ``supported``, ``ending`` or ``ended``: of the product it is of


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of a catalog, immutable: an application's package, signed anew by this service, or a bridge's file."""

    image_id: UUID
    catalog_id: UUID
    component_id: UUID
    image_type: int
    name: str
    size: int  # Bytes of the re-signed package
    sha256: bytes  # SHA-256 (32 bytes) of the re-signed package, also its name in the blob folder
    built_at: int  # Build time inside the package
    architecture: str  # ELF machine of its executables, e.g. ``arm``; ``any`` for scripts and data
    allowed_connections: tuple[str, ...]  # Host names its manifest asks for
    regional_data_boundary: str
    uploaded_at: int
    uploaded_by: str
    signer: str = ""  # Serial of the certificate whose key signed it; empty where it was not signed here
    version: str = ""  # What its vendor calls it; empty where nobody said one


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """An immutable set of images for a device group."""

    deployment_id: UUID
    group_id: UUID
    catalog_id: UUID
    images: tuple[Image, ...]
    created_at: int
    created_by: str
    # When it became the group's deployment; None while a roll-out stages it or after it was rolled back
    in_force_at: int | None
    rollout_id: UUID | None  # The roll-out that staged it; None for a plain deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCertificate:
    """A certificate of a catalog's certificate authority."""

    catalog_id: UUID
    serial: str  # 34 upper-case hex digits, Azure Sphere's certificate name
    status: str  # ``Active``, ``Inactive``, ``Expired`` or ``Revoked``, computed at reading time
    subject: str
    thumbprint: str  # SHA-1 of the DER, upper-case hex (a name, not a security property)
    not_before: int
    not_after: int
    der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReportRow:
    """One error report, stored exactly once per (device, boot count, sequence)."""

    number: int
    device_id: str
    catalog_id: UUID | None
    boot_count: int
    sequence: int
    event_category: str
    event_class: str
    event_type: str
    description: str
    component_id: UUID | None
    image_id: UUID | None
    count: int
    start: int
    end: int
    received_at: int
    crash: bytes | None = None  # ``wire/device/crash_record.py``


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIn:
    """An accepted check-in: its verdict, the appraisal steps, and what the device got."""

    number: int
    device_id: str
    at: int
    verdict: str
    steps: tuple[AppraisalStep, ...]
    boot_count: int
    os_version: str
    certificate_serial: str
    certificate_not_after: int
    purpose: str
    offer_id: UUID | None
    deployment_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refused request at the device endpoint."""

    number: int
    device_id: str  # The id in the peer certificate, known here or not
    at: int
    code: str  # Error code, e.g. ``device.challenge``
    message: str
    count: int  # Refusals of this device, code and minute


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadRefusal(Refusal):
    """A row of refusals that the watch has not read to the end: ``count`` is the rest, ``total`` all of it."""

    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOutcome:
    """The outcome of one offered image on one device, as the device reported it."""

    number: int
    device_id: str
    offer_id: UUID
    deployment_id: UUID | None
    image_id: UUID
    component_id: UUID
    outcome: str  # confirmed | reverted | failed
    reason: str
    at: int
    received_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OsComponent:
    """One measured boot component of an OS release."""

    name: str
    image_type: int
    component_id: UUID
    image_id: UUID
    digest: bytes  # SHA-256 of the whole package
    security_version: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OsRelease:
    """An OS release for one chip profile; its components are the verifier's reference values."""

    release_id: UUID
    chip: str
    version: str
    feed: str
    components: tuple[OsComponent, ...]
    created_at: int
    expires_at: int | None = None  # None for no end
    withdrawn_at: int | None = None  # None while it is in force
    withdrawn_reason: str | None = None
    # Id of the CoRIM with its reference values; None for a release that was built here with its packages
    imported_from: str | None = None
    os_abi: int = 0  # ABI number that applications may ask for a range of; 0 for none
    signed_at: int | None = None  # When its packages were signed here; None while one of them is not
    signer: str = ""  # Serial of the certificate whose key signed them; empty where it was not signed here
    published_at: int | None = None  # None for a draft, which is no reference value and given to nobody
    is_stand_in: bool = False  # Whether a package is a stand-in of boot/virtual_chain, which no machine starts


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityFloor:
    """The lowest security version accepted for an image type on a chip; it only rises."""

    chip: str
    image_type: int
    minimum: int
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One operation. ``hash`` covers the previous line's hash and every field of this line."""

    number: int
    at: int
    actor: str
    operation: str
    target: str
    detail: Mapping[str, object]
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerification:
    """Result of checking the whole audit chain, and the tree over it."""

    lines: int
    head: bytes  # Hash of the last line (32 bytes, zeros when there is none): note it elsewhere to detect truncation
    broken_at: int | None  # Number of the first line with a wrong hash
    root: bytes  # Of the Merkle tree over the lines that the chain is good for
    forked_at: int | None  # Size of the first signed checkpoint, or kept part of the tree, that the lines do not give
    releases_forked_at: int | None  # The same of the release log


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An operator token as stored: never the secret itself."""

    token_id: UUID
    name: str
    role: str
    created_at: int
    created_by: str
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    catalog_id: UUID | None = None  # The only catalog it is valid for; None for all
    # The only organisation of that catalog it is valid for, with those below; None for all
    organisation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A new token with its secret, which is shown once and not stored."""

    token: Token
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSummary:
    """The fleet in numbers."""

    devices: int
    health: Mapping[str, int]  # Devices per word of :data:`HEALTHS`; every word is present
    tiers: Mapping[str, int]  # Devices per trust tier
    os_versions: Mapping[str, int]  # Devices per OS version ("" = not known)
    open_findings: Mapping[str, int]  # Open findings per severity
    unclaimed: int  # Devices of no catalog (counted only when no catalog was asked for)
