# SPDX-License-Identifier: Apache-2.0
"""Values that come out of the records about when devices update. Times are integer Unix seconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

# As long as Azure Sphere lets applications put off an update of the operating system.
DEFAULT_DEFERRAL_S: Final = 24 * 3600
UTC: Final = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSchedule:
    """When devices of a group look for updates and when they may begin to install them.

    Attributes:
        check_interval_s: Seconds between two check-ins; None for the service's own setting.
        zone: Name of the time zone (IANA) by whose clock ``windows`` are meant.
        windows: Maintenance windows as people write them; empty for at any time.
        max_deferral_s: How long applications may put off an update.
        urgent_until: Until then what is offered is installed without regard to windows and deferrals.
    """

    group_id: UUID
    check_interval_s: int | None = None
    zone: str = UTC
    windows: tuple[str, ...] = ()
    max_deferral_s: int = DEFAULT_DEFERRAL_S
    urgent_until: int | None = None
    urgent_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUpdateStatus:
    """What a device said about its update when it last had something new to say, at ``since``.

    ``reason`` is a code of ``wire.device.update_reason``; empty: nothing waits.
    """

    abilities: tuple[str, ...]
    directive_version: int
    reason: str
    detail: str
    until: int | None
    since: int
    trusted_keys: str = ""  # Digests in hex of what it trusts; empty from a device that takes no trust stores
    trusted_roots: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPackage:
    """A trust store as one image package; there is one for each key by which some device may know the service."""

    image_id: UUID
    size: int
    sha256: bytes  # Also its name in the blob folder
    signed_by: str  # Serial of the OS signing certificate whose key signed it


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStoreRow:
    """What devices should trust from one store on until the next of its kind.

    Attributes:
        kind: ``keys``, a trusted key store, or ``roots``, a certificate store.
        number: Rises by one within its kind; 0 is what the first devices were made with, which has no package.
        trusted: Serials of the certificates that it names by their purpose: ``os`` and ``images``, or ``roots``.
        digest: What a device that has it says it trusts, 32 bytes.
        packages: None for number 0, and for a store that is not the newest of its kind any more.
        in_force_at: When its newest keys began to sign; None while they wait for devices to have it.
    """

    kind: str
    number: int
    trusted: Mapping[str, tuple[str, ...]]
    digest: bytes
    created_at: int
    in_force_at: int | None = None
    packages: tuple[TrustPackage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFeed:
    """An OS feed; its groups get its releases and those of the feed that it ``follows`` ("" for the retail feed)."""

    name: str
    follows: str
    created_at: int
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BillRow:
    """What is kept of a software bill of materials beside its document, which is a blob of the name ``sha256``."""

    release_id: UUID | None  # The release that it is of, or else
    catalog_id: UUID | None  # the image of a catalog
    image_id: UUID | None
    sha256: bytes
    size: int
    spec_version: str  # CycloneDX's number, or SPDX-2.3
    components: int
    added_at: int
    added_by: str
