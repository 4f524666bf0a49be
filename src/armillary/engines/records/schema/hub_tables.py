# SPDX-License-Identifier: Apache-2.0
"""The tables of hub devices (clients that do not attest), their enrolments and the keys of services."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
)

from armillary.engines.records.schema.tables import NAME_LENGTH, metadata

# A device's 128 and a module's 64 characters, with a slash between them.
IDENTITY_LENGTH = 193

# Which devices that do not attest a catalog admits to the hub. No row: none.
hub_admission = Table(
    "hub_admission",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), primary_key=True),
    Column("certificates", Boolean, nullable=False),
    Column("symmetric_keys", Boolean, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)

# A hub device, or a module of any device. Keys are sealed (engines/signer/sealed.py).
hub_identity = Table(
    "hub_identity",
    metadata,
    Column("identity", String(IDENTITY_LENGTH), primary_key=True),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), nullable=False, index=True),
    Column("authentication", String(24), nullable=False),
    Column("primary_key", LargeBinary),
    Column("secondary_key", LargeBinary),
    Column("primary_thumbprint", String(64), nullable=False),
    Column("secondary_thumbprint", String(64), nullable=False),
    Column("primary_certificate", LargeBinary),
    Column("secondary_certificate", LargeBinary),
    Column("is_enabled", Boolean, nullable=False),
    Column("status_reason", String(128), nullable=False),
    Column("etag", Integer, nullable=False),
    Column("generation_id", String(32), nullable=False),
    Column("enrolment_id", Uuid),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

# Who may register over the provisioning endpoint: one device, or a group of devices.
hub_enrolment = Table(
    "hub_enrolment",
    metadata,
    Column("enrolment_id", Uuid, primary_key=True),
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), nullable=False),
    Column("name", String(128), nullable=False),
    Column("is_group", Boolean, nullable=False),
    Column("attestation", String(16), nullable=False),
    Column("primary_key", LargeBinary),
    Column("secondary_key", LargeBinary),
    Column("certificate", LargeBinary),
    Column("possession_nonce", String(64), nullable=False),
    Column("is_verified", Boolean, nullable=False),
    Column("device_id", String(128), nullable=False),
    Column("initial_twin", Text, nullable=False),
    Column("returned_payload", Text, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    UniqueConstraint("catalog_id", "is_group", "name"),
)

# Certificates that the hub's TLS trusts for them. OpenSSL finds an issuer by its name, so a name has only one key.
hub_certificate = Table(
    "hub_certificate",
    metadata,
    Column("owner", String(IDENTITY_LENGTH), primary_key=True),
    Column("fingerprint", LargeBinary, primary_key=True),
    Column("subject_hash", LargeBinary, nullable=False, index=True),
    Column("key_hash", LargeBinary, nullable=False),
)

# Completed registrations.
hub_registration = Table(
    "hub_registration",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), primary_key=True),
    Column("registration_id", String(128), primary_key=True),
    Column("enrolment_id", Uuid, nullable=False, index=True),
    Column("device_id", String(128), nullable=False),
    Column("payload", Text, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

# Keys of services that speak IoT Hub's REST: a name, a role, a sealed key.
hub_service_key = Table(
    "hub_service_key",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalog.catalog_id"), primary_key=True),
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("reveals_keys", Boolean, nullable=False, server_default=false()),
)
