# SPDX-License-Identifier: Apache-2.0
"""Bridged devices, their artifacts and actions as they come out of the records, as in ``rows.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeAdmission:
    """How controllers of a catalog may authenticate; none may by default."""

    catalog_id: UUID
    tenant: str  # What they call the catalog, in lower case
    target_tokens: bool = False
    certificates: bool = False
    gateway_token_hash: bytes | None = field(default=None, repr=False)
    registers_into: UUID | None = None  # Device group of controllers that register themselves; None: they do not
    polling_s: int = 300
    changed_at: int = 0
    changed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeAuthority:
    """An authority whose client certificates controllers of a catalog may show."""

    catalog_id: UUID
    fingerprint: bytes  # SHA-256 of the DER
    subject: str
    not_after: int
    der: bytes
    added_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeDevice:
    """A bridged device: a controller of hawkBit's DDI. It attests nothing; what it says is its word."""

    number: int  # Of its rows in ``device`` and ``device_status``
    device_id: str
    catalog_id: UUID
    controller: str
    product: str
    group: str
    group_id: UUID
    has_token: bool
    attributes: Mapping[str, str]
    attributes_at: int | None  # None: it is asked for them
    polled_at: int | None
    offered_deployment_id: UUID | None
    installed: str  # JSON text, as ``queries/devices.py`` reads it
    revoked: bool
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeArtifact:
    """A file for bridged devices: an image of its own kind."""

    image_id: UUID
    catalog_id: UUID
    component_id: UUID
    name: str
    version: str
    part: str
    filename: str
    size: int  # Bytes
    sha256: bytes
    sha1: bytes
    md5: bytes
    uploaded_at: int
    uploaded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeAction:
    """One deployment on one controller."""

    number: int
    device_number: int
    deployment_id: UUID
    state: str  # Of ``wire/hawkbit/action.py``
    reason: str  # Why it failed or was canceled, "" otherwise
    may_repeat: bool  # Of a closed one: whether the device may be offered the same deployment again
    created_at: int
    changed_at: int
    finished_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeStatus:
    """What was said of an action: an event of ``wire/hawkbit/action.py``, or ``offer``."""

    at: int
    event: str
    progress: str
    code: int | None
    messages: tuple[str, ...]
